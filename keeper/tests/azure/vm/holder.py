"""The world's process 1: holder.py DIRECTORY USER. Its end is the end of everything that runs in the world.

Prints its process id and "ready", then waits until its standard input is closed, reaping what is orphaned.
"""
import os
import pathlib
import pwd
import select
import shutil
import signal
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from linux import (CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID, PR_SET_PDEATHSIG, mount, prctl, run,  # noqa: E402
                   unmount, unshare)

NAT = """
table ip azure {
  map public {
    type ipv4_addr : ipv4_addr
  }
  chain out {
    type nat hook output priority -100
    dnat to ip daddr map @public
  }
}
"""


def make_network():
    """The Internet is 203.0.113.0/24, and we are 203.0.113.1; public addresses are translated."""
    run("ip", "link", "set", "lo", "up")
    # Otherwise a bridge has the lowest address of its ports, and changes it when a machine goes.
    run("ip", "link", "add", "br0", "address", "00:0d:3a:cb:00:71", "type", "bridge")
    run("ip", "addr", "add", "203.0.113.1/24", "dev", "br0")
    run("ip", "addr", "add", "203.0.113.2/24", "dev", "br0")
    run("ip", "link", "set", "br0", "up")
    run("nft", "-f", "-", stdin=NAT)


def make_files(directory, user):
    run("mount", "--make-rprivate", "/")
    mount("proc", "proc", "/proc")
    mount("tmpfs", "disks", directory / "disks", "mode=755")
    # ssh looks in the home of the passwd entry, whatever HOME says.
    record = pwd.getpwnam(user)
    home = directory / "home"
    home.mkdir()
    os.chown(home, record.pw_uid, record.pw_gid)
    home.chmod(0o700)
    run("mount", "--bind", home, record.pw_dir)


def hold(directory, user):
    make_files(directory, user)
    make_network()
    here = os.path.dirname(os.path.realpath(__file__))
    with open(directory / "cloud.log", "ab") as log:
        for program in ("cloud.py", "internet.py"):
            subprocess.Popen([sys.executable, os.path.join(here, program), str(directory)], stdin=subprocess.DEVNULL,
                             stdout=log, stderr=log, start_new_session=True)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    announced = False
    while True:
        readable, _, _ = select.select([0, wake_read], [], [], 0.05 if not announced else None)
        if not announced and all((directory / name).exists() for name in ("cloud.sock", "internet.ready")):
            print("ready", flush=True)
            announced = True
        if 0 in readable and not os.read(0, 1):
            return
        if wake_read in readable:
            os.read(wake_read, 4096)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return


def main():
    directory, user = pathlib.Path(sys.argv[1]), sys.argv[2]
    unshare(CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC)
    pid = os.fork()
    if pid == 0:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        hold(directory, user)
        os._exit(0)
    print(pid, flush=True)
    status = os.waitpid(pid, 0)[1]
    # A test that was killed cannot clean up. Our mounts are those of the world, and no program can be started in it.
    unmount(directory / "disks")
    shutil.rmtree(directory, ignore_errors=True)
    return os.waitstatus_to_exitcode(status)


sys.exit(main())
