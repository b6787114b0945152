"""An administrator's hands: what pg_ctl, ALTER SYSTEM and kill do to a node, on real servers.

Whatever was typed, the group is whole again by itself within a minute, nothing that was acknowledged is lost, never
two nodes acknowledge, and data are not copied where following suffices.
"""
import os
import signal
import subprocess
import time

import pytest

from faults import is_alive, signal_all
from harness import BINDIR, wait_for

MINUTE = 60


def pg_ctl(node, *words):
    """Its exit status is not looked at: pg_ctl may wait for what the supervisor has done meanwhile."""
    command = [BINDIR / "pg_ctl", "-D", node.pgdata, "-l", node.home / "by-hand.log", "-t", 5, *words]
    return subprocess.run(node.host.command(command, node.env), capture_output=True, text=True, timeout=60, cwd="/tmp")


def kill_postmaster(node):
    signal_all([node.postmaster()], signal.SIGKILL)


def stop_and_start(node):
    """pg_autoctl is stopped, and PostgreSQL started without it; then somebody remembers pg_autoctl."""
    node.autoctl("stop")
    node.process.wait(timeout=30)
    pg_ctl(node, "-w", "start")
    node.start()


def remembered_late(node):
    """The same, and everybody has noticed meanwhile."""
    node.autoctl("stop")
    node.process.wait(timeout=30)
    pg_ctl(node, "-w", "start")
    others = [name for name in node.cluster.states() if name != node.name]
    wait_for(lambda: node.cluster.states()[others[0]][0] in ("wait_primary", "primary"), MINUTE, "the other one serves")
    node.start()


class TwoWriters:
    """On each node a client for which the local disk is enough: it is acknowledged by whoever accepts writes."""

    def __init__(self, cluster, *nodes):
        self.cluster = cluster
        self.writers = [cluster.witness(table=f"hands_{node.name}", rate=50, clients=1, wait=False,
                                        uri=cluster.node_uri(node) + "?options=-csynchronous_commit%3Dlocal")
                        for node in nodes]

    def verify(self):
        """Who acknowledges changes with the term, and only then."""
        for writer in self.writers:
            writer.finish()
        order = sorted((at, number) for number, writer in enumerate(self.writers) for at in writer.times())
        changes = sum(1 for one, next_one in zip(order, order[1:]) if one[1] != next_one[1])
        terms = int(self.cluster.monitor_sql("SELECT term FROM pgautofailover.group_state"))
        assert changes <= terms, f"{changes} changes between nodes that acknowledge, in {terms} terms"


def is_streaming(cluster):
    primary = next((name for name, pair in cluster.states().items() if pair == ("primary", "primary")), None)
    return primary and cluster.node(primary).sql("SELECT state FROM pg_stat_replication WHERE state = 'streaming'") == "streaming"


def wait_whole(cluster):
    cluster.wait_healed(MINUTE)
    cluster.wait_promotable()
    wait_for(lambda: is_streaming(cluster), MINUTE, "replication streams")


VERBS = {
    "stop fast": lambda node: pg_ctl(node, "-m", "fast", "-w", "stop"),
    "stop immediate": lambda node: pg_ctl(node, "-m", "immediate", "-w", "stop"),
    "restart fast": lambda node: pg_ctl(node, "-m", "fast", "-w", "restart"),
    "restart immediate": lambda node: pg_ctl(node, "-m", "immediate", "-w", "restart"),
    "start": stop_and_start,
    "start and wait": remembered_late,
    "kill -9": kill_postmaster,
}
ON_BOTH = [(role, verb) for role in ("primary", "standby") for verb in VERBS if (role, verb) != ("standby", "start and wait")]


@pytest.mark.parametrize("role, verb", ON_BOTH, ids=[f"{verb} on the {role}" for role, verb in ON_BOTH])
def test_pg_ctl_and_kill(cluster, role, verb):
    a, b = cluster.two_nodes()
    directories = [os.stat(node.pgdata).st_ino for node in (a, b)]
    witness = cluster.witness()
    both = TwoWriters(cluster, a, b)
    VERBS[verb](a if role == "primary" else b)
    witness.wait_ack_after(time.time(), MINUTE)
    wait_whole(cluster)
    both.verify()
    witness.verify()
    assert [os.stat(node.pgdata).st_ino for node in (a, b)] == directories, "data were copied"


def test_promote_on_the_primary_changes_nothing(cluster):
    a, _ = cluster.two_nodes()
    postmaster = a.postmaster()
    assert pg_ctl(a, "promote").returncode == 1
    wait_whole(cluster)
    assert a.postmaster() == postmaster and cluster.states()["a"] == ("primary", "primary")


def test_preload_library_of_the_administrator(cluster):
    """Two writable primaries in 8 of 8 tries, when the module was in a file that ALTER SYSTEM beats."""
    a, b = cluster.two_nodes()
    witness = cluster.witness()
    both = TwoWriters(cluster, a, b)
    a.sql("ALTER SYSTEM SET shared_preload_libraries = 'auto_explain'")
    pg_ctl(a, "-m", "fast", "-w", "restart")
    witness.wait_ack_after(time.time(), MINUTE)
    wait_whole(cluster)
    both.verify()
    witness.verify()
    assert a.sql("SHOW shared_preload_libraries") == "auto_explain, pgautofailover_keeper"
    assert a.sql("SHOW auto_explain.log_min_duration") == "-1"
    assert a.worker()


def test_libraries_and_wal_level_in_postgresql_conf_are_kept(cluster):
    """What stands above our include line counts, and ALTER SYSTEM cannot take away what safety needs."""
    cluster.create_monitor()
    a = cluster.create_node("a")
    cluster.wait_states(a="single")
    a.wait_up()
    conf = a.pgdata / "postgresql.conf"
    conf.write_text("wal_level = logical\nshared_preload_libraries = 'auto_explain'\n" + conf.read_text())
    for setting in ("hot_standby = off", "restart_after_crash = on", "wal_log_hints = off",
                    "pgautofailover_keeper.directory = '/nowhere'"):
        a.sql(f"ALTER SYSTEM SET {setting}")
    a.stop()
    a.start()
    cluster.wait_states(a="single")
    a.wait_up()
    assert a.sql("SHOW wal_level") == "logical"
    assert a.sql("SHOW shared_preload_libraries") == "auto_explain, pgautofailover_keeper"
    assert a.sql("SHOW hot_standby") == "on" and a.sql("SHOW restart_after_crash") == "off"
    assert a.sql("SHOW wal_log_hints") == "on" and a.worker()
    assert a.sql("SHOW pgautofailover_keeper.directory") != "/nowhere"


def test_broken_configuration_is_said_in_postgresqls_words(cluster):
    cluster.create_monitor()
    a = cluster.create_node("a")
    cluster.wait_states(a="single")
    a.wait_up()
    conf = a.pgdata / "postgresql.conf"
    good = conf.read_text()
    conf.write_text(good + "this is not a setting\n")
    kill_postmaster(a)
    wait_for(lambda: "refuses its configuration: syntax error in file" in a.log.read_text(), 20, "the reason in the log")
    assert "postgresql.conf\" line" in a.log.read_text()
    conf.write_text(good)
    a.wait_up(MINUTE)
    assert a.worker()


def said(cluster, text):
    return lambda: text in cluster.events(100)


def test_server_without_the_module_is_stopped_and_said(cluster):
    _, b = cluster.two_nodes()
    directory = os.stat(b.pgdata).st_ino
    witness = cluster.witness()
    b.autoctl("stop")
    b.process.wait(timeout=30)
    pg_ctl(b, "-w", "-o", "-c shared_preload_libraries=", "start")
    by_hand = b.postmaster()
    b.start()
    wait_for(lambda: not is_alive(by_hand), MINUTE, "the server without the module is stopped")
    wait_whole(cluster)
    wait_for(said(cluster, "runs without pg_auto_failover"), 20, "an event says why")
    assert "HINT" in b.log.read_text() and "shared_preload_libraries" in b.log.read_text()
    assert os.stat(b.pgdata).st_ino == directory
    witness.verify()


def test_standby_that_was_opened_for_writing_is_stopped_and_copied(cluster):
    """The same timeline in two histories: pg_rewind would find nothing to do."""
    a, b = cluster.two_nodes()
    witness = cluster.witness()
    b.autoctl("stop")
    b.process.wait(timeout=30)
    (b.pgdata / "standby.signal").unlink()
    pg_ctl(b, "-w", "-o", "-c shared_preload_libraries= -c synchronous_standby_names=", "start")
    b.sql("CREATE TABLE only_here AS SELECT 1")
    b.start()
    wait_for(said(cluster, "accepts writes although the node is a standby"), 20, "an event says why")
    wait_whole(cluster)
    assert cluster.states()["a"] == ("primary", "primary")
    assert b.sql("SELECT count(*) FROM pg_class WHERE relname = 'only_here'") == "0"
    witness.verify()
    wait_for(lambda: a.sql("SELECT pg_current_wal_flush_lsn()") == b.sql("SELECT pg_last_wal_replay_lsn()"), 30,
             "the standby has replayed everything")


def test_number_of_another_server_in_postmaster_pid(cluster):
    """After a boot the number in a dead node's file may be that of another PostgreSQL, which nobody must touch."""
    a, b = cluster.two_nodes()
    postmaster = a.postmaster()
    b.kill()
    cluster.wait_states(a="wait_primary")
    file = b.pgdata / "postmaster.pid"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join([f"{postmaster}\n"] + lines[1:]))
    b.start()
    wait_whole(cluster)
    assert a.postmaster() == postmaster


def test_no_server_starts_in_a_directory_that_is_being_copied(cluster):
    """And what a dead supervisor has left holds nobody up."""
    cluster.create_monitor()
    cluster.create_node("a")
    cluster.wait_states(a="single")
    b = cluster.create_node("b", "--maximum-backup-rate", "4M")
    cluster.wait_states(a="primary", b="secondary")
    b.kill()
    keeper = next(b.home.glob(".local/share/pg_autoctl/**/pg_autoctl.state")).parent
    (keeper / "unsafe").write_text("clone\n")
    cluster.own(keeper)
    b.start()
    wait_for(lambda: (b.pgdata.parent / "pgdata.pgaf-clone" / "base").exists(), MINUTE, "a copy is being made")
    started = pg_ctl(b, "-w", "start")
    assert started.returncode != 0
    assert "is another postgres" in (b.home / "by-hand.log").read_text().lower()
    stopped = pg_ctl(b, "-w", "stop")
    assert stopped.returncode == 1 and "single-user server is running" in stopped.stderr
    b.kill()
    assert (b.pgdata / "postmaster.pid").read_text().startswith("-")
    b.start()
    wait_whole(cluster)
    assert not (keeper / "unsafe").exists()
