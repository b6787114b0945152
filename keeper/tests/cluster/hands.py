"""What an administrator types, and who notices when two nodes acknowledge."""
import contextlib
import signal
import subprocess

import pytest

from faults import signal_all
from harness import BINDIR, Cluster, wait_for

MINUTE = 60


@contextlib.contextmanager
def pair(prepare=None):
    """Two nodes, and a client that writes all the while. `prepare` is given the cluster before they are made."""
    cluster = Cluster()
    try:
        if prepare is not None:
            prepare(cluster)
        cluster.two_nodes()
        cluster.all_the_while = cluster.witness(rate=50)
        yield cluster
    finally:
        cluster.close()


@pytest.fixture
def cluster(group):
    """The group of a module, whole again. Named so that a failed row shows what everybody said."""
    wait_whole(group)
    return group


def pg_ctl(node, *words):
    """Its exit status is not looked at: pg_ctl may wait for what the supervisor has done meanwhile."""
    command = [BINDIR / "pg_ctl", "-D", node.pgdata, "-l", node.home / "by-hand.log", "-t", 5, *words]
    return subprocess.run(node.host.command(command, node.env), capture_output=True, text=True, timeout=60, cwd="/tmp")


def kill_postmaster(node):
    signal_all([node.postmaster()], signal.SIGKILL)


def choose(cluster, role):
    """Of nodes a and b the one that is the primary now, or the other one."""
    primary = next(name for name, pair in cluster.states().items() if pair == ("primary", "primary"))
    return cluster.node(primary if role == "primary" else "ab".replace(primary, ""))


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
