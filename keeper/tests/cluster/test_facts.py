"""What PostgreSQL really does beats what is on record: replay that stands still, a server that answers nobody, WAL
that a disk has lost, a new primary that never comes back."""
import json
import os
import pathlib
import signal
import time

from faults import signal_all
from harness import open_session, wait_for


def health(cluster, name):
    return cluster.monitor.sql(f"SELECT health FROM pgautofailover.current_state() WHERE nodename = '{name}'",
                               dbname="pg_auto_failover")


def outlook(cluster):
    return cluster.monitor.sql("SELECT pgautofailover.failover_status('default')", dbname="pg_auto_failover")


def test_a_standby_whose_replay_is_paused_is_no_candidate(cluster):
    a, b = cluster.two_nodes()
    cluster.wait_promotable()
    b.sql("SELECT pg_wal_replay_pause()")
    a.sql("CREATE TABLE t AS SELECT generate_series(1, 1000) AS id")

    wait_for(lambda: health(cluster, "b") == "0", 10, "the monitor knows that replay is paused")

    def row():
        shown = json.loads(cluster.monitor.autoctl("show", "state", "--json").stdout)
        return next(node for node in shown if node["nodename"] == "b")
    wait_for(lambda: row()["replay_lag"] > 0, 10, "the lag is told")
    assert row()["replay_paused"] is True
    shown = cluster.monitor.autoctl("show", "state").stdout
    assert "of WAL not replayed yet, replay is paused" in shown, shown
    refused = cluster.monitor.autoctl("perform", "switchover", check=False)
    assert refused.returncode != 0
    assert "before it has replayed what it holds" in refused.stderr, refused.stderr
    assert "pg_wal_replay_resume" in refused.stderr
    # Nothing was fenced for it.
    assert a.sql("INSERT INTO t VALUES (0) RETURNING id").startswith("0")
    b.sql("SELECT pg_wal_replay_resume()")
    wait_for(lambda: cluster.monitor.autoctl("perform", "switchover", check=False).returncode == 0, 30,
             "the switchover after replay went on")
    cluster.wait_states(a="secondary", b="primary")
    assert b.sql("SELECT count(*) FROM t") == "1001"


def test_a_query_that_holds_up_replay_makes_no_candidate(cluster):
    """A lock of the primary waits behind a reader of the standby, for ever: nobody has paused anything."""
    a, b = cluster.two_nodes()
    cluster.wait_promotable()
    a.sql("CREATE TABLE t(id int)")
    wait_for(lambda: b.sql("SELECT count(*) FROM t") == "0", 10, "b has the table")
    b.sql("ALTER SYSTEM SET max_standby_streaming_delay = -1")
    b.sql("SELECT pg_reload_conf()")
    reader = open_session(cluster, b)
    reader.stdin.write("BEGIN; SELECT count(*) FROM t;\n")
    reader.stdin.flush()
    assert reader.stdout.readline().strip() == "0"
    try:
        a.sql("DROP TABLE t")
        wait_for(lambda: health(cluster, "b") == "0", 30, "replay stands still")
        refused = cluster.monitor.autoctl("perform", "switchover", check=False)
        assert refused.returncode != 0 and "pg_stat_activity" in refused.stderr, refused.stderr
    finally:
        reader.kill()
        reader.wait()
    wait_for(lambda: health(cluster, "b") == "1", 30, "replay goes on")


def test_a_postmaster_that_answers_nobody_is_replaced(cluster):
    """SIGSTOP of the postmaster alone: sessions go on, and nobody new gets in."""
    a, b = cluster.two_nodes()
    cluster.wait_promotable()
    witness = cluster.witness()
    stopped = time.time()
    os.kill(a.postmaster(), signal.SIGSTOP)
    cluster.wait_states(a="secondary", b="primary", timeout=60)
    witness.wait_ack_after(stopped + 1, 30)
    witness.verify()
    assert any("has answered no connection" in line for line in cluster.events(100).splitlines())


def test_there_is_a_way_back_after_the_new_primary_is_lost(cluster):
    a, b = cluster.two_nodes()
    cluster.wait_promotable()
    a.sql("CREATE TABLE t(id int)")
    a.sql("INSERT INTO t VALUES (1)")
    a.kill()
    cluster.wait_states(b="wait_primary")
    b.kill()
    a.start()
    wait_for(lambda: cluster.states()["a"][0] == "demoted", 30, "the old primary has stopped for good")
    refused = cluster.monitor.autoctl("perform", "failover", check=False)
    assert refused.returncode != 0

    def asks_whether_it_is_off():
        refused = cluster.monitor.autoctl("perform", "failover", "--allow-data-loss", check=False)
        return refused.returncode != 0 and "--primary-is-off" in refused.stderr

    wait_for(asks_whether_it_is_off, 20, "the loss of b is known, and its lease has no end")
    cluster.monitor.autoctl("perform", "failover", "--allow-data-loss", "--primary-is-off")
    cluster.wait_states(a="wait_primary")
    wait_for(lambda: a.sql("INSERT INTO t VALUES (2) RETURNING id").startswith("2"), 30, "a accepts writes")
    b.start()
    cluster.wait_states(a="primary", b="secondary")
    assert b.sql("SELECT count(*) FROM t") == "2"


def cut_wal(node, lsn):
    """The disk loses what it had confirmed: everything from the page after `lsn` on."""
    segment_bytes, page = 16 * 1024 * 1024, 8192
    high, low = (int(part, 16) for part in lsn.split("/"))
    at = (low // page + 1) * page
    for file in (pathlib.Path(node.pgdata) / "pg_wal").iterdir():
        if len(file.name) != 24 or not file.is_file():
            continue
        log, segment = int(file.name[8:16], 16), int(file.name[16:], 16)
        start = segment * segment_bytes
        if log < high or (log == high and start + segment_bytes <= at):
            continue
        offset = max(at - start, 0) if log == high else 0
        with file.open("r+b") as wal:
            wal.seek(offset)
            wal.write(bytes(segment_bytes - offset))


def test_a_promotion_whose_winner_does_not_come_up_is_undone(cluster):
    """It was chosen, and PANICs at each start before it has opened: the former primary goes on, and it is copied."""
    a, b = cluster.two_nodes()
    cluster.wait_promotable()
    a.sql("CREATE TABLE t AS SELECT 1 AS id")
    a.kill()

    def row(column):
        return cluster.monitor.sql(f"SELECT {column} FROM pgautofailover.node WHERE nodename = 'b'", dbname="pg_auto_failover")
    # The lease of the primary is waited for. Shortly before its end the worker is stopped: it does not hear of its promotion.
    wait_for(lambda: row("reportedstate") == "stop_replication", 10, "b is ready", interval=0.01)
    wait_for(lambda: cluster.monitor.sql("SELECT lease_left_ms < 1200 FROM pgautofailover.node_facts() ORDER BY node_id LIMIT 1",
                                         dbname="pg_auto_failover") == "t", 10, "the lease is nearly over", interval=0.01)
    signal_all([b.worker()], signal.SIGSTOP)
    wait_for(lambda: row("goalstate") == "wait_primary", 10, "b is chosen")
    (b.pgdata / "pg_logical" / "replorigin_checkpoint").write_bytes(bytes(16))
    signal_all(b.server_pids(), signal.SIGKILL)
    a.start()
    wait_for(lambda: "undo_promotion" in cluster.monitor.sql(
        "SELECT string_agg(rule, ' ') FROM pgautofailover.event", dbname="pg_auto_failover"), 60, "the promotion is undone")
    wait_for(lambda: a.sql("INSERT INTO t VALUES (2) RETURNING id").startswith("2"), 30, "a accepts writes")
    cluster.wait_states(a="primary", b="secondary", timeout=120)
    wait_for(lambda: b.sql("SELECT count(*) FROM t") == "2", 10, "b follows a")
    assert "cannot be used: PostgreSQL does not start on them (replication checkpoint has wrong magic" in b.log.read_text()


def test_a_primary_that_has_lost_wal_does_not_write_beside_its_standby(cluster):
    """The standby has what the primary's disk has lost. Nobody may choose it by itself: its priority is 0."""
    a, b = cluster.two_nodes()
    cluster.wait_promotable()
    cluster.monitor.autoctl("set", "node", "candidate-priority", "0", "--name", "b")
    a.sql("CREATE TABLE t(id int, filler text)")
    a.sql("CHECKPOINT")
    lsn = a.sql("SELECT pg_current_wal_insert_lsn()").strip()
    a.sql("INSERT INTO t SELECT i, repeat('x', 100) FROM generate_series(1, 2000) i")
    wait_for(lambda: b.sql("SELECT count(*) FROM t") == "2000", 30, "b has everything")
    a.kill()
    cut_wal(a, lsn)
    a.start()
    wait_for(lambda: "is gone" in outlook(cluster), 30, "the loss is found")
    assert cluster.monitor.autoctl("perform", "promotion", "--name", "b", check=False).returncode in (0, 12)
    cluster.wait_states(a="secondary", b="primary")
    assert b.sql("SELECT count(*) FROM t") == "2000"
    wait_for(lambda: a.sql("SELECT count(*) FROM t") == "2000", 30, "a is a copy of b")


def test_settings_that_cannot_be_read_are_named_before_the_day(cluster):
    """A line that is no line: a reload changes nothing, and such a node could not start. It is sealed all the same."""
    a, b, c = cluster.group("a", "b", "c", options={"b": ("--candidate-priority", "90")})
    a.sql("CREATE TABLE t(id int)")
    conf = b.pgdata / "postgresql.conf"
    good = conf.read_text()
    conf.write_text(good + "\nwork_mem = = 4MB\n")
    wait_for(lambda: health(cluster, "b") == "0", 20, "the monitor knows")
    shown = cluster.monitor.autoctl("show", "state").stdout
    assert "postgresql.conf, line" in shown and "syntax error" in shown, shown
    refused = cluster.monitor.autoctl("perform", "promotion", "--name", "b", check=False)
    assert refused.returncode != 0 and "its settings cannot be read" in refused.stderr, refused.stderr
    assert a.sql("INSERT INTO t VALUES (0) RETURNING id").startswith("0")
    conf.write_text(good + "\nwork_men = 4MB\n")
    wait_for(lambda: 'unrecognized configuration parameter "work_men"' in cluster.monitor.autoctl("show", "state").stdout,
             20, "a name that nobody knows")
    conf.write_text(good + "\ninclude 'gone.conf'\n")
    wait_for(lambda: "gone.conf" in cluster.monitor.autoctl("show", "state").stdout, 20, "a file that is not there")
    conf.write_text(good)
    automatic = b.pgdata / "postgresql.auto.conf"
    kept = automatic.read_text()
    automatic.write_text(kept + "\n= 1\n")
    wait_for(lambda: "postgresql.auto.conf, line" in cluster.monitor.autoctl("show", "state").stdout, 20,
             "the file of ALTER SYSTEM")
    automatic.write_text(kept)
    conf.write_text(good + "\nwork_mem = = 4MB\n")
    wait_for(lambda: "syntax error" in cluster.monitor.autoctl("show", "state").stdout, 20, "it is broken again")
    a.kill()
    cluster.wait_states(c="wait_primary")  # two of two members have stopped receiving
    a.start()
    wait_for(lambda: c.sql("INSERT INTO t VALUES (1) RETURNING id").startswith("1"), 30, "writes go on")
    assert b.sql("SELECT count(*) FROM t") == "1", "b follows nobody"
    conf.write_text(good + "\nwork_mem = 5MB\n")
    wait_for(lambda: health(cluster, "b") == "1", 20, "it is mended")
    wait_for(lambda: b.sql("SHOW work_mem") == "5MB", 10, "and was read again")
    cluster.wait_states(a="secondary", b="secondary", c="primary")
    wait_for(lambda: b.sql("SELECT count(*) FROM t") == c.sql("SELECT count(*) FROM t"), 10, "b follows c")


def test_a_standby_whose_settings_cannot_be_read_takes_over(cluster):
    a, b = cluster.two_nodes()
    cluster.wait_promotable()
    a.sql("CREATE TABLE t(id int)")
    conf = b.pgdata / "postgresql.conf"
    good = conf.read_text()
    conf.write_text(good + "\nwork_mem = = 4MB\n")
    wait_for(lambda: health(cluster, "b") == "0", 20, "the monitor knows")
    a.kill()
    cluster.wait_states(b="wait_primary")
    wait_for(lambda: b.sql("INSERT INTO t VALUES (1) RETURNING id").startswith("1"), 10, "b accepts writes")
    conf.write_text(good)
    a.start()
    cluster.wait_states(a="secondary", b="primary")
    wait_for(lambda: a.sql("SELECT count(*) FROM t") == "1", 10, "a follows b")
