"""From empty or existing directories to a group, and what is refused on the way."""
import contextlib
import os
import pathlib
import signal
import subprocess
import urllib.parse

from faults import children_of, signal_all
from harness import BINDIR, wait_for


def initdb(node, port):
    command = node.host.command([BINDIR / "initdb", "-D", node.pgdata, "--auth=trust", "--no-sync"], node.env)
    subprocess.run(command, check=True, capture_output=True, cwd="/tmp")
    with open(node.pgdata / "postgresql.conf", "a", encoding="utf-8") as conf:
        conf.write(f"\nport = {port}\n")


def test_existing_cluster_is_adopted(cluster):
    cluster.create_monitor()
    a = cluster.node("a")
    initdb(a, a.port)
    single = a.host.command([BINDIR / "postgres", "--single", "-D", a.pgdata, "postgres"], a.env)
    subprocess.run(single, input="CREATE TABLE kept AS SELECT 42 AS i\n", text=True, check=True,
                   capture_output=True, cwd="/tmp")
    (a.pgdata / "standby.signal").touch()
    done = a.autoctl("create", "postgres", "--pgport", a.port, "--hostname", a.host.address, "--name", "a",
                     "--auth", "trust", "--no-ssl", "--monitor", cluster.monitor_uri(), check=False)
    assert done.returncode == 3 and "is a standby" in done.stderr
    assert cluster.states() == {}, "a refused node must not stay registered"
    (a.pgdata / "standby.signal").unlink()
    cluster.create_node("a")
    cluster.wait_states(a="single")
    a.wait_up()
    assert a.sql("SELECT i FROM kept") == "42"
    cluster.create_node("b")
    cluster.wait_states(a="primary", b="secondary")
    assert cluster.programs["b"].sql("SELECT i FROM kept") == "42"


def test_directory_of_another_system_is_refused_and_untouched(cluster):
    cluster.create_monitor()
    cluster.create_node("a")
    cluster.wait_states(a="single")
    b = cluster.node("b")
    initdb(b, b.port)
    before = sorted(os.listdir(b.pgdata))
    done = b.autoctl("create", "postgres", "--pgport", b.port, "--hostname", b.host.address, "--name", "b",
                     "--auth", "trust", "--no-ssl", "--monitor", cluster.monitor_uri(), check=False)
    assert done.returncode != 0
    assert "system identifier" in done.stderr
    assert sorted(os.listdir(b.pgdata)) == before
    assert list(cluster.states()) == ["a"]


def test_interrupted_clone_starts_over(cluster):
    """S28: killed while cloning; nothing half-done is started, and the next try succeeds."""
    cluster.create_monitor()
    a = cluster.create_node("a")
    cluster.wait_states(a="single")
    a.wait_up()
    a.sql("CREATE TABLE big AS SELECT g, repeat('x', 500) FROM generate_series(1, 200000) g", timeout=60)
    b = cluster.node("b")
    command = b.host.command(
        [BINDIR / "pg_autoctl", "create", "postgres", "--pgport", b.port, "--hostname", b.host.address,
         "--name", "b", "--auth", "trust", "--no-ssl", "--maximum-backup-rate", "8M",
         "--monitor", cluster.monitor_uri()], b.env)
    creating = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/tmp",
                                start_new_session=True)

    def basebackup():
        for pid in children_of(creating.pid):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as cmdline:
                    if b"pg_basebackup" in cmdline.read():
                        return pid
            except OSError:
                continue
        return None
    wait_for(basebackup, 60, "pg_basebackup runs")
    signal_all([creating.pid] + children_of(creating.pid), signal.SIGKILL)
    creating.wait(timeout=10)
    assert not (b.pgdata / "PG_VERSION").exists(), "a half-cloned directory must not look like a server"
    b.start()
    cluster.wait_states(a="primary", b="secondary")
    assert b.sql("SELECT count(*) FROM big") == "200000"


def assert_no_secret(cluster, secrets):
    """In no log, and in no process's arguments."""
    for program in cluster.programs.values():
        for log in [program.log, *program.pgdata.glob("log/*")]:
            text = log.read_text(errors="replace")
            for secret in secrets:
                found = [line for line in text.splitlines() if secret in line]
                assert not found, (log, found)
        for pid in program.pids():
            with contextlib.suppress(OSError):
                line = pathlib.Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
                assert not any(secret in line for secret in secrets), line


def test_create_with_passwords_and_tls(cluster):
    """Nothing of it is trust: scram everywhere, certificates made on the way, words that need quoting."""
    m = cluster.monitor
    password, replication = "m0ni'tor@/:% \\x", "hunter2'i ca\\x"
    m.autoctl("create", "monitor", "--pgport", m.port, "--hostname", "127.0.0.1", "--auth", "scram-sha-256",
              "--ssl-self-signed", "--autoctl-node-password", password)
    m.start()
    def uri(word):
        return (f"postgres://autoctl_node:{urllib.parse.quote(word, safe='')}@127.0.0.1:{m.port}"
                "/pg_auto_failover?sslmode=require")
    wait_for(lambda: m.sql("SELECT 1", dbname="pg_auto_failover") == "1", 30, "the monitor answers")
    for name in ("a", "b"):
        node = cluster.node(name)
        words = ["create", "postgres", "--pgport", node.port, "--hostname", "127.0.0.1", "--name", name,
                 "--auth", "scram-sha-256", "--ssl-self-signed", "--replication-password", replication]
        done = node.autoctl(*words, "--monitor", uri("wr0ng"), check=False, timeout=10)
        assert done.returncode == 6 and "password authentication failed" in done.stderr and "HINT" in done.stderr
        assert "wr0ng" not in done.stderr and not (node.home / ".config").exists()
        done = node.autoctl(*words, "--monitor", uri(password))
        assert replication not in done.stderr and "m0ni" not in done.stderr
        node.start()
        cluster.wait_states(**{name: "single"} if name == "a" else {"a": "primary", "b": "secondary"})
    cluster.wait_promotable()
    a, b = cluster.node("a"), cluster.node("b")
    assert a.sql("SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_replication USING (pid)") == "t"
    b.autoctl("perform", "switchover")
    cluster.wait_states(b="primary", a="secondary")
    assert_no_secret(cluster, [password, replication, urllib.parse.quote(password, safe=""), "m0ni", "hunter2"])
    for path in [*a.home.glob(".config/**/*.cfg"), *a.home.glob(".local/**/*.conf")]:
        assert path.stat().st_mode & 0o077 == 0, path


def test_second_start_is_refused(cluster):
    cluster.create_monitor()
    a = cluster.create_node("a")
    cluster.wait_states(a="single")
    a.wait_up()
    done = a.autoctl("run", check=False, timeout=20)
    assert done.returncode == 3
    assert "already" in done.stderr
    assert a.sql("SELECT 1") == "1"


def test_stop_and_status(cluster):
    cluster.create_monitor()
    a = cluster.create_node("a")
    cluster.wait_states(a="single")
    wait_for(lambda: a.autoctl("status", check=False).returncode == 0, 30, "status says that it runs")
    a.autoctl("stop")
    a.process.wait(timeout=30)
    assert a.process.returncode == 0
    assert a.server_pids() == []
    assert a.autoctl("status", check=False).returncode == 3
    a.start()
    wait_for(lambda: a.sql("CREATE TABLE IF NOT EXISTS t(i int); SELECT 2") == "2", 30, "it accepts writes again")


def test_monitor_updates_an_older_extension(cluster):
    """The modules were upgraded: `pg_autoctl run` brings the extension's objects to the same version, data kept."""
    cluster.create_monitor()
    m = cluster.monitor
    newest = cluster.monitor_sql("SELECT extversion FROM pg_extension WHERE extname = 'pgautofailover'")
    m.sql("DROP EXTENSION pgautofailover; CREATE EXTENSION pgautofailover VERSION '3.0';"
          " INSERT INTO pgautofailover.formation (formationid) VALUES ('kept')", dbname="pg_auto_failover")
    m.stop()
    m.start()
    wait_for(lambda: cluster.monitor_sql("SELECT extversion FROM pg_extension WHERE extname = 'pgautofailover'") == newest,
             30, "the extension is updated")
    assert cluster.monitor_sql("SELECT count(*) FROM pgautofailover.formation WHERE formationid = 'kept'") == "1"
    a = cluster.create_node("a")
    cluster.wait_states(a="single")
    a.wait_up()
