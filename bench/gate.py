"""What the commit gate costs: in one server, on the same data, the gate is on and off by turns.

    tools/bench.sh gate

The module of this measurement is built for it alone (make bench-module): its gate checks nothing in every other
turn of half a second, in the order of Thue and Morse (on off off on, off on on off, ...). The server, its settings,
its data, its worker and the monitor are the same in both. pgbench logs when each transaction ended; a pair of
neighbouring turns gives one ratio. The first part of each turn is left out, because the worker may be late.
"""
import pathlib
import random
import shutil
import signal
import statistics
import subprocess
import time

from harness import BINDIR, Cluster

TURN_NS = 500_000_000
SKIP_NS = 60_000_000  # the worker may be late by a few milliseconds, and transactions of the last turn end
CLIENTS = 4


def is_off(turn):
    return bin(turn).count("1") % 2 == 1


def boot_minus_real():
    """CLOCK_BOOTTIME minus CLOCK_REALTIME in ns."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.clock_gettime_ns(time.CLOCK_REALTIME)


def use_module(tree_library, module):
    """A new file under the old name: a running server keeps the one that it has mapped."""
    shutil.copy2(module, f"{tree_library}.new")
    pathlib.Path(f"{tree_library}.new").rename(tree_library)


def counts_of(logs, offset):
    """Transactions of each whole turn, its first SKIP_NS left out."""
    counts = {}
    first, last = None, None
    for log in logs:
        for line in log.read_text().splitlines():
            fields = line.split()
            at = int(fields[4]) * 1_000_000_000 + int(fields[5]) * 1000 + offset
            turn, within = divmod(at, TURN_NS)
            first = turn if first is None else min(first, turn)
            last = turn if last is None else max(last, turn)
            if within >= SKIP_NS:
                counts[turn] = counts.get(turn, 0) + 1
    return {turn: count for turn, count in counts.items() if first < turn < last}


def run_pgbench(node, directory, seconds, options):
    """(counts by turn) of one pgbench."""
    prefix = directory / f"log-{time.monotonic_ns()}"
    before = boot_minus_real()
    subprocess.run(
        node.host.command([BINDIR / "pgbench", "-n", "-c", CLIENTS, "-j", "2", "-T", seconds, "-l",
                           f"--log-prefix={prefix}", "-p", node.port, "-h", node.sockets, *options, "postgres"],
                          node.env), capture_output=True, text=True, check=True, cwd="/tmp")
    if abs(boot_minus_real() - before) > 5_000_000:
        return {}  # somebody set the clock
    logs = list(prefix.parent.glob(prefix.name + "*"))
    counts = counts_of(logs, before)
    for log in logs:
        log.unlink()
    return counts


def pair_ratios(counts):
    """With the gate / without it, of neighbouring turns 2n and 2n + 1: one of them is always on, one off."""
    ratios = []
    for turn, count in counts.items():
        other = counts.get(turn + 1)
        if turn % 2 or not other:
            continue
        ratios.append(other / count if is_off(turn) else count / other)
    return ratios


def bootstrap_median(values, confidence=0.95, rounds=2000):
    """(low, median, high)."""
    dice = random.Random(1)
    medians = sorted(statistics.median(dice.choices(values, k=len(values))) for _ in range(rounds))
    tail = (1 - confidence) / 2
    return (medians[int(tail * rounds)], statistics.median(values), medians[int((1 - tail) * rounds) - 1])


def prepare(cluster):
    """A managed single node with pgbench's tables. Its servers use the files in the tree of BINDIR."""
    cluster.create_monitor()
    node = cluster.create_node("a")
    cluster.wait_states(a="single")
    node.wait_up()
    subprocess.run(node.host.command(
        [BINDIR / "pgbench", "-i", "-s", "20", "-q", "-h", node.sockets, "-p", node.port, "postgres"], node.env),
        check=True, capture_output=True, cwd="/tmp")
    return node


WORKLOADS = {
    "update, commit waits for the disk": ["-N"],
    "update, synchronous_commit=off": ["-N", "--synchronous-off"],
    "select": ["-S"],
}


def options_of(workload):
    return [option for option in WORKLOADS[workload] if option != "--synchronous-off"]


def measure_gate(bench_module, seconds, directory=None):
    """{workload: (low, median, high, pairs, tps)}; directory: where the data lie (default: /tmp)."""
    library = next(pathlib.Path(BINDIR).parent.glob("lib/pgautofailover_keeper.so"))
    original = library.with_suffix(".so.product")
    shutil.copy2(library, original)
    cluster = Cluster(parent=directory or "/tmp", options=("--no-tune",))
    results = {}
    try:
        use_module(library, bench_module)
        node = prepare(cluster)
        for workload in WORKLOADS:
            if "--synchronous-off" in WORKLOADS[workload]:
                node.env["PGOPTIONS"] = "-c synchronous_commit=off"
            ratios, transactions, turns = [], 0, 0
            left = seconds
            while left > 0:
                counts = run_pgbench(node, cluster.directory, min(30, left), options_of(workload))
                left -= 30
                ratios += pair_ratios(counts)
                transactions += sum(counts.values())
                turns += len(counts)
            node.env.pop("PGOPTIONS", None)
            tps = transactions / (turns * (TURN_NS - SKIP_NS) / 1e9)
            results[workload] = (*bootstrap_median(ratios), len(ratios), tps)
            print_result(workload, results[workload])
        print_checks(node)
    finally:
        cluster.close()
        use_module(library, original)
    return results


def print_checks(node):
    """The module of this measurement has timed its own checks, in a loop of two millions."""
    logs = [node.log, *node.pgdata.glob("log/*")]
    lines = [line for log in logs for line in log.read_text(errors="replace").splitlines() if " ns per commit" in line]
    print(lines[-1].split("LOG:")[-1].strip() if lines else "the checks were not timed", flush=True)


def print_result(workload, result):
    low, median, high, pairs, tps = result
    print(f"gate, {workload:<34} with / without: {median:.4f}  (95 %: {low:.4f} to {high:.4f}, "
          f"{pairs} pairs, {tps:.0f} tps)", flush=True)


def tps_of(node, seconds):
    done = subprocess.run(
        node.host.command([BINDIR / "pgbench", "-n", "-N", "-c", CLIENTS, "-j", "2", "-T", seconds, "-p", node.port,
                           "-h", node.sockets, "postgres"], node.env),
        capture_output=True, text=True, check=True, cwd="/tmp")
    line = next(line for line in done.stdout.splitlines() if line.startswith("tps"))
    return float(line.split("=")[1].split()[0])


class BareServer:
    """The node's own PostgreSQL, settings and data, without our module and without a supervisor."""

    def __init__(self, node):
        self.node = node

    def __enter__(self):
        with open(self.node.log, "ab") as log:
            self.process = subprocess.Popen(
                self.node.host.command([BINDIR / "postgres", "-D", self.node.pgdata, "-p", self.node.port, "-c",
                                        "shared_preload_libraries="], self.node.env),
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd="/tmp", start_new_session=True)
        self.node.wait_up()

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=60)


class ManagedServer:
    """The same under pg_autoctl run, reporting to its monitor."""

    def __init__(self, node):
        self.node = node

    def __enter__(self):
        self.node.start()
        self.node.wait_up()

    def __exit__(self, *_):
        self.node.stop()


def cpu_ns(pids):
    return sum(int(pathlib.Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for pid in pids)


def measure_worker(pairs, seconds=8, directory=None):
    """(ratios, shares): a managed node's throughput relative to that of its own server without us, and how much
    of one processor its worker and its supervisor used meanwhile. The monitor runs on the same machine in both
    cases; the server is restarted between the measurements, in the order ABBA. A restart alone changes the
    throughput by more than we cost, so the shares are the more precise of the two."""
    cluster = Cluster(parent=directory or "/tmp", options=("--no-tune",))
    ratios, shares = [], []
    try:
        node = prepare(cluster)
        node.stop()
        for pair in range(pairs):
            order = [ManagedServer, BareServer] if pair % 2 == 0 else [BareServer, ManagedServer]
            tps = {}
            for kind in order:
                with kind(node):
                    tps_of(node, 2)  # caches are warm afterwards
                    ours = [node.worker(), node.process.pid] if kind is ManagedServer else []
                    start, used = time.monotonic_ns(), cpu_ns(ours)
                    tps[kind] = tps_of(node, seconds)
                    if ours:
                        shares.append((cpu_ns(ours) - used) / (time.monotonic_ns() - start))
            ratios.append(tps[ManagedServer] / tps[BareServer])
        return ratios, shares
    finally:
        cluster.close()
