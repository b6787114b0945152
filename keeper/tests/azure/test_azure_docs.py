"""Runs the commands of docs/azure.md as they stand there, in one shell, on machines of our own."""
import re
import shutil

from tutorial import ROOT, Tutorial, make_package


def commands():
    return "\n".join(re.findall(r"```sh\n(.*?)```", (ROOT / "docs/azure.md").read_text(), flags=re.DOTALL))


def test_every_command_of_the_page_works(world, tmp_path):
    tutorial = Tutorial(world)
    shutil.copy(make_package(tmp_path), world.home / "pgautofailover.deb")
    (world.home / "pgautofailover.deb").chmod(0o644)
    (world.directory / "repository" / "Packages").touch()  # the package comes as a file
    script = commands()
    assert script.count("pg_autoctl do azure") > 12 and "sh tutorial.sh" in script
    done = tutorial.sh(script, timeout=600)
    for name in ("monitor", "a", "b", "app"):
        assert re.search(rf"^ha-demo-paris-{name} ", done.stdout, re.MULTILINE), done.stdout
    assert re.search(r"paris-c .* secondary \| +secondary$", done.stdout, re.MULTILINE), done.stdout
    assert world.left_over() == []
