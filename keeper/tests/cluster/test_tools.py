"""Databases of nodes and of the monitor in the hands of PostgreSQL's own tools: what is ours survives dump, restore and
upgrade, and hinders none of them."""
import shutil
import subprocess

from harness import BINDIR, USER, wait_for


def tool(program, name, *words, check=True):
    done = subprocess.run(program.host.command([BINDIR / name, *words], program.env), capture_output=True, text=True,
                          timeout=180, cwd=program.home)
    assert not check or done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"
    return done


def at(program):
    return ["-h", program.sockets, "-p", program.port, "-U", USER]


def upgrade(program, preload):
    """pg_upgrade of its stopped cluster to a new one of the same version, which takes its place with the administrator's
    files; what is left of the old one goes."""
    new = program.home / "new"
    checksums = tool(program, "pg_controldata", "-D", program.pgdata).stdout
    has = "Data page checksum version:           0" not in checksums
    encoding = ["--encoding", "UTF8", "--locale", "C.UTF-8"]
    tool(program, "initdb", "-D", new, "-U", USER, *(["--data-checksums"] if has else []), *encoding, "--no-sync")
    with open(new / "postgresql.conf", "a", encoding="utf-8") as conf:
        conf.write(f"shared_preload_libraries = '{preload}'\n")
    tool(program, "pg_upgrade", "-b", BINDIR, "-B", BINDIR, "-d", program.pgdata, "-D", new, "-U", USER, "-s", program.sockets)
    old = program.home / "old"
    program.pgdata.rename(old)
    new.rename(program.pgdata)
    for path in [*old.glob("*.conf"), *old.glob("*.crt"), *old.glob("*.key")]:
        shutil.copy(path, program.pgdata / path.name)
    program.cluster.own(program.pgdata)
    shutil.rmtree(old)


def test_databases_of_a_node_are_dumped_and_restored(cluster):
    a, b = cluster.two_nodes()
    a.sql("CREATE ROLE app LOGIN")
    a.sql("CREATE DATABASE app OWNER app")
    a.sql("CREATE TABLE t AS SELECT generate_series(1, 1000) i; ALTER TABLE t OWNER TO app", dbname="app")
    wait_for(lambda: b.sql("SELECT count(*) FROM t", dbname="app") == "1000", 30, "the standby has it")
    # From the standby, and in parallel, while the primary serves.
    tool(b, "pg_dump", *at(b), "-Fd", "-j", 2, "-f", b.home / "dump", "app")
    roles = tool(a, "pg_dumpall", *at(a), "--globals-only").stdout
    assert "CREATE ROLE pgautofailover_replicator" in roles and "CREATE ROLE app" in roles
    everything = tool(a, "pg_dumpall", *at(a)).stdout
    assert "pgautofailover_keeper" not in everything and "CREATE EXTENSION" not in everything, "nothing of ours is in databases"
    witness = cluster.witness()
    tool(a, "pg_restore", *at(a), "--create", "--clean", "-d", "postgres", "-j", 2, b.home / "dump")
    assert a.sql("SELECT count(*) FROM t", dbname="app") == "1000"
    wait_for(lambda: b.sql("SELECT count(*) FROM t", dbname="app") == "1000", 30, "the standby has what was restored")
    # What pg_dumpall says of roles can be restored here too: those that are there stay.
    (a.home / "roles.sql").write_text(roles)
    tool(a, "psql", "-X", *at(a), "-d", "postgres", "-f", a.home / "roles.sql")
    cluster.wait_steady()
    a.autoctl("perform", "switchover")
    cluster.wait_steady()
    witness.verify()


def test_a_node_that_has_left_is_upgraded_and_adopted_again(cluster):
    """The major upgrade of a group: the last node leaves, is upgraded, and becomes the first one. pg_upgrade wants a cluster
    that was shut down in order: it is started and stopped once."""
    a, b = cluster.two_nodes()
    a.sql("CREATE TABLE t AS SELECT generate_series(1, 1000) i")
    for node in (b, a):
        node.autoctl("drop", "node")
        node.process.wait(timeout=30)
    for word in ("start", "stop"):
        tool(a, "pg_ctl", "-D", a.pgdata, "-w", "-m", "fast", "-l", a.home / "by-hand.log", word)
    upgrade(a, "")
    cluster.create_node("a")
    cluster.wait_states(a="single")
    a.wait_up()
    assert a.sql("SELECT count(*) FROM t") == "1000"
    shutil.rmtree(b.pgdata)
    cluster.create_node("b")
    cluster.wait_states(a="primary", b="secondary")
    cluster.wait_promotable()
    assert b.sql("SELECT count(*) FROM t") == "1000"


def test_the_monitor_is_upgraded_while_its_group_serves(cluster):
    a, b = cluster.two_nodes()
    m = cluster.monitor
    witness = cluster.witness()
    m.stop()
    upgrade(m, "pgautofailover")
    m.start()
    wait_for(lambda: m.sql("SELECT 1", dbname="pg_auto_failover") == "1", 60, "the monitor answers")
    cluster.wait_steady()
    assert cluster.states() == {"a": ("primary", "primary"), "b": ("secondary", "secondary")}
    # The states are those of before; what the nodes do now, they have to say first.
    wait_for(lambda: cluster.monitor_sql("SELECT can_fail_over FROM pgautofailover.failover_status('default')") == "t", 30,
             "both nodes report")
    a.autoctl("perform", "switchover")
    cluster.wait_states(b="primary", a="secondary")
    witness.verify()
