"""Faults that begin at random, their repairs, and what must hold after all were repaired."""
import contextlib
import signal
import subprocess
import time

from faults import is_alive, signal_all
from harness import BINDIR, Timeout

HEAL_LIMIT = 90


class Chaos:
    """Faults that begin, and the repairs that are due later."""

    verdicts = ("drop",)

    def __init__(self, cluster, rng):
        self.cluster, self.rng = cluster, rng
        self.repairs = []
        self.story = []
        self.cut_hosts, self.filtered_hosts = set(), set()
        self.clients = []
        self.wanted_down = set()

    def say(self, text):
        self.story.append(f"{time.time():.3f} {time.strftime('%T', time.gmtime())} {text}")

    def later(self, seconds, what, repair):
        self.repairs.append((time.monotonic() + seconds, what, repair))

    def pass_time(self, seconds):
        end = time.monotonic() + seconds
        while True:
            now = time.monotonic()
            for entry in [entry for entry in sorted(self.repairs, key=lambda r: r[0]) if entry[0] <= now]:
                self.repairs.remove(entry)
                self.say(f"  {entry[1]}")
                entry[2]()
            if now >= end:
                return
            due = min([entry[0] for entry in self.repairs] + [end])
            time.sleep(max(0.0, min(due, end) - time.monotonic()))

    def node(self):
        return self.rng.choice([p for name, p in self.cluster.programs.items() if name != "monitor"])

    def duration(self):
        return self.rng.uniform(1, 8)

    # ---- faults

    def kill_postgres(self, program):
        self.say(f"SIGKILL PostgreSQL of {program.name}")
        signal_all(program.server_pids(), signal.SIGKILL)

    def kill_postmaster(self):
        program = self.node()
        self.say(f"SIGKILL postmaster of {program.name}")
        signal_all(program.server_pids()[:1], signal.SIGKILL)

    def kill_worker(self):
        program = self.node()
        worker = program.worker()
        self.say(f"SIGKILL worker of {program.name}: {worker}")
        signal_all([worker] if worker else [], signal.SIGKILL)

    def kill_supervisor(self, program=None):
        program = program or self.node()
        self.say(f"SIGKILL supervisor of {program.name}")
        self.wanted_down.add(program.name)
        if program.process.poll() is None:
            program.process.kill()
            program.process.wait(timeout=10)
        self.later(self.duration(), f"run {program.name}", lambda: self.run(program))

    def kill_node(self, program=None):
        program = program or self.node()
        self.say(f"SIGKILL all of {program.name}")
        self.wanted_down.add(program.name)
        program.kill()
        self.later(self.duration(), f"run {program.name}", lambda: self.run(program))

    def restart_node(self):
        program = self.node()
        signo = self.rng.choice([signal.SIGINT, signal.SIGTERM, signal.SIGQUIT])
        self.say(f"{signo.name} supervisor of {program.name}")
        self.wanted_down.add(program.name)
        signal_all([program.process.pid] if program.process.poll() is None else [], signo)
        self.later(self.duration(), f"run {program.name}", lambda: self.run(program))

    def run(self, program):
        if program.name not in self.wanted_down:
            return  # another repair has started it already
        if program.process.poll() is not None:
            program.start()
            self.wanted_down.discard(program.name)
        else:
            self.later(0.5, f"run {program.name}", lambda: self.run(program))

    def freeze(self, what, pids):
        seconds = self.duration()
        self.say(f"SIGSTOP {what} for {seconds:.1f} s: {pids}")
        signal_all(pids, signal.SIGSTOP)
        self.later(seconds, f"SIGCONT {what}", lambda: signal_all(pids, signal.SIGCONT))

    def freeze_node(self):
        program = self.node()
        self.freeze(f"all of {program.name}", program.pids())

    def freeze_worker(self):
        program = self.node()
        worker = program.worker()
        self.freeze(f"worker of {program.name}", [worker] if worker else [])

    def freeze_supervisor(self):
        program = self.node()
        self.freeze(f"supervisor of {program.name}",
                    [program.process.pid] if program.process.poll() is None else [])

    def freeze_process(self):
        program = self.rng.choice(list(self.cluster.programs.values()))
        pids = program.server_pids()[1:]
        self.freeze(f"one process of {program.name}", [self.rng.choice(pids)] if pids else [])

    def cut_cable(self):
        name = self.rng.choice(sorted(self.cluster.programs))
        if name in self.cut_hosts:
            return
        seconds = self.duration()
        self.say(f"cable of {name} cut for {seconds:.1f} s")
        self.cut_hosts.add(name)
        self.cluster.network.cut(name)

        def mend():
            self.cluster.network.mend(name)
            self.cut_hosts.discard(name)
        self.later(seconds, f"cable of {name} mended", mend)

    def cut_one_way(self):
        name = self.rng.choice(sorted(self.cluster.programs))
        direction = self.rng.choice(["in", "out"])
        if name in self.filtered_hosts:
            return
        seconds = self.duration()
        self.say(f"packets of {name} \"{direction}\" vanish for {seconds:.1f} s")
        self.filtered_hosts.add(name)
        self.cluster.network.cut_one_way(name, direction)

        def mend():
            self.cluster.network.mend_between(name)
            self.filtered_hosts.discard(name)
        self.later(seconds, f"packets of {name} pass again", mend)

    def cut_pair(self):
        name = self.node().name
        other = self.rng.choice(sorted(set(self.cluster.programs) - {name}))
        directions = self.rng.choice([("in",), ("out",), ("in", "out")])
        verdict = self.rng.choice(self.verdicts)
        if name in self.filtered_hosts:
            return
        seconds = self.duration()
        self.say(f"packets between {name} and {other} {directions}: {verdict} for {seconds:.1f} s")
        self.filtered_hosts.add(name)
        self.cluster.network.cut_between(name, self.cluster.programs[other].host.address, directions, verdict)

        def mend():
            self.cluster.network.mend_between(name)
            self.filtered_hosts.discard(name)
        self.later(seconds, f"packets between {name} and {other} pass again", mend)

    def switchover(self):
        self.say("perform switchover")
        monitor = self.cluster.monitor
        self.clients.append(subprocess.Popen(
            monitor.host.command([BINDIR / "pg_autoctl", "perform", "switchover"], monitor.env),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/tmp", start_new_session=True))

    def faults(self):
        """Weights, and what begins."""
        monitor = self.cluster.monitor
        return [
            (3, lambda: self.kill_postgres(self.node())), (2, self.kill_postmaster), (2, self.kill_worker),
            (2, self.kill_supervisor), (3, self.kill_node), (2, self.restart_node),
            (3, self.freeze_node), (2, self.freeze_worker), (1, self.freeze_supervisor),
            (3, self.freeze_process), (3, self.cut_cable), (2, self.cut_one_way), (2, self.cut_pair),
            (1, lambda: self.kill_postgres(monitor)), (1, lambda: self.kill_node(monitor)),
            (4, self.switchover),
        ]

    def one_fault(self):
        faults = self.faults()
        self.rng.choices([what for _, what in faults], [weight for weight, _ in faults])[0]()

    # ---- ends

    def reigns(self):
        """The nodes in the order in which they were promoted."""
        return ["a"] + [name for _, name in promotions(self.cluster)]

    def check_programs(self):
        for name, program in self.cluster.programs.items():
            if name not in self.wanted_down:
                status = program.process.poll()
                assert status is None, f"pg_autoctl run of {name} ended by itself: {status}"

    def heal(self):
        self.say("heal")
        while self.repairs:
            self.repairs = [(0.0, what, repair) for _, what, repair in self.repairs]
            self.pass_time(0.5)
        for client in self.clients:
            with contextlib.suppress(subprocess.TimeoutExpired):
                client.wait(timeout=70)
            if client.poll() is None:
                client.kill()
                client.wait()
        self.clients.clear()
        self.say("healed; waiting for the group")


def promotions(cluster):
    """When, and whom."""
    rows = cluster.monitor.sql(
        "SELECT extract(epoch FROM eventtime), nodename FROM pgautofailover.event WHERE goalstate = 'wait_primary' AND"
        " rule IN ('promote', 'promote_after_drop', 'promote_for_maintenance', 'undo_promotion') AND description LIKE 'Setting goal state%'"
        " ORDER BY eventid", dbname="pg_auto_failover").splitlines()
    return [tuple(row.split("|")) for row in rows]


def check_reigns(promoted, local):
    """Invariant 2: acknowledgements come in reigns, one for each promotion at most."""
    acks = sorted((at, sent, name) for name, witness in local.items() for sent, at in witness.acks())
    reign = 0
    for (before, _, last), (at, sent, name) in zip([(0, 0, "a")] + acks, acks):
        if name == last:
            continue
        while reign < len(promoted) and promoted[reign] != name or (
                reign < len(promoted) and promoted[reign] == last):
            reign += 1
        assert reign < len(promoted), (
            f"{name} acknowledged at {at / 1e9:.3f} a row sent at {sent / 1e9:.3f}, after {last} acknowledged at"
            f" {before / 1e9:.3f}, without a promotion: {promoted}")


def check_everything(cluster, chaos, local):
    chaos.heal()
    try:
        cluster.wait_steady(HEAL_LIMIT)
    except Timeout as error:
        raise Timeout(f"{error}: {cluster.states()}") from None
    chaos.check_programs()
    chaos.say(f"group is well: {cluster.states()}")
    for witness in cluster.witnesses:
        assert witness.process.poll() is None
    cluster.witnesses[0].wait_ack_after(time.time(), 10)
    check_reigns(chaos.reigns(), local)
