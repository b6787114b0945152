"""A long random campaign on three nodes: up to four faults at once, hands of operators among them, and a monitor that
comes back from an old backup; everything is healed after five rounds. Nothing acknowledged is lost, no two nodes
acknowledge, registers that are read, changed and written back never go back, and the group is whole again by itself.

It runs when PGAF_CAMPAIGN_ROUNDS says how many rounds; PGAF_CAMPAIGN_SEED chooses the seed. `make campaign` runs 300."""
import contextlib
import os
import random
import shutil
import signal
import subprocess
import threading
import time

import pytest

from chaos import Chaos, check_everything, promotions
from harness import BINDIR, USER

ROUNDS = int(os.environ.get("PGAF_CAMPAIGN_ROUNDS", "0"))
SEED = int(os.environ.get("PGAF_CAMPAIGN_SEED", random.SystemRandom().randrange(1_000_000)))
ROUNDS_BETWEEN_CHECKS = 5
MOST_AT_ONCE = 4


class Campaign(Chaos):
    """The faults of Chaos, and what people do."""

    verdicts = ("drop", "reject", "reject with tcp reset")

    def __init__(self, cluster, rng):
        super().__init__(cluster, rng)
        self.backup = None
        self.promotions = {}

    def reigns(self):
        """A monitor that was restored has forgotten some."""
        self.promotions.update(promotions(self.cluster))
        return ["a"] + [name for _, name in sorted(self.promotions.items(), key=lambda entry: float(entry[0]))]

    def command(self, program, *argv):
        """Somebody types it; what comes of it is not waited for."""
        self.say(f"on {program.name}: {' '.join(map(str, argv))}")
        self.clients.append(subprocess.Popen(
            program.host.command([BINDIR / argv[0], *argv[1:]], program.env), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/tmp", start_new_session=True))

    def pg_ctl(self):
        program = self.node()
        verb = self.rng.choice([("stop", "-m", "fast"), ("stop", "-m", "immediate"), ("restart", "-m", "fast"),
                                ("restart", "-m", "immediate"), ("promote", "-W"), ("reload",)])
        self.command(program, "pg_ctl", *verb, "-D", program.pgdata)

    def second_start(self):
        self.command(self.node(), "pg_autoctl", "run")

    def maintenance(self):
        program = self.node()
        self.command(program, "pg_autoctl", "enable", "maintenance", "--allow-failover")
        self.later(self.duration() + 4, f"{program.name} leaves maintenance",
                   lambda: self.command(program, "pg_autoctl", "disable", "maintenance"))

    def settings(self):
        monitor = self.cluster.monitor
        if self.rng.random() < 0.5:
            self.command(monitor, "pg_autoctl", "set", "formation", "number-sync-standbys", self.rng.choice([0, 1]))
        else:
            self.command(monitor, "pg_autoctl", "set", "node", "candidate-priority", "--name", self.node().name,
                         self.rng.choice([0, 50, 90]))

    def pause_replay(self):
        program = self.node()
        self.say(f"replay of {program.name} is paused")
        with contextlib.suppress(subprocess.SubprocessError):
            program.sql("SELECT pg_wal_replay_pause()", timeout=3)

        def resume():
            with contextlib.suppress(subprocess.SubprocessError):
                program.sql("SELECT pg_wal_replay_resume()", timeout=3)
        self.later(self.duration(), f"replay of {program.name} goes on", resume)

    def cancel_waits(self):
        program = self.node()
        how = self.rng.choice(["pg_cancel_backend", "pg_terminate_backend"])
        self.say(f"{how} of all who wait on {program.name}")
        with contextlib.suppress(subprocess.SubprocessError):
            program.sql(f"SELECT {how}(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'", timeout=3)

    def old_monitor(self):
        """Its directory is put back to what it was at the last check."""
        monitor = self.cluster.monitor
        if self.backup is None or "monitor" in self.wanted_down or self.backup.with_name("used").exists():
            return
        try:
            self.reigns()
        except subprocess.SubprocessError:
            return
        self.say("the monitor comes back from its last backup")
        self.wanted_down.add("monitor")
        monitor.kill()
        shutil.rmtree(monitor.pgdata)
        shutil.copytree(self.backup, monitor.pgdata, symlinks=True)
        subprocess.run(["chown", "-R", USER, str(monitor.pgdata)], check=True)
        self.backup.with_name("used").touch()
        self.later(self.rng.uniform(0, 3), "run monitor", lambda: self.run(monitor))

    def back_up(self):
        """Between the checks: nothing changes on the monitor but the heartbeat of the facts."""
        monitor = self.cluster.monitor
        target = self.cluster.directory / "backup" / "pgdata"
        shutil.rmtree(target.parent, ignore_errors=True)
        target.parent.mkdir()
        self.wanted_down.add("monitor")
        monitor.process.send_signal(signal.SIGINT)
        monitor.process.wait(timeout=60)
        shutil.copytree(monitor.pgdata, target, symlinks=True)
        self.backup = target
        monitor.start()
        self.wanted_down.discard("monitor")
        monitor.wait_up()

    def faults(self):
        return super().faults() + [
            (3, self.pg_ctl), (1, self.second_start), (2, self.maintenance), (2, self.settings), (1, self.pause_replay),
            (2, self.cancel_waits), (2, self.cut_pair), (1, self.old_monitor)]

    def heal(self):
        super().heal()
        self.cluster.monitor.wait_up()
        for name in ("a", "b", "c"):
            program = self.cluster.programs[name]
            done = program.autoctl("disable", "maintenance", check=False, timeout=70)
            self.say(f"disable maintenance of {name}: {done.returncode}")
            self.cluster.monitor.autoctl("set", "node", "candidate-priority", "--name", name, 50, check=False)
        self.cluster.monitor.autoctl("set", "formation", "number-sync-standbys", 1, check=False)


class Register(threading.Thread):
    """Reads a number, adds one, writes it back, and remembers the last that was acknowledged: a later read of less is a
    lost write, or a read of what was never confirmed. Every fourth time by two phases."""

    def __init__(self, cluster):
        super().__init__(daemon=True)
        self.cluster, self.known, self.ended, self.wrong, self.count = cluster, 0, False, None, 0

    def ask(self, statements):
        client = self.cluster.client
        command = client.command([BINDIR / "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", self.cluster.uri(), "-c", statements],
                                 {**self.cluster.client_env(), "PGCONNECT_TIMEOUT": "3"})
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, cwd="/tmp")
        return done.stdout.strip() if done.returncode == 0 else None

    def step(self):
        seen = self.ask("SELECT value FROM register")
        if not seen:
            return
        if int(seen) < self.known:
            self.wrong = f"the register says {seen} after {self.known} was acknowledged or read"
        self.known = max(self.known, int(seen))
        self.count += 1
        new = int(seen) + 1
        change = f"UPDATE register SET value = {new} WHERE value = {seen}"
        if self.count % 4 == 0:
            name = f"register{time.time_ns()}"
            prepared = self.ask(f"BEGIN; {change}; PREPARE TRANSACTION '{name}'")
            if prepared is not None and self.ask(f"COMMIT PREPARED '{name}'") is not None:
                self.known = new
            return
        if self.ask(change + " RETURNING value") == str(new):
            self.known = new

    def run(self):
        while not self.ended and self.wrong is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.step()
            time.sleep(0.05)  # a client's pace

    def finish(self):
        self.ended = True
        self.join(timeout=60)
        assert self.wrong is None, self.wrong


def end_prepared(cluster):
    """What a client has left prepared holds its row for ever."""
    for program in cluster.programs.values():
        with contextlib.suppress(subprocess.SubprocessError):
            for name in program.sql("SELECT gid FROM pg_prepared_xacts WHERE NOT pg_is_in_recovery()", timeout=3).split():
                program.sql(f"ROLLBACK PREPARED '{name}'", timeout=5)


@pytest.mark.skipif(ROUNDS == 0, reason="PGAF_CAMPAIGN_ROUNDS is not set: make campaign runs it")
def test_campaign(network_cluster):
    cluster = network_cluster
    print(f"PGAF_CAMPAIGN_SEED={SEED} PGAF_CAMPAIGN_ROUNDS={ROUNDS} in {cluster.directory}", flush=True)
    nodes = cluster.group("a", "b", "c")
    for node in nodes:
        with open(node.pgdata / "postgresql.conf", "a") as conf:
            conf.write("max_prepared_transactions = 20\n")
    cluster.monitor.autoctl("restart", "--all", timeout=180)
    primary = cluster.programs[cluster.wait_steady()]
    for node in nodes:
        primary.sql(f"CREATE TABLE local_{node.name}(id bigint PRIMARY KEY, at timestamptz DEFAULT now())")
    primary.sql("CREATE TABLE register(value bigint)")
    primary.sql("INSERT INTO register VALUES (0)")
    witness = cluster.witness()
    local = {node.name: cluster.witness(
        table=f"local_{node.name}", client=node.host, wait=False, clients=1, rate=50,
        uri=cluster.node_uri(node) + "?options=-csynchronous_commit%3Dlocal") for node in nodes}
    register = Register(cluster)
    register.start()
    campaign = Campaign(cluster, random.Random(SEED))
    try:
        campaign.back_up()
        for number in range(1, ROUNDS + 1):
            campaign.say(f"round {number}")
            for _ in range(campaign.rng.randint(1, MOST_AT_ONCE)):
                campaign.one_fault()
            campaign.pass_time(campaign.rng.uniform(0, 6))
            if number % ROUNDS_BETWEEN_CHECKS == 0 or number == ROUNDS:
                check_everything(cluster, campaign, local)
                end_prepared(cluster)
                assert register.wrong is None, register.wrong
                campaign.back_up()
                cluster.wait_steady()
        register.finish()
        assert register.count > ROUNDS
        for each in local.values():
            each.finish()
        witness.verify()
    finally:
        register.ended = True
        for _, _, repair in list(campaign.repairs):
            with contextlib.suppress(Exception):
                repair()
        print("\n".join(campaign.story), flush=True)
