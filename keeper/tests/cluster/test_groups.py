"""Groups of three and four nodes under a writing client: elections, quorum, maintenance, membership."""
import signal
import subprocess
import time

import pytest

from faults import signal_all
from harness import wait_for


def rules(cluster):
    """Names of the rules that have decided, newest last."""
    return cluster.monitor_sql("SELECT rule FROM pgautofailover.event WHERE rule IS NOT NULL ORDER BY eventid").split()


def number_sync_standbys(cluster):
    return int(cluster.monitor_sql("SELECT number_sync_standbys FROM pgautofailover.formation"))


def blocked(cluster):
    return cluster.monitor_sql("SELECT reason FROM pgautofailover.failover_status()")


def is_stuck(cluster, *dead):
    """The monitor knows of each death, the primary's among them, and says without whom nobody is promoted."""
    names = ", ".join(f"'{name}'" for name in dead)
    health = cluster.monitor_sql(f"SELECT string_agg(health::text, ',') FROM pgautofailover.node WHERE nodename IN ({names})")
    reason = blocked(cluster)
    knows = "is gone, and no standby is promoted" in reason or "the election waits" in reason
    return health == ",".join("0" for _ in dead) and knows and "missing" in reason


def test_failover_with_two_standbys(cluster):
    """The primary's node dies; one standby is elected, the other follows it without a restart."""
    a, b, c = cluster.group("a", "b", "c")
    assert number_sync_standbys(cluster) == 1
    started = {node.name: node.postmaster() for node in (b, c)}
    witness = cluster.witness()
    a.kill()
    killed = time.time()
    witness.wait_ack_after(killed, 20)
    wait_for(lambda: [pair[0] for pair in cluster.states().values()].count("primary") >= 1
             and "secondary" in [pair[0] for name, pair in cluster.states().items() if name != "a"],
             60, "the other standby follows")
    cluster.wait_taken_over("a")
    a.start()
    assert cluster.wait_steady() in ("b", "c")
    assert {node.name: node.postmaster() for node in (b, c)} == started, "nobody was restarted"
    assert "elect" in rules(cluster)
    witness.verify()


def test_preferred_standby_fetches_what_it_lacks(cluster):
    """S23: c has the higher priority, and is cut off from the last writes; it gets them from b."""
    a, b, c = cluster.group("a", "b", "c", options={"c": ("--candidate-priority", "90")})
    witness = cluster.witness()
    # A stopped receiver: c confirms nothing more, b does.
    receiver = next(pid for pid in c.server_pids()[1:] if b"walreceiver" in open(f"/proc/{pid}/cmdline", "rb").read())
    signal_all([receiver], signal.SIGSTOP)
    begun = time.time()
    wait_for(lambda: witness.acks_between(begun, time.time()) > 20, 20, "writes that only b confirms")
    signal_all(a.pids(), signal.SIGKILL)
    signal_all([receiver], signal.SIGCONT)
    witness.wait_ack_after(time.time(), 30)
    a.process.wait(timeout=10)
    cluster.wait_taken_over("a")
    a.start()
    assert cluster.wait_steady() == "c"
    witness.verify()


def test_priority_zero_is_never_promoted(cluster):
    a, _, _ = cluster.group("a", "b", "c", options={"c": ("--candidate-priority", "0")})
    witness = cluster.witness()
    a.kill()
    witness.wait_ack_after(time.time(), 20)
    cluster.wait_taken_over("a")
    a.start()
    assert cluster.wait_steady() == "b"
    witness.verify()


def test_two_nodes_lost(cluster):
    """S13, S19: with the primary and a member of the quorum gone nobody is promoted, until one of them returns."""
    a, b, c = cluster.group("a", "b", "c")
    witness = cluster.witness()
    signal_all(b.pids() + a.pids(), signal.SIGKILL)
    for node in (a, b):
        node.process.wait(timeout=10)
    wait_for(lambda: is_stuck(cluster, "a", "b") and '"b"' in blocked(cluster), 20, "the monitor says what is missing")
    assert cluster.states()["c"][1] in ("secondary", "report_lsn"), "nobody is promoted"
    assert c.sql("SELECT pg_is_in_recovery()") == "t"
    b.start()
    witness.wait_ack_after(time.time(), 40)
    a.start()
    cluster.wait_steady()
    witness.verify()


def test_loss_of_data_is_accepted_by_command_only(cluster):
    """S19: the operator goes on with what is left, after he was told what that may cost."""
    a, b, c = cluster.group("a", "b", "c")
    signal_all(b.pids() + a.pids(), signal.SIGKILL)
    for node in (a, b):
        node.process.wait(timeout=10)
    wait_for(lambda: is_stuck(cluster, "a", "b"), 20, "the monitor says what is missing")
    refused = cluster.monitor.autoctl("perform", "failover", check=False)
    assert refused.returncode != 0 and "--allow-data-loss" in refused.stderr, refused.stderr
    # Nothing but the operator's word says that a and b are off: a port that refuses is no proof.
    refused = cluster.monitor.autoctl("perform", "failover", "--allow-data-loss", check=False)
    assert refused.returncode != 0 and "--primary-is-off" in refused.stderr, refused.stderr
    cluster.monitor.autoctl("perform", "failover", "--allow-data-loss", "--primary-is-off")
    wait_for(lambda: cluster.states()["c"] == ("wait_primary", "wait_primary"), 30, "c is promoted")
    assert '"b"' in cluster.monitor_sql(
        "SELECT string_agg(reason, ' ') FROM pgautofailover.event WHERE reason LIKE '%may lose%'")
    a.start()
    b.start()
    assert cluster.wait_steady() == "c"
    assert c.sql("SELECT pg_is_in_recovery()") == "f"


def test_a_member_is_rewound_from_a_primary_that_is_fenced_until_it_has_members(cluster):
    """The only node that could confirm must be rewound first, from the one that waits for its confirmation."""
    a, b, c = cluster.group("a", "b", "c")
    c.kill()
    wait_for(lambda: cluster.sync_names() == "ANY 1 (pgautofailover_standby_2)", 20, "b alone confirms")
    cluster.wait_states(a="primary")
    senders = "SELECT pid FROM pg_stat_replication WHERE application_name = 'pgautofailover_standby_2'"
    signal_all([int(a.sql(senders))], signal.SIGSTOP)  # b does not get this
    a.sql("SET synchronous_commit = local; CREATE TABLE of_a AS SELECT 1 AS id")
    a.kill()
    wait_for(lambda: cluster.states()["b"][0] == "wait_primary", 30, "b is promoted")
    with pytest.raises(subprocess.SubprocessError):
        b.sql("CREATE TABLE waits ()", timeout=2)  # without a member nothing is acknowledged
    b.kill()
    b.start()
    b.wait_up()
    a.start()
    cluster.wait_states(a="secondary", b="primary", timeout=60)
    assert a.log.read_text().count("Rewinding to") >= 1 and "Copying node" not in a.log.read_text(), "a was copied"
    assert b.sql("CREATE TABLE done (); SELECT to_regclass('of_a') IS NULL") == "t"
    c.start()
    assert cluster.wait_steady() == "b"


def test_number_sync_standbys(cluster):
    """0: asynchronous without standbys; 1: writes wait; 2 is refused, for one more standby is needed."""
    a, b, c = cluster.group("a", "b", "c")
    refused = a.autoctl("set", "formation", "number-sync-standbys", "2", check=False)
    assert refused.returncode != 0 and "needed" in refused.stderr
    assert cluster.sync_names().startswith("ANY 1 (")
    # 1: without standbys writes wait, and are acknowledged when one is back.
    signal_all(b.pids() + c.pids(), signal.SIGKILL)
    for node in (b, c):
        node.process.wait(timeout=10)
    wait_for(lambda: cluster.states()["b"][1] == cluster.states()["c"][1] == "catchingup", 20, "both are lost")
    with pytest.raises(subprocess.SubprocessError):
        a.sql("CREATE TABLE waits ()", timeout=3)
    assert cluster.states()["a"][1] == "primary"
    assert cluster.monitor_sql("SELECT replication_stall_since IS NOT NULL FROM pgautofailover.node WHERE nodename = 'a'") == "t"
    # 0: they need not wait any more.
    cluster.monitor.autoctl("set", "formation", "number-sync-standbys", "0")
    wait_for(lambda: cluster.states()["a"] == ("wait_primary", "wait_primary"), 20, "replication is asynchronous")
    a.sql("CREATE TABLE waits_no_more ()")
    b.start()
    c.start()
    assert cluster.wait_steady() == "a"


def test_maintenance_of_each_role(cluster):
    a, b, c = cluster.group("a", "b", "c")
    witness = cluster.witness()
    # A standby: it leaves the set first, and its server is the operator's then.
    b.autoctl("enable", "maintenance")
    cluster.wait_states(b="maintenance")
    assert f"standby_{cluster.node_id('b')}" not in cluster.sync_names()
    begun = time.time()
    wait_for(lambda: witness.acks_between(begun, time.time()) > 20, 20, "writes go on")
    b.autoctl("disable", "maintenance")
    cluster.wait_steady()
    # The primary hands over first.
    a.autoctl("enable", "maintenance", "--allow-failover")
    cluster.wait_states(a="maintenance")
    assert a.postmaster() is None
    witness.wait_ack_after(time.time(), 20)
    a.autoctl("disable", "maintenance")
    assert cluster.wait_steady() in ("b", "c")
    witness.verify()


def test_dropped_primary_is_replaced(cluster):
    a, b, c = cluster.group("a", "b", "c")
    witness = cluster.witness()
    a.autoctl("drop", "node", "--name", "a")
    witness.wait_ack_after(time.time(), 30)
    wait_for(lambda: "a" not in cluster.states(), 30, "a is forgotten")
    assert cluster.wait_steady() in ("b", "c")
    assert number_sync_standbys(cluster) == 0
    witness.verify()


def test_node_joins_during_a_failover(cluster):
    """S47: d is being copied when the primary dies."""
    a, b, c = cluster.group("a", "b", "c")
    witness = cluster.witness()
    d = cluster.node("d")
    command = d.host.command(
        ["pg_autoctl", "create", "postgres", "--pgport", d.port, "--hostname", d.host.address, "--name", "d",
         "--auth", "trust", "--no-ssl", "--pg-hba-lan", "--monitor", cluster.monitor_uri(), "--run"], d.env)
    with open(d.log, "ab") as log:
        d.process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd="/tmp",
                                     start_new_session=True)
    wait_for(lambda: "d" in cluster.states(), 20, "d is registered")
    a.kill()
    witness.wait_ack_after(time.time(), 20)
    cluster.wait_taken_over("a")
    a.start()
    assert cluster.wait_steady(timeout=120) in ("b", "c")
    assert len(cluster.states()) == 4
    witness.verify()


def test_four_nodes_with_two_synchronous_standbys(cluster):
    """ANY 2 of 3: the primary and one standby die together, and the other two know every commit."""
    a, b, c, d = cluster.group("a", "b", "c", "d")
    cluster.monitor.autoctl("set", "formation", "number-sync-standbys", "2")
    wait_for(lambda: cluster.sync_names().startswith("ANY 2 ("), 20, "the set")
    cluster.wait_steady()
    witness = cluster.witness()
    signal_all(b.pids() + a.pids(), signal.SIGKILL)
    for node in (a, b):
        node.process.wait(timeout=10)
    wait_for(lambda: "wait_primary" in [pair[0] for pair in cluster.states().values()]
             or "primary" in [cluster.states()[name][0] for name in ("c", "d")], 30, "one is promoted")
    b.start()
    witness.wait_ack_after(time.time(), 30)
    a.start()
    assert cluster.wait_steady() in ("c", "d")
    witness.verify()


def test_switchover_to_a_chosen_standby(cluster):
    a, b, c = cluster.group("a", "b", "c")
    started = b.postmaster()
    witness = cluster.witness()
    c.autoctl("perform", "promotion", "--name", "c")
    assert cluster.wait_steady() == "c"
    assert b.postmaster() == started, "the third node follows without a restart"
    assert "pg_rewind" not in a.log.read_text()
    witness.verify()
