"""Goal: several operating-system users on one machine do not meet, and nobody's files are in a shared place."""
import json
import os
import pathlib
import pwd
import shutil
import subprocess
import sys
import tempfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "keeper/tests/cluster"))
from harness import BINDIR, free_port, wait_for  # noqa: E402


class User:
    def __init__(self, name, home):
        self.name, self.home = name, home
        record = pwd.getpwnam(name)
        home.mkdir()
        os.chown(home, record.pw_uid, record.pw_gid)
        # As a service has it: no XDG_RUNTIME_DIR.
        self.env = {"HOME": str(home), "PATH": f"{BINDIR}:/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
        self.ids = [f"--reuid={record.pw_uid}", f"--regid={record.pw_gid}", "--clear-groups"]

    def run(self, *words, check=True):
        done = subprocess.run(["setpriv", *self.ids, *map(str, words)], env=self.env, cwd=self.home,
                              capture_output=True, text=True, timeout=60)
        assert not check or done.returncode == 0, done.stderr
        return done

    def start(self, *words):
        with open(self.home / "log", "wb") as log:
            return subprocess.Popen(["setpriv", *self.ids, *map(str, words)], env=self.env, cwd=self.home,
                                    stdout=log, stderr=log, start_new_session=True)


@pytest.fixture
def users():
    if os.geteuid() != 0:
        pytest.skip("needs root, to be two users")
    home = pathlib.Path(tempfile.mkdtemp(prefix="pgaf-", dir="/tmp"))  # short: sockets are in it
    home.chmod(0o755)
    yield [User("postgres", home / "one"), User("nobody", home / "two")]
    shutil.rmtree(home)


def test_two_users_run_a_monitor_each(users):
    running = []
    try:
        for user in users:
            port = free_port()
            user.run(BINDIR / "pg_autoctl", "create", "monitor", "--pgdata", user.home / "m", "--pgport", port,
                     "--hostname", "127.0.0.1", "--auth", "trust", "--no-ssl")
            running.append(user.start(BINDIR / "pg_autoctl", "run", "--pgdata", user.home / "m"))
            wait_for(lambda user=user: user.run(BINDIR / "pg_autoctl", "status", "--pgdata", user.home / "m",
                                                check=False).returncode == 0, 30, f"{user.name}'s monitor runs")
            user.run(BINDIR / "pg_autoctl", "show", "state", "--pgdata", user.home / "m")
            pid_file = user.run(BINDIR / "pg_autoctl", "show", "file", "--pid", "--pgdata", user.home / "m").stdout.strip()
            assert pid_file.startswith(f"{user.home}/.local/state/"), pid_file
            sockets = (user.home / "m" / "postmaster.pid").read_text().splitlines()[4]
            assert sockets in (f"{user.home}/.local/state/pg_autoctl", "/var/run/postgresql"), sockets
            assert os.stat(sockets).st_uid == pwd.getpwnam(user.name).pw_uid
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait(timeout=30)
    assert [process.returncode for process in running] == [0, 0]


def states(user, monitor):
    rows = json.loads(user.run(BINDIR / "pg_autoctl", "show", "state", "--json", "--monitor", monitor).stdout)
    return {row["nodename"]: row["current_group_state"] for row in rows}


def listing(directory):
    return sorted(str(path) for path in directory.rglob("*") if "pg_stat" not in str(path))


def test_two_users_have_a_node_each_of_one_group(users):
    """They meet on the network only: neither signals, reads or changes what is the other's, and is told so."""
    one, two = users
    ports = [free_port() for _ in range(3)]
    monitor = f"postgres://autoctl_node@127.0.0.1:{ports[0]}/pg_auto_failover?sslmode=prefer"
    running = []
    before = set(os.listdir("/tmp"))
    try:
        one.run(BINDIR / "pg_autoctl", "create", "monitor", "--pgdata", one.home / "m", "--pgport", ports[0],
                "--hostname", "127.0.0.1", "--auth", "trust", "--no-ssl")
        running.append(one.start(BINDIR / "pg_autoctl", "run", "--pgdata", one.home / "m"))
        wait_for(lambda: one.run(BINDIR / "pg_autoctl", "show", "state", "--monitor", monitor, check=False).returncode == 0,
                 30, "the monitor answers")
        for user, name, port in ((one, "a", ports[1]), (two, "b", ports[2])):
            user.run(BINDIR / "pg_autoctl", "create", "postgres", "--pgdata", user.home / name, "--pgport", port, "--name",
                     name, "--hostname", "127.0.0.1", "--auth", "trust", "--no-ssl", "--pg-hba-lan", "--monitor", monitor)
            running.append(user.start(BINDIR / "pg_autoctl", "run", "--pgdata", user.home / name))
            wait_for(lambda name=name: states(one, monitor)[name] in ("single", "secondary"), 60, f"{name} runs")
        wait_for(lambda: states(two, monitor) == {"a": "primary", "b": "secondary"}, 60, "the group is whole")
        postmasters = []
        for user, name in ((one, "a"), (two, "b")):
            lines = (user.home / name / "postmaster.pid").read_text().splitlines()
            postmasters.append(int(lines[0]))
            uid = pwd.getpwnam(user.name).pw_uid
            assert os.stat(f"/proc/{lines[0]}").st_uid == uid
            assert os.stat(lines[4]).st_uid in (uid, os.stat("/var/run/postgresql").st_uid if os.path.exists(
                "/var/run/postgresql") else uid), lines[4]
            keeper = user.home / ".local/share/pg_autoctl"
            assert os.stat(next(keeper.rglob("pg_autoctl.state")).parent).st_mode & 0o077 == 0
        assert not {name for name in set(os.listdir("/tmp")) - before if name.startswith("pg_autoctl")}
        for me, other, name in ((one, two, "b"), (two, one, "a")):
            theirs = other.home / name
            files = listing(theirs)
            for words in (["stop"], ["status"], ["reload"], ["run"], ["config", "get"], ["config", "set", "pg_autoctl.name", "x"],
                          ["drop", "node", "--destroy", "--force"], ["reinit"], ["enable", "maintenance"],
                          ["create", "postgres", "--auth", "trust", "--no-ssl", "--hostname", "127.0.0.1", "--monitor", monitor]):
                done = me.run(BINDIR / "pg_autoctl", *words, "--pgdata", theirs, check=False)
                assert done.returncode != 0 and "ERROR" in done.stderr, (words, done.stdout, done.stderr)
                assert str(theirs) in done.stderr or "ermission" in done.stderr, (words, done.stderr)
            assert listing(theirs) == files
            assert me.run("kill", "-0", postmasters[0 if other is one else 1], check=False).returncode != 0
            for path in (theirs / "PG_VERSION", next((other.home / ".local/share/pg_autoctl").rglob("keeper.conf"))):
                assert me.run("cat", path, check=False).returncode != 0, path
        assert states(one, monitor) == {"a": "primary", "b": "secondary"}
        os.kill(postmasters[0], 9)
        wait_for(lambda: states(one, monitor) == {"a": "secondary", "b": "primary"}, 60, "b has taken over, a follows")
        one.run(BINDIR / "pg_autoctl", "perform", "switchover", "--monitor", monitor)
        wait_for(lambda: states(two, monitor) == {"a": "primary", "b": "secondary"}, 60, "and back")
    finally:
        for process in reversed(running):
            process.terminate()
            process.wait(timeout=60)


def test_a_directory_of_somebody_else_is_not_used_for_sockets(users):
    """Who owns it could pretend to be the server."""
    _, user = users
    state = user.home / ".local" / "state" / "pg_autoctl"
    state.mkdir(parents=True)
    for path in (user.home / ".local", user.home / ".local" / "state"):
        os.chown(path, pwd.getpwnam(user.name).pw_uid, -1)
    state.chmod(0o777)
    done = user.run(BINDIR / "pg_autoctl", "create", "monitor", "--pgdata", user.home / "m", "--pgport", free_port(),
                    "--hostname", "127.0.0.1", "--auth", "trust", "--no-ssl", check=False)
    assert done.returncode == 3 and "is not ours alone" in done.stderr
    assert not (user.home / "m").exists()
