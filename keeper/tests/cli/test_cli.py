"""Goal: bad input is refused with the right exit status and nothing is written. Method: run the binary."""
import os
import pathlib
import pwd
import subprocess

import pytest

BINARY = os.environ.get("PG_AUTOCTL", "build/cmake/pg_autoctl")


@pytest.fixture
def run(tmp_path):
    is_root = os.geteuid() == 0
    if is_root:
        owner = pwd.getpwnam("postgres")
        os.chown(tmp_path, owner.pw_uid, owner.pw_gid)
        for parent in list(tmp_path.parents)[:3]:
            if parent != pathlib.Path("/"):
                parent.chmod(parent.stat().st_mode | 0o055)

    def call(*arguments, as_root=False, **env):
        words = [os.path.abspath(BINARY), *arguments]
        if is_root and not as_root:
            words = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *words]
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **env}
        return subprocess.run(words, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60)

    return call


@pytest.mark.parametrize("arguments", [
    ["frob"], [], ["create"], ["show"], ["create", "postgres", "--frob"],
    ["create", "monitor", "--pgdata", "d", "--pgport", "99999"],
    ["create", "monitor", "--pgdata", "d", "--auth", "trust"],
    ["create", "monitor", "--pgdata", "d", "--no-ssl"],
    ["create", "monitor", "--pgdata", "d", "--auth", "trust", "--no-ssl", "--ssl-self-signed"],
    ["create", "postgres", "--pgdata", "d", "--auth", "trust", "--no-ssl", "--candidate-priority", "101"],
    ["status"], ["run", "--pgdata", "d"], ["stop", "--pgdata", "d"], ["show", "state", "--pgdata", "d"],
])
def test_bad_arguments_end_with_status_1_and_write_nothing(run, tmp_path, arguments):
    assert run(*arguments).returncode == 1
    assert list(tmp_path.iterdir()) == []


def test_a_session_finds_the_pid_file_of_a_service(run, tmp_path):
    """A service has no XDG_RUNTIME_DIR."""
    runtime = tmp_path / "run"
    runtime.mkdir()
    if os.geteuid() == 0:
        os.chown(runtime, pwd.getpwnam("postgres").pw_uid, -1)
    ours = run("show", "file", "--pid", "--pgdata", "d", XDG_RUNTIME_DIR=str(runtime)).stdout.strip()
    assert ours.startswith(str(runtime))
    services = pathlib.Path(run("show", "file", "--pid", "--pgdata", "d").stdout.strip())
    assert services.is_relative_to(tmp_path / ".local/state/pg_autoctl")
    services.parent.mkdir(parents=True)
    services.write_text("1\n")
    other = run("show", "file", "--pid", "--pgdata", "d", XDG_RUNTIME_DIR=str(runtime)).stdout.strip()
    assert (other == ours) == (os.geteuid() == 0), "a file of somebody else counts for nothing"
    if os.geteuid() == 0:
        os.chown(services, pwd.getpwnam("postgres").pw_uid, -1)
    assert run("show", "file", "--pid", "--pgdata", "d", XDG_RUNTIME_DIR=str(runtime)).stdout.strip() == str(services)


def test_a_runtime_directory_that_others_can_write_to_is_not_used(run, tmp_path):
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o777)
    pid = run("show", "file", "--pid", "--pgdata", "d", XDG_RUNTIME_DIR=str(tmp_path / "shared")).stdout.strip()
    assert pid.startswith(f"{tmp_path}/.local/state/")


def test_help_is_on_stdout_and_succeeds(run):
    assert run("create", "postgres", "--help").returncode == 0
    assert "switchover" in run("help").stdout


def test_root_is_refused(run):
    if os.geteuid() != 0:
        pytest.skip("needs root")
    result = run("create", "monitor", "--pgdata", "d", as_root=True)
    assert result.returncode == 1
    assert "cannot be run as root" in result.stderr


def test_a_directory_of_something_else_is_refused(run, tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "precious").write_text("x")
    result = run("create", "monitor", "--pgdata", "d", "--auth", "trust", "--no-ssl")
    assert result.returncode == 3
    assert "not empty" in result.stderr
    assert [p.name for p in (tmp_path / "d").iterdir()] == ["precious"]


def test_files_are_where_the_interface_says(run, tmp_path):
    result = run("show", "file", "--pgdata", str(tmp_path / "d"), "--config")
    assert result.stdout.strip() == f"{tmp_path}/.config/pg_autoctl{tmp_path}/d/pg_autoctl.cfg"


def test_the_systemd_unit_names_the_data_directory(run, tmp_path):
    result = run("show", "systemd", "--pgdata", str(tmp_path / "d"))
    assert f'Environment = "PGDATA={tmp_path}/d"' in result.stdout
