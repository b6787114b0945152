"""A monitor and two nodes as services of a real systemd: the unit that is printed, and the template that packages bring.

Skipped, with the reason, where no machine can be booted: it takes root, systemd and control groups of version 2.
"""
import json
import os
import re
import signal
import subprocess
import time

import pytest
from booted import CannotBoot, Machine
from harness import BINDIR, wait_for

HOME = "/var/lib/postgresql"
PORTS = {"monitor": 5500, "a": 5501, "b": 5502}
AUTOCTL = BINDIR / "pg_autoctl"
# The tree that PostgreSQL is copied to for tests; none when the installed one is tested.
TREE = str(BINDIR).removesuffix("/usr/lib/postgresql/15/bin")
PACKAGED = "pgautofailover-15@"


def unit_of(name):
    return "pgautofailover.service" if name == "monitor" else f"{PACKAGED}var-lib-postgresql-{name}.service"


class Pair:
    def __init__(self, machine):
        self.machine = machine

    def autoctl(self, *words, **options):
        return self.machine.run(AUTOCTL, *words, user="postgres", **options)

    def sql(self, name, text, dbname="postgres", check=True):
        done = self.machine.run(BINDIR / "psql", "-X", "-A", "-t", "-w", "-h", "127.0.0.1", "-p", PORTS[name], "-d", dbname, "-c", text,
                                user="postgres", check=check)
        return done.stdout.strip()

    def states(self):
        nodes = json.loads(self.autoctl("show", "state", "--json", "--pgdata", "monitor").stdout)
        return sorted((node["nodename"], node["current_group_state"]) for node in nodes)

    def wait_states(self, *wanted):
        wait_for(lambda: self.states() == sorted(wanted), 60, f"{wanted}", interval=0.2)

    def main_pid(self, name):
        return int(self.machine.property(unit_of(name), "MainPID"))

    def postmaster(self, name):
        return int(self.machine.run("head", "-n", "1", f"{HOME}/{name}/postmaster.pid").stdout)

    def status(self, pid):
        text = self.machine.run("cat", f"/proc/{pid}/status").stdout
        return dict(re.findall(r"^(\w+):\s*(.*)$", text, re.MULTILINE))

    def processes(self, name):
        """The supervisor, the postmaster and its children."""
        postmaster = self.postmaster(name)
        children = self.machine.run("pgrep", "-P", postmaster).stdout.split()
        return [self.main_pid(name), postmaster, *map(int, children)]

    def kill(self, pid, signo):
        self.machine.run("kill", f"-{int(signo)}", pid)

    def start(self, name):
        began = time.monotonic()
        if name == "b":  # as docs/security.md has it
            escaped = f'$(systemd-escape --path {HOME}/{name})'
            self.machine.run("sh", "-c", f'systemctl enable --now "{PACKAGED}{escaped}.service"')
        else:
            self.machine.systemctl("start", unit_of(name))
        return time.monotonic() - began


@pytest.fixture(scope="module")
def pair():
    try:
        machine = Machine([TREE] if TREE else [])
        machine.__enter__()
    except (CannotBoot, OSError) as reason:
        if os.environ.get("PGAF_SYSTEMD") == "1":
            raise
        pytest.skip(f"no machine can be booted here: {reason}")
    try:
        yield serve(Pair(machine))
    finally:
        machine.close()


def serve(pair):
    """Each `systemctl start` is followed by a use of what must be ready then."""
    options = ["--ssl-self-signed", "--auth", "trust", "--hostname", "127.0.0.1", "--pgctl", BINDIR / "pg_ctl"]
    pair.autoctl("create", "monitor", "--pgdata", "monitor", "--pgport", PORTS["monitor"], *options)
    pair.machine.write("/etc/systemd/system/pgautofailover.service",
                       pair.autoctl("-q", "show", "systemd", "--pgdata", f"{HOME}/monitor").stdout)
    template = subprocess.run(["bash", "tools/package_unit.sh", AUTOCTL, BINDIR], capture_output=True, text=True, check=True,
                              cwd=os.path.join(os.path.dirname(__file__), "../../..")).stdout
    pair.machine.write(f"/etc/systemd/system/{PACKAGED}.service", template)
    pair.machine.systemctl("daemon-reload")
    pair.start("monitor")
    assert pair.sql("monitor", "SELECT count(*) FROM pgautofailover.node", "pg_auto_failover") == "0"
    uri = f"postgres://autoctl_node@127.0.0.1:{PORTS['monitor']}/pg_auto_failover?sslmode=require"
    for name in ("a", "b"):
        pair.autoctl("create", "postgres", "--pgdata", name, "--name", name, "--pgport", PORTS[name], "--monitor", uri, *options)
        pair.start(name)
        assert pair.sql(name, "SELECT pg_is_in_recovery()") == ("f" if name == "a" else "t")
    pair.wait_states(("a", "primary"), ("b", "secondary"))
    return pair


def test_the_pair_streams_under_the_hardened_units(pair):
    pair.sql("a", "CREATE TABLE t (i int)")
    assert pair.sql("a", "INSERT INTO t VALUES (1) RETURNING i").startswith("1")
    assert pair.sql("a", "SELECT count(*) FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum')") == "1"
    for name in PORTS:
        assert pair.machine.property(unit_of(name), "NRestarts") == "0"
        assert pair.machine.property(unit_of(name), "ActiveState") == "active"
    assert "primary" in pair.machine.property(unit_of("a"), "StatusText")


@pytest.mark.parametrize("name", ["monitor", "a"])
def test_the_units_are_sound_and_little_exposed(pair, name):
    path = "/etc/systemd/system/" + (unit_of(name) if name == "monitor" else f"{PACKAGED}.service")
    assert pair.machine.run("systemd-analyze", "verify", "--man=no", path).stderr.strip() == ""
    shown = pair.machine.run("systemd-analyze", "security", "--no-pager", unit_of(name)).stdout
    exposure = float(re.search(r"exposure level for \S+ ([0-9.]+)", shown).group(1))
    assert exposure <= 3.0, shown


def test_every_process_has_lost_its_privileges(pair):
    for name in PORTS:
        for pid in pair.processes(name):
            status = pair.status(pid)
            assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2", (name, pid, status)
            assert {status[key] for key in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
            assert status["Uid"].split()[0] != "0"


def test_a_superuser_of_the_database_gets_no_further(pair):
    """COPY TO PROGRAM is what he has."""
    for what in ("touch /usr/x", "touch /etc/x", "mknod /tmp/x b 8 0", "unshare -U true", "mount -t tmpfs x /mnt", "chmod u+s /tmp/x",
                 "ls /dev/kmsg /dev/mem"):
        said = pair.sql("a", f"COPY (SELECT 1) TO PROGRAM 'touch /tmp/x; if {what} 2>/tmp/why; then exit 0; else exit 77; fi'", check=False)
        assert said == "", what
        done = pair.machine.run("sh", "-c", "test -e /usr/x || test -e /etc/x || test -u /tmp/x || test -b /tmp/x", check=False)
        assert done.returncode == 1, what


def test_the_runtime_directory_is_its_own(pair):
    for name, directory in (("monitor", "pgautofailover"), ("a", unit_of("a").removesuffix(".service"))):
        said = pair.machine.run("stat", "-c", "%U %a", f"/run/{directory}").stdout.split()
        assert said == ["postgres", "700"], name


def test_backends_are_not_protected_from_the_oom_killer(pair):
    """The value is raised here, because lowering it takes a right that this machine may not have: they inherit, and reset it."""
    drop_in = f"/etc/systemd/system/{unit_of('b')}.d"
    pair.machine.run("mkdir", "-p", drop_in)
    pair.machine.write(f"{drop_in}/oom.conf", "[Service]\nOOMScoreAdjust = 300\n")
    try:
        pair.machine.systemctl("daemon-reload")
        pair.machine.systemctl("restart", unit_of("b"))
        supervisor, postmaster, *children = pair.processes("b")
        scores = {pid: pair.machine.run("cat", f"/proc/{pid}/oom_score_adj").stdout.strip() for pid in (supervisor, postmaster, *children)}
        assert scores[supervisor] == scores[postmaster] == "300"
        assert len(children) > 3 and {scores[pid] for pid in children} == {"0"}
    finally:
        pair.machine.run("rm", "-r", drop_in)
        pair.machine.systemctl("daemon-reload")
        pair.machine.systemctl("restart", unit_of("b"))
    pair.wait_states(("a", "primary"), ("b", "secondary"))


def test_a_supervisor_that_hangs_is_replaced_and_the_server_goes_on(pair):
    drop_in = f"/run/systemd/system/{unit_of('a')}.d"
    pair.machine.run("mkdir", "-p", drop_in)
    pair.machine.write(f"{drop_in}/watchdog.conf", "[Service]\nWatchdogSec = 3\n")
    try:
        pair.machine.systemctl("daemon-reload")
        pair.machine.systemctl("restart", unit_of("a"))
        pair.wait_states(*(("a", "secondary"), ("b", "primary")) if pair.sql("a", "SELECT pg_is_in_recovery()") == "t"
                         else (("a", "primary"), ("b", "secondary")))
        supervisor, postmaster = pair.main_pid("a"), pair.postmaster("a")
        pair.kill(supervisor, signal.SIGSTOP)
        wait_for(lambda: pair.main_pid("a") not in (0, supervisor), 30, "systemd has started another one", interval=0.2)
        assert pair.postmaster("a") == postmaster
        wait_for(lambda: pair.machine.property(unit_of("a"), "ActiveState") == "active", 30, "it is ready", interval=0.2)
        assert pair.sql("a", "SELECT 1") == "1"
        # Nobody else ends a process that is stopped.
        assert pair.machine.property(unit_of("a"), "WatchdogUSec") == "3s"
        assert pair.machine.property(unit_of("a"), "NRestarts") == "1"
    finally:
        pair.machine.run("rm", "-r", drop_in)
        pair.machine.systemctl("daemon-reload")


def test_a_stop_that_takes_long_is_waited_for(pair):
    """A checkpoint of a large cache takes its time."""
    postmaster = pair.postmaster("b")
    checkpointer = int(pair.sql("b", "SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'"))
    pair.kill(checkpointer, signal.SIGSTOP)
    stop = subprocess.Popen(["nsenter", "-t", str(pair.machine.pid), "-m", "-p", "-n", "-C", "systemctl", "stop", unit_of("b")])
    with pytest.raises(subprocess.TimeoutExpired):
        stop.wait(timeout=20)
    assert pair.machine.property(unit_of("b"), "ActiveState") == "deactivating"
    pair.kill(checkpointer, signal.SIGCONT)
    assert stop.wait(timeout=30) == 0
    assert pair.machine.property(unit_of("b"), "Result") == "success"
    assert pair.machine.run("kill", "-0", postmaster, check=False).returncode == 1, "the server went with it"
    control = pair.machine.run(BINDIR / "pg_controldata", f"{HOME}/b", user="postgres").stdout
    assert re.search(r"cluster state: +shut down", control), control
    assert pair.machine.run("stat", "-c", "%a", f"/run/{unit_of('b').removesuffix('.service')}").stdout.strip() == "700"
    pair.start("b")
    assert pair.sql("b", "SELECT 1") == "1"


def test_reload_and_restart_are_those_of_the_service(pair):
    before = pair.main_pid("a")
    pair.machine.systemctl("reload", unit_of("a"))
    assert pair.main_pid("a") == before
    pair.machine.systemctl("restart", unit_of("monitor"))
    assert pair.sql("monitor", "SELECT count(*) FROM pgautofailover.node", "pg_auto_failover") == "2"
