"""Goal: what cannot work fails soon, says why and what to do, and leaves nothing half-done."""
import os
import shutil
import socket
import time

import pytest
from test_cli import run  # noqa: F401  (a fixture)

CREATE = ("create", "postgres", "--auth", "trust", "--no-ssl", "--hostname", "127.0.0.1", "--name", "a")
PGCTL = os.path.join(os.environ.get("PGAF_BINDIR", "/usr/lib/postgresql/15/bin"), "pg_ctl")


@pytest.mark.parametrize("port", ["0", "70000", "abc", "-1"])
def test_bad_ports_are_refused(run, tmp_path, port):  # noqa: F811
    result = run("create", "monitor", "--pgdata", "d", "--auth", "trust", "--no-ssl", "--pgport", port)
    assert result.returncode == 1
    assert "pgport" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_monitor_that_does_not_listen_is_reported_soon(run, tmp_path):  # noqa: F811
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound, not listening: refuses
        uri = f"postgres://autoctl_node@127.0.0.1:{unused.getsockname()[1]}/pg_auto_failover"
        start = time.monotonic()
        result = run(*CREATE, "--pgdata", "d", "--pgctl", PGCTL, "--monitor", uri)
    assert result.returncode == 6
    assert "refused" in result.stderr
    assert time.monotonic() - start < 40
    assert not (tmp_path / "d").exists()


def test_a_directory_that_cannot_be_written_is_refused(run, tmp_path):  # noqa: F811
    parent = tmp_path / "closed"
    parent.mkdir()
    parent.chmod(0o555)
    result = run("create", "monitor", "--pgdata", str(parent / "d"), "--pgctl", PGCTL, "--hostname", "127.0.0.1",
                 "--auth", "trust", "--no-ssl")
    assert result.returncode == 3
    assert "is not writable" in result.stderr
    assert list(parent.iterdir()) == []


def test_a_missing_pg_ctl_is_reported(run):  # noqa: F811
    result = run("create", "monitor", "--pgdata", "d", "--pgctl", "/nonexistent/pg_ctl", "--hostname",
                 "127.0.0.1", "--auth", "trust", "--no-ssl")
    assert result.returncode != 0
    assert "/nonexistent/pg_ctl" in result.stderr


def test_a_port_in_use_is_reported(run, tmp_path):  # noqa: F811
    with socket.socket() as busy:
        busy.bind(("0.0.0.0", 0))
        busy.listen()
        port = str(busy.getsockname()[1])
        result = run("create", "monitor", "--pgdata", "d", "--pgctl", PGCTL, "--pgport", port, "--hostname",
                     "127.0.0.1", "--auth", "trust", "--no-ssl")
    assert result.returncode != 0, result.stdout + result.stderr
    assert port in result.stderr


def test_the_systemd_unit_is_valid(run, tmp_path):  # noqa: F811
    verify = shutil.which("systemd-analyze")
    if verify is None:
        pytest.skip("systemd-analyze is not installed")
    import subprocess
    unit = run("show", "systemd", "--pgdata", str(tmp_path / "d")).stdout
    (tmp_path / "pgautofailover.service").write_text(unit)
    done = subprocess.run([verify, "verify", "--man=no", str(tmp_path / "pgautofailover.service")],
                          capture_output=True, text=True, timeout=60)
    ours = [line for line in (done.stdout + done.stderr).splitlines() if "pgautofailover" in line]
    assert done.returncode == 0 and not ours, done.stderr
