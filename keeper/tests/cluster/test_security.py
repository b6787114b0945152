"""A group with scram and self-signed certificates: who is in the middle learns nothing, who is not the node cannot speak
for it, secrets stay where they belong, and each can be changed while the group serves."""
import json
import pathlib
import socket
import ssl
import struct
import subprocess
import threading

import pytest

from harness import Cluster, wait_for

NODE_PASSWORD, REPLICATION_PASSWORD = "n0de pass/@:%word", "r3plication 'word"


@pytest.fixture(scope="module")
def group():
    cluster = Cluster(auth="scram-sha-256", ssl="--ssl-self-signed")
    m = cluster.monitor
    m.autoctl("create", "monitor", "--pgport", m.port, "--hostname", "127.0.0.1", "--auth", "scram-sha-256", "--ssl-self-signed",
              env={"PG_AUTOCTL_NODE_PASSWORD": NODE_PASSWORD})
    m.start()
    wait_for(lambda: m.sql("SELECT 1", dbname="pg_auto_failover") == "1", 30, "the monitor answers")
    for name in ("a", "b"):
        node = cluster.node(name)
        node.autoctl("create", "postgres", "--pgport", node.port, "--hostname", "127.0.0.1", "--name", name, "--auth",
                     "scram-sha-256", "--ssl-self-signed", env={"PG_AUTOCTL_MONITOR": uri(cluster, NODE_PASSWORD),
                                                                "PG_AUTOCTL_REPLICATION_PASSWORD": REPLICATION_PASSWORD})
        node.start()
        cluster.wait_states(**({"a": "single"} if name == "a" else {"a": "primary", "b": "secondary"}))
    cluster.wait_promotable()
    yield cluster
    cluster.close()


def uri(cluster, password, port=None):
    """What the monitor prints, with the password."""
    printed = cluster.monitor.autoctl("show", "uri", "--formation", "monitor").stdout.strip()
    assert "channel_binding=require" in printed and "sslmode=require" in printed, printed
    quoted = "".join(f"%{byte:02X}" for byte in password.encode())
    printed = printed.replace("autoctl_node@", f"autoctl_node:{quoted}@")
    return printed.replace(f":{cluster.monitor.port}/", f":{port}/") if port else printed


class Impostor(threading.Thread):
    """Speaks TLS with a certificate of its own, and asks for the password in clear."""

    def __init__(self, certificate, key):
        super().__init__(daemon=True)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate, key)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.sessions, self.heard = 0, b""
        self.start()

    def run(self):
        while True:
            try:
                plain, _ = self.listener.accept()
            except OSError:
                return
            with plain:
                plain.settimeout(5)
                try:
                    plain.recv(8)
                    plain.sendall(b"S")
                    with self.context.wrap_socket(plain, server_side=True) as session:
                        session.recv(4096)
                        self.sessions += 1
                        session.sendall(b"R" + struct.pack("!ii", 8, 3))
                        self.heard += session.recv(4096)
                except OSError:
                    pass


def test_who_answers_in_place_of_the_monitor_gets_no_password(group, tmp_path):
    certificate, key = tmp_path / "crt", tmp_path / "key"
    subprocess.run(["openssl", "req", "-new", "-x509", "-nodes", "-out", certificate, "-keyout", key, "-subj", "/CN=127.0.0.1"],
                   check=True, capture_output=True)
    impostor = Impostor(certificate, key)
    done = group.node("a").autoctl("show", "state", "--monitor", uri(group, NODE_PASSWORD, impostor.port), check=False)
    assert done.returncode != 0 and impostor.sessions > 0 and impostor.heard == b"", (done.stderr, impostor.heard)
    assert "channel binding" in done.stderr and "n0de" not in done.stderr, done.stderr
    impostor.listener.close()


def test_replication_insists_on_the_binding(group):
    """And its password is in a file: PostgreSQL logs a changed primary_conninfo with all that is in it."""
    b = group.node("b")
    conninfo = b.sql("SHOW primary_conninfo")
    assert "channel_binding=require" in conninfo and "passfile=" in conninfo and "password=" not in conninfo
    assert group.node("a").sql("SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_replication USING (pid)") == "t"


def secret_of(node):
    [path] = node.home.glob(".local/share/**/secret")
    assert path.stat().st_mode & 0o077 == 0
    return path


def test_only_the_node_speaks_for_itself(group):
    m, a = group.monitor, group.node("a")
    assert m.sql("SELECT count(*) FROM pgautofailover.node_secret", dbname="pg_auto_failover") == "2"
    report = json.dumps({"version": 1, "formation": "default", "node_id": 1, "group": 0, "keeper_epoch": 1 << 40, "state": "primary",
                         "pg_running": False, "fenced": True, "holder": "supervisor"})
    with pytest.raises(subprocess.SubprocessError, match="does not have the secret of node 1"):
        m.sql(f"SET ROLE autoctl_node; SELECT pgautofailover.report('{report}')", dbname="pg_auto_failover")
    with pytest.raises(subprocess.SubprocessError, match="permission denied"):
        m.sql("SET ROLE autoctl_node; SELECT pgautofailover.perform_failover('default', 0, true)", dbname="pg_auto_failover")
    # It still gives orders for its own group.
    a.autoctl("perform", "switchover")
    group.wait_states(a="secondary", b="primary")
    group.wait_promotable()
    group.node("b").autoctl("perform", "switchover")
    group.wait_states(a="primary", b="secondary")
    group.wait_promotable()


def test_secrets_are_in_no_environment_argument_and_log(group):
    secrets = [NODE_PASSWORD, REPLICATION_PASSWORD, "n0de", "r3plication", *[secret_of(group.node(n)).read_text().split()[0] for n in "ab"]]
    for program in group.programs.values():
        for log in [program.log, *program.pgdata.glob("log/*")]:
            assert not any(secret in log.read_text(errors="replace") for secret in secrets), log
        for pid in program.pids():
            for name in ("cmdline", "environ"):
                try:
                    text = pathlib.Path(f"/proc/{pid}/{name}").read_text(errors="replace")
                except OSError:
                    continue
                assert not any(secret in text for secret in secrets), (pid, name)


def test_passwords_and_secrets_change_while_the_group_serves(group):
    m, a, b = group.monitor, group.node("a"), group.node("b")

    def reports(node):
        return m.sql(f"SELECT report_time > now() - interval '2 s' AND problem = '' FROM pgautofailover.node_facts() WHERE node_id = {node}",
                     dbname="pg_auto_failover") == "t"

    # The password of the nodes.
    m.sql("ALTER ROLE autoctl_node PASSWORD 'another'")
    for node in (a, b):
        node.autoctl("config", "set", "pg_autoctl.monitor", uri(group, "another"))
    m.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'autoctl_node'")
    wait_for(lambda: reports(1) and reports(2), 20, "both report with the new password")
    # The password of replication: an open stream stays, and the next one has the new password.
    a.sql("ALTER ROLE pgautofailover_replicator PASSWORD 'new one'")
    for node in (a, b):
        node.autoctl("config", "set", "replication.password", "new one")
    [passfile] = b.home.glob(".local/share/**/replication.pass")
    wait_for(lambda: passfile.read_text().endswith(":new one\n"), 20, "the standby has the new password")
    assert passfile.stat().st_mode & 0o077 == 0
    a.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_replication")
    wait_for(lambda: a.sql("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'") == "1", 20, "it streams again")
    # The secret of a node.
    secret = secret_of(b)
    script = 'cd "$0" && { openssl rand -hex 24; head -n 1 secret; } > secret.new && chmod 600 secret.new && mv secret.new secret'
    subprocess.run(b.host.command(["sh", "-c", script, secret.parent], b.env), check=True, cwd="/tmp")
    b.autoctl("reload")
    new = secret.read_text().split()[0]
    wait_for(lambda: m.sql(f"SELECT hash = sha256(convert_to('{new}', 'UTF8')) FROM pgautofailover.node_secret WHERE nodeid = 2",
                           dbname="pg_auto_failover") == "t", 20, "the monitor knows the new secret")
    wait_for(lambda: reports(2), 20, "the node reports with it")
    group.wait_steady()
