"""Goal: what is typed, found in files, or lies in the way cannot become something else. Method: bad values for every place that takes one;
files and links that another user might have put there."""
import os
import pathlib
import pty
import pwd
import re
import resource
import shutil
import signal
import socket
import subprocess

import pytest
from test_bad_input import PGCTL
from test_cli import BINARY, run  # noqa: F401  (a fixture)

ROOT = pathlib.Path(__file__).resolve().parents[3]
MONITOR = ("create", "monitor", "--auth", "scram-sha-256", "--no-ssl", "--pgctl", PGCTL, "--pgport", "1")


@pytest.fixture
def monitor(run, tmp_path):  # noqa: F811
    """The configuration of one, which was never started."""
    directory = tmp_path / ".config/pg_autoctl" / str(tmp_path)[1:] / "d"
    directory.mkdir(parents=True)
    config = directory / "pg_autoctl.cfg"
    config.write_text(f"[pg_autoctl]\nrole = keeper\nmonitor = postgres://u:s3cret@127.0.0.1:1/x\nname = a\nhostname = 127.0.0.1\n\n"
                      f"[postgresql]\npgdata = {tmp_path}/d\npg_ctl = {PGCTL}\nport = 5999\nauth_method = scram-sha-256\n\n"
                      "[replication]\npassword = hidd3n\n")
    own(tmp_path / ".config")
    return config


def own(path):
    if os.geteuid() == 0:
        for found in [path, *path.rglob("*")]:
            shutil.chown(found, "postgres", "postgres")


@pytest.mark.parametrize("host", ["all", "samenet", "0.0.0.0/0", "a#b", "a\tb", "a b", ".example.com", "1234", "a\nb", "-x"])
def test_a_host_that_is_none_is_refused(run, tmp_path, host):  # noqa: F811
    result = run(*MONITOR, "--pgdata", "d", f"--hostname={host}")
    assert result.returncode == 1 and "hostname" in result.stderr, result.stderr
    assert "\n\n" not in result.stderr and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("key, value", [
    ("ssl.sslmode", "bogus"), ("postgresql.auth_method", "trust x"), ("pg_autoctl.hostname", "all"),
    ("pg_autoctl.name", "a\x1b[2J"), ("ssl.channel_binding", "maybe"), ("postgresql.hba_level", "x"), ("postgresql.dbname", "/x")])
def test_one_check_for_set_check_and_start(run, monitor, key, value):  # noqa: F811
    before = monitor.read_text()
    result = run("config", "set", key, value, "--pgdata", "d")
    assert result.returncode != 0 and key in result.stderr, result.stderr
    assert monitor.read_text() == before
    section, name = key.split(".")
    lines = [line for line in before.splitlines() if not line.startswith(f"{name} =")]
    at = lines.index(f"[{section}]") if f"[{section}]" in lines else len(lines)
    lines[at:at + 1] = [f"[{section}]", f"{name} = {value}"]
    monitor.write_text("\n".join(lines) + "\n")
    if value:  # an empty value is none, and the default counts
        for words in (("config", "check"), ("run",)):
            result = run(*words, "--pgdata", "d")
            assert result.returncode != 0 and key in result.stderr, result.stderr


def test_passwords_are_in_no_error(run):  # noqa: F811
    for words in (("show", "state", "postgres://autoctl_node:s3cret@h/x"), ("show", "state", "--monitor", "postgres://u:s3cret@[::1/x"),
                  ("show", "state", "--monitor", "postgres://u:s3cret%RET@h/x"), ("show", "state", "host=h password=s3cret")):
        result = run(*words)
        assert result.returncode != 0 and "s3cret" not in result.stderr + result.stdout, result.stderr


def on_terminal(tmp_path, *words):
    prefix = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
    master, slave = pty.openpty()
    done = subprocess.run([*prefix, os.path.abspath(BINARY), *words], env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
                          cwd=tmp_path, stdout=slave, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    os.close(slave)
    text = b""
    try:
        while chunk := os.read(master, 65536):
            text += chunk
    except OSError:
        pass
    os.close(master)
    assert done.returncode == 0, done.stderr
    return text.decode()


@pytest.mark.parametrize("words", [("config", "get"), ("config", "get", "replication.password"), ("config", "get", "pg_autoctl.monitor"),
                                   ("show", "uri", "--formation", "monitor"), ("show", "file", "--config", "--contents")])
def test_a_terminal_shows_stars(run, monitor, tmp_path, words):  # noqa: F811
    shown = on_terminal(tmp_path, *words, "--pgdata", "d")
    assert "****" in shown and "s3cret" not in shown and "hidd3n" not in shown, shown
    for text in (on_terminal(tmp_path, *words, "--pgdata", "d", "--show-secrets"), run(*words, "--pgdata", "d").stdout):
        assert ("s3cret" in text or "hidd3n" in text) and "****" not in text, text


def test_a_link_in_the_way_is_not_followed(run, monitor, tmp_path):  # noqa: F811
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    pathlib.Path(f"{monitor}.new").symlink_to(victim)
    own(tmp_path)
    result = run("config", "set", "ssl.channel_binding", "prefer", "--pgdata", "d")
    assert victim.read_text() == "untouched"
    assert result.returncode == 0 and "channel_binding = prefer" in monitor.read_text(), result.stderr


def test_a_directory_into_which_others_may_write_is_refused(run, monitor, tmp_path):  # noqa: F811
    state = tmp_path / ".local/state/pg_autoctl" / str(tmp_path)[1:] / "d"
    state.mkdir(parents=True)
    own(tmp_path / ".local")
    state.chmod(0o777)
    record = tmp_path / ".local/share/pg_autoctl" / str(tmp_path)[1:] / "d"
    record.mkdir(parents=True)
    shutil.copy(pathlib.Path(__file__).parents[2] / "fuzz/corpus/record/usual", record / "pg_autoctl.state")
    own(tmp_path / ".local")
    result = run("run", "--pgdata", "d")
    assert result.returncode != 0 and "is not ours alone" in result.stderr, result.stderr


def test_a_forged_pid_file_ends_nobody(run, monitor, tmp_path):  # noqa: F811
    """Somebody holds the lock, and the file names another process."""
    state = tmp_path / ".local/state/pg_autoctl" / str(tmp_path)[1:] / "d"
    state.mkdir(parents=True)
    lock = state / "pg_autoctl.pid.lock"
    lock.touch()
    prefix = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
    own(tmp_path / ".local")
    victim = subprocess.Popen([*prefix, "sleep", "60"])
    holder = subprocess.Popen([*prefix, "flock", str(lock), "sh", "-c", "echo held; exec sleep 60"], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "held\n"
        (state / "pg_autoctl.pid").write_text(f"{victim.pid}\n{tmp_path}/d\n")
        own(tmp_path / ".local")
        result = run("stop", "--pgdata", "d")
        assert result.returncode != 0 and "is not running" in result.stderr, result.stderr
        assert victim.poll() is None
    finally:
        for process in (victim, holder):
            process.kill()
            process.wait()
        subprocess.run(["fuser", "-k", str(lock)], capture_output=True, check=False)


def unit_of(run, tmp_path, directory):  # noqa: F811
    path = tmp_path / "pgautofailover.service"
    path.write_text(run("-q", "show", "systemd", "--pgdata", str(tmp_path / directory)).stdout)
    return str(path)


def packaged_unit(tmp_path):
    """As the package has it: a template, with the program where the package puts it; here it is where the test finds it."""
    path = tmp_path / "pgautofailover-15@.service"
    text = subprocess.run([ROOT / "tools/package_unit.sh", BINARY, "/usr/lib/postgresql/15/bin"], capture_output=True, text=True, check=True)
    assert 'ExecStart = "/usr/lib/postgresql/15/bin/pg_autoctl" run\n' in text.stdout
    path.write_text(text.stdout.replace("/usr/lib/postgresql/15/bin/pg_autoctl", "/bin/true"))
    return str(path)


def test_the_packaged_unit_is_for_any_data_directory_of_postgres(tmp_path):
    text = pathlib.Path(packaged_unit(tmp_path)).read_text()
    for line in ("User = postgres", "WorkingDirectory = ~", 'Environment = "PGDATA=%f"', "Type = notify"):
        assert f"\n{line}\n" in text
    assert str(pathlib.Path(BINARY).resolve().parent) not in text and os.path.expanduser("~") + "\n" not in text


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_the_packaged_unit_is_valid(tmp_path):
    unit = packaged_unit(tmp_path).replace("@.", "@var-lib-ha.")
    os.rename(packaged_unit(tmp_path), unit)
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True, timeout=60, check=False)
    ours = [line for line in (done.stdout + done.stderr).splitlines() if "pgautofailover" in line]
    assert done.returncode == 0 and not ours, done.stderr


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
@pytest.mark.parametrize("is_packaged", [False, True])
def test_the_unit_is_hardened(run, tmp_path, is_packaged):  # noqa: F811
    unit = packaged_unit(tmp_path) if is_packaged else unit_of(run, tmp_path, "d")
    done = subprocess.run(["systemd-analyze", "security", "--offline=yes", "--no-pager", unit],
                          capture_output=True, text=True, timeout=60, check=False)
    exposure = re.search(r"Overall exposure level for \S+ ?: ([\d.]+)", done.stdout)
    assert exposure and float(exposure.group(1)) <= 3.0, done.stdout + done.stderr


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
@pytest.mark.parametrize("directory", ["it's", 'say "so"', "100%", "a $HOME b", "back\\slash", "a;b"])
def test_every_path_is_quoted_in_the_unit(run, tmp_path, directory):  # noqa: F811
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", unit_of(run, tmp_path, directory)], capture_output=True, text=True,
                          timeout=60, check=False)
    ours = [line for line in (done.stdout + done.stderr).splitlines() if "pgautofailover" in line]
    assert done.returncode == 0 and not ours, done.stderr


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
@pytest.mark.parametrize("directory", ["a b", "100%", "a $HOME b", "$$", "a;b"])
def test_systemd_finds_the_program_wherever_it_is(run, tmp_path, directory):  # noqa: F811
    place = tmp_path / directory
    place.mkdir()
    program = shutil.copy(BINARY, place / "pg_autoctl")
    text = subprocess.run([program, "-q", "show", "systemd", "--pgdata", str(tmp_path / "d")], capture_output=True, text=True, check=True)
    unit = tmp_path / "pgautofailover.service"
    unit.write_text(text.stdout)
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, timeout=60, check=False)
    ours = [line for line in (done.stdout + done.stderr).splitlines() if "pgautofailover" in line]
    assert done.returncode == 0 and not ours, done.stderr


def test_a_path_that_would_add_lines_to_the_unit_is_refused(run, tmp_path):  # noqa: F811
    result = run("show", "systemd", "--pgdata", f"{tmp_path}/a\nExecStartPre = /bin/evil")
    assert result.returncode == 1 and result.stdout == "" and "HINT" in result.stderr, result.stdout + result.stderr


@pytest.mark.parametrize("allows", ["", "1"])
def test_core_files_and_debuggers_only_where_they_are_wanted(tmp_path, allows):
    """Of a process that has secrets in its memory, while it waits for a monitor that says nothing."""
    record = pwd.getpwnam("postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name)
    os.chown(tmp_path, record.pw_uid, record.pw_gid)

    def becomes_user():
        resource.setrlimit(resource.RLIMIT_CORE, (64 << 20, 64 << 20))
        if os.geteuid() == 0:
            os.setgroups([])
            os.setgid(record.pw_gid)
            os.setuid(record.pw_uid)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(20)
        process = subprocess.Popen(
            [os.path.abspath(BINARY), "show", "state", "--monitor", f"postgres://u:s3cret@127.0.0.1:{silent.getsockname()[1]}/x"],
            env={"HOME": str(tmp_path), "PATH": os.environ["PATH"], **({"PG_AUTOCTL_CORE_FILES": allows} if allows else {})},
            cwd=tmp_path, preexec_fn=becomes_user, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        connection, _ = silent.accept()
        owner = pathlib.Path(f"/proc/{process.pid}/mem").stat().st_uid
        process.send_signal(signal.SIGABRT)
        _, status = os.waitpid(process.pid, 0)
        process.returncode = status
        connection.close()
    assert owner == (record.pw_uid if allows else 0)
    assert os.WIFSIGNALED(status) and os.WCOREDUMP(status) == bool(allows)
