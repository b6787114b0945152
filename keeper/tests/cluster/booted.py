"""A machine that a real systemd has booted: its own root, processes, control groups and network on this kernel.

The root is an overlay of the host's: what is written stays in memory and goes with the machine. systemd gets nothing of the
host that it could change: that is looked at once more before it is started.
"""
import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

SYSTEMD = "/usr/lib/systemd/systemd"
UNITS = "usr/lib/systemd/system"
CGROUPS = ("/sys/fs/cgroup/unified", "/sys/fs/cgroup")
SEEN = {"bin", "sbin", "lib", "lib32", "lib64", "libx32", "usr", "etc", "var", "proc", "sys", "dev"}  # of the root
# Of these nothing of the host is seen.
HIDDEN = ["var/tmp", "var/log", "var/lib/postgresql",
          "var/lib/systemd", "etc/systemd", *(f"{UNITS}/{name}.target.wants" for name in (
              "sysinit", "basic", "sockets", "timers", "local-fs", "multi-user", "graphical", "remote-fs", "network-online"))]
# They change the kernel or a disk, or remove files; or there is nothing that they could do here.
MASKED = ["systemd-tmpfiles-setup.service", "systemd-tmpfiles-setup-dev.service", "systemd-tmpfiles-clean.service",
          "systemd-tmpfiles-clean.timer", "systemd-sysctl.service", "systemd-modules-load.service", "systemd-udevd.service",
          "systemd-udev-trigger.service", "systemd-random-seed.service", "systemd-binfmt.service", "systemd-remount-fs.service",
          "systemd-journald-audit.socket", "systemd-timesyncd.service", "systemd-logind.service", "dev-hugepages.mount", "dev-mqueue.mount"]
DEVICES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0), "kmsg": (1, 3)}
TARGET = """[Unit]
Description = what tests need
Wants = systemd-journald.socket systemd-journald.service
After = systemd-journald.socket
"""


class CannotBoot(Exception):
    pass


def run(*argv, timeout=60):
    done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=timeout)
    if done.returncode != 0:
        raise CannotBoot(f"{' '.join(map(str, argv))}: exit {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def cgroup_tree():
    """Where control groups of version 2 can be made."""
    for path in CGROUPS:
        if os.path.exists(f"{path}/cgroup.procs") and os.access(f"{path}/cgroup.procs", os.W_OK):
            return pathlib.Path(path)
    raise CannotBoot("there is no tree of control groups (version 2) that can be written to")


class Machine:
    """Use as a context. `shared` are directories of the host that are seen inside, read-only, at the same path."""

    def __init__(self, shared):
        self.shared = [str(path) for path in shared]
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="pgaf-booted-"))
        self.group = None
        self.process, self.pid = None, None

    def __enter__(self):
        try:
            self.boot()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def boot(self):
        if os.geteuid() != 0:
            raise CannotBoot("only root can make namespaces and mount file systems")
        if not os.path.exists(SYSTEMD):
            raise CannotBoot("systemd is not installed")
        self.group = cgroup_tree() / self.directory.name
        self.group.mkdir()
        console = open(self.directory / "console", "wb")
        self.process = subprocess.Popen(
            ["unshare", "--fork", "--kill-child", "--pid", "--mount", "--uts", "--ipc", "--net", "--cgroup", "--propagation", "private", "--",
             sys.executable, __file__, self.directory, *self.shared],
            stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True,
            preexec_fn=lambda: (self.group / "cgroup.procs").write_text("0"))
        self.pid = wait_for_child(self.process)
        wait_until(lambda: "running" in self.systemctl("is-system-running", check=False).stdout
                   or "degraded" in self.systemctl("is-system-running", check=False).stdout, 30, self.dump)

    def console(self):
        """What systemd says."""
        return (self.directory / "console").read_text(errors="replace")

    def dump(self):
        return self.console()[-3000:]

    def run(self, *argv, user="root", check=True, stdin=None, timeout=180):
        """Runs a command inside."""
        home = {"root": "/root", "postgres": "/var/lib/postgresql"}[user]
        command = ["nsenter", "-t", str(self.pid), "-m", "-p", "-u", "-i", "-n", "-C", "--", "env", "-i",
                   f"HOME={home}", "LANG=C.UTF-8", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"]
        if user != "root":
            command += ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"]
        done = subprocess.run([*command, "sh", "-c", 'cd; exec "$@"', "sh", *map(str, argv)], input=stdin, capture_output=True,
                              text=True, timeout=timeout)
        assert not check or done.returncode == 0, f"{argv}: exit {done.returncode}\n{done.stdout}\n{done.stderr}\n{self.dump()}"
        return done

    def systemctl(self, *words, check=True, timeout=180):
        return self.run("systemctl", *words, check=check, timeout=timeout)

    def property(self, unit, name):
        return self.systemctl("show", unit, "-p", name, "--value").stdout.strip()

    def write(self, path, text):
        self.run("sh", "-c", f"cat > {path}", stdin=text)

    def close(self):
        """Its process 1 takes everything with it."""
        if self.process is not None:
            if self.pid is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.pid, signal.SIGKILL)
            self.process.kill()
            self.process.wait()
        if self.group is not None and self.group.exists():
            wait_until(lambda: remove_groups(self.group), 30, lambda: f"{self.group} is busy")
        shutil.rmtree(self.directory, ignore_errors=True)


def wait_until(condition, seconds, explain):
    import time
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise CannotBoot(f"not within {seconds} s:\n{explain()}")
        time.sleep(0.1)


def wait_for_child(process):
    """The machine's process 1, as it is seen from here, once it is systemd."""
    found = []

    def is_there():
        if process.poll() is not None:
            return True
        for pid in pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
            with contextlib.suppress(OSError):
                if pathlib.Path(f"/proc/{pid}/comm").read_text().strip() == "systemd":
                    found.append(int(pid))
        return bool(found)
    wait_until(is_there, 30, lambda: "systemd was not started")
    if not found:
        raise CannotBoot(f"it ended with status {process.returncode}")
    return found[0]


def remove_groups(top):
    for path, _, _ in os.walk(top, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(path)
    return not top.exists()


# ---- in the namespaces, before systemd

def make_layer(upper):
    for name in [entry for entry in os.listdir("/") if entry not in SEEN] + HIDDEN:
        if os.path.islink(f"/{name}") or not os.path.isdir(f"/{name}"):
            continue
        path = upper / name
        for parent in reversed(path.relative_to(upper).parents):
            (upper / parent).mkdir(exist_ok=True)
            os.chmod(upper / parent, os.stat(f"/{parent}").st_mode & 0o7777)
        path.mkdir(exist_ok=True)
        os.setxattr(path, "trusted.overlay.opaque", b"y")
        path.chmod(0o1777 if name.endswith("tmp") else 0o755)
    shutil.chown(upper / "var/lib/postgresql", "postgres", "postgres")
    units = upper / "etc/systemd/system"
    units.mkdir(parents=True, exist_ok=True)
    for name in MASKED:
        (units / name).symlink_to("/dev/null")
    (units / "tests.target").write_text(TARGET)
    (units / "default.target").symlink_to("tests.target")
    (upper / "etc/machine-id").write_text("0123456789abcdef0123456789abcdef\n")


def make_root(directory, shared):
    memory = directory / "memory"
    memory.mkdir()
    run("mount", "-t", "tmpfs", "-o", "mode=755", "memory", memory)
    for name in ("upper", "work", "root"):
        (memory / name).mkdir()
    make_layer(memory / "upper")
    root = memory / "root"
    run("mount", "-t", "overlay", "-o", f"lowerdir=/,upperdir={memory}/upper,workdir={memory}/work", "machine", root)
    run("mount", "-t", "proc", "-o", "nosuid,nodev,noexec", "proc", root / "proc")
    run("mount", "--bind", root / "proc/sys", root / "proc/sys")
    run("mount", "-o", "remount,bind,ro", root / "proc/sys")
    run("mount", "-t", "sysfs", "-o", "ro", "sysfs", root / "sys")
    run("mount", "-t", "cgroup2", "cgroup2", root / "sys/fs/cgroup")
    run("mount", "-t", "tmpfs", "-o", "mode=755", "dev", root / "dev")
    for name, (major, minor) in DEVICES.items():
        os.mknod(root / "dev" / name, 0o020666, os.makedev(major, minor))
        (root / "dev" / name).chmod(0o666)
    for name in ("pts", "shm", "mqueue"):
        (root / "dev" / name).mkdir()
    run("mount", "-t", "devpts", "-o", "newinstance,ptmxmode=0666,mode=620", "devpts", root / "dev/pts")
    for name, target in (("ptmx", "pts/ptmx"), ("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")):
        (root / "dev" / name).symlink_to(target)
    for name, mode in (("dev/shm", "1777"), ("run", "755"), ("tmp", "1777")):
        run("mount", "-t", "tmpfs", "-o", f"mode={mode}", name, root / name)
    for path in shared:
        (root / path.lstrip("/")).mkdir(parents=True, exist_ok=True)
        run("mount", "--bind", "-o", "ro", path, root / path.lstrip("/"))
    return root


def be_the_machine(directory, shared):
    host_root = os.stat("/").st_dev
    root = make_root(directory, shared)
    os.chdir(root)
    run("pivot_root", ".", "mnt")
    os.chroot(".")
    os.chdir("/")
    run("umount", "-l", "/mnt")
    run("ip", "link", "set", "lo", "up")
    run("hostname", "booted")
    # What systemd is let loose on must be the machine's own.
    mounts = {line.split()[4]: line.split(" - ")[1].split()[0] for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines()}
    own = {"/": "overlay", "/tmp": "tmpfs", "/run": "tmpfs", "/dev": "tmpfs", "/sys/fs/cgroup": "cgroup2"}
    foreign = {path: mounts.get(path) for path, kind in own.items() if mounts.get(path) != kind}
    if foreign or os.stat("/").st_dev == host_root or os.getpid() != 1 or os.listdir("/var/tmp"):
        raise CannotBoot(f"this is not a machine of its own: {foreign}")
    os.environ.clear()
    os.environ.update({"container": "pgaf", "PATH": "/usr/sbin:/usr/bin"})
    os.execv(SYSTEMD, [SYSTEMD, "--system", "--unit=tests.target", "--log-target=console", "--log-level=notice"])


if __name__ == "__main__":
    be_the_machine(pathlib.Path(sys.argv[1]), sys.argv[2:])
