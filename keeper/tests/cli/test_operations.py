"""Runs the commands of docs/operations.md as they stand there (on free ports), in one shell."""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "keeper/tests/cluster"))
from faults import end_script  # noqa: E402
from harness import BINDIR, Cluster, Host, free_port  # noqa: E402


def test_every_command_of_the_operators_week_works():
    cluster = Cluster()
    home = cluster.directory / "user"
    for path in (home, home / "run", home / "s"):
        path.mkdir()
    cluster.own(home)
    script = "\n".join(re.findall(r"```sh\n(.*?)```", (ROOT / "docs/operations.md").read_text(), flags=re.DOTALL))
    for word in ("initdb", "reinit", "--replace", "drop node", "drop monitor", "enable maintenance", "config set"):
        assert word in script
    for port in ("6000", "6001", "6002"):
        script = script.replace(port, str(free_port()))
    env = {"HOME": home, "PATH": f"{BINDIR}:/usr/bin:/bin", "LC_ALL": "C.UTF-8", "XDG_RUNTIME_DIR": home / "run",
           "PG_REGRESS_SOCK_DIR": home / "s"}
    shell = subprocess.Popen(Host("user").command(["bash", "-e", "-u", "-c", script], env), cwd=home,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)
    try:
        output, _ = shell.communicate(timeout=240)
        logs = "\n".join(f"--- {log.name}\n{log.read_text()}" for log in home.glob("*.log"))
        assert shell.returncode == 0, output + logs
        assert "fit: following node" in output, "the node that came back was copied"
        assert (home / "node_1" / "PG_VERSION").exists() and (home / "monitor" / "PG_VERSION").exists()
    finally:
        end_script(shell, home)
        cluster.close()
