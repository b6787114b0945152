"""The test's own piece of the world: a network namespace with "the Internet" and the machines in it.

Nothing outside changes: network, mounts and processes are the world's, and end with it.
"""
import contextlib
import json
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
STANDIN = HERE.parent / "standin"
SSH_OPTIONS = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile /dev/null", "-o", "LogLevel=error", "-o",
               "BatchMode=yes", "-o", "ConnectTimeout=3"]


def why_not():
    """Why there can be no machines here, or nothing."""
    if os.geteuid() != 0:
        return "machines are namespaces: that needs root"
    missing = [name for name in ("sshd", "ssh", "ssh-keygen", "sudo", "ip", "nft", "nsenter", "pivot_root", "useradd")
               if not shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")]
    if missing:
        return f"machines need {', '.join(missing)}: run tools/install-deps.sh"
    tried = subprocess.run(
        ["unshare", "--net", "--mount", "--pid", "--ipc", "--uts", "--fork", "sh", "-c",
         "mount --make-rprivate / && mount -t tmpfs tmpfs /mnt && mkdir /mnt/u /mnt/w /mnt/r && "
         "mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/u,workdir=/mnt/w /mnt/r && "
         "ip link add br0 type bridge && nft add table ip test"], capture_output=True, text=True)
    return None if tried.returncode == 0 else f"namespaces cannot be made here: {tried.stderr.strip()}"


class World:
    def __init__(self, user="postgres"):
        self.user = user
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="pgaf-world-", dir="/tmp"))
        self.directory.chmod(0o755)
        for name in ("disks", "machines", "repository"):
            (self.directory / name).mkdir()
        # The world's user cannot look into every directory where the project may be.
        self.bin = self.directory / "bin"
        shutil.copytree(STANDIN, self.bin, ignore=shutil.ignore_patterns("__pycache__"))
        (self.directory / "hosts").write_text("127.0.0.1 localhost\n")
        self.process = subprocess.Popen([sys.executable, HERE / "holder.py", self.directory, user],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
        try:
            self.pid = int(self.process.stdout.readline())
            if self.process.stdout.readline() != b"ready\n":
                raise RuntimeError("the world did not start")
        except Exception:
            self.close()
            raise
        self.home = self.directory / "home"

    def env(self, **more):
        """Of whoever works here: our az comes first in the PATH."""
        record = pwd.getpwnam(self.user)
        return {"PATH": f"{self.bin}:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": record.pw_dir, "LANG": "C.UTF-8",
                "USER": self.user, "FAKE_AZ_STATE": str(self.home / "azure.json"),
                "FAKE_AZ_LOG": str(self.home / "az.log"), "FAKE_AZ_MACHINES": "namespaces",
                "FAKE_AZ_WORLD": str(self.directory), **{key: str(value) for key, value in more.items()}}

    def inside(self, argv, env=None, user=None):
        """The command that runs argv in the world, as its user."""
        user = user or self.user
        become = [] if user == "root" else ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"]
        env = [f"{key}={value}" for key, value in (env or self.env()).items()]
        return ["nsenter", "-t", str(self.pid), "-m", "-n", "-p", "-i", "--", *become, "env", "-i", *env,
                *(str(a) for a in argv)]

    def run(self, argv, check=True, timeout=120, env=None, user=None, stdin=None):
        done = subprocess.run(self.inside(argv, env, user), capture_output=True, text=True, timeout=timeout,
                              input=stdin if stdin is not None else "", cwd="/")
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(map(str, argv))}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def ask(self, action, **request):
        """Asks the service behind the machines directly: what happens to machines without anybody's az."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(90)
            sock.connect(str(self.directory / "cloud.sock"))
            sock.sendall((json.dumps({"do": action, **request}) + "\n").encode())
            answer = json.loads(sock.makefile().readline())
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["result"]

    def power_cut(self, name):
        self.ask("power_cut", name=name)

    def ssh(self, address, command, user="ha-admin", check=True, timeout=60, stdin=None):
        return self.run(["ssh", *SSH_OPTIONS, "-l", user, address, "--", command], check=check, timeout=timeout,
                        stdin=stdin)

    def dump(self):
        """The last lines of every log: the service's, the consoles' and the units'."""
        logs = [self.directory / "cloud.log", *sorted((self.directory / "machines").glob("*/console.log"))]
        inside = ["sh", "-c", f"tail -n 40 {self.directory}/disks/*/upper/var/log/units/*.log; nft list ruleset; "
                              "ip -br addr; ip neigh; bridge fdb"]
        parts = []
        for log in logs:
            with contextlib.suppress(OSError):
                parts.append(f"--- {log.parent.name}/{log.name}\n" + "\n".join(
                    log.read_text(errors="replace").splitlines()[-40:]))
        with contextlib.suppress(Exception):
            parts.append(self.run(inside, check=False, user="root").stdout)
        return "\n".join(parts)

    def calls(self):
        """What az was called with: (argv, exit status), in the order of their ends."""
        lines = (self.home / "az.log").read_text().splitlines()
        entries = [json.loads(line) for line in lines]
        return [(entry["argv"], entry["status"]) for entry in entries if entry["event"] == "end"]

    def left_over(self):
        """Processes, mounts and links of machines that are still there."""
        processes = [line.split(None, 1) for line in self.run(["ps", "-eo", "pid,args", "--no-headers"], user="root")
                     .stdout.splitlines()]
        machines = [line[1] for line in processes if re.match(r"\S*(sshd|postgres|pg_autoctl run)|\S+ \S+/init.py", line[1])]
        mounts = [line for line in self.run(["cat", "/proc/self/mountinfo"], user="root").stdout.splitlines()
                  if " overlay " in line and str(self.directory) in line]
        links = [line for line in self.run(["ip", "-o", "link"], user="root").stdout.splitlines() if "to-" in line]
        return machines + mounts + links

    def close(self):
        """The end of process 1 is the end of everything in the world."""
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            os.kill(self.pid, signal.SIGKILL)
            self.process.wait(timeout=20)
        self.process.stdout.close()
        shutil.rmtree(self.directory, ignore_errors=True)
