"""Runs the commands of docs/azure.md as they stand there, in one shell, on machines of our own; and interrupts them."""
import os
import re
import shutil
import signal
import subprocess

import pytest
from faults import children_of
from harness import wait_for
from tutorial import ROOT, Tutorial, make_package, make_repository, owners_are_no_administrators


@pytest.fixture(scope="module")
def tutorial(world, tmp_path_factory):
    tutorial = Tutorial(world)
    (world.directory / "repository" / "Packages").touch()  # the package comes as a file
    shutil.copy(make_package(tmp_path_factory.mktemp("package")), world.home / "pgautofailover.deb")
    (world.home / "pgautofailover.deb").chmod(0o644)
    return tutorial


def commands():
    return "\n".join(re.findall(r"```sh\n(.*?)```", (ROOT / "docs/azure.md").read_text(), flags=re.DOTALL))


def test_every_command_of_the_page_works(tutorial):
    script = commands()
    assert script.count("pg_autoctl do azure") > 12 and "sh tutorial.sh" in script
    done = tutorial.sh(script, timeout=600)
    for name in ("monitor", "a", "b", "app"):
        assert re.search(rf"^ha-demo-paris-{name} ", done.stdout, re.MULTILINE), done.stdout
    assert re.search(r"paris-c .* secondary \| +secondary$", done.stdout, re.MULTILINE), done.stdout
    assert tutorial.world.left_over() == []


def test_every_command_that_is_typed_by_hand_works(tutorial):
    """The blocks of the manual route, in one shell: ha-admin types, and postgres, who may not use sudo, owns the servers."""
    make_repository(tutorial.world.directory / "repository", tutorial.world.home / "pgautofailover.deb")
    page = (ROOT / "docs/azure.md").read_text()
    blocks = re.findall(r"```bash\n(.*?)```", page, flags=re.DOTALL)
    assert len(blocks) == 4 and "sudo -u postgres tee" in blocks[-1]
    done = tutorial.sh("mkdir -p -m 700 .ssh\n" + "\n".join(blocks), timeout=600)
    assert "ha-demo-a.internal.cloudapp.net" in done.stdout, done.stdout
    state = "pg_autoctl show state --pgdata monitor"
    wait_for(lambda: re.search(r"secondary \| +secondary$", tutorial.on("ha-demo-monitor", state), re.MULTILINE), 60,
             "the second node is a secondary")
    for machine in ("ha-demo-monitor", "ha-demo-a", "ha-demo-b"):
        owners_are_no_administrators(tutorial, machine)
    app = "psql -X -A -t 'host=ha-demo-a.internal.cloudapp.net dbname=appdb user=ha-admin sslmode=require' -c 'SELECT 1'"
    assert tutorial.on("ha-demo-app", app) == "1"
    tutorial.sh("az group delete --yes --name ha-demo")
    (tutorial.world.directory / "repository" / "Packages").write_text("")


def interrupt_at(tutorial, text):
    """Ctrl-C when `create nodes` has said the text; the machines may be in the middle of anything."""
    process = subprocess.Popen(
        tutorial.world.inside(["bash", "-c", "cd; exec pg_autoctl do azure create nodes --region nyc 2>&1"]),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    said = ""
    for line in process.stdout:
        said += line
        if text in line:
            os.kill(children_of(process.pid)[0], signal.SIGINT)
            break
    said += process.stdout.read()
    assert process.wait(timeout=60) == 130, said
    assert "interrupted" in said and "goes on with what is missing" in said
    process.stdout.close()


def test_nodes_go_on_after_an_interruption_in_any_stage(tutorial):
    tutorial.autoctl("create region --region nyc --location eastus --package ./pgautofailover.deb")
    for stage in ("creating the monitor", "First node", "creating the node", "Other nodes", "waiting for the group"):
        interrupt_at(tutorial, stage)
    shown = tutorial.autoctl("create nodes --region nyc").stdout
    assert re.search(r"nyc-a .* primary \| +primary$", shown, re.MULTILINE), shown
    assert re.search(r"nyc-b .* secondary \| +secondary$", shown, re.MULTILINE), shown
    tutorial.autoctl("drop region --region nyc --yes")
