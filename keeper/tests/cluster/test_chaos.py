"""Random faults on two nodes and their monitor, from a seed: no acknowledged row is lost, the two nodes'
acknowledgements never overlap, and when everything is mended the group heals by itself.

PGAF_CHAOS_SEED and PGAF_CHAOS_ROUNDS choose the seed and the number of faults.
"""
import contextlib
import os
import random

from chaos import Chaos, check_everything
from faults import is_alive

ROUNDS = int(os.environ.get("PGAF_CHAOS_ROUNDS", "20"))
SEED = int(os.environ.get("PGAF_CHAOS_SEED", random.SystemRandom().randrange(1_000_000)))
FAULTS_BETWEEN_CHECKS = 10


def test_random_faults(network_cluster):
    cluster = network_cluster
    print(f"PGAF_CHAOS_SEED={SEED} PGAF_CHAOS_ROUNDS={ROUNDS} in {cluster.directory}", flush=True)
    a, b = cluster.two_nodes()
    for table in ("local_a", "local_b"):
        a.sql(f"CREATE TABLE {table}(id bigint PRIMARY KEY, at timestamptz DEFAULT now())")
    witness = cluster.witness()
    local = {node.name: cluster.witness(
        table=f"local_{node.name}", client=node.host, wait=False, clients=1, rate=50,
        uri=cluster.node_uri(node) + "?options=-csynchronous_commit%3Dlocal") for node in (a, b)}
    chaos = Chaos(cluster, random.Random(SEED))
    try:
        for number in range(1, ROUNDS + 1):
            chaos.one_fault()
            chaos.pass_time(chaos.rng.uniform(0, 6))
            if number % FAULTS_BETWEEN_CHECKS == 0 or number == ROUNDS:
                check_everything(cluster, chaos, local)
        for each in local.values():
            each.finish()
        witness.verify()
        assert is_alive(a.postmaster()) and is_alive(b.postmaster())
    finally:
        for _, _, repair in list(chaos.repairs):
            with contextlib.suppress(Exception):
                repair()
        print("\n".join(chaos.story), flush=True)
