"""Switchover and failover of two nodes under a writing client, on one host."""
import signal
import time

from faults import is_alive, signal_all
from harness import open_session, wait_for


def was_rewound(node):
    return "pg_rewind" in node.log.read_text()


def reason_of(cluster, goal):
    """Rule of the last event that assigned the goal."""
    return cluster.monitor.sql(
        f"SELECT rule FROM pgautofailover.event WHERE goalstate = '{goal}' AND rule IS NOT NULL"
        " ORDER BY eventid DESC LIMIT 1", dbname="pg_auto_failover")


def test_switchover_loses_nothing_and_needs_no_rewind(cluster):
    a, b = cluster.two_nodes()
    witness = cluster.witness()
    for old, new in (("a", "b"), ("b", "a")):
        cluster.monitor.autoctl("perform", "switchover")
        cluster.wait_states(**{old: "secondary", new: "primary"})
        cluster.wait_promotable()
        witness.wait_ack_after(time.time(), 10)
    assert witness.verify()["found"] > 0
    assert not was_rewound(a) and not was_rewound(b)


def test_killed_postgres_is_replaced_and_comes_back(cluster):
    """SIGKILL of the primary's PostgreSQL, its supervisor alive."""
    a, _ = cluster.two_nodes()
    witness = cluster.witness()
    pids = a.server_pids()
    signal_all(pids, signal.SIGKILL)
    witness.wait_ack_after(time.time(), 20)
    cluster.wait_states(a="secondary", b="primary")
    witness.verify()
    assert reason_of(cluster, "wait_primary") in ("promote", "standby_lost", "prepare_for_standby")


def test_killed_node_is_replaced_and_comes_back(cluster):
    """SIGKILL of everything on the primary; started again later."""
    a, b = cluster.two_nodes()
    witness = cluster.witness()
    a.kill()
    killed = time.time()
    witness.wait_ack_after(killed, 20)
    cluster.wait_states(b="wait_primary")
    a.start()
    cluster.wait_states(a="secondary", b="primary")
    witness.wait_ack_after(time.time(), 10)
    witness.verify()


def test_node_dies_twice_in_a_row(cluster):
    """a fails over to b, and, as soon as that is safe again, b to a."""
    a, b = cluster.two_nodes()
    witness = cluster.witness()
    a.kill()
    witness.wait_ack_after(time.time(), 20)
    a.start()
    cluster.wait_states(a="secondary", b="primary")
    cluster.wait_promotable()
    b.kill()
    witness.wait_ack_after(time.time(), 20)
    b.start()
    cluster.wait_states(a="primary", b="secondary")
    witness.verify()


def test_frozen_primary_acknowledges_nothing_after_thaw(cluster):
    """S1: everything on the primary is stopped beyond the failover, then goes on."""
    a, _ = cluster.two_nodes()
    witness = cluster.witness()
    a.sql("CREATE TABLE thaw(i int)")
    sessions = [open_session(cluster, a) for _ in range(3)]
    sessions[1].stdin.write("SET synchronous_commit = local;\n")
    sessions[2].stdin.write("BEGIN; INSERT INTO thaw VALUES (0); SELECT 'inserted';\n")
    for session in sessions:
        session.stdin.flush()
    assert sessions[2].stdout.readline().strip() == "inserted"
    frozen = a.kill(signal.SIGSTOP)
    witness.wait_ack_after(time.time() + 1, 30)
    sessions[0].stdin.write("INSERT INTO thaw VALUES (1) RETURNING 'acknowledged';\n")
    sessions[1].stdin.write("INSERT INTO thaw VALUES (2) RETURNING 'acknowledged';\n")
    sessions[2].stdin.write("COMMIT;\nSELECT 'acknowledged';\n")
    for session in sessions:
        session.stdin.close()
    signal_all(frozen, signal.SIGCONT)
    for session in sessions:
        # psql shows a statement that fails: as an answer it is a line of its own.
        assert "acknowledged" not in session.stdout.read().splitlines()
        session.wait(timeout=30)
    cluster.wait_states(a="secondary", b="primary")
    witness.verify()
    assert wait_for(lambda: a.sql("SELECT count(*) FROM thaw") == "0", 20, "the standby has none of the rows")


def test_local_commits_of_the_old_primary_end_before_the_new_one_starts(cluster):
    """Invariant 2 with a client that does not wait for the standby: even its acknowledgements never
    overlap with those of the new primary."""
    a, b = cluster.two_nodes()
    cluster.witness(table="shared")
    local = ("options=-csynchronous_commit%3Dlocal")
    old = cluster.witness(table="local_old", uri=cluster.node_uri(a) + "?" + local)
    new = cluster.witness(table="shared", uri=cluster.node_uri(b), wait=False)
    supervisor = a.process.pid
    signal_all([a.worker()], signal.SIGSTOP)   # the keeper is frozen, PostgreSQL goes on
    signal_all([supervisor], signal.SIGSTOP)   # and nobody is there to end it
    first_new = new.wait_ack_after(0, 60)
    last_old = old.last_ack()
    assert last_old < first_new
    assert old.acks_between(first_new, time.time() + 1) == 0
    signal_all(a.pids(), signal.SIGCONT)
    cluster.wait_states(a="secondary", b="primary")
    for witness in cluster.witnesses:
        if witness.process.poll() is None:
            witness.finish()


def test_old_primary_that_boots_without_the_monitor_stays_closed(cluster):
    """S4: a late reboot with the monitor unreachable."""
    a, b = cluster.two_nodes()
    witness = cluster.witness()
    a.kill()
    witness.wait_ack_after(time.time(), 20)
    cluster.wait_states(b="wait_primary")
    cluster.monitor.kill()
    a.start()
    wait_for(lambda: "monitor" in a.log.read_text(), 20, "a looks for the monitor")
    old = cluster.witness(table="late", uri=cluster.node_uri(a), wait=False)
    marker = time.time()
    witness.wait_ack_after(marker + 5, 20)
    assert old.count() == 0
    cluster.monitor.start()
    cluster.wait_states(a="secondary", b="primary")
    old.finish()
    witness.verify()


def test_drop_and_destroy(cluster):
    a, b = cluster.two_nodes()
    b.autoctl("drop", "node", "--destroy")
    cluster.wait_states(a="single")
    assert not b.pgdata.exists()
    wait_for(lambda: not any(map(is_alive, b.pids())), 20, "the dropped node's processes end")
    a.sql("CREATE TABLE after_drop(i int)")
    refused = a.autoctl("drop", "node", "--destroy", check=False)
    assert refused.returncode != 0 and "the only complete copy" in refused.stderr
    assert a.sql("SELECT count(*) FROM after_drop") == "0", "nothing was changed"
    a.autoctl("drop", "node", "--destroy", "--force")
    assert not a.pgdata.exists()
