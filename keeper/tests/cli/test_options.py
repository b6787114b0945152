"""Goal: the command line beats the environment, in every command. Method: walk the whole tree of commands."""
import os
import re

import pytest
from test_cli import run  # noqa: F401  (a fixture)

GIVEN_MONITOR = "postgres://autoctl_node@127.0.0.1:1/given"
OTHER_MONITOR = "postgres://autoctl_node@127.0.0.1:2/other"

# What a command needs besides, to come as far as its data directory or its monitor.
CREATE = ["--auth", "trust", "--no-ssl", "--hostname", "127.0.0.1"]
NEEDS = {
    "create monitor": CREATE,
    "create postgres": [*CREATE, "--monitor", GIVEN_MONITOR],
    "create formation": ["--formation", "f"],
    "drop formation": ["--formation", "f"],
    "config set": ["pg_autoctl.name", "x"],
    "enable monitor": [GIVEN_MONITOR],
    "perform promotion": ["--name", "x"],
    "set node candidate-priority": ["50", "--name", "x"],
    "set node replication-quorum": ["true", "--name", "x"],
    "set node region": ["x", "--name", "x"],
    "set formation number-sync-standbys": ["0"],
    "get postgres": ["work_mem"],
    "set postgres": ["work_mem=8MB"],
    "reset postgres": ["work_mem"],
}
# Restored by those who add commands with other needs.
NAMED = {"get node candidate-priority", "get node replication-quorum", "get node region"}


def leaves(run):  # noqa: F811
    """Every command that has none below it."""
    lines = [(len(line) - len(line.lstrip()), line.split()[0])
             for line in run("help").stdout.splitlines() if line.startswith("  ")]
    path, found = [], []
    for at, (depth, word) in enumerate(lines):
        level = depth // 2 - 1
        path = path[:level] + [word]
        if at + 1 == len(lines) or lines[at + 1][0] <= depth:
            found.append(" ".join(path))
    return found


def options_of(run, command):  # noqa: F811
    return run(*command.split(), "--help").stdout


def needs(command, monitor):
    words = list(NEEDS.get(command, ["--name", "x"] if command in NAMED and monitor else []))
    if monitor and "--monitor" in words:
        at = words.index("--monitor")
        del words[at:at + 2]
    return words


def test_pgdata_on_the_command_line_beats_the_environment(run, tmp_path):  # noqa: F811
    for name in ("given", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "precious").write_text(name)
    walked = 0
    for command in leaves(run):
        if "--pgdata" not in options_of(run, command) or command.startswith("do "):
            continue
        walked += 1
        done = run(*command.split(), "--pgdata", str(tmp_path / "given"), *needs(command, False),
                   PGDATA=str(tmp_path / "other"), PG_AUTOCTL_MONITOR=OTHER_MONITOR)
        said = done.stdout + done.stderr
        assert str(tmp_path / "given") in said, (command, said)
        assert str(tmp_path / "other") not in said and "127.0.0.1:2" not in said, (command, said)
    assert walked > 30
    assert [p.read_text() for p in sorted(tmp_path.glob("*/precious"))] == ["given", "other"]


def test_monitor_on_the_command_line_beats_the_environment(run, tmp_path):  # noqa: F811
    walked = 0
    for command in leaves(run):
        if not re.search(r"--monitor\b(?!-)", options_of(run, command)) or command == "show uri" or command.startswith("do "):
            continue
        walked += 1
        by_name = command in ("drop node", "enable maintenance", "disable maintenance", "reinit")
        extra = ["--name", "x"] if by_name else needs(command, True)
        if command == "create postgres":
            extra += ["--pgdata", str(tmp_path / "d")]
        done = run(*command.split(), "--monitor", GIVEN_MONITOR, *extra, PG_AUTOCTL_MONITOR=OTHER_MONITOR,
                   PATH=f"{os.environ.get('PGAF_BINDIR', '/usr/lib/postgresql/15/bin')}:/usr/bin:/bin")
        said = done.stdout + done.stderr
        assert done.returncode == 6 and re.search(r"port 1\b", said) and not re.search(r"port 2\b", said), (command, said)
    assert walked > 15
    uri = run("show", "uri", "--formation", "monitor", "--monitor", GIVEN_MONITOR, PG_AUTOCTL_MONITOR=OTHER_MONITOR)
    assert uri.stdout.strip() == GIVEN_MONITOR


def test_environment_counts_where_the_command_line_is_silent(run, tmp_path):  # noqa: F811
    done = run("show", "file", "--config", PGDATA=str(tmp_path / "other"))
    assert f"{tmp_path}/other/" in done.stdout
    done = run("create", "monitor", "--auth", "trust", "--no-ssl", PGDATA="d", PGPORT="99999")
    assert done.returncode == 1 and "99999" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("way", [["--no-ssl"], ["--server-cert", "/nonexistent", "--server-key", "/nonexistent"]])
def test_a_chosen_way_of_ssl_beats_the_environment(run, way):  # noqa: F811
    done = run("create", "monitor", "--pgdata", "d", "--auth", "trust", *way, "--pgctl", "/nonexistent",
               PG_AUTOCTL_SSL_SELF_SIGNED="true")
    assert done.returncode == 1 and "exclude each other" not in done.stderr
    assert "/nonexistent" in done.stderr or "--ssl-ca-file" in done.stderr


def test_no_hint_speaks_of_destroy():
    """What destroys data is never the next thing to type."""
    import pathlib
    sources = pathlib.Path(__file__).resolve().parents[2] / "src"
    for path in [*sources.rglob("*.cpp"), *sources.rglob("*.hpp")]:
        for line in path.read_text().splitlines():
            is_text = '"' in line and "--destroy" in line
            assert not is_text or "-d,--destroy" in line or "Without --destroy" in line or \
                "--destroy works only" in line, (path.name, line)


# Each with the place where it is shown on real servers that it names what it touches, and refuses when it cannot read the state.
DESTRUCTIVE = {
    "drop node": "cluster/test_leave.py: what is dropped is named and refused when it cannot be read",
    "drop monitor": "cluster/test_leave.py: the same",
    "drop formation": "cluster/test_commands.py: formations come and go (refused with nodes)",
    "reinit": "cluster/test_replace.py: reinit copies a standby anew and never the only copy",
    "create postgres": "cluster/test_replace.py: a node that lives or was alone is not replaced",
    "perform failover": "cluster/test_groups.py: loss of data is accepted by command only",
    "do azure drop region": "azure/test_azure_commands.py",
}


def test_every_command_that_destroys_is_known(run):  # noqa: F811
    """Who adds one adds the test that it names what it touches."""
    words = ("--destroy", "--force", "--allow-data-loss", "--replace")
    found = {command for command in leaves(run) if any(word in options_of(run, command) for word in words)
             or command.split()[0] in ("drop", "reinit") or " drop " in f" {command} "}
    assert found == set(DESTRUCTIVE), found ^ set(DESTRUCTIVE)


def test_nothing_is_destroyed_without_a_readable_state(run, tmp_path):  # noqa: F811
    """A directory that looks like a cluster, and whose node is not known here."""
    pgdata = tmp_path / "d"
    (pgdata / "global").mkdir(parents=True)
    (pgdata / "PG_VERSION").write_text("15\n")
    (pgdata / "global" / "pg_control").write_bytes(b"\0" * 8192)
    before = sorted(str(path) for path in tmp_path.rglob("*"))
    for words in (["drop", "node", "--destroy"], ["drop", "node", "--destroy", "--force"], ["drop", "monitor", "--destroy"],
                  ["drop", "monitor", "--destroy", "--force"], ["reinit"]):
        done = run(*words, "--pgdata", str(pgdata))
        assert done.returncode != 0 and str(pgdata) in done.stderr, (words, done.stderr)
        assert "--destroy" not in done.stderr, done.stderr
    assert sorted(str(path) for path in tmp_path.rglob("*") if "pg_autoctl" not in str(path)) == before
