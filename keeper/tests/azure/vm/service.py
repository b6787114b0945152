"""Runs one unit. A runner between process 1 and the service adopts whatever the service leaves behind, so that the
unit's processes are exactly the runner's descendants: what a control group is to systemd."""
import asyncio
import contextlib
import grp
import os
import pathlib
import pwd
import resource
import signal
import socket
import struct
import time

from linux import PR_SET_CHILD_SUBREAPER, prctl
from units import seconds, split

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
LOGS = pathlib.Path("/var/log/units")
CLEAN_SIGNALS = {signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGPIPE}


def descendants(pid):
    children = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                stat = pathlib.Path(f"/proc/{entry}/stat").read_text()
            except OSError:
                continue
            children.setdefault(int(stat.rsplit(")", 1)[1].split()[1]), []).append(int(entry))
    found, queue = [], [pid]
    while queue:
        below = children.get(queue.pop(), [])
        found += below
        queue += below
    return found


def signal_all(pids, signo):
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signo)


def write_log(name, text):
    LOGS.mkdir(exist_ok=True)
    with open(LOGS / f"{name}.log", "a", encoding="utf-8") as log:
        log.write(f"{time.strftime('%b %d %H:%M:%S')} systemd[1]: {text}\n")


class Setup:
    """What the child needs, found out before the fork: after it no error can be told."""

    def __init__(self, unit):
        self.record = pwd.getpwnam(unit.last("Service", "User", "root"))
        group = unit.last("Service", "Group")
        self.gid = grp.getgrnam(group).gr_gid if group else self.record.pw_gid
        extra = split(" ".join(unit.all("Service", "SupplementaryGroups")))
        self.groups = os.getgrouplist(self.record.pw_name, self.gid) + [grp.getgrnam(g).gr_gid for g in extra]
        self.env = {"PATH": PATH, "LANG": "C.UTF-8", "HOME": self.record.pw_dir, "USER": self.record.pw_name,
                    "LOGNAME": self.record.pw_name, "SHELL": self.record.pw_shell,
                    "INVOCATION_ID": os.urandom(16).hex(), **unit.environment(self.record)}
        directory = unit.last("Service", "WorkingDirectory", "/")
        self.directory = unit.expand(self.record.pw_dir if directory == "~" else directory,
                                     unit.specifiers(self.record)).removeprefix("-")
        self.limits = {getattr(resource, f"RLIMIT_{key.removeprefix('Limit')}"): unit.last("Service", key)
                       for key in ("LimitNOFILE", "LimitCORE") if unit.last("Service", key)}
        self.umask = int(unit.last("Service", "UMask", "0022"), 8)
        self.oom = unit.last("Service", "OOMScoreAdjust")
        self.runtime = unit.last("Service", "RuntimeDirectory")
        self.runtime_mode = int(unit.last("Service", "RuntimeDirectoryMode", "0755"), 8)
        self.log = LOGS / f"{unit.name}.log"
        self.watchdog = seconds(unit.last("Service", "WatchdogSec", "0"))
        if unit.last("Service", "Type") == "notify":
            self.env["NOTIFY_SOCKET"] = f"/run/systemd/notify.{unit.name}"
        if self.runtime:
            self.runtime = unit.expand(self.runtime, unit.specifiers(self.record))
            self.env["RUNTIME_DIRECTORY"] = f"/run/{self.runtime}"

    def become(self, argv):
        """In the child: everything that the unit says, then the program. Ends with 203 if there is none."""
        try:
            os.setsid()
            if self.runtime:
                path = pathlib.Path("/run") / self.runtime
                path.mkdir(exist_ok=True)
                path.chmod(self.runtime_mode)
                os.chown(path, self.record.pw_uid, self.gid)
            LOGS.mkdir(exist_ok=True)
            log = os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
            os.dup2(log, 1)
            os.dup2(log, 2)
            os.closerange(3, 1024)
            if self.oom:
                with contextlib.suppress(PermissionError):  # as systemd does in a container
                    pathlib.Path("/proc/self/oom_score_adj").write_text(self.oom)
            for limit, text in self.limits.items():
                hardest = resource.getrlimit(limit)[1]
                values = [hardest if v == "infinity" else int(v) for v in text.split(":")]
                resource.setrlimit(limit, (min(values[0], hardest), min(values[-1], hardest)))
            os.umask(self.umask)
            os.setgroups(self.groups)
            os.setgid(self.gid)
            os.setuid(self.record.pw_uid)
            os.chdir(self.directory)
            for signo in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(signo, signal.SIG_DFL)
            if self.watchdog:
                self.env |= {"WATCHDOG_USEC": str(int(self.watchdog * 1e6)), "WATCHDOG_PID": str(os.getpid())}
            os.execve(argv[0], argv, self.env)
        except OSError as error:
            os.write(2, f"systemd: {argv[0]}: {error}\n".encode())
        os._exit(203)


def run_in(setup, before, argv, report):
    """The runner: starts the service, tells what became of it, and stays while anything of it lives."""
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    signal.set_wakeup_fd(-1)
    for signo in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(signo, signal.SIG_DFL)
    main = None
    for command, may_fail in [*before, (argv, False)]:
        main = os.fork()
        if main == 0:
            setup.become(command)
        if command is not argv:
            status = os.waitpid(main, 0)[1]
            if status != 0 and not may_fail:
                os.write(report, f"main 0\nexit {status}\n".encode())
                os._exit(0)
    os.write(report, f"main {main}\n".encode())
    while True:
        try:
            pid, status = os.waitpid(-1, 0)
        except ChildProcessError:
            os._exit(0)
        if pid == main:
            os.write(report, f"exit {status}\n".encode())


class Service:
    """One unit's life; all of it on the loop of process 1."""

    def __init__(self, unit, wait_for_child):
        self.unit, self.wait_for_child = unit, wait_for_child
        self.state, self.sub, self.result = "inactive", "dead", "success"
        self.main, self.status = 0, 0
        self.runner = None
        self.stopping = False
        self.starts = []
        self.restarts = 0
        self.ended = asyncio.Event()
        self.retry = None
        self.notify, self.status_text, self.watch = None, "", None

    def last(self, key, default=None):
        return self.unit.last("Service", key, default)

    def too_often(self):
        interval = seconds(self.unit.last("Unit", "StartLimitIntervalSec", "10s"))
        burst = int(self.unit.last("Unit", "StartLimitBurst", "5"))
        now = time.monotonic()
        self.starts = [at for at in self.starts if now - at < interval] + [now]
        return interval > 0 and len(self.starts) > burst

    async def start(self):
        """Returns an error text or nothing."""
        if self.state in ("active", "activating"):
            return None
        if self.retry:
            self.retry.cancel()
            self.retry = None
        if self.too_often():
            self.state, self.sub, self.result = "failed", "failed", "start-limit-hit"
            write_log(self.unit.name, "Start request repeated too quickly.")
            return f"Job for {self.unit.name} failed.\nstart of the service was attempted too often"
        setup = Setup(self.unit)
        argv = self.unit.commands("ExecStart", setup.record, setup.env)[0][0]
        before = self.unit.commands("ExecStartPre", setup.record, setup.env)
        self.listen(setup)
        read_end, write_end = os.pipe2(os.O_CLOEXEC)
        self.ended = asyncio.Event()
        self.state, self.sub, self.stopping, self.main = "activating", "start", False, 0
        write_log(self.unit.name, f"Starting {self.unit.name}")
        runner = os.fork()
        if runner == 0:
            run_in(setup, before, argv, write_end)
        os.close(write_end)
        self.runner = runner
        asyncio.ensure_future(self.follow(runner, read_end))
        while self.sub == "start":
            await asyncio.sleep(0.01)
        return None if self.state == "active" or self.result == "success" else f"Job for {self.unit.name} failed."

    def listen(self, setup):
        """For what a service of Type=notify says; only its main process is heard."""
        path = setup.env.get("NOTIFY_SOCKET")
        if path is None or self.notify:
            return
        pathlib.Path(path).unlink(missing_ok=True)
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.notify.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.notify.bind(path)
        os.chmod(path, 0o777)
        asyncio.get_running_loop().add_reader(self.notify, self.hear, setup.watchdog)

    def hear(self, watchdog):
        text, extra, _, _ = self.notify.recvmsg(4096, socket.CMSG_SPACE(struct.calcsize("3i")))
        sender = struct.unpack("3i", extra[0][2])[0] if extra else 0
        if self.main not in (0, sender):
            write_log(self.unit.name, f"Got notification message from PID {sender}, but reception only permitted for main PID {self.main}")
            return
        for line in text.decode().splitlines():
            key, _, value = line.partition("=")
            if line == "READY=1" and self.sub == "start":
                self.state, self.sub = "active", "running"
            elif key == "STATUS":
                self.status_text = value
                write_log(self.unit.name, f"Status: {value}")
        if watchdog and self.sub == "running":
            if self.watch:
                self.watch.cancel()
            self.watch = asyncio.get_running_loop().call_later(watchdog, self.bark)

    def bark(self):
        if self.sub == "running" and self.main:
            write_log(self.unit.name, "Watchdog timeout!")
            signal_all([self.main], signal.SIGABRT)

    async def follow(self, runner, read_end):
        """What the runner tells, until the main process has ended."""
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(read_end, "rb"))
        while line := (await reader.readline()).decode().split():
            if line[0] == "main":
                self.main = int(line[1])
                if self.last("Type", "simple") not in ("notify", "oneshot"):
                    self.state, self.sub = "active", "running"
            else:
                await self.main_ended(runner, int(line[1]))
                return
        if runner == self.runner and self.main:  # the runner itself was killed
            await self.main_ended(runner, signal.SIGKILL)

    async def main_ended(self, runner, status):
        if runner != self.runner:
            return
        code = os.waitstatus_to_exitcode(status)
        if self.last("KillMode", "control-group") in ("control-group", "mixed"):
            signal_all(descendants(runner), signal.SIGKILL)
        clean = code == 0 or -code in CLEAN_SIGNALS or \
            str(code) in split(" ".join(self.unit.all("Service", "SuccessExitStatus")))
        self.main, self.status = 0, code
        self.result = "success" if clean or (self.stopping and code == -signal.SIGTERM) else \
            "exit-code" if code > 0 else "signal"
        self.state, self.sub = ("inactive", "dead") if self.result == "success" else ("failed", "failed")
        write_log(self.unit.name, f"Main process exited, status={code}: {self.state} (result '{self.result}')")
        if not self.stopping and self.restarts_after(code):
            self.state, self.sub = "activating", "auto-restart"
            self.retry = asyncio.get_running_loop().call_later(
                seconds(self.last("RestartSec", "100ms")), lambda: asyncio.ensure_future(self.again()))
        self.ended.set()

    async def again(self):
        self.restarts += 1
        self.state, self.retry = "inactive", None
        await self.start()

    def restarts_after(self, code):
        how = self.last("Restart", "no")
        if str(code) in split(" ".join(self.unit.all("Service", "RestartPreventExitStatus"))):
            return False
        return how == "always" or (how == "on-success" and self.result == "success") or \
            (how == "on-failure" and self.result != "success") or \
            (how in ("on-abnormal", "on-abort") and self.result == "signal")

    async def stop(self):
        self.stopping = True
        if self.retry:
            self.retry.cancel()
            self.retry = None
            self.state, self.sub = "inactive", "dead"
        if self.main == 0:
            return
        self.state, self.sub = "deactivating", "stop-sigterm"
        mode, runner = self.last("KillMode", "control-group"), self.runner
        signo = getattr(signal, self.last("KillSignal", "SIGTERM"))
        signal_all(descendants(runner) if mode == "control-group" else [self.main] if mode != "none" else [], signo)
        try:
            await asyncio.wait_for(self.ended.wait(), seconds(self.last("TimeoutStopSec", "90s")))
        except asyncio.TimeoutError:
            write_log(self.unit.name, "State 'stop-sigterm' timed out. Killing.")
            signal_all([self.main] if mode == "process" else descendants(runner), signal.SIGKILL)
            await self.ended.wait()

    async def reload(self):
        setup = Setup(self.unit)
        setup.env["MAINPID"] = str(self.main)
        commands = self.unit.commands("ExecReload", setup.record, setup.env)
        if self.state != "active" or not commands:
            return f"Job type reload is not applicable for unit {self.unit.name}."
        for argv, _ in commands:
            child = os.fork()
            if child == 0:
                signal.set_wakeup_fd(-1)
                setup.become(argv)
            if os.waitstatus_to_exitcode(await self.wait_for_child(child)) != 0:
                return f"Job for {self.unit.name} failed."
        return None
