"""Measures how long writes are interrupted, as ratios to plain PostgreSQL operated by hand in the same run.

    make bench                          everything, 10 runs each
    tools/bench.sh --runs 3 switchover  some of it
    tools/bench.sh --load 10,100,1000   what a monitor costs, in groups of two nodes

The client of all measurements is pgaf_witness: four sessions that write as fast as they are let, and reconnect at
once. A gap is the longest time without an acknowledged write that touches the event. Every row that was
acknowledged is looked for at the end.
"""
import argparse
import pathlib
import signal
import statistics
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "keeper/tests/cluster"))
from faults import signal_all  # noqa: E402
from gate import bootstrap_median, measure_gate, measure_worker  # noqa: E402
from harness import Cluster, wait_for  # noqa: E402
import load  # noqa: E402
from plain import PlainPair  # noqa: E402
from port import measure_port  # noqa: E402

# Throughput is compared with the data in memory: there the gate's share is largest, and the noise smallest.
MEMORY = "/dev/shm" if pathlib.Path("/dev/shm").is_dir() else None


def gap_ms(witness, start, end=None):
    """The longest gap between acknowledged writes that touches [start, end]."""
    times = sorted(witness.times())
    end = end or time.time()
    return max(((b - a) * 1000 for a, b in zip(times, times[1:]) if b >= start and a <= end), default=float("nan"))


def settle(cluster):
    cluster.wait_healed()
    cluster.wait_promotable()


def nodes(cluster):
    """(primary, standby) as they are now."""
    states = cluster.states()
    primary = next(name for name, (state, _) in states.items() if state == "primary")
    standby = next(name for name in states if name != primary)
    return cluster.programs[primary], cluster.programs[standby]


def after(witness, start, grace=0.5):
    """Waits until writes have gone on for a while after the event."""
    witness.wait_ack_after(start + grace, 60)
    wait_for(lambda: witness.acks_between(time.time() - 0.3, time.time()) > 10, 60, "writes go on")


def switchover(cluster, witness):
    start = time.time()
    cluster.monitor.autoctl("perform", "switchover")
    settle(cluster)
    after(witness, start)
    return gap_ms(witness, start)


def postgres_killed(cluster, witness):
    primary, _ = nodes(cluster)
    start = time.time()
    signal_all(primary.server_pids(), signal.SIGKILL)
    after(witness, start)
    gap = gap_ms(witness, start)
    settle(cluster)
    return gap


def killed(which):
    """Everything of the primary (0) or of the standby (1) is killed, and started again after the measurement."""
    def event(cluster, witness):
        program = nodes(cluster)[which]
        start = time.time()
        program.kill()
        after(witness, start)
        gap = gap_ms(witness, start)
        program.start()
        settle(cluster)
        return gap
    return event


def frozen(which):
    """Everything of the primary (0) or of the standby (1) is stopped until writes go on."""
    def event(cluster, witness):
        start = time.time()
        stopped = nodes(cluster)[which].kill(signal.SIGSTOP)
        after(witness, start, grace=2)
        gap = gap_ms(witness, start)
        signal_all(stopped, signal.SIGCONT)
        settle(cluster)
        return gap
    return event


EVENTS = {
    "switchover": (switchover, "floor", 3.0),
    "postgres killed": (postgres_killed, None, 1000),
    "node killed": (killed(0), None, 1000),
    "node frozen": (frozen(0), None, 4000),
    "standby killed": (killed(1), None, 1000),
    "standby frozen": (frozen(1), None, 4000),
}


def measure_plain(runs):
    """By hand: CHECKPOINT, fast stop, promote; and the promotion of these alone."""
    pair = PlainPair()
    try:
        pair.create()
        results = [pair.switch_by_hand() for _ in range(runs)]
    finally:
        pair.close()
    return {"by hand": [gap for gap, _ in results], "promote alone": [alone for _, alone in results]}


def measure_creation():
    """Seconds from empty directories to primary and secondary."""
    cluster = Cluster()
    try:
        cluster.create_monitor()
        start = time.monotonic()
        cluster.create_node("a")
        cluster.create_node("b")
        settle(cluster)
        return time.monotonic() - start
    finally:
        cluster.close()


def summarize(name, values, unit="ms"):
    ordered = sorted(values)
    print(f"{name:<18} median {statistics.median(ordered):8.0f} {unit}   min {ordered[0]:8.0f}   "
          f"max {ordered[-1]:8.0f}   n {len(ordered)}", flush=True)
    return statistics.median(ordered)


def measure_events(names, runs, floor):
    # As the plain pair: neither is tuned to the machine.
    cluster = Cluster(options=("--no-tune",))
    try:
        cluster.two_nodes()
        witness = cluster.witness(rate=2000, clients=4)
        for name in names:
            event, baseline, target = EVENTS[name]
            median = summarize(name, [event(cluster, witness) for _ in range(runs)])
            if baseline and floor:
                print(f"{'':<18} {median / floor:.2f} times the floor by hand (target: at most {target})")
            else:
                print(f"{'':<18} target: at most {target} ms")
        print("acknowledged and found:", witness.verify())
    finally:
        cluster.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("what", nargs="*", help="plain, creation, gate, worker, http, or names of events (default: all)")
    parser.add_argument("--load", help="sizes of a monitor's load, in groups, such as 10,100,1000; nothing else is run")
    parser.add_argument("--seconds", type=int, default=60, help="of each load")
    parser.add_argument("--failovers", action="store_true", help="a tenth of the groups switches over at once")
    options = parser.parse_args()
    if options.load:
        load.run([int(size) for size in options.load.split(",")], options.seconds, options.failovers)
        return
    what = options.what or ["plain", "creation", *EVENTS, "gate", "worker", "http"]
    floor = None
    if "plain" in what:
        plain = measure_plain(options.runs)
        floor = summarize("by hand", plain["by hand"])
        summarize("promote alone", plain["promote alone"])
    if "creation" in what:
        summarize("creation", [measure_creation() * 1000 for _ in range(3)])
        print(f"{'':<18} target: at most 8000 ms")
    events = [name for name in EVENTS if name in what]
    if events:
        measure_events(events, options.runs, floor)
    if "gate" in what:
        measure_gate(ROOT / "build/bench/pgautofailover_keeper.so", seconds=12 * options.runs, directory=MEMORY)
    if "http" in what:
        measure_port()
    if "worker" in what:
        ratios, shares = measure_worker(options.runs, directory=MEMORY)
        low, median, high = bootstrap_median(ratios)
        print(f"worker and supervisor use {100 * statistics.median(shares):.3f} % of one processor under pgbench -N")
        print(f"managed node / its own server alone, pgbench -N: {median:.4f}  (95 %: {low:.4f} to {high:.4f}, "
              f"{options.runs} pairs)")


if __name__ == "__main__":
    main()
