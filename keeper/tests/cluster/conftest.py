import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from faults import Network  # noqa: E402
from harness import IS_ROOT, Cluster, Host  # noqa: E402


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.failed and call.when == "call":
        for name, value in item.funcargs.items():
            if isinstance(value, Cluster):
                report.sections.append((f"cluster {name}", value.dump()))


@pytest.fixture
def cluster():
    cluster = Cluster()
    yield cluster
    cluster.close()


@pytest.fixture
def network_cluster():
    if not IS_ROOT:
        pytest.skip("network namespaces need root")
    cluster = Cluster(network=Network(Host))
    yield cluster
    cluster.close()
