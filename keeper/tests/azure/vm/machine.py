"""Machines: each a process 1 in namespaces of its own, on a disk that survives it."""
import fcntl
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import threading
import time

from linux import run

HERE = pathlib.Path(__file__).resolve().parent
DOMAIN = "internal.cloudapp.net"
START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 60
SCRIPT_TIMEOUT_S = 900


def gone(pid):
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True
    return stat.rsplit(")", 1)[1].split()[0] == "Z"


def rules_text(rules):
    """The machine's packet filter: one chain for each security group, a packet must pass all of them."""
    lines = ["table inet nsg", "delete table inet nsg", "table inet nsg {"]
    for number, filters in enumerate(rules["filters"]):
        lines += [f"chain group{number} {{", f"type filter hook input priority {number}; policy drop",
                  "iifname lo accept", "ct state established,related accept"]
        for rule in filters:
            sources = ["0.0.0.0/0" if source in ("*", "Internet") else source for source in rule["sources"]]
            sources = [p for source in sources for p in (rules["vnet"] if source == "VirtualNetwork" else [source])]
            ports = "" if "*" in rule["ports"] else f"tcp dport {{ {', '.join(rule['ports'])} }} "
            verdict = "accept" if rule["allow"] else "drop"
            lines += [f"ip saddr {source} meta l4proto tcp {ports}{verdict}" for source in sources]
        lines += [f"ip saddr {prefix} accept" for prefix in rules["vnet"]] + ["}"]
    return "\n".join(lines + ["}"]) + "\n"


class Machines:
    def __init__(self, directory):
        self.directory = directory
        self.lock = threading.Lock()
        self.starting = {}
        self.hosts = directory / "hosts"

    def home(self, name):
        return self.directory / "machines" / name

    def pid(self, name):
        """Process 1 of the machine, seen from here, or None."""
        try:
            pid = int((self.home(name) / "pid").read_text())
        except (OSError, ValueError):
            return None
        return None if gone(pid) else pid

    def is_running(self, name):
        return self.pid(name) is not None

    @staticmethod
    def link_of(machine):
        return "to-" + "-".join(machine["private"].split(".")[1:])

    def write_hosts(self):
        """The names of the virtual network. In place: machines have the file itself mounted."""
        lines = ["127.0.0.1 localhost"]
        for config in sorted((self.directory / "machines").glob("*/config.json")):
            machine = json.loads(config.read_text())
            lines.append(f"{machine['private']} {machine['name']}.{DOMAIN} {machine['name']}")
        with open(self.hosts, "r+", encoding="ascii") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write("\n".join(lines) + "\n")
            file.truncate()

    def start(self, machine):
        with self.lock:
            one = self.starting.setdefault(machine["name"], threading.Lock())
        with one:
            if not self.is_running(machine["name"]):
                self.boot(machine)

    def boot(self, machine):
        name = machine["name"]
        home = self.home(name)
        home.mkdir(parents=True, exist_ok=True)
        with self.lock:
            (home / "config.json").write_text(json.dumps(machine))
            self.write_hosts()
            gateway = machine["prefix"].rsplit(".", 1)[0] + ".1/24"
            run("ip", "addr", "replace", gateway, "dev", "br0")
        with open(home / "console.log", "ab") as console:
            process = subprocess.Popen([sys.executable, HERE / "init.py", self.directory, name], stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, stderr=console, start_new_session=True)
        # Its first process is in the new network already; the second one becomes process 1 there.
        killer = threading.Timer(START_TIMEOUT_S, process.kill)
        killer.start()
        try:
            self.expect(process, "unshared", home)
            link = self.link_of(machine)
            with self.lock:
                # The same hardware address at each start, or neighbours send to the one they remember.
                mac = "00:0d:3a:" + ":".join(f"{int(part):02x}" for part in machine["private"].split(".")[1:])
                run("ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "address", mac, "netns",
                    process.pid)
                run("ip", "link", "set", link, "master", "br0", "up")
            self.filter(process.pid, machine["rules"])
            process.stdin.write(b"go\n")
            process.stdin.flush()
            self.expect(process, "ready", home)
        finally:
            killer.cancel()
            process.stdin.close()
            process.stdout.close()
        process.wait(timeout=START_TIMEOUT_S)
        if machine["public"]:
            with self.lock:
                run("nft", "add", "element", "ip", "azure", "public",
                    f"{{ {machine['public']} : {machine['private']} }}")

    @staticmethod
    def expect(process, word, home):
        line = process.stdout.readline().decode().strip()
        if line != word:
            console = (home / "console.log").read_text(errors="replace")[-2000:]
            raise RuntimeError(f"the machine said {line!r} instead of {word!r}:\n{console}")

    @staticmethod
    def filter(pid, rules):
        run("nsenter", "-t", pid, "-n", "nft", "-f", "-", stdin=rules_text(rules))

    def apply_rules(self, name, rules):
        pid = self.pid(name)
        if pid:
            self.filter(pid, rules)

    def end(self, name, signo):
        pid = self.pid(name)
        if pid:
            os.kill(pid, signo)
            deadline = time.monotonic() + STOP_TIMEOUT_S
            while not gone(pid):
                if time.monotonic() > deadline:
                    os.kill(pid, signal.SIGKILL)
                time.sleep(0.01)
        try:
            machine = json.loads((self.home(name) / "config.json").read_text())
        except OSError:
            return
        with self.lock:
            subprocess.run(["ip", "link", "delete", self.link_of(machine)], capture_output=True)
            if machine["public"]:
                subprocess.run(["nft", "delete", "element", "ip", "azure", "public", f"{{ {machine['public']} }}"],
                               capture_output=True)

    def stop(self, name):
        """In order, as a shutdown does."""
        self.end(name, signal.SIGTERM)

    def power_cut(self, name):
        """Every process is gone at once; what was written stays."""
        self.end(name, signal.SIGKILL)

    def destroy(self, name):
        self.end(name, signal.SIGKILL)
        with self.lock:
            shutil.rmtree(self.home(name), ignore_errors=True)
            shutil.rmtree(self.directory / "disks" / name, ignore_errors=True)
            self.write_hosts()

    def run_script(self, name, script):
        """As root, as the machine's agent does: /bin/sh, little environment, a directory of its own."""
        pid = self.pid(name)
        if not pid:
            raise RuntimeError(f"{name} is not running")
        home = self.home(name)
        inside = f"/var/lib/waagent/run-command/download/{time.monotonic_ns()}"
        (pathlib.Path(f"/proc/{pid}/root{inside}")).mkdir(parents=True)
        pathlib.Path(f"/proc/{pid}/root{inside}/script.sh").write_text(script)
        with open(home / "script.out", "w+b") as out, open(home / "script.err", "w+b") as err:
            done = subprocess.run(
                ["nsenter", "-t", str(pid), "-m", "-u", "-i", "-n", "-p", "env", "-i",
                 "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8",
                 "/bin/sh", "-c", f"cd {inside} && exec /bin/sh ./script.sh"],
                stdin=subprocess.DEVNULL, stdout=out, stderr=err, timeout=SCRIPT_TIMEOUT_S)
            for file in (out, err):
                file.seek(0)
            return done.returncode, out.read().decode(errors="replace"), err.read().decode(errors="replace")
