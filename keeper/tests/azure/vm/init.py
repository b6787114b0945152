"""A machine: init.py WORLD NAME. Enters new namespaces, mounts the machine's root, and is process 1 there.

The root is an overlay: below it the host's files, without its homes, data and build directories; above it the machine's
own disk, which survives a power cut.
"""
import json
import os
import pathlib
import signal
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from linux import (CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWUTS, mount, run, unshare)  # noqa: E402
import firstboot  # noqa: E402
import manager  # noqa: E402

# Of the host's root only these are seen.
VISIBLE = {"bin", "sbin", "lib", "lib32", "lib64", "libx32", "usr", "etc", "var", "proc", "sys", "dev", "run", "tmp"}
# These are empty at first, and on the machine's own disk.
EMPTY = ["boot", "home", "media", "mnt", "opt", "root", "srv", "etc/systemd", "etc/ssh", "etc/apt/sources.list.d", "etc/sudoers.d", "usr/local", "var/log", "var/tmp",
         "var/lib/apt/lists", "var/lib/postgresql", "var/lib/systemd", "var/spool", "var/mail", "var/backups", "var/lib/waagent"]
MODES = {"root": 0o700, "tmp": 0o1777, "var/tmp": 0o1777}
DEVICES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)}


def make_disk(disk):
    """The upper layer: a directory marked opaque hides what the host has there."""
    for name in ("upper", "work", "root"):
        (disk / name).mkdir(parents=True)
    for entry in pathlib.Path("/").iterdir():
        if entry.name not in VISIBLE and entry.name not in EMPTY:
            os.mknod(disk / "upper" / entry.name, 0o020000, 0)  # says that there is nothing of the name
    for name in [name for name in EMPTY if pathlib.Path("/", name).is_dir()]:
        path = disk / "upper" / name
        for parent in reversed(path.relative_to(disk / "upper").parents):
            if str(parent) != ".":
                (disk / "upper" / parent).mkdir(exist_ok=True)
                os.chmod(disk / "upper" / parent, os.stat(f"/{parent}").st_mode & 0o7777)
        path.mkdir(exist_ok=True)
        os.setxattr(path, "trusted.overlay.opaque", b"y")
        path.chmod(MODES.get(name, 0o755))


def mount_root(world, disk):
    root = disk / "root"
    run("mount", "--make-rprivate", "/")
    mount("overlay", "overlay", root, f"lowerdir=/,upperdir={disk}/upper,workdir={disk}/work")
    mount("proc", "proc", root / "proc", "nosuid,nodev,noexec")
    run("mount", "--bind", root / "proc/sys", root / "proc/sys")
    run("mount", "-o", "remount,bind,ro", root / "proc/sys")
    mount("sysfs", "sysfs", root / "sys", "ro")
    mount("tmpfs", "dev", root / "dev", "mode=755")
    for name, (major, minor) in DEVICES.items():
        os.mknod(root / "dev" / name, 0o020666, os.makedev(major, minor))
        (root / "dev" / name).chmod(0o666)
    for name in ("pts", "shm"):
        (root / "dev" / name).mkdir()
    mount("devpts", "devpts", root / "dev/pts", "newinstance,ptmxmode=0666,mode=620,gid=5")
    mount("tmpfs", "shm", root / "dev/shm", "mode=1777")
    for name, target in (("ptmx", "pts/ptmx"), ("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"),
                         ("stderr", "fd/2")):
        (root / "dev" / name).symlink_to(target)
    mount("tmpfs", "run", root / "run", "mode=755")
    (root / "mnt").mkdir(exist_ok=True)
    mount("tmpfs", "tmp", root / "tmp", "mode=1777")
    (root / "run/lock").mkdir(mode=0o1777)
    run("mount", "--bind", world / "hosts", root / "etc/hosts")
    (root / "srv/apt").mkdir(parents=True, exist_ok=True)
    run("mount", "--bind", "-o", "ro", world / "repository", root / "srv/apt")
    os.chdir(root)
    run("pivot_root", ".", "mnt")
    os.chroot(".")
    os.chdir("/")
    run("umount", "-l", "/mnt")


def network(machine):
    """Like a machine of Azure, it knows its private address only."""
    run("ip", "link", "set", "lo", "up")
    run("ip", "addr", "add", f"{machine['private']}/{machine['prefix'].split('/')[1]}", "dev", "eth0")
    run("ip", "link", "set", "eth0", "up")
    run("ip", "route", "add", "default", "via", machine["prefix"].rsplit(".", 1)[0] + ".1")


def be_the_machine(world, name, stdout):
    machine = json.loads((world / "machines" / name / "config.json").read_text())
    files = firstboot.load()
    mount_root(world, world / "disks" / name)
    run("hostname", name)
    network(machine)
    os.environ.clear()
    os.environ.update({"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"})
    firstboot.every_boot()
    firstboot.first_boot(machine, files)

    def ready():
        os.write(stdout, b"ready\n")
        os.close(stdout)
        os.dup2(os.open("/dev/null", os.O_RDWR), 0)
    manager.Manager().main(ready)


def main():
    world, name = pathlib.Path(sys.argv[1]), sys.argv[2]
    disk = world / "disks" / name
    if not (disk / "root").exists():
        make_disk(disk)
    # The IPC namespace comes with process 1: what the host's semaphores are is none of the machine's business.
    unshare(CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID)
    print("unshared", flush=True)
    if sys.stdin.readline() != "go\n":
        return 1
    pid = os.fork()
    if pid == 0:
        stdout = os.dup(1)
        os.dup2(2, 1)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            be_the_machine(world, name, stdout)
        except BaseException:
            import traceback
            traceback.print_exc()
        os._exit(1)
    (world / "machines" / name / "pid.new").write_text(str(pid))
    os.rename(world / "machines" / name / "pid.new", world / "machines" / name / "pid")
    return 0


sys.exit(main())
