"""The demonstration of `make demo`. With KEEP=1 the cluster is left running, and its addresses are printed."""
import os
import pathlib
import signal
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "keeper/tests/cluster"))
from faults import signal_all  # noqa: E402
from harness import Cluster  # noqa: E402


def say(text):
    print(f"\n== {text}", flush=True)


def show_state(cluster):
    print(cluster.monitor.autoctl("show", "state").stdout, end="", flush=True)


def longest_gap(times, start, end):
    """The longest time without an acknowledged write, in ms, among gaps that touch [start, end]."""
    times = sorted(times)
    gaps = [(b - a) * 1000 for a, b in zip(times, times[1:]) if b >= start and a <= end]
    return max(gaps, default=float("nan"))


def healed(cluster, **states):
    cluster.wait_states(**states)
    cluster.wait_promotable()


def demonstrate(cluster):
    started = time.monotonic()
    say("pg_autoctl create monitor; pg_autoctl run")
    cluster.create_monitor()
    say("pg_autoctl create postgres, twice; pg_autoctl run")
    began = time.monotonic()
    cluster.create_node("a")
    b = cluster.create_node("b")
    healed(cluster, a="primary", b="secondary")
    print(f"primary and secondary after {time.monotonic() - began:.1f} s")
    say("a client writes; pg_autoctl show state")
    witness = cluster.witness(rate=1000, clients=4)
    show_state(cluster)
    events = []

    say("pg_autoctl perform switchover")
    start = time.time()
    print(cluster.monitor.autoctl("perform", "switchover").stdout, end="")
    healed(cluster, a="secondary", b="primary")
    events.append(("switchover", start, time.time()))
    show_state(cluster)

    say("kill -9 of the primary's PostgreSQL and of its pg_autoctl")
    start = time.time()
    signal_all(b.pids(), signal.SIGKILL)
    b.process.wait(timeout=10)
    cluster.wait_states(a="wait_primary")
    witness.wait_ack_after(time.time(), 30)
    show_state(cluster)
    events.append(("node killed", start, time.time()))

    say("pg_autoctl run: the old primary returns as a standby")
    start = time.time()
    b.start()
    healed(cluster, a="primary", b="secondary")
    events.append(("return", start, time.time()))
    show_state(cluster)

    times = witness.times()
    result = witness.verify()
    say("summary")
    for name, start, end in events:
        print(f"{name:<14} longest gap between acknowledged writes {longest_gap(times, start, end):8.0f} ms")
    print(f"acknowledged rows {result['acknowledged']}, of these found {result['found']}, "
          f"missing {result['missing']}")
    states = ", ".join(f"{name} {state}" for name, (state, _) in sorted(cluster.states().items()))
    print(f"final state: {states}")
    print(f"whole demonstration {time.monotonic() - started:.0f} s")
    return result["missing"] == 0 and result["found"] == result["acknowledged"]


def main():
    keep = os.environ.get("KEEP") == "1"
    cluster = Cluster()
    good = False
    try:
        good = demonstrate(cluster)
        if keep:
            print(f"\nThe cluster is left running in {cluster.directory}")
            print(f"clients:  {cluster.uri()}")
            print(f"monitor:  {cluster.monitor_uri()}")
            for program in cluster.programs.values():
                print(f"stop {program.name}: kill -INT {program.process.pid}")
    finally:
        if not keep or not good:
            cluster.close()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
