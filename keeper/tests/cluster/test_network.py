"""Cut links, in network namespaces: silence instead of refusals."""
import time

from harness import wait_for


def test_primary_cut_off_is_replaced_and_returns(network_cluster):
    """S1, S3, S8: silent partition of the primary. A local client of the old primary, which does not wait
    for the standby, must not be acknowledged any more once the new one accepts writes."""
    cluster = network_cluster
    a, b = cluster.two_nodes()
    witness = cluster.witness()
    inside = cluster.witness(table="inside", client=a.host,
                             uri=cluster.node_uri(a) + "?options=-csynchronous_commit%3Dlocal")
    cluster.network.cut("a")
    cut = time.time()
    first_new = witness.wait_ack_after(cut + 1, 30)
    assert inside.acks_between(first_new, time.time() + 10) == 0
    wait_for(lambda: not a.server_pids(), 40, "the isolated primary stops PostgreSQL")
    assert inside.last_ack() < first_new
    cluster.network.mend("a")
    cluster.wait_states(a="secondary", b="primary", timeout=90)
    inside.finish()
    witness.verify()


def test_standby_cut_off_does_not_stop_writes(network_cluster):
    cluster = network_cluster
    cluster.two_nodes()
    witness = cluster.witness()
    cluster.network.cut("b")
    witness.wait_ack_after(time.time() + 1, 20)
    cluster.wait_states(a="wait_primary")
    cluster.network.mend("b")
    cluster.wait_states(a="primary", b="secondary", timeout=90)
    witness.verify()


def test_monitor_cut_off_changes_nothing(network_cluster):
    cluster = network_cluster
    a, b = cluster.two_nodes()
    witness = cluster.witness()
    postmasters = (a.postmaster(), b.postmaster())
    cluster.network.cut("monitor")
    cut = time.time()
    for second in range(2, 12, 2):
        witness.wait_ack_after(cut + second, 10)
    cluster.network.mend("monitor")
    cluster.wait_states(a="primary", b="secondary")
    assert (a.postmaster(), b.postmaster()) == postmasters
    witness.verify()


def test_primary_cut_from_the_monitor_only_stays_primary(network_cluster):
    """S8: its standby still hears it, so it is not dead."""
    cluster = network_cluster
    a, _ = cluster.two_nodes()
    witness = cluster.witness()
    cluster.network.cut_between("a", cluster.monitor.host.address)
    cut = time.time()
    for second in range(2, 12, 2):
        witness.wait_ack_after(cut + second, 10)
    assert cluster.states()["a"] == ("primary", "primary")
    cluster.network.mend_between("a")
    cluster.wait_states(a="primary", b="secondary")
    witness.verify()


def test_link_between_the_nodes_cut(network_cluster):
    """S8: both see the monitor; writes go on without the standby, and nobody is promoted."""
    cluster = network_cluster
    a, b = cluster.two_nodes()
    witness = cluster.witness()
    cluster.network.cut_between("a", b.host.address)
    witness.wait_ack_after(time.time() + 1, 30)
    cluster.wait_states(a="wait_primary")
    cluster.network.mend_between("a")
    cluster.wait_states(a="primary", b="secondary", timeout=90)
    witness.verify()


def test_one_way_cut_of_the_primary(network_cluster):
    """S8: the monitor hears the primary, which does not hear the monitor."""
    cluster = network_cluster
    a, _ = cluster.two_nodes()
    witness = cluster.witness()
    cluster.network.cut_between("a", cluster.monitor.host.address, directions=("in",))
    cut = time.time()
    for second in range(2, 10, 2):
        witness.wait_ack_after(cut + second, 15)
    cluster.network.mend_between("a")
    cluster.wait_healed()
    witness.verify()
