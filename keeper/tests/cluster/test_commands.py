"""The life of a node through its commands, on one cluster; the tests build on each other, in order."""
import json
import subprocess
import time

import pytest

from harness import BINDIR, USER, Cluster, wait_for


@pytest.fixture(scope="module")
def group():
    cluster = Cluster()
    try:
        cluster.create_monitor()
        cluster.create_node("a")
        cluster.wait_states(a="single")
        cluster.node("a").wait_up()
        yield cluster
    finally:
        cluster.close()


def create_words(cluster, node, name, monitor=None):
    return ["create", "postgres", "--pgport", node.port, "--hostname", node.host.address, "--name", name,
            "--auth", "trust", "--no-ssl", "--username", USER, "--monitor", monitor or cluster.monitor_uri()]


def refused(program, status, text, *argv, timeout=20):
    done = program.autoctl(*argv, check=False, timeout=timeout)
    assert done.returncode == status, done.stderr
    assert text in done.stderr
    return done


def monitor_sql(cluster, statement):
    return cluster.monitor.sql(statement, dbname="pg_auto_failover")


def test_a_server_that_is_not_a_monitor_is_named(group):
    c = group.node("c")
    wrong = group.monitor_uri().replace("/pg_auto_failover", "/postgres")
    done = refused(c, 6, "not a monitor", *create_words(group, c, "c", wrong))
    assert "DETAIL" in done.stderr and "HINT" in done.stderr
    refused(c, 6, "not a monitor", "show", "state", "--monitor", wrong)
    assert not c.pgdata.exists() and list(group.states()) == ["a"]


def test_a_running_server_is_not_adopted(group):
    c = group.node("c")
    initdb = c.host.command([BINDIR / "initdb", "-D", c.pgdata, "--auth=trust", "--no-sync"], c.env)
    subprocess.run(initdb, check=True, capture_output=True, cwd="/tmp")
    options = f"-p {c.port} -k {c.sockets}"
    start = [BINDIR / "pg_ctl", "-D", c.pgdata, "-w", "-l", c.home / "log", "-o", options, "start"]
    subprocess.run(c.host.command(start, c.env), check=True, capture_output=True, cwd="/tmp")
    try:
        refused(c, 3, "PostgreSQL is running", *create_words(group, c, "c"))
    finally:
        stop = [BINDIR / "pg_ctl", "-D", c.pgdata, "-w", "-m", "fast", "stop"]
        subprocess.run(c.host.command(stop, c.env), check=True, capture_output=True, cwd="/tmp")
    assert list(group.states()) == ["a"]


def test_settings_of_a_node_on_the_monitor(group):
    a = group.node("a")
    assert a.autoctl("set", "node", "candidate-priority", 70).stdout.strip() == "70"
    assert monitor_sql(group, "SELECT candidatepriority FROM pgautofailover.node") == "70"
    refused(a, 1, "101", "set", "node", "candidate-priority", 101)
    refused(a, 6, "nobody", "set", "node", "candidate-priority", 50, "--name", "nobody")
    assert monitor_sql(group, "SELECT candidatepriority FROM pgautofailover.node") == "70"
    a.autoctl("set", "node", "candidate-priority", 50)
    assert a.autoctl("get", "node", "candidate-priority").stdout.strip() == "50"
    assert json.loads(a.autoctl("get", "node", "replication-quorum", "--json").stdout) == \
        {"name": "a", "replication-quorum": True}
    refused(a, 6, "nobody", "get", "node", "candidate-priority", "--name", "nobody")
    assert a.autoctl("set", "node", "region", "paris").stdout.strip() == "paris"
    assert a.autoctl("get", "node", "region").stdout.strip() == "paris"


def test_settings_of_a_formation(group):
    a = group.node("a")
    assert a.autoctl("get", "formation", "number-sync-standbys").stdout.strip() == "0"
    refused(a, 6, "standbys", "set", "formation", "number-sync-standbys", 1)
    rows = json.loads(a.autoctl("get", "formation", "settings", "--json").stdout)
    assert {"candidate priority", "replication quorum", "number_sync_standbys"} <= {row["setting"] for row in rows}
    assert a.autoctl("get", "formation", "settings").stdout == a.autoctl("show", "settings").stdout


def test_formations_come_and_go(group):
    a = group.node("a")
    monitor = ("--monitor", group.monitor_uri())
    a.autoctl("create", "formation", "--formation", "other", "--dbname", "app", *monitor)
    assert monitor_sql(group, "SELECT dbname FROM pgautofailover.formation WHERE formationid = 'other'") == "app"
    refused(a, 6, "other", "create", "formation", "--formation", "other", *monitor)
    refused(a, 1, "required", "create", "formation", *monitor)
    a.autoctl("disable", "secondary", "--formation", "other", *monitor)
    a.autoctl("enable", "secondary", "--formation", "other", *monitor)
    a.autoctl("drop", "formation", "--formation", "other", *monitor)
    refused(a, 6, "it has nodes", "drop", "formation", "--formation", "default", *monitor)


def test_maintenance_is_refused_without_another_node(group):
    a = group.node("a")
    refused(a, 1, "--allow-failover", "enable", "maintenance")
    refused(a, 6, "primary", "enable", "maintenance", "--allow-failover")
    refused(a, 6, "not in maintenance", "disable", "maintenance")


def test_configuration_is_read_changed_checked_and_reloaded(group):
    a = group.node("a")
    assert a.autoctl("config", "get", "pg_autoctl.name").stdout.strip() == "a"
    a.autoctl("config", "check")
    for status, key, value in ((1, "postgresql.port", "abc"), (1, "no.such", "1"), (1, "pg_autoctl.role", "x"),
                               (3, "postgresql.port", "7000"), (1, "pg_autoctl.hostname", "a b")):
        refused(a, status, "", "config", "set", key, value)
    refused(a, 1, "no.such", "config", "get", "no.such")
    reloads = a.log.read_text().count("Reloaded the configuration")
    a.autoctl("config", "set", "replication.maximum_backup_rate", "50M")
    wait_for(lambda: a.log.read_text().count("Reloaded the configuration") > reloads, 10, "reloaded by config set")
    a.autoctl("config", "set", "pg_autoctl.name", "alpha")
    group.wait_states(alpha="single")
    a.autoctl("config", "set", "pg_autoctl.name", "a")
    group.wait_states(a="single")
    reloads = a.log.read_text().count("Reloaded the configuration")
    a.autoctl("reload")
    wait_for(lambda: a.log.read_text().count("Reloaded the configuration") > reloads, 10, "reloaded by reload")
    path = a.home / f".config/pg_autoctl{a.pgdata}/pg_autoctl.cfg"
    before = path.read_text()
    path.write_text(before.replace("port = ", "port = x"))
    refused(a, 2, "postgresql.port", "config", "check")
    path.write_text(before)
    a.autoctl("config", "check")


def test_run_takes_a_new_name_and_port(group):
    b = group.create_node("b")
    group.wait_states(a="primary", b="secondary")
    group.wait_promotable()
    b.stop()
    old_port = b.port
    b.port = group.node("spare").port
    b.start("--name", "beta", "--pgport", b.port, "--hostname", "localhost")
    group.wait_states(a="primary", beta="secondary")
    assert b.sql("SELECT pg_is_in_recovery()") == "t"
    row = monitor_sql(group, "SELECT nodehost, nodeport FROM pgautofailover.node WHERE nodename = 'beta'")
    assert row == f"localhost|{b.port}" and old_port != b.port
    assert b.autoctl("config", "get", "postgresql.port").stdout.strip() == str(b.port)


def test_running_standby_is_dropped_and_comes_again(group):
    a, b = group.node("a"), group.node("b")
    b.autoctl("drop", "node")
    b.process.wait(timeout=10)
    assert b.process.returncode == 121
    assert b.server_pids() == [] and b.pgdata.exists()
    group.wait_states(a="single")
    assert list(group.states()) == ["a"]
    done = refused(b, 121, "dropped", "run")
    assert "HINT" in done.stderr
    a.sql("CREATE TABLE meanwhile AS SELECT 1 AS i")
    b.autoctl(*create_words(group, b, "b"))
    b.start()
    group.wait_states(a="primary", b="secondary")
    group.wait_promotable()
    assert b.sql("SELECT i FROM meanwhile") == "1"


def test_running_primary_is_dropped_after_a_hand_over(group):
    a, b = group.node("a"), group.node("b")
    a.sql("CREATE TABLE last_words AS SELECT 1 AS i")
    before = time.monotonic()
    a.autoctl("drop", "node", "--destroy")
    assert time.monotonic() - before < 25, "the node must end by the hand-shake, not by a limit"
    a.process.wait(timeout=10)
    assert a.process.returncode == 121
    assert not a.pgdata.exists() and not list(a.home.glob(".config/pg_autoctl/**/*.cfg"))
    group.wait_states(b="single")
    assert list(group.states()) == ["b"]
    assert b.sql("SELECT i FROM last_words") == "1"
    wait_for(lambda: b.sql("CREATE TABLE IF NOT EXISTS t(i int); SELECT 1") == "1", 10, "b accepts writes")


def test_monitor_that_forgot_promotions_is_not_obeyed_and_learns(group):
    """S48b: a monitor restored from an old backup; the node says so, once, and the monitor takes over what it knows."""
    b = group.node("b")
    b.stop()
    said = b.log.read_text().count("has forgotten decisions")
    term = monitor_sql(group, "UPDATE pgautofailover.group_state SET term = term - 1 RETURNING term + 1").split()[0]
    b.start()
    wait_for(lambda: monitor_sql(group, "SELECT term FROM pgautofailover.group_state") == term, 30, "the term is learned")
    group.wait_states(b="single")
    wait_for(lambda: b.sql("SELECT pg_is_in_recovery()") == "f", 15, "the node serves")
    assert b.log.read_text().count("The monitor has forgotten decisions") == said + 1
    assert "had forgotten decisions" in monitor_sql(
        group, "SELECT string_agg(description, ' ') FROM pgautofailover.last_events(count => 20)")


def test_state_file_that_is_damaged_stops_the_node(group):
    b = group.node("b")
    b.stop()
    state = b.home / f".local/share/pg_autoctl{b.pgdata}/pg_autoctl.state"
    good = state.read_text()
    state.write_text(good.replace("term = ", "term = 1"))
    for words in (["run"], create_words(group, b, "b"), ["drop", "node", "--destroy"]):
        done = refused(b, 2, "checksum", *words)
        assert str(state) in done.stderr and "HINT" in done.stderr
    assert b.server_pids() == [] and b.pgdata.exists()
    state.write_text(good)
    b.start()
    group.wait_states(b="single")


def test_monitor_is_dropped_with_its_data(group):
    group.node("b").stop()
    m = group.monitor
    refused(m, 3, "has 1 node", "drop", "monitor", "--destroy")
    m.autoctl("drop", "monitor", "--destroy", "--force")
    m.process.wait(timeout=10)
    assert not m.pgdata.exists() and not list(m.home.glob(".config/pg_autoctl/**/*.cfg"))
