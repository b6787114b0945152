"""Goal: several operating-system users on one machine do not meet, and nobody's files are in a shared place."""
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
