"""WAL that is kept, WAL that is gone, WAL that is discarded."""
import signal
import subprocess
import time
from pathlib import Path

from faults import signal_all
from harness import BINDIR, wait_for


def slot(node, peer_id, column):
    return node.sql(f"SELECT {column} FROM pg_replication_slots"
                    f" WHERE slot_name = 'pgautofailover_standby_{peer_id}'")


def write_segments(node, count):
    for _ in range(count):
        node.sql("SET synchronous_commit = local; INSERT INTO filler VALUES (1)")
        node.sql("SELECT pg_switch_wal()")
    node.sql("CHECKPOINT")


def sender_of(node):
    return int(node.sql("SELECT pid FROM pg_stat_replication"))


def test_standby_whose_wal_is_gone_is_copied_anew(cluster):
    """S39: the slot of an absent standby is given up at the limit, and the standby comes back by itself."""
    a, b = cluster.two_nodes()
    a.sql("CREATE TABLE filler (x int)")
    b.stop()
    cluster.wait_states(a="wait_primary")
    for setting in ("max_slot_wal_keep_size = '32MB'", "wal_keep_size = 0", "max_wal_size = '32MB'",
                    "min_wal_size = '32MB'"):
        a.sql(f"ALTER SYSTEM SET {setting}")
    a.sql("SELECT pg_reload_conf()")
    b_id = cluster.node_id("b")
    before = slot(a, b_id, "restart_lsn")
    wait_for(lambda: write_segments(a, 2) or slot(a, b_id, "restart_lsn") not in ("", before), 60,
             "the old slot is given up and a fresh one is there")
    witness = cluster.witness(wait=False)
    b.start()
    cluster.wait_states(timeout=90, a="primary", b="secondary")
    assert "gone from the node that it follows" in b.log.read_text()
    witness.wait_ack_after(time.time(), 20)
    witness.verify()
    rows = "SELECT count(*) FROM filler"
    wait_for(lambda: b.sql(rows) == a.sql(rows), 20, "the copy has everything")


def test_discarded_wal_is_kept_aside_and_the_rest_is_archived(cluster):
    """What only the old primary had is kept beside its data, reported, and its archive gets no gap (S29)."""
    a, b = cluster.two_nodes()
    archive = Path(cluster.directory) / "archive"
    archive.mkdir()
    cluster.own(archive)
    a.sql("CREATE TABLE filler (x int)")
    a.sql("ALTER SYSTEM SET archive_mode = on")
    a.sql(f"ALTER SYSTEM SET archive_command = 'test -e {archive}/open && cp %p {archive}/%f'")
    a.stop()
    a.start()
    cluster.wait_healed()
    cluster.monitor.autoctl("perform", "promotion", "--name", "a") if cluster.states()["a"][0] != "primary" else None
    cluster.wait_states(a="primary", b="secondary")
    cluster.wait_promotable()
    waiting = Path(a.pgdata) / "pg_wal/archive_status"
    write_segments(a, 1)
    wait_for(lambda: list(waiting.glob("*.ready")), 20, "WAL waits for the archive")
    unarchived = {path.name[:-len(".ready")] for path in waiting.glob("*.ready")}

    signal_all([sender_of(a)], signal.SIGSTOP)  # nothing of this leaves the machine
    a.sql("SET synchronous_commit = local; INSERT INTO filler SELECT 42 FROM generate_series(1, 1000)")
    lost_from = a.sql("SELECT pg_current_wal_lsn()")
    signal_all(a.pids(), signal.SIGKILL)
    cluster.wait_states(b="wait_primary")
    a.process.wait(timeout=10)
    (archive / "open").touch()
    a.start()
    cluster.wait_states(a="secondary", b="primary")

    event = cluster.monitor_sql("SELECT description FROM pgautofailover.event WHERE description LIKE"
                                " '%is discarded%' ORDER BY eventid DESC LIMIT 1")
    kept = Path(f"{a.pgdata}.pgaf-discarded")
    assert f'kept in "{kept}/timeline-' in event, event
    [directory] = kept.iterdir()
    segments = sorted(path.name for path in directory.iterdir() if path.name != "README")
    assert segments, "the discarded segments are there"
    dump = subprocess.run([f"{BINDIR}/pg_waldump", "--path", directory, "--rmgr", "Heap", segments[0],
                           segments[-1]], capture_output=True, text=True)
    assert dump.stdout.count("INSERT") >= 1000, (lost_from, dump.stderr)
    assert unarchived <= {path.name for path in archive.iterdir()}
    assert b.sql("SELECT count(*) FROM filler WHERE x = 42") == "0"


def test_slots_of_a_former_primary_keep_no_dead_rows(cluster):
    """S40: what its standbys once asked for must not hold back the new primary's vacuum."""
    a, _ = cluster.two_nodes()
    b_id = cluster.node_id("b")
    wait_for(lambda: slot(a, b_id, "xmin") != "", 20, "the standby's feedback is in its slot")
    cluster.monitor.autoctl("perform", "switchover")
    cluster.wait_states(a="secondary", b="primary")
    wait_for(lambda: slot(a, b_id, "coalesce(xmin::text, 'none')") == "none", 20, "the slot holds nothing back")
