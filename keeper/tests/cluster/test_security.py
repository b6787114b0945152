"""A group with scram and self-signed certificates: who is in the middle learns nothing, who is not the node cannot speak
for it, secrets stay where they belong, and each can be changed while the group serves."""
import json
import os
import pathlib
import socket
import ssl
import struct
import subprocess
import threading

import pytest

from harness import USER, Cluster, wait_for

PAGE = pathlib.Path(__file__).resolve().parents[3] / "docs/security.md"
NODE_PASSWORD, REPLICATION_PASSWORD = "n0de pass/@:%word", "r3plication 'word"
OPERATOR_PASSWORD, READER_PASSWORD = "0perator", "r3ader"


@pytest.fixture(scope="module")
def group():
    cluster = Cluster(auth="scram-sha-256", ssl="--ssl-self-signed")
    m = cluster.monitor
    m.autoctl("create", "monitor", "--pgport", m.port, "--hostname", "127.0.0.1", "--auth", "scram-sha-256", "--ssl-self-signed",
              env={"PG_AUTOCTL_NODE_PASSWORD": NODE_PASSWORD, "PG_AUTOCTL_OPERATOR_PASSWORD": OPERATOR_PASSWORD,
                   "PG_AUTOCTL_READER_PASSWORD": READER_PASSWORD})
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

    def __init__(self, directory):
        super().__init__(daemon=True)
        certificate, key = directory / "crt", directory / "key"
        subprocess.run(["openssl", "req", "-new", "-x509", "-nodes", "-out", certificate, "-keyout", key, "-subj", "/CN=127.0.0.1"],
                       check=True, capture_output=True)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate, key)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.sessions, self.startup, self.heard = 0, b"", b""
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
                    # Counted before the handshake: who dislikes the certificate is gone before the last record of it is written.
                    self.sessions += 1
                    with self.context.wrap_socket(plain, server_side=True) as session:
                        self.startup += session.recv(4096)
                        session.sendall(b"R" + struct.pack("!ii", 8, 3))
                        self.heard += session.recv(4096)
                except OSError:
                    pass

    def end(self):
        """All that was sent has been read when this returns."""
        self.listener.shutdown(socket.SHUT_RDWR)
        self.join(15)
        assert not self.is_alive()
        self.listener.close()


def test_who_answers_in_place_of_the_monitor_gets_no_password(group, tmp_path):
    impostor = Impostor(tmp_path)
    done = group.node("a").autoctl("show", "state", "--monitor", uri(group, NODE_PASSWORD, impostor.port), check=False)
    impostor.end()
    assert done.returncode != 0 and impostor.sessions > 0 and impostor.heard == b"", (done.stderr, impostor.heard)
    assert "channel binding" in done.stderr and "n0de" not in done.stderr, done.stderr


def fingerprint(certificate):
    done = subprocess.run(["openssl", "x509", "-noout", "-fingerprint", "-sha256", "-in", certificate], check=True, capture_output=True,
                          text=True)
    return done.stdout.strip().split("=")[1]


def bare(text):
    return text.replace(":", "").lower()


def test_a_node_knows_the_certificate_of_its_monitor(group, tmp_path):
    """Nobody else hears even the name of the role or the secret, also where nothing else protects them."""
    a, m = group.node("a"), group.monitor
    known = a.autoctl("config", "get", "monitor.fingerprint").stdout.strip()
    assert known == bare(fingerprint(m.pgdata / "server.crt"))
    impostor = Impostor(tmp_path)
    weak = uri(group, NODE_PASSWORD, impostor.port).replace("&channel_binding=require", "")
    for address in (weak, weak.replace("sslmode=require", "sslmode=prefer")):
        done = a.autoctl("config", "set", "pg_autoctl.monitor", address, check=False)
        assert done.returncode != 0 and "certificate is not the one that is known" in done.stderr, done.stderr
        assert "DETAIL" in done.stderr and "config set monitor.fingerprint" in done.stderr and "n0de" not in done.stderr
    impostor.end()
    assert impostor.sessions >= 2 and impostor.startup == b"" and impostor.heard == b"", (impostor.sessions, impostor.startup)
    for wrong in ("sha256", "12", known + "0"):
        done = a.autoctl("config", "set", "monitor.fingerprint", wrong, check=False)
        assert done.returncode != 0 and "monitor.fingerprint" in done.stderr, done.stderr


def test_who_creates_a_node_may_say_which_certificate_he_expects(group):
    c = group.node("c")
    done = c.autoctl("create", "postgres", "--pgport", c.port, "--hostname", "127.0.0.1", "--name", "c", "--auth", "scram-sha-256",
                     "--ssl-self-signed", "--monitor-fingerprint", "0" * 64, env={"PG_AUTOCTL_MONITOR": uri(group, NODE_PASSWORD)}, check=False)
    assert done.returncode != 0 and "certificate is not the one that is known" in done.stderr, done.stderr
    assert group.monitor.sql("SELECT count(*) FROM pgautofailover.node", dbname="pg_auto_failover") == "2"
    del group.programs["c"]


def test_replication_insists_on_the_binding(group):
    """And its password is in a file: PostgreSQL logs a changed primary_conninfo with all that is in it."""
    b = group.node("b")
    conninfo = b.sql("SHOW primary_conninfo")
    assert "channel_binding=require" in conninfo and "passfile=" in conninfo and "password=" not in conninfo
    assert group.node("a").sql("SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_replication USING (pid)") == "t"


def test_operators_and_readers_have_the_passwords_that_create_was_given(group):
    a = group.node("a")

    def of(role, password):
        return uri(group, password).replace("autoctl_node:", f"{role}:")

    for role, password in (("autoctl_operator", OPERATOR_PASSWORD), ("autoctl_reader", READER_PASSWORD)):
        assert a.autoctl("show", "state", "--monitor", of(role, password)).returncode == 0
        assert a.autoctl("show", "state", "--monitor", of(role, "another"), check=False).returncode != 0
    done = a.autoctl("perform", "failover", "--monitor", of("autoctl_reader", READER_PASSWORD), check=False)
    assert done.returncode != 0 and "permission denied" in done.stderr, done.stderr


def secret_of(node):
    [path] = node.home.glob(".local/share/**/secret")
    assert path.stat().st_mode & 0o077 == 0
    return path


def typed(program, words):
    """The line of docs/security.md that has these words, as it stands there."""
    [line] = [line for line in PAGE.read_text().splitlines() if words in line and line.startswith("psql ")]
    env = {**program.env, "PGHOST": program.sockets, "PGPORT": program.port, "PGUSER": USER}
    subprocess.run(program.host.command(["sh", "-e", "-c", line], env), check=True, capture_output=True, cwd="/tmp")


def test_where_operators_have_a_role_of_their_own_the_nodes_password_orders_nothing(group):
    m, b = group.monitor, group.node("b")

    def order(conninfo, priority):
        return m.autoctl("set", "node", "candidate-priority", "--name", "b", priority, "--monitor", conninfo, check=False)
    assert order(uri(group, NODE_PASSWORD), 49).returncode == 0
    typed(m, "CREATE ROLE alice")
    m.sql("ALTER ROLE alice PASSWORD 'alice'; GRANT CONNECT ON DATABASE pg_auto_failover TO alice")
    hba = m.pgdata / "pg_hba.conf"
    hba.write_text("hostssl pg_auto_failover alice 127.0.0.1/32 scram-sha-256\n" + hba.read_text())
    typed(m, "node_role_may_order")
    wait_for(lambda: order(uri(group, NODE_PASSWORD), 48).returncode != 0, 10, "the password alone is not enough")
    assert "permission denied for formation" in order(uri(group, NODE_PASSWORD), 48).stderr
    done = order(uri(group, "alice").replace("autoctl_node:", "alice:"), 47)
    assert done.returncode == 0, done.stderr
    assert b.autoctl("set", "node", "candidate-priority", "50").returncode == 0, "a node orders in its own group"
    m.sql("ALTER SYSTEM RESET pgautofailover.node_role_may_order")
    m.sql("SELECT pg_reload_conf()")


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
    secrets = [NODE_PASSWORD, REPLICATION_PASSWORD, OPERATOR_PASSWORD, READER_PASSWORD, "n0de", "r3plication", *[secret_of(group.node(n)).read_text().split()[0] for n in "ab"]]
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
    script = 'cd "$0" && (umask 077; { openssl rand -hex 24; head -n 1 secret; } > secret.new && mv secret.new secret)'
    subprocess.run(b.host.command(["sh", "-c", script, secret.parent], b.env), check=True, cwd="/tmp")
    b.autoctl("reload")
    new = secret.read_text().split()[0]
    wait_for(lambda: m.sql(f"SELECT hash = sha256(convert_to('{new}', 'UTF8')) FROM pgautofailover.node_secret WHERE nodeid = 2",
                           dbname="pg_auto_failover") == "t", 20, "the monitor knows the new secret")
    wait_for(lambda: reports(2), 20, "the node reports with it")
    group.wait_steady()


def new_certificate(program):
    """Beside the one that is in use; returns its fingerprint."""
    script = ('cd "$0" && openssl req -new -x509 -nodes -days 365 -subj /CN=127.0.0.1 -keyout new.key -out new.crt 2> /dev/null '
              "&& chmod 600 new.key new.crt")
    subprocess.run(program.host.command(["sh", "-c", script, program.pgdata], program.env), check=True, cwd="/tmp")
    return fingerprint(program.pgdata / "new.crt")


def use_certificate(program):
    for kind in ("key", "crt"):
        os.replace(program.pgdata / f"new.{kind}", program.pgdata / f"server.{kind}")
    program.autoctl("reload")
    wait_for(lambda: bare(fingerprint(program.pgdata / "server.crt")) == shown_by(program), 20, "the new certificate is shown")


def shown_by(program):
    text = subprocess.run(["openssl", "s_client", "-starttls", "postgres", "-connect", f"127.0.0.1:{program.port}"], input="",
                          capture_output=True, text=True, check=False).stdout
    return bare(subprocess.run(["openssl", "x509", "-noout", "-fingerprint", "-sha256"], input=text, capture_output=True, text=True,
                               check=True).stdout.strip().split("=")[1])


def test_the_monitors_certificate_changes_while_the_group_serves(group):
    m, nodes = group.monitor, [group.node("a"), group.node("b")]

    def reports():
        return m.sql("SELECT bool_and(report_time > now() - interval '2 s' AND problem = '') FROM pgautofailover.node_facts()",
                     dbname="pg_auto_failover") == "t"

    def cut():
        m.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'autoctl_node'")

    old, new = fingerprint(m.pgdata / "server.crt"), new_certificate(m)
    for node in nodes:
        node.autoctl("config", "set", "monitor.fingerprint", f"{old},{new}")
    use_certificate(m)
    cut()
    wait_for(reports, 20, "both report to the new certificate")
    for node in nodes:
        node.autoctl("config", "set", "monitor.fingerprint", new)
    cut()
    wait_for(reports, 20, "both report, and know only the new one")
    group.wait_steady()
    # Nobody has told the nodes: they refuse, say so and what to do, and go on without the monitor.
    newest = new_certificate(m)
    use_certificate(m)
    cut()
    wait_for(lambda: all("certificate is not the one that is known" in log_of(node) for node in nodes), 20, "both refuse it")
    nodes[0].sql("CREATE TABLE IF NOT EXISTS meanwhile (i int)")
    for node in nodes:
        node.autoctl("config", "set", "monitor.fingerprint", newest)
    wait_for(reports, 30, "both report again")
    group.wait_steady()


def log_of(node):
    return "".join(log.read_text(errors="replace") for log in [node.log, *node.pgdata.glob("log/*")])


def test_the_certificates_of_nodes_change_while_they_serve(group):
    """Replication is bound to whatever certificate the other end has, as long as it knows the password."""
    a, b = group.node("a"), group.node("b")
    for node in (a, b):
        new_certificate(node)
        use_certificate(node)
    a.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_replication")
    wait_for(lambda: a.sql("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'") == "1", 20, "it streams again")
    group.wait_steady()
