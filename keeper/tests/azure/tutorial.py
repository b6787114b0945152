"""What the tests of the tutorial share: a world with our programs and package in it, and a client that writes."""
import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import time

from harness import BINDIR, wait_for

ROOT = pathlib.Path(__file__).resolve().parents[3]


def make_package(directory):
    """Our package as a user would make it."""
    made = subprocess.run([ROOT / "tools/package.sh", "--output", directory], capture_output=True, text=True,
                          cwd=ROOT, timeout=600)
    assert made.returncode == 0, made.stderr
    return pathlib.Path(made.stdout.strip())


def make_repository(directory, package):
    """A repository for apt, as simple as they can be."""
    shutil.copy(package, directory)
    control = subprocess.run(["dpkg-deb", "-f", package], check=True, capture_output=True, text=True).stdout
    content = package.read_bytes()
    (directory / "Packages").write_text(
        f"{control.rstrip()}\nFilename: ./{package.name}\nSize: {len(content)}\n"
        f"SHA256: {hashlib.sha256(content).hexdigest()}\n")


class Tutorial:
    """Somebody at work in the world, with az, ssh and pg_autoctl."""

    def __init__(self, world):
        self.world = world
        for program in ("pg_autoctl", "pgaf_witness"):
            shutil.copy(BINDIR / program, world.bin)
        self.clients = []

    def sh(self, script, check=True, timeout=300, **env):
        """Runs a script in one shell, at home."""
        return self.world.run(["bash", "-eu", "-c", f"cd\n{script}"], check=check, timeout=timeout,
                              env=self.world.env(**env))

    def autoctl(self, words, **options):
        return self.sh(f"pg_autoctl do azure {words}", **options)

    def address(self, machine):
        return self.sh(f"az vm list-ip-addresses -n {machine} -o tsv --query '[] [] "
                       ".virtualMachine.network.publicIpAddresses[0].ipAddress'").stdout.strip()

    def on(self, machine, command, **options):
        """Logs in and runs the command; returns what it printed."""
        return self.world.ssh(self.address(machine), command, **options).stdout.strip()

    def states(self, region):
        """{name: (reported, assigned)} from the table that is shown."""
        table = self.autoctl(f"show state {region}").stdout.splitlines()
        rows = [[cell.strip() for cell in line.split("|")] for line in table[2:] if "|" in line]
        return {row[0]: tuple(row[-2:]) for row in rows}

    def wait_states(self, region, timeout=90, **wanted):
        """wanted: names with _ for -, like paris_a="primary"."""
        pairs = {name.replace("_", "-"): (state, state) for name, state in wanted.items()}

        def reached():
            with contextlib.suppress(AssertionError):
                return self.states(region) == pairs
        return wait_for(reached, timeout, f"the states {wanted}", interval=0.3)

    def wait_ssh(self, machine, timeout=30):
        wait_for(lambda: self.world.ssh(self.address(machine), "true", check=False).returncode == 0, timeout,
                 f"{machine} lets us in")

    def client(self, machine):
        client = Client(self, machine)
        self.clients.append(client)
        return client

    def close(self):
        for client in self.clients:
            client.close()


class Client:
    """The application: writes from its machine, and logs there what was acknowledged."""

    def __init__(self, tutorial, machine):
        self.tutorial, self.machine = tutorial, machine
        address = tutorial.address(machine)
        tutorial.sh(f"ssh {' '.join(map(repr, ssh_options()))} -l ha-admin {address} "
                    f"'cat > witness; chmod 755 witness' < {tutorial.world.bin}/pgaf_witness")
        service = dict(line.split("=", 1) for line in tutorial.on(machine, "cat .pg_service.conf").splitlines()
                       if "=" in line)
        hosts = ",".join(f"{h}:{p}" for h, p in zip(service["host"].split(","), service["port"].split(",")))
        self.uri = (f"postgres://{service['user']}@{hosts}/{service['dbname']}?sslmode={service['sslmode']}"
                    f"&target_session_attrs={service['target_session_attrs']}")
        self.process = subprocess.Popen(
            tutorial.world.inside(["ssh", *ssh_options(), "-l", "ha-admin", address, "--",
                                   f"exec ./witness --uri '{self.uri}' --log acks --clients 2 --rate 100"]),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT, start_new_session=True)
        self.wait_ack_after(0, 20)

    def last_ack(self):
        """When the last acknowledged row was acknowledged, by the machine's clock, which is ours."""
        line = self.tutorial.on(self.machine, "tail -n 2 acks | head -n 1", check=False)
        return int(line.split()[1]) / 1e9 if len(line.split()) == 2 else 0.0

    def wait_ack_after(self, moment, timeout):
        return wait_for(lambda: self.last_ack() > moment and self.last_ack(), timeout, "an acknowledged write",
                        interval=0.1)

    def verify(self):
        """Stops it; every acknowledged row must be there."""
        self.tutorial.on(self.machine, "kill -INT $(pgrep -x witness)")
        self.process.wait(timeout=30)
        checked = self.tutorial.on(self.machine, f"./witness --verify --uri '{self.uri}' --log acks", check=False)
        result = json.loads(checked)
        assert result["missing"] == 0 and result["acknowledged"] > 0, checked
        return result

    def close(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def owners_are_no_administrators(tutorial, machine):
    """The servers of the machine, supervisors included, run as somebody who cannot become root."""
    seen = tutorial.on(machine, "ps -e -o user= -o comm= | grep -E 'postgres$|pg_autoctl$' | sort -u")
    assert {line.split()[0] for line in seen.splitlines()} == {"postgres"} and "pg_autoctl" in seen, seen
    may = tutorial.on(machine, "sudo -u postgres sh -c 'cd /; sudo -n id; id' 2>&1", check=False)
    assert "uid=0" not in may and "password is required" in may and "(sudo)" not in may, may
    listed = tutorial.on(machine, "sudo sudo -l -U postgres 2>&1", check=False)
    assert "is not allowed to run sudo" in listed and "may run" not in listed, listed


def ssh_options():
    from world import SSH_OPTIONS
    return SSH_OPTIONS


def now():
    return time.time()


def source_tarball(path):
    """What a release would contain."""
    subprocess.run(["git", "archive", "--format=tar", "--prefix=pgautofailover/", "-o", path, "HEAD"], check=True,
                   cwd=ROOT)
    os.chmod(path, 0o644)


def built_tarball(path, package):
    """The same on its way through the machine, but built already: compiling takes minutes."""
    top = path.parent / "pgautofailover"
    (top / "built").mkdir(parents=True)
    subprocess.run(["dpkg-deb", "-x", package, top / "built"], check=True)
    (top / "Makefile").write_text(
        "all: version\nversion:\n\ttest $$(id -u) -ge 1000\n\t$(PG_CONFIG) --version > $@\n"
        "install: version\n\ttest $$(id -u) -eq 0\n\tcp -a built/. $(DESTDIR)/\n")
    subprocess.run(["tar", "-cf", path, "--owner=0", "--group=0", "-C", path.parent, top.name], check=True)
    os.chmod(path, 0o644)
