"""An operator at another machine: nodes are copied, rest and come back by name."""
import json
import os

from harness import wait_for


def elsewhere(cluster, *argv, check=True):
    """No data directory of a node is at hand, only the monitor's address."""
    env = {"PGDATA": "", "PG_AUTOCTL_MONITOR": cluster.monitor_uri()}
    return cluster.monitor.autoctl(*argv, check=check, env=env)


def test_reinit_by_name_shows_how_far_the_copy_has_come(cluster):
    cluster.create_monitor()
    a = cluster.create_node("a")
    cluster.wait_states(a="single")
    b = cluster.create_node("b", "--maximum-backup-rate", "6M")
    cluster.wait_states(a="primary", b="secondary")
    cluster.wait_promotable()
    directory = os.stat(b.pgdata).st_ino
    refused = elsewhere(cluster, "reinit", "--name", "a", check=False)
    assert refused.returncode == 6 and "only complete copy" in refused.stderr
    refused = elsewhere(cluster, "reinit", "--name", "nobody", check=False)
    assert refused.returncode == 6 and "does not exist" in refused.stderr
    witness = cluster.witness()
    done = elsewhere(cluster, "reinit", "--name", "b", "--no-wait")
    assert "Replacing the data of node 2 \"b\"" in done.stderr

    def shown():
        line = elsewhere(cluster, "show", "state").stdout
        return line if "copying" in line else None
    line = wait_for(shown, 30, "show state tells of the copy", interval=0.2)
    assert "Node 2 \"b\": copying" in line and "/s" in line
    document = json.loads(elsewhere(cluster, "show", "state", "--json").stdout)
    copying = {node["nodename"]: node["copying"] for node in document}
    assert copying["a"] is None and 0 <= copying["b"]["percent"] <= 100 and copying["b"]["total_kb"] > 1000
    # A second wish while the first is carried out changes nothing.
    again = elsewhere(cluster, "reinit", "--name", "b", "--no-wait", check=False)
    assert again.returncode != 0
    cluster.wait_states(a="primary", b="secondary")
    cluster.wait_promotable()
    assert os.stat(b.pgdata).st_ino != directory
    assert "as the operator has asked" in cluster.events(60)
    assert "copying" not in elsewhere(cluster, "show", "state").stdout
    directory = os.stat(b.pgdata).st_ino
    elsewhere(cluster, "reinit", "--name", "b")
    assert cluster.states()["b"] == ("secondary", "secondary") and os.stat(b.pgdata).st_ino != directory
    witness.verify()
    b.stop()
    wait_for(lambda: "does not report" in elsewhere(cluster, "reinit", "--name", "b", check=False).stderr, 30,
             "a silent node is not asked", interval=1)
    assert cluster.monitor_sql("SELECT max(wantedcopy) FROM pgautofailover.node") == "0"
    assert a.sql("SELECT pg_is_in_recovery()") == "f"


def test_maintenance_by_name(cluster):
    _, b = cluster.two_nodes()
    elsewhere(cluster, "enable", "maintenance", "--name", "b")
    cluster.wait_states(b="maintenance")
    elsewhere(cluster, "disable", "maintenance", "--name", "b")
    cluster.wait_states(a="primary", b="secondary")
    cluster.wait_promotable()
    refused = elsewhere(cluster, "enable", "maintenance", "--name", "a", check=False)
    assert refused.returncode == 1 and "--allow-failover" in refused.stderr
    elsewhere(cluster, "enable", "maintenance", "--name", "a", "--allow-failover")
    cluster.wait_states(a="maintenance", b="wait_primary")
    elsewhere(cluster, "disable", "maintenance", "--name", "a")
    cluster.wait_states(a="secondary", b="primary")
    assert b.sql("SELECT pg_is_in_recovery()") == "f"
