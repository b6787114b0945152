"""A lost machine under the same name, a standby that is copied anew, a monitor that has moved."""
import os
import pathlib
import shutil
import subprocess
import time

import pytest

from harness import IS_ROOT, Host, wait_for


def words(cluster, node, *extra):
    return ["create", "postgres", "--pgport", node.port, "--hostname", node.host.address, "--name", node.name, "--auth",
            "trust", "--no-ssl", "--monitor", cluster.monitor_uri(), *extra]


def lose(node):
    """The machine, with all that was on it."""
    node.kill()
    for path in (node.pgdata, node.home / ".config", node.home / ".local", node.home / "run"):
        shutil.rmtree(path)
    (node.home / "run").mkdir()
    node.cluster.own(node.home)


def test_a_lost_standby_is_replaced_under_its_name(cluster):
    a, b = cluster.two_nodes()
    old_id = cluster.node_id("b")
    lose(b)
    done = b.autoctl(*words(cluster, b), check=False)
    assert done.returncode == 6 and f'node {old_id} "b"' in done.stderr and "is registered already" in done.stderr
    assert "--replace" in done.stderr and "duplicate key" not in done.stderr
    wait_for(lambda: b.autoctl(*words(cluster, b, "--replace"), check=False).returncode == 0, 60, "it is silent")
    b.start()
    cluster.wait_states(a="primary", b="secondary")
    assert cluster.node_id("b") != old_id and len(cluster.states()) == 2
    cluster.wait_promotable()


def test_a_lost_primary_is_replaced_after_its_standby_has_taken_over(cluster):
    a, b = cluster.two_nodes()
    witness = cluster.witness()
    lose(a)
    cluster.wait_states(b="wait_primary")
    wait_for(lambda: a.autoctl(*words(cluster, a, "--replace"), check=False).returncode == 0, 60, "it is silent")
    a.start()
    cluster.wait_states(b="primary", a="secondary")
    witness.verify()


def test_a_node_that_lives_or_was_alone_is_not_replaced(cluster):
    a, b = cluster.two_nodes()
    c = cluster.node("c")
    mine = words(cluster, c, "--replace")
    mine[mine.index("c")] = "b"
    done = c.autoctl(*mine, check=False)
    assert done.returncode == 6 and "it is alive" in done.stderr
    assert sorted(cluster.states()) == ["a", "b"] and not c.pgdata.exists()
    b.autoctl("drop", "node")
    cluster.wait_states(a="single")
    a.kill()
    mine[mine.index("b")] = "a"
    wait_for(lambda: "only copy" in c.autoctl(*mine, check=False).stderr, 60, "it is known to be alone")
    assert list(cluster.states()) == ["a"]
    a.start()
    cluster.wait_states(a="single")


def test_reinit_copies_a_standby_anew_and_never_the_only_copy(cluster):
    a, b = cluster.two_nodes()
    a.sql("CREATE TABLE t AS SELECT 1 AS i")
    directory = os.stat(b.pgdata).st_ino
    for refused in (b.autoctl("reinit", "--name", "a", check=False), a.autoctl("reinit", check=False)):
        assert refused.returncode == 6 and "only complete copy" in refused.stderr
    witness = cluster.witness()
    done = b.autoctl("reinit")
    assert str(b.pgdata) in done.stderr
    cluster.wait_states(a="primary", b="secondary")
    cluster.wait_promotable()
    assert os.stat(b.pgdata).st_ino != directory
    b.autoctl("perform", "switchover")
    cluster.wait_states(b="primary", a="secondary")
    witness.verify()


class NamedHost(Host):
    """Has a hosts file of its own, in which the monitor's name can move."""

    def __init__(self, name, hosts):
        super().__init__(name)
        self.hosts = hosts

    def command(self, argv, env):
        return ["unshare", "-m", "--propagation", "private", "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"',
                str(self.hosts), *super().command(argv, env)]


def may_mount():
    return IS_ROOT and subprocess.run(["unshare", "-m", "--propagation", "private", "mount", "-t", "tmpfs", "none", "/mnt"],
                                      capture_output=True, timeout=10).returncode == 0


@pytest.mark.skipif(not may_mount(), reason="needs a hosts file of its own, which must be mounted")
def test_the_monitor_moves_and_its_name_with_it(cluster):
    hosts = cluster.directory / "hosts"

    def name_monitor(address):
        hosts.write_text(f"127.0.0.1 localhost\n{address} the-monitor\n")  # the same file: it is mounted
    name_monitor("127.0.0.1")
    hosts.chmod(0o644)
    for name in ("a", "b"):
        cluster.node(name).host = NamedHost(name, hosts)
    uri = cluster.monitor_uri().replace("@127.0.0.1", "@the-monitor")
    cluster.monitor_uri = lambda: uri
    m = cluster.monitor
    m.autoctl("create", "monitor", "--pgport", m.port, "--hostname", "127.0.0.1", "--auth", "trust", "--no-ssl",
              "--listen", "127.0.0.1,127.0.0.2")
    with open(m.pgdata / "pg_hba.conf", "a", encoding="utf-8") as hba:
        hba.write("host all all 127.0.0.0/8 trust\n")
    m.start()
    wait_for(lambda: m.sql("SELECT 1", dbname="pg_auto_failover") == "1", 30, "the monitor answers")
    a = cluster.create_node("a")
    cluster.wait_states(a="single")
    b = cluster.create_node("b")
    cluster.wait_states(a="primary", b="secondary")
    cluster.wait_promotable()
    # It comes back at another address only.
    m.stop()
    m.autoctl("config", "set", "postgresql.listen_addresses", "127.0.0.2")
    name_monitor("127.0.0.2")
    m.start()
    wait_for(lambda: "The monitor has moved to 127.0.0.2" in a.log.read_text() + b.log.read_text(), 30, "it is looked up")
    cluster.wait_states(a="primary", b="secondary")
    cluster.wait_promotable()
    a.kill()
    cluster.wait_states(b="wait_primary", timeout=30)


def test_another_address_of_the_monitor_takes_effect_on_reload(cluster):
    cluster.create_monitor()
    a = cluster.create_node("a")
    cluster.wait_states(a="single")
    a.wait_up()
    before = a.postmaster()
    wrong = cluster.monitor_uri().replace("/pg_auto_failover", "/postgres")
    refused = a.autoctl("config", "set", "pg_autoctl.monitor", wrong, check=False)
    assert refused.returncode == 6 and "not a monitor" in refused.stderr
    a.autoctl("config", "set", "pg_autoctl.monitor", cluster.monitor_uri().replace("127.0.0.1", "localhost"))
    keeper = next(a.home.glob(".local/share/pg_autoctl/**/keeper.conf"))
    wait_for(lambda: "localhost" in keeper.read_text(), 10, "the worker is told")
    moment = time.time()
    wait_for(lambda: float(cluster.monitor_sql(
        "SELECT extract(epoch FROM report_time) FROM pgautofailover.node_facts()")) > moment + 1, 20, "it reports")
    assert a.postmaster() == before


def test_values_are_tried_before_they_are_written(cluster):
    a, b = cluster.two_nodes()
    config = next(pathlib.Path(b.home).glob(".config/**/pg_autoctl.cfg"))
    before = config.read_text()
    for status, key, value, said in (
            (1, "pg_autoctl.hostname", "no-such-host.invalid", "cannot be resolved"),
            (1, "ssl.sslmode", "require", "could not be followed"),
            (1, "ssl.sslmode", "verify-full", "could not be followed")):
        done = b.autoctl("config", "set", key, value, check=False)
        assert done.returncode == status and said in done.stderr, done.stderr
    assert config.read_text() == before
    config.write_text(before + "\n[timeout]\nnonsense = 1\n")
    done = b.autoctl("config", "check", check=False)
    assert done.returncode == 2 and "timeout.nonsense" in done.stderr
    config.write_text(before)
