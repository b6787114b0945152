"""PostgreSQL's settings of a formation, and restarts, on real servers.

A client writes all the time and keeps books: nothing that was acknowledged is lost, whatever is set or restarted.
"""
import json
import subprocess

import pytest

from harness import BINDIR, Cluster, wait_for

MINUTE = 60


def show(cluster, name, node):
    rows = json.loads(cluster.monitor.autoctl("show", "postgres", "--json").stdout)
    return next((row for row in rows if row["setting_name"] == name and row["node_name"] == node.name), None)


def wait_value(node, name, value):
    return wait_for(lambda: node.sql(f"SHOW {name}") == value, MINUTE, f"{name} of {node.name} is {value}")


def starts(cluster):
    rows = cluster.monitor_sql("SELECT node_name, server_start FROM pgautofailover.restart_status()")
    return dict(row.split("|") for row in rows.splitlines())


@pytest.fixture(scope="module")
def pair():
    cluster = Cluster()
    yield cluster, *cluster.two_nodes()
    cluster.close()


def set_postgres(cluster, *words, verb="set", check=True):
    return cluster.monitor.autoctl(verb, "postgres", *words, check=check)


def test_a_setting_is_in_force_everywhere(pair):
    cluster, a, b = pair
    witness = cluster.witness(table="everywhere")
    before = a.sql("SHOW work_mem")
    odd = {"search_path": "\"$user\", \"A b\", public", "my.own": "it's \"so\""}
    set_postgres(cluster, "work_mem=65MB", "log_line_prefix=%m 'a' \\\\x ", *(f"{name}={value}" for name, value in odd.items()))
    for node in (a, b):
        wait_value(node, "work_mem", "65MB")
        assert node.sql("SHOW log_line_prefix").strip() == "%m 'a' \\\\x"
        for name, value in odd.items():
            wait_value(node, name, value)
    assert cluster.monitor.autoctl("get", "postgres", "Work_Mem").stdout == "65MB\n"
    set_postgres(cluster, "work_mem=66MB", "--node", "b")
    wait_value(b, "work_mem", "66MB")
    assert a.sql("SHOW work_mem") == "65MB"
    wait_for(lambda: show(cluster, "work_mem", b)["in_force"] == "66MB", 10, "show postgres knows")
    assert show(cluster, "work_mem", b)["source"] == "node"
    set_postgres(cluster, "work_mem", "--node", "b", verb="reset")
    wait_value(b, "work_mem", "65MB")
    set_postgres(cluster, "work_mem", "log_line_prefix", *odd, verb="reset")
    for node in (a, b):
        wait_value(node, "work_mem", before)
    witness.verify()


@pytest.mark.parametrize("word, says", [
    ("no_such_thing=1", "unrecognized"), ("work_mem=much", "invalid value"), ("synchronous_standby_names=", "HINT"),
    ("primary_conninfo=host=x", "HINT"), ("port=1", "config set"), ("wal_level=minimal", "minimal"), ("nonsense", "NAME=VALUE"),
    ("=1", "NAME=VALUE"), ("block_size=8192", "cannot be changed"), ("work_mem=", "invalid value"),
    ("work_mem=1MB\nfsync=off", "one line"), ("work mem=1MB", "invalid name"), ("client_encoding=none", "invalid value"),
    ("work_mem=99TB", "exceeds integer range"), ("Work_Mem=4 apples", "Valid units"), ("log_min_messages='info'", "Available values"),
    ("a..b=1", "invalid name"), ("jit=perhaps", "Boolean"), ("fsync", "NAME=VALUE"), ("config_file=/x", "HINT")])
def test_what_cannot_be_set_is_refused_at_once(pair, word, says):
    cluster, a, _ = pair
    done = set_postgres(cluster, word, check=False)
    assert done.returncode != 0 and says in done.stderr
    assert cluster.monitor_sql("SELECT count(*) FROM pgautofailover.postgres_setting") == "0"


@pytest.mark.parametrize("is_down", [False, True])
def test_a_value_that_a_node_refuses_is_taken_back(pair, is_down):
    """The monitor cannot know that the nodes have no such locale."""
    cluster, a, b = pair
    witness = cluster.witness(table=f"refused_{is_down}")
    set_postgres(cluster, "lc_messages=C")
    if is_down:
        b.autoctl("enable", "maintenance")
        cluster.wait_states(b="maintenance")
    done = set_postgres(cluster, "lc_messages=xx_XX.nowhere", check=False)
    assert done.returncode != 0 and "refuses" in done.stderr and "xx_XX" in done.stderr
    assert cluster.monitor.autoctl("get", "postgres", "lc_messages").stdout == "C\n"
    assert "refuses" in cluster.events()
    if is_down:
        b.autoctl("disable", "maintenance")
    cluster.wait_steady()
    for node in (a, b):
        wait_value(node, "lc_messages", "C")
    set_postgres(cluster, "lc_messages", verb="reset")
    witness.verify()


def test_a_node_that_was_away_is_told_when_it_returns(pair):
    cluster, a, b = pair
    b.stop()
    cluster.wait_states(a="wait_primary")
    set_postgres(cluster, "work_mem=70MB", "--wait", "20")
    b.start()
    cluster.wait_steady()
    wait_value(b, "work_mem", "70MB")
    set_postgres(cluster, "work_mem", verb="reset")


def test_the_administrators_own_file_wins_and_is_named(pair):
    cluster, a, b = pair
    a.sql("ALTER SYSTEM SET work_mem = '9MB'")
    done = set_postgres(cluster, "work_mem=70MB")
    wait_value(b, "work_mem", "70MB")
    wait_for(lambda: a.sql("SHOW work_mem") == "9MB", 10, "ALTER SYSTEM counts")
    assert "postgresql.auto.conf" in done.stderr
    a.sql("ALTER SYSTEM RESET work_mem")
    a.sql("SELECT pg_reload_conf()")
    wait_value(a, "work_mem", "70MB")
    set_postgres(cluster, "work_mem", verb="reset")


def test_sizes_are_raised_and_lowered_by_rolling_restarts(pair):
    """Raised on standbys first, lowered on the primary first; a switchover in place of an outage when it is raised."""
    cluster, a, b = pair
    witness = cluster.witness(table="sizes")
    set_postgres(cluster, "max_connections=150")
    before = starts(cluster)
    done = cluster.monitor.autoctl("restart", "--all", "--only-if-pending")
    assert "hands over" in done.stderr
    cluster.wait_steady()
    for node in (a, b):
        assert node.sql("SHOW max_connections") == "150"
    assert all(before[name] != now for name, now in starts(cluster).items())
    set_postgres(cluster, "max_connections=120")
    terms = cluster.monitor_sql("SELECT term FROM pgautofailover.group_state")
    done = cluster.monitor.autoctl("restart", "--all", "--only-if-pending")
    assert "restarted in place" in done.stderr
    assert cluster.monitor_sql("SELECT term FROM pgautofailover.group_state") == terms, "nobody took its place"
    cluster.wait_steady()
    for node in (a, b):
        assert node.sql("SHOW max_connections") == "120", done.stderr
    assert "Nothing waits" in cluster.monitor.autoctl("restart", "--all", "--only-if-pending").stderr
    set_postgres(cluster, "max_connections", verb="reset")
    witness.verify()


def test_libraries_are_added_to_ours(pair):
    cluster, a, b = pair
    set_postgres(cluster, "shared_preload_libraries=auto_explain", "auto_explain.log_min_duration=10s")
    cluster.monitor.autoctl("restart", "--all")
    cluster.wait_steady()
    for node in (a, b):
        assert node.sql("SHOW shared_preload_libraries") == "auto_explain, pgautofailover_keeper"
        assert node.sql("SHOW auto_explain.log_min_duration") == "10s"
    wait_for(lambda: not show(cluster, "shared_preload_libraries", a)["pending_restart"], 10, "nothing is pending")
    set_postgres(cluster, "shared_preload_libraries", "auto_explain.log_min_duration", verb="reset")


def test_a_value_with_which_no_server_starts_is_taken_back(pair):
    """The first node shows it: the restart ends there, and the primary is never touched."""
    cluster, a, b = pair
    witness = cluster.witness(table="nostart")
    cluster.monitor.autoctl("restart", "--all", "--only-if-pending")
    name = cluster.wait_steady()
    primary = a if name == "a" else b
    before = starts(cluster)
    set_postgres(cluster, "shared_buffers=7TB")
    done = cluster.monitor.autoctl("restart", "--all", "--only-if-pending", check=False)
    assert done.returncode != 0 and "does not come up" in done.stderr, done.stderr
    assert cluster.wait_steady() == name
    assert starts(cluster)[name] == before[name]
    assert cluster.monitor.autoctl("get", "postgres", "shared_buffers", check=False).returncode != 0
    wait_for(lambda: show(cluster, "shared_buffers", primary) is None, MINUTE, "nothing waits for a restart")
    assert "does not come up" in cluster.events()
    witness.verify()


def test_a_standby_restarts_without_a_failover(pair):
    cluster, a, b = pair
    witness = cluster.witness(table="standby")
    name = cluster.wait_steady()
    other = b if name == "a" else a
    before = starts(cluster)
    terms = cluster.monitor_sql("SELECT term FROM pgautofailover.group_state")
    other.autoctl("restart")
    assert cluster.wait_steady() == name
    after = starts(cluster)
    assert after[name] == before[name] and after[other.name] != before[other.name]
    assert cluster.monitor_sql("SELECT term FROM pgautofailover.group_state") == terms
    witness.verify()


def test_a_single_primary_restarts_in_place(cluster):
    cluster.create_monitor()
    a = cluster.create_node("a")
    cluster.wait_states(a="single")
    witness = cluster.witness()
    cluster.monitor.autoctl("set", "postgres", "max_connections=130")
    done = a.autoctl("restart", "--only-if-pending")
    assert "in place" in done.stderr
    assert a.sql("SHOW max_connections") == "130"
    witness.verify()
    b = cluster.create_node("b")
    cluster.wait_states(a="primary", b="secondary")
    assert b.sql("SHOW max_connections") == "130", "who joins later has it from its first start"


def test_a_primary_that_uses_more_is_followed_and_replaced(cluster):
    """max_connections is raised by hand, on the primary alone; the standby lacks it, gets it, and can take over."""
    a, b = cluster.two_nodes()
    cluster.monitor.autoctl("set", "node", "candidate-priority", "0", "--name", "b")
    a.sql("ALTER SYSTEM SET max_connections = 200")
    subprocess.run(a.host.command([BINDIR / "pg_ctl", "-D", a.pgdata, "-l", a.home / "by-hand.log", "-t", 5, "restart"],
                                  a.env), capture_output=True, timeout=60, check=False, cwd="/tmp")
    cluster.wait_states(a="primary", b="secondary")
    wait_value(a, "max_connections", "200")
    witness = cluster.witness()
    wait_value(b, "max_connections", "200")
    cluster.wait_steady()
    cluster.monitor.autoctl("set", "node", "candidate-priority", "50", "--name", "b")
    cluster.wait_promotable()
    a.kill()
    cluster.wait_states(b="wait_primary")
    witness.verify()


def test_a_new_server_is_tuned_and_the_administrator_wins(cluster):
    cluster.create_monitor()
    cluster.options = ()
    a = cluster.create_node("a")
    cluster.wait_states(a="single")
    a.wait_up()
    assert a.sql("SHOW shared_buffers") != "128MB"
    assert a.sql("SHOW checkpoint_timeout") == "10min"
    conf = a.pgdata / "postgresql.conf"
    conf.write_text(conf.read_text().replace("\n", "\nwork_mem = 77MB\nlog_lock_waits = off\n", 1))
    a.sql("SELECT pg_reload_conf()")
    wait_value(a, "work_mem", "77MB")
    assert a.sql("SHOW log_lock_waits") == "off"
    b = cluster.create_node("b", "--no-tune")
    cluster.wait_states(a="primary", b="secondary")
    assert b.sql("SHOW shared_buffers") == "128MB"
    assert b.sql("SHOW checkpoint_timeout") == "5min"


def test_adoption_says_what_it_changes_and_keeps_what_is_taste(cluster):
    cluster.create_monitor()
    a = cluster.node("a")
    run = lambda *argv: subprocess.run(a.host.command(argv, a.env), check=True, capture_output=True, cwd="/tmp")  # noqa: E731
    run(BINDIR / "initdb", "-D", a.pgdata, "--auth=trust")
    taste = {"wal_keep_size": "2GB", "log_directory": "mine", "hot_standby_feedback": "off", "synchronous_commit": "remote_apply",
             "listen_addresses": "127.0.0.1", "max_replication_slots": "100", "wal_level": "logical",
             "max_slot_wal_keep_size": "3GB", "shared_buffers": "64MB"}
    with open(a.pgdata / "postgresql.conf", "a", encoding="utf-8") as conf:
        conf.writelines(f"{name} = '{value}'\n" for name, value in taste.items())
        conf.write("shared_preload_libraries = 'auto_explain'\nrestart_after_crash = on\n")
    done = cluster.node("a").autoctl(
        "create", "postgres", "--pgport", a.port, "--hostname", a.host.address, "--name", "a", "--auth", "trust", "--no-ssl",
        "--monitor", cluster.monitor_uri())
    assert 'Changed the setting "restart_after_crash" from "on" to "off"' in done.stderr
    assert 'from "auto_explain" to "auto_explain, pgautofailover_keeper"' in done.stderr
    assert "wal_keep_size" not in done.stderr
    a.start()
    cluster.wait_states(a="single")
    a.wait_up()
    for name, value in taste.items():
        assert a.sql(f"SHOW {name}") == value, name
