"""Processes and networks, and how they fail."""
import contextlib
import os
import pathlib
import signal
import subprocess


def children_of(pid):
    """All descendants of a process, from /proc."""
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                stat = pathlib.Path(f"/proc/{entry}/stat").read_text()
                parents.setdefault(int(stat.rsplit(")", 1)[1].split()[1]), []).append(int(entry))
    found, queue = [], [pid]
    while queue:
        for child in parents.get(queue.pop(), []):
            found.append(child)
            queue.append(child)
    return found


def is_alive(pid):
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rsplit(")", 1)[1].split()[0] != "Z"


def signal_all(pids, signo):
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signo)


def end_script(shell, home):
    """Ends a shell that leads its session, what it has left in the background, and the servers of the nodes in `home`."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(shell.pid, signal.SIGKILL)
    shell.wait()
    for pidfile in home.glob("*/postmaster.pid"):
        signal_all([abs(int(pidfile.read_text().split()[0]))], signal.SIGQUIT)


class Network:
    """Namespaces joined by a bridge in one of their own; hosts are 10.99.0.x."""

    def __init__(self, make_host):
        self.tag = f"pgaf{os.getpid()}"
        self.make_host = make_host
        self.names = []
        self._run("ip", "netns", "add", f"{self.tag}-sw")
        self._in("sw", "ip", "link", "add", "br0", "type", "bridge")
        self._in("sw", "ip", "link", "set", "br0", "up")

    @staticmethod
    def _run(*argv):
        done = subprocess.run(argv, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(argv)}: {done.stderr}")

    def _in(self, name, *argv):
        self._run("ip", "netns", "exec", f"{self.tag}-{name}", *argv)

    def host(self, name):
        self.names.append(name)
        namespace = f"{self.tag}-{name}"
        address = f"10.99.0.{len(self.names)}"
        self._run("ip", "netns", "add", namespace)
        self._in("sw", "ip", "link", "add", f"to-{name}", "type", "veth", "peer", "name", "eth0",
                 "netns", namespace)
        self._in("sw", "ip", "link", "set", f"to-{name}", "master", "br0", "up")
        self._in(name, "ip", "addr", "add", f"{address}/24", "dev", "eth0")
        self._in(name, "ip", "link", "set", "eth0", "up")
        self._in(name, "ip", "link", "set", "lo", "up")
        return self.make_host(name, address, namespace)

    def cut(self, name):
        """The host's cable is pulled: nothing passes, nothing is refused."""
        self._in("sw", "ip", "link", "set", f"to-{name}", "down")

    def mend(self, name):
        self._in("sw", "ip", "link", "set", f"to-{name}", "up")

    def cut_between(self, name, address, directions=("in", "out"), verdict="drop"):
        """Packets between the host and the address vanish, in one direction or both; or are answered for the other side
        ("reject with tcp reset"), or with an error ("reject")."""
        match = "meta l4proto tcp " if "reset" in verdict else ""
        self._in(name, "nft", "add table inet cut")
        for chain, hook, side in (("in", "input", "saddr"), ("out", "output", "daddr")):
            if chain in directions:
                self._in(name, "nft", f"add chain inet cut {chain} {{ type filter hook {hook} priority 0 ; }}")
                self._in(name, "nft", f"add rule inet cut {chain} ip {side} {address} {match}{verdict}")

    def cut_one_way(self, name, direction):
        """Nothing that the host sends ("out"), or nothing that is sent to it ("in"), arrives."""
        hook, side = ("input", "iifname") if direction == "in" else ("output", "oifname")
        self._in(name, "nft", "add table inet cut")
        self._in(name, "nft", f"add chain inet cut {direction} {{ type filter hook {hook} priority 0 ; }}")
        self._in(name, "nft", f"add rule inet cut {direction} {side} eth0 drop")

    def mend_between(self, name):
        self._in(name, "nft", "delete table inet cut")

    def close(self):
        for name in self.names + ["sw"]:
            subprocess.run(["ip", "netns", "delete", f"{self.tag}-{name}"], capture_output=True)
