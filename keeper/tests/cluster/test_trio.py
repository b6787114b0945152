"""An administrator's session on three nodes that speak German: commands of PostgreSQL in any order, as documented there, by
somebody who has not read our pages. After each the group is whole again, nothing is copied, and at the end nothing that was
acknowledged is missing. The servers' words are translated: nothing of ours reads them."""
import os
import shutil
import signal
import subprocess
import time

import pytest

from faults import signal_all
from hands import MINUTE, TwoWriters, pg_ctl
from harness import BINDIR, USER, Cluster, wait_for

NAMES = "abc"
IS_GERMAN = (BINDIR.parents[3] / "share/locale/de/LC_MESSAGES/postgres-15.mo").exists()


@pytest.fixture(scope="module")
def group():
    cluster = Cluster()
    try:
        for name in NAMES:
            cluster.node(name).env["LANGUAGE"] = "de"
        a, b, c = make(cluster)
        cluster.all_the_while = cluster.witness(rate=50)
        cluster.writers = TwoWriters(cluster, a, b, c)
        yield cluster
    finally:
        cluster.close()


def make(cluster):
    cluster.create_monitor()
    a = cluster.create_node("a", start=False)
    with open(a.pgdata / "postgresql.conf", "a", encoding="utf-8") as conf:
        conf.write("wal_level = logical\nallow_in_place_tablespaces = on\n")
    a.start()
    cluster.wait_states(a="single")
    a.wait_up()
    a.sql("CREATE DATABASE app")
    cluster.database = "app"
    nodes = [a] + [cluster.create_node(name) for name in "bc"]
    cluster.wait_steady()
    return nodes


@pytest.fixture
def cluster(group):
    wait_whole(group)
    return group


def primary_of(cluster):
    return cluster.node(next(name for name, pair in cluster.states().items() if pair == ("primary", "primary")))


def standbys_of(cluster):
    primary = primary_of(cluster).name
    return [cluster.node(name) for name in NAMES if name != primary]


def stream(cluster):
    rows = primary_of(cluster).sql("SELECT application_name FROM pg_stat_replication WHERE state = 'streaming'"
                                   " AND application_name LIKE 'pgautofailover%standby%'")
    return len(rows.splitlines()) == len(NAMES) - 1


def wait_whole(cluster):
    cluster.wait_steady(MINUTE)
    wait_for(lambda: stream(cluster), MINUTE, "both standbys stream")
    for name in NAMES:
        wait_for(lambda name=name: cluster.node(name).worker() and cluster.node(name).sql("SELECT 1") == "1", MINUTE,
                 f"{name} works")


def directories(cluster):
    return [os.stat(cluster.node(name).pgdata).st_ino for name in NAMES]


def check(cluster, act):
    before = directories(cluster)
    act(cluster)
    cluster.all_the_while.wait_ack_after(time.time(), MINUTE)
    wait_whole(cluster)
    assert directories(cluster) == before, "data were copied"


def everywhere(*words):
    def act(cluster):
        for name in NAMES:
            pg_ctl(cluster.node(name), *words)
    return act


def on_standbys(*words):
    def act(cluster):
        for node in standbys_of(cluster):
            pg_ctl(node, *words)
    return act


def promote_both(cluster):
    """Each begins a timeline of its own, with the same number."""
    on_standbys("-W", "promote")(cluster)
    wait_for(lambda: cluster.events(100).count("writes although the node is a standby") >= 2, MINUTE, "events say so")


def promote_and_restart(cluster):
    standby, primary = standbys_of(cluster)[0], primary_of(cluster)
    pg_ctl(standby, "-W", "promote")
    pg_ctl(primary, "-m", "immediate", "-W", "restart")


def kill_and_stop(cluster):
    primary, (one, other) = primary_of(cluster), standbys_of(cluster)
    signal_all([one.postmaster()], signal.SIGKILL)
    pg_ctl(other, "-m", "fast", "-W", "stop")
    pg_ctl(primary, "reload")


def renamed(role):
    """Under the running server, for a moment."""
    def act(cluster):
        node = primary_of(cluster) if role == "primary" else standbys_of(cluster)[0]
        away = node.home / "away"
        node.pgdata.rename(away)
        cluster.all_the_while.wait_ack_after(time.time() + 3, MINUTE)  # three seconds of heartbeats, reports and looks
        away.rename(node.pgdata)
    return act


def settings(cluster):
    """Some in each way, then all taken back."""
    primary = primary_of(cluster)
    for statement in ("SET work_mem = '5MB'", "SET lc_messages = 'C'", "SET max_connections = 120", "SET archive_command = 'true'",
                      "SET log_line_prefix = '%m ''quoted'' '", "SET session_preload_libraries = 'auto_explain'"):
        primary.sql(f"ALTER SYSTEM {statement}")
    (primary.pgdata / "site").mkdir()
    (primary.pgdata / "site" / "more.conf").write_text("maintenance_work_mem = 65MB\n")
    cluster.own(primary.pgdata / "site")
    good = (primary.pgdata / "postgresql.conf").read_text()
    (primary.pgdata / "postgresql.conf").write_text(good + "include_dir 'site'\n")
    pg_ctl(primary, "reload")
    wait_for(lambda: primary.sql("SHOW maintenance_work_mem") == "65MB", 10, "the include is read")
    pg_ctl(primary, "-m", "fast", "-W", "restart")
    wait_whole(cluster)
    (primary.pgdata / "postgresql.conf").write_text(good)
    primary.sql("ALTER SYSTEM RESET ALL")
    pg_ctl(primary, "reload")


DONE = {
    "both standbys restart": on_standbys("-m", "fast", "-W", "restart"),
    "all three restart": everywhere("-m", "fast", "-W", "restart"),
    "all three are stopped at once": everywhere("-m", "immediate", "-W", "stop"),
    "one is killed, one stopped": kill_and_stop,
    "both standbys are promoted": promote_both,
    "one is promoted, and the primary restarts": promote_and_restart,
    "PGDATA of a standby is renamed and moved back": renamed("standby"),
    "PGDATA of the primary is renamed and moved back": renamed("primary"),
    "settings in every way": settings,
}


@pytest.mark.parametrize("hand", DONE)
def test_the_group_is_whole_again_without_a_copy(cluster, hand):
    check(cluster, DONE[hand])


STATEMENTS = [
    "CREATE TABLE big AS SELECT g, repeat('x', 100) t FROM generate_series(1, 10000) g", "CREATE INDEX ON big(g)",
    "VACUUM FULL big", "VACUUM (FULL, ANALYZE)", "REINDEX DATABASE app", "REINDEX SYSTEM app", "CLUSTER big USING big_g_idx",
    "CREATE TABLESPACE here LOCATION ''", "ALTER TABLE big SET TABLESPACE here", "ALTER TABLE big SET TABLESPACE pg_default",
    "DROP TABLESPACE here", "CREATE EXTENSION pg_stat_statements", "DROP EXTENSION pg_stat_statements",
    "CREATE DATABASE other", "ALTER DATABASE other RENAME TO another", "DROP DATABASE another",
    "SELECT pg_create_physical_replication_slot('mine')", "SELECT pg_drop_replication_slot('mine')",
    "SELECT pg_create_logical_replication_slot('logical', 'pgoutput')", "SELECT pg_drop_replication_slot('logical')",
    "SELECT pg_switch_wal()", "CHECKPOINT", "DROP TABLE big",
]


def test_statements_of_an_administrator(cluster):
    """None of them changes who the primary is."""
    primary = primary_of(cluster)

    def act(_):
        for statement in STATEMENTS:
            primary.sql(statement, timeout=30)
    check(cluster, act)
    assert primary_of(cluster).name == primary.name


def test_our_slots_and_roles_are_in_use(cluster):
    """They cannot be dropped; a slot that is not in use comes back."""
    primary = primary_of(cluster)
    for statement in ("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE active",
                      "DROP ROLE pgautofailover_replicator", "DROP OWNED BY pgautofailover_replicator",
                      "DROP ROLE pgautofailover_monitor"):
        with pytest.raises(subprocess.SubprocessError) as refused:
            primary.sql(statement)
        assert ("FEHLER" if IS_GERMAN else "ERROR") in str(refused.value)
    check(cluster, lambda _: primary.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_replication"))


def test_publication_and_subscription(cluster):
    """Of a database in another one."""
    primary = primary_of(cluster)
    primary.sql("CREATE DATABASE target")
    primary.sql("CREATE TABLE goods(id int PRIMARY KEY)")
    primary.sql("CREATE TABLE goods(id int PRIMARY KEY)", dbname="target")
    primary.sql("CREATE PUBLICATION p FOR TABLE goods")
    primary.sql("SELECT pg_create_logical_replication_slot('s', 'pgoutput')")
    primary.sql(f"CREATE SUBSCRIPTION s CONNECTION 'host={primary.sockets} port={primary.port} user={USER} dbname=app'"
                " PUBLICATION p WITH (create_slot = false, slot_name = 's', copy_data = false)", dbname="target")
    primary.sql("INSERT INTO goods SELECT generate_series(1, 100)")
    wait_for(lambda: primary.sql("SELECT count(*) FROM goods", dbname="target") == "100", MINUTE, "rows are applied")
    check(cluster, lambda _: primary.sql("INSERT INTO goods SELECT generate_series(101, 200)"))
    wait_for(lambda: primary.sql("SELECT count(*) FROM goods", dbname="target") == "200", MINUTE, "and go on")
    primary.sql("DROP SUBSCRIPTION s", dbname="target")
    assert primary.sql("SELECT count(*) FROM pg_replication_slots WHERE slot_name = 's'") == "0"


def test_copies_by_hand(cluster):
    """pg_basebackup from a standby, and pg_rewind of a former primary, with -R."""
    node, source = standbys_of(cluster)
    node.autoctl("stop")
    node.process.wait(timeout=30)
    shutil.rmtree(node.pgdata)
    tool(node, "pg_basebackup", "-D", node.pgdata, "-h", source.sockets, "-p", source.port, "-U", USER, "-X", "stream", "-c", "fast",
         "-R")
    before = directories(cluster)
    node.start()
    wait_whole(cluster)
    old = primary_of(cluster)
    old.kill()
    cluster.wait_taken_over(old.name)
    new = wait_for(lambda: next((cluster.node(name) for name, pair in cluster.states().items()
                                 if name != old.name and pair[0] in ("wait_primary", "primary")), None), MINUTE, "another primary")
    tool(old, "pg_rewind", "-D", old.pgdata, "-R", "--source-server",
         f"host={new.sockets} port={new.port} user={USER} dbname=app", check=False)
    old.start()
    wait_whole(cluster)
    assert directories(cluster) == before, "data were copied"


def tool(node, name, *words, check=True):
    return subprocess.run(node.host.command([BINDIR / name, *words], node.env), check=check, capture_output=True, timeout=60,
                          cwd="/tmp")


def test_the_usual_database_is_dropped(cluster):
    """Nothing of ours needs it, but for the rewind of a former primary, which is copied instead."""
    primary = primary_of(cluster)
    primary.sql("DROP DATABASE postgres WITH (FORCE)")
    primary.kill()
    cluster.wait_taken_over(primary.name)
    primary.start()
    wait_whole(cluster)
    cluster.monitor.autoctl("perform", "switchover")
    wait_whole(cluster)


def test_nothing_is_lost_and_never_two_acknowledge(cluster):
    cluster.writers.verify()
    cluster.all_the_while.verify()
