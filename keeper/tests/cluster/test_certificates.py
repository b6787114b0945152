"""Nodes that know each other and the monitor by certificates of one CA, without any password; and what happens when a certificate
changes. Method: a CA made with openssl, a monitor and a pair."""
import os
import pathlib
import shutil
import subprocess

import pytest

from harness import BINDIR, Cluster, wait_for


class Authority:
    """A CA, and files that belong to the user of the cluster."""

    def __init__(self, cluster):
        self.cluster, self.directory = cluster, cluster.directory / "ca"
        self.directory.mkdir()
        self.openssl("req", "-new", "-x509", "-nodes", "-days", "30", "-subj", "/CN=test CA", "-keyout", "ca.key", "-out", "ca.crt")
        cluster.own(self.directory)

    def openssl(self, *argv):
        subprocess.run(["openssl", *argv], cwd=self.directory, check=True, capture_output=True)

    def issue(self, stem, name, address=None):
        """Certificate and key for the common name, as PATH.crt and PATH.key, which replace what was there at once."""
        self.openssl("req", "-new", "-nodes", "-subj", f"/CN={name}", "-keyout", "new.key", "-out", "new.csr")
        extra = self.directory / "extra"
        extra.write_text(f"subjectAltName=IP:{address}\n" if address else "")
        self.openssl("x509", "-req", "-in", "new.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "20",
                     "-extfile", "extra", "-out", "new.crt")
        for kind in ("key", "crt"):
            (self.directory / f"new.{kind}").chmod(0o600)
            self.cluster.own(self.directory)
            os.replace(self.directory / f"new.{kind}", self.directory / f"{stem}.{kind}")
        return self.directory / f"{stem}.crt", self.directory / f"{stem}.key"

    def server_options(self, stem):
        certificate, key = self.issue(stem, "127.0.0.1", "127.0.0.1")
        return ("--auth", "cert", "--server-cert", certificate, "--server-key", key, "--ssl-ca-file", self.directory / "ca.crt")


def monitor_uri(cluster, ca):
    printed = cluster.monitor.autoctl("show", "uri", "--formation", "monitor").stdout.strip()
    assert "sslmode=verify-full" in printed, printed
    return f"{printed}&sslcert={ca.directory}/node.crt&sslkey={ca.directory}/node.key"


@pytest.fixture(scope="module")
def pair():
    cluster = Cluster(auth="cert")
    ca = Authority(cluster)
    ca.issue("node", "autoctl_node")
    ca.issue("replicator", "pgautofailover_replicator")
    m = cluster.monitor
    m.autoctl("create", "monitor", "--pgport", m.port, "--hostname", "127.0.0.1", *ca.server_options("monitor"))
    m.start()
    wait_for(lambda: m.sql("SELECT 1", dbname="pg_auto_failover") == "1", 30, "the monitor answers")
    for name in ("a", "b"):
        node = cluster.node(name)
        node.autoctl("create", "postgres", "--pgport", node.port, "--hostname", "127.0.0.1", "--name", name, *ca.server_options(name),
                     "--username", "app", "--replication-cert", ca.directory / "replicator.crt", "--replication-key",
                     ca.directory / "replicator.key", env={"PG_AUTOCTL_MONITOR": monitor_uri(cluster, ca)})
        node.start()
        cluster.wait_states(**({"a": "single"} if name == "a" else {"a": "primary", "b": "secondary"}))
    cluster.wait_promotable()
    cluster.ca = ca
    yield cluster
    cluster.close()


def on_monitor(cluster, sql):
    return cluster.monitor.sql(sql, dbname="pg_auto_failover")


def everybody_connects_again(pair):
    """With the certificates that are in force now."""
    a = pair.node("a")
    on_monitor(pair, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'autoctl_node'")
    a.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_replication")
    wait_for(lambda: a.sql("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'") == "1", 20, "it streams again")
    wait_for(lambda: on_monitor(pair, "SELECT count(*) FROM pgautofailover.node_facts() WHERE report_time > now() - interval '2 s'") == "2",
             20, "both report again")
    pair.wait_steady()


def test_every_session_is_known_by_its_certificate(pair):
    names = "SELECT string_agg(DISTINCT usename || ' ' || client_dn, ',') FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE ssl"
    assert on_monitor(pair, names) == "autoctl_node /CN=autoctl_node"
    assert pair.node("a").sql(names) == "pgautofailover_replicator /CN=pgautofailover_replicator"
    assert "password" not in pair.node("b").sql("SHOW primary_conninfo")


def test_who_has_no_certificate_stays_out(pair):
    ca = pair.ca
    bare = pair.monitor.autoctl("show", "uri", "--formation", "monitor").stdout.strip()
    done = pair.node("a").autoctl("show", "state", "--monitor", bare, check=False)
    assert done.returncode != 0 and "certificate" in done.stderr, done.stderr
    # That of another role is not enough.
    wrong = f"{bare}&sslcert={ca.directory}/replicator.crt&sslkey={ca.directory}/replicator.key"
    done = pair.node("a").autoctl("show", "state", "--monitor", wrong, check=False)
    assert done.returncode != 0 and "certificate" in done.stderr.lower(), done.stderr


def test_the_probe_finds_the_nodes_and_fills_no_log(pair):
    wait_for(lambda: on_monitor(pair, "SELECT bool_and(health = 1) FROM pgautofailover.node") == "t", 20, "the monitor reaches both")
    for name in ("a", "b"):
        for log in [pair.node(name).log, *pair.node(name).pgdata.glob("log/*")]:
            assert "pgautofailover_monitor" not in log.read_text(errors="replace")


def test_an_application_comes_in_with_its_own(pair):
    certificate, key = pair.ca.issue("app", "app")
    # initdb's line for this very machine asks for a password, and the administrator's lines come first.
    hba = pair.node("a").pgdata / "pg_hba.conf"
    hba.write_text("".join(line for line in hba.read_text().splitlines(True) if not line.startswith("host    all")))
    pair.node("a").autoctl("reload")
    conninfo = (f"host=127.0.0.1 port={pair.node('a').port} user=app dbname=postgres sslmode=verify-full "
                f"sslrootcert={pair.ca.directory}/ca.crt sslcert={certificate} sslkey={key}")

    def who():
        return subprocess.run(pair.node("a").host.command([BINDIR / "psql", "-XAtwc", "SELECT current_user", conninfo], pair.node("a").env),
                              capture_output=True, text=True, check=False, cwd="/tmp").stdout.strip()

    wait_for(lambda: who() == "app", 10, "the application comes in")


def test_a_former_primary_is_rewound(pair):
    a, b = pair.node("a"), pair.node("b")
    a.sql("CREATE TABLE IF NOT EXISTS t (i int)")
    a.kill()
    pair.wait_states(b="wait_primary")
    b.sql("INSERT INTO t VALUES (1)")
    a.start()
    pair.wait_states(a="secondary", b="primary")
    pair.wait_promotable()
    assert a.sql("SELECT count(*) FROM t") == "1"
    b.autoctl("perform", "switchover")
    pair.wait_states(a="primary", b="secondary")
    pair.wait_promotable()


def serial(node, ca):
    """Of the certificate that the server shows now."""
    text = subprocess.run(["openssl", "s_client", "-starttls", "postgres", "-connect", f"127.0.0.1:{node.port}"], input="",
                          capture_output=True, text=True, check=False).stdout
    return subprocess.run(["openssl", "x509", "-noout", "-serial"], input=text, capture_output=True, text=True, check=True).stdout


def test_certificates_change_while_the_group_serves(pair):
    """The commands of docs/security.md: replace the files, pg_autoctl reload. Sessions that are open stay."""
    ca, m, a, b = pair.ca, pair.monitor, pair.node("a"), pair.node("b")
    a.sql("CREATE TABLE IF NOT EXISTS kept (i int)")
    servers = {"monitor": m, "a": a, "b": b}
    before = {name: serial(node, ca) for name, node in servers.items()}
    term = on_monitor(pair, "SELECT max(term) FROM pgautofailover.group_state")
    for stem, name in (("node", "autoctl_node"), ("replicator", "pgautofailover_replicator")):
        ca.issue(stem, name)
    for name, node in servers.items():
        ca.issue(name, "127.0.0.1", "127.0.0.1")
        node.autoctl("reload")
        wait_for(lambda name=name, node=node: serial(node, ca) != before[name], 20, f"{name} shows its new certificate")
        a.sql("INSERT INTO kept VALUES (1)")
    everybody_connects_again(pair)
    a.sql("INSERT INTO kept VALUES (2)")
    assert on_monitor(pair, "SELECT max(term) FROM pgautofailover.group_state") == term, "a certificate is no reason for a failover"


def test_another_ca_comes_with_both_in_one_file(pair):
    ca, m, a, b = pair.ca, pair.monitor, pair.node("a"), pair.node("b")
    old = (ca.directory / "ca.crt").read_text()

    def trust(text):
        (ca.directory / "ca.new").write_text(text)
        pair.own(ca.directory)
        os.replace(ca.directory / "ca.new", ca.directory / "ca.crt")
        for program in (m, a, b):
            program.autoctl("reload")

    shutil.copy(ca.directory / "ca.crt", ca.directory / "old.crt")
    ca.openssl("req", "-new", "-x509", "-nodes", "-days", "30", "-subj", "/CN=second CA", "-keyout", "ca2.key", "-out", "ca2.crt")
    new = (ca.directory / "ca2.crt").read_text()
    trust(old + new)
    os.replace(ca.directory / "ca2.key", ca.directory / "ca.key")
    # openssl signs with the first certificate of the file: the new one must be that.
    trust(new + old)
    before = {p.name: serial(p, ca) for p in (m, a, b)}
    for stem, name in (("node", "autoctl_node"), ("replicator", "pgautofailover_replicator")):
        ca.issue(stem, name)
    for stem, program in (("monitor", m), ("a", a), ("b", b)):
        ca.issue(stem, "127.0.0.1", "127.0.0.1")
        program.autoctl("reload")
        wait_for(lambda p=program: serial(p, ca) != before[p.name], 20, "the new certificate is shown")
    trust(new)
    everybody_connects_again(pair)


def test_cert_without_a_ca_is_refused_before_anything_is_made(pair, tmp_path):
    m = pair.monitor
    for options in (["--ssl-self-signed"], ["--no-ssl"]):
        place = pathlib.Path(m.home / "none")
        done = m.autoctl("create", "monitor", "--pgdata", place, "--pgport", "1", "--hostname", "127.0.0.1", "--auth", "cert", *options,
                         check=False)
        assert done.returncode == 1 and "ssl.ca_file" in done.stderr and not place.exists(), done.stderr
