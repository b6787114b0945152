"""An administrator's hands: what pg_ctl, ALTER SYSTEM and kill do to a node, on real servers.

Whatever was typed, the group is whole again by itself within a minute, nothing that was acknowledged is lost, never
two nodes acknowledge, and data are not copied where following suffices.
"""
import os
import time

from faults import is_alive
from hands import MINUTE, TwoWriters, kill_postmaster, pg_ctl, wait_whole
from harness import wait_for


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
