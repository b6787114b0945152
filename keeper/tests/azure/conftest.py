import pathlib
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "vm"), str(HERE.parent / "cluster")]
import world as worlds  # noqa: E402


@pytest.fixture(scope="module")
def world():
    """A piece of the world with an Azure in it; skipped, with the reason, where there cannot be one."""
    reason = worlds.why_not()
    if reason:
        pytest.skip(reason)
    world = worlds.World()
    yield world
    world.close()
    mounts = pathlib.Path("/proc/self/mountinfo").read_text()
    assert not world.directory.exists() and world.directory.name not in mounts, "the world left something here"


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """For failed tests: what the machines and the service behind them said."""
    outcome = yield
    report = outcome.get_result()
    world = item.funcargs.get("world")
    if report.failed and isinstance(world, worlds.World):
        report.sections.append(("world", world.dump()))
