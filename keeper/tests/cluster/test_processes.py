"""One process at a time is killed or frozen: nothing is lost, and it comes back by itself."""
import signal
import time

from faults import is_alive, signal_all
from harness import wait_for


def test_monitor_outage_changes_nothing(cluster):
    """S48 a and c: the nodes serve writes as long as they see each other; nothing restarts."""
    a, b = cluster.two_nodes()
    witness = cluster.witness()
    postmasters = (a.postmaster(), b.postmaster())
    cluster.monitor.kill()
    stopped = time.time()
    for second in range(2, 14, 2):
        witness.wait_ack_after(stopped + second, 10)
    cluster.monitor.start()
    cluster.wait_states(a="primary", b="secondary")
    witness.wait_ack_after(time.time(), 10)
    assert (a.postmaster(), b.postmaster()) == postmasters
    witness.verify()


def test_primary_without_monitor_and_standby_fences_itself(cluster):
    """S2, S3, S7: isolated, it must not acknowledge beyond its lease, for old sessions neither."""
    a, b = cluster.two_nodes()
    local = cluster.witness(table="isolated", uri=cluster.node_uri(a) + "?options=-csynchronous_commit%3Dlocal")
    cluster.monitor.kill()
    b.kill()
    isolated = time.time()
    wait_for(lambda: not a.server_pids(), 40, "the isolated primary stops PostgreSQL")
    assert local.acks_between(isolated + 4.5, time.time()) == 0
    cluster.monitor.start()
    b.start()
    cluster.wait_healed()
    local.finish()


def test_killed_worker_comes_back(cluster):
    a, _ = cluster.two_nodes()
    witness = cluster.witness()
    worker = a.worker()
    assert worker
    signal_all([worker], signal.SIGKILL)
    witness.wait_ack_after(time.time() + 0.5, 30)
    cluster.wait_healed()
    witness.verify()


def test_frozen_worker_loses_the_lease_and_is_replaced(cluster):
    """S2: PostgreSQL alive, its keeper frozen."""
    a, _ = cluster.two_nodes()
    witness = cluster.witness()
    worker = a.worker()
    signal_all([worker], signal.SIGSTOP)
    witness.wait_ack_after(time.time() + 6, 40)
    wait_for(lambda: not is_alive(worker), 30, "the supervisor ends the frozen worker")
    cluster.wait_healed()
    witness.verify()


def test_killed_supervisor_does_not_stop_postgres(cluster):
    a, _ = cluster.two_nodes()
    witness = cluster.witness()
    postmaster = a.postmaster()
    signal_all([a.process.pid], signal.SIGKILL)
    a.process.wait(timeout=10)
    witness.wait_ack_after(time.time() + 2, 10)
    a.start()
    wait_for(lambda: a.autoctl("status", check=False).returncode == 0, 20, "the new supervisor has attached")
    assert a.postmaster() == postmaster
    cluster.wait_states(a="primary", b="secondary")
    signal_all(a.server_pids()[:1], signal.SIGKILL)   # and it takes care of it
    witness.wait_ack_after(time.time() + 0.5, 30)
    cluster.wait_states(a="secondary", b="primary")
    witness.verify()


def test_frozen_supervisor_changes_nothing(cluster):
    a, _ = cluster.two_nodes()
    witness = cluster.witness()
    signal_all([a.process.pid], signal.SIGSTOP)
    witness.wait_ack_after(time.time() + 5, 15)
    signal_all([a.process.pid], signal.SIGCONT)
    cluster.wait_states(a="primary", b="secondary")
    witness.verify()


def test_killed_standby_does_not_stop_writes_and_returns(cluster):
    """S12, S14, S15: and at no step of the return may a failover lose a row."""
    a, b = cluster.two_nodes()
    witness = cluster.witness()
    b.kill()
    witness.wait_ack_after(time.time() + 0.5, 15)
    cluster.wait_states(a="wait_primary")
    b.start()
    cluster.wait_states(a="primary", b="secondary")
    cluster.wait_promotable()
    a.kill()
    witness.wait_ack_after(time.time(), 20)
    a.start()
    cluster.wait_states(a="secondary", b="primary")
    witness.verify()


def test_primary_killed_while_the_standby_returns(cluster):
    """S12: killed at several steps of the return; whatever happens, no acknowledged row is lost."""
    a, b = cluster.two_nodes()
    witness = cluster.witness()
    primary, standby = a, b
    for state in ("catchingup", "secondary"):
        standby.kill()
        witness.wait_ack_after(time.time() + 0.5, 20)
        standby.start()
        wait_for(lambda: cluster.states()[standby.name][1] == state, 30, f"{standby.name} -> {state}",
                 interval=0.01)
        primary.kill()
        primary.start()
        cluster.wait_healed()
        cluster.wait_promotable()
        witness.wait_ack_after(time.time(), 20)
        if cluster.states()[primary.name][0] == "secondary":
            primary, standby = standby, primary
    witness.verify()
