"""Runs the commands of docs/configuration.md as they stand there, in one shell on a node of a real group."""
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[3]


def test_every_command_about_settings_works(cluster):
    text = (ROOT / "docs/configuration.md").read_text()
    script = "\n".join(re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL))
    assert "restart --all" in script and "reset postgres" in script
    node_1, node_2 = cluster.group("node_1", "node_2")
    done = subprocess.run(node_1.host.command(["bash", "-e", "-u", "-c", script], node_1.env), capture_output=True,
                          text=True, timeout=240, cwd="/tmp", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\n64MB\n" in "\n" + done.stdout and "log_min_duration_statement" in done.stdout
    cluster.wait_steady()
    assert node_1.sql("SHOW max_connections") == node_2.sql("SHOW max_connections") == "150"
