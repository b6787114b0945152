"""Data around PGDATA: mount points, tablespaces and WAL elsewhere, linked and foreign configuration. On real mounts."""
import os
import shutil
import signal
import subprocess

import pytest

from faults import is_alive, signal_all
from harness import BINDIR, IS_ROOT, Host, wait_for


def may_mount():
    if not IS_ROOT:
        return False
    done = subprocess.run(["unshare", "-m", "--propagation", "private", "mount", "-t", "tmpfs", "none", "/mnt"],
                          capture_output=True, timeout=10)
    return done.returncode == 0


needs_mounts = pytest.mark.skipif(not may_mount(), reason="this test mounts, which is not permitted here")


class BoundHost(Host):
    """Sees `source` at `target`: a disk of its own, where another node has another one."""

    def __init__(self, name, source, target):
        super().__init__(name)
        self.source, self.target = source, target

    def command(self, argv, env):
        script = 'mount --bind "$0" "$1" && shift && exec "$@"'
        return ["unshare", "-m", "--propagation", "private", "sh", "-c", script, str(self.source), str(self.target),
                *super().command(argv, env)]


def bound_node(cluster, name, target):
    disk = cluster.directory / f"disk-{name}"
    disk.mkdir()
    cluster.own(disk)
    node = cluster.node(name)
    node.host = BoundHost(name, disk, target)
    return node, disk


def break_data(node):
    """So that the node is copied anew."""
    keeper = next(node.home.glob(".local/share/pg_autoctl/**/pg_autoctl.state")).parent
    (keeper / "unsafe").write_text("clone\n")
    node.cluster.own(keeper)


def copied_anew(cluster, a, b):
    b.stop()
    cluster.wait_states(**{a.name: "wait_primary"})
    break_data(b)
    a.sql("CREATE TABLE IF NOT EXISTS more AS SELECT 1 AS i; INSERT INTO more VALUES (2)")
    b.start()
    cluster.wait_states(**{a.name: "primary", b.name: "secondary"}, timeout=90)
    cluster.wait_promotable()
    assert b.sql("SELECT count(*) FROM more") == a.sql("SELECT count(*) FROM more")


def switched_over_and_rewound(cluster, a, b):
    """b becomes the primary by the death of a, which has written something of its own, and is not copied for that."""
    witness = cluster.witness()
    copies, rewinds = (a.log.read_text().count(words) for words in ("Copying node", "Rewinding to"))
    signal_all([int(a.sql("SELECT pid FROM pg_stat_replication"))], signal.SIGSTOP)  # b does not get this
    a.sql("SET synchronous_commit = local; CREATE TABLE of_a AS SELECT generate_series(1, 1000)")
    a.kill()
    cluster.wait_states(**{b.name: "wait_primary"})
    a.start()
    cluster.wait_states(**{b.name: "primary", a.name: "secondary"}, timeout=90)
    cluster.wait_promotable()
    assert a.log.read_text().count("Copying node") == copies, "data were copied"
    assert a.log.read_text().count("Rewinding to") == rewinds + 1
    witness.verify()


@pytest.fixture
def mounts():
    """What is mounted here goes when the cluster has ended."""
    paths = []
    yield paths
    for path in paths:
        subprocess.run(["umount", path], check=True)
    if paths:
        shutil.rmtree(paths[0].parents[1], ignore_errors=True)


@needs_mounts
def test_pgdata_is_a_mount_point(mounts, cluster):
    for name in ("monitor", "a", "b"):
        program = cluster.node(name) if name != "monitor" else cluster.monitor
        disk = cluster.directory / f"disk-{name}"
        disk.mkdir()
        program.pgdata.mkdir()
        cluster.own(program.pgdata)
        cluster.own(disk)
        subprocess.run(["mount", "--bind", disk, program.pgdata], check=True)
        mounts.append(program.pgdata)
    a, b = cluster.two_nodes()
    copied_anew(cluster, a, b)
    assert "something is mounted there" in b.log.read_text()
    switched_over_and_rewound(cluster, a, b)
    a.autoctl("drop", "node", "--destroy")
    assert a.pgdata.exists() and list(a.pgdata.iterdir()) == []
    cluster.wait_states(b="single")
    cluster.create_node("a")
    cluster.wait_states(b="primary", a="secondary")


@needs_mounts
def test_tablespace_on_another_disk(cluster):
    space = cluster.directory / "space"
    space.mkdir()
    cluster.own(space)
    (a, disk_a), (b, disk_b) = (bound_node(cluster, name, space) for name in ("a", "b"))
    cluster.create_monitor()
    cluster.create_node("a")
    cluster.wait_states(a="single")
    a.wait_up()
    a.sql(f"CREATE TABLESPACE elsewhere LOCATION '{space}'")
    a.sql("CREATE TABLE t TABLESPACE elsewhere AS SELECT generate_series(1, 1000) AS i")
    cluster.create_node("b")
    cluster.wait_states(a="primary", b="secondary")
    cluster.wait_promotable()
    assert b.sql("SELECT count(*) FROM t") == "1000" and list(disk_b.glob("PG_*"))
    copied_anew(cluster, a, b)
    assert b.sql("SELECT count(*) FROM t") == "1000"
    switched_over_and_rewound(cluster, a, b)
    done = a.autoctl("drop", "node", "--destroy")
    assert str(space) in done.stderr and list(disk_a.glob("PG_*")) == [] and list(disk_b.glob("PG_*"))
    cluster.wait_states(b="single")
    cluster.create_node("a")
    cluster.wait_states(b="primary", a="secondary")
    assert a.sql("SELECT count(*) FROM t") == "1000"
    # Another node on this machine sees the same place: that is in use.
    c = cluster.node("c")
    c.host = BoundHost("c", disk_b, space)
    done = c.autoctl("create", "postgres", "--pgport", c.port, "--hostname", "127.0.0.1", "--name", "c", "--auth",
                     "trust", "--no-ssl", "--monitor", cluster.monitor_uri(), check=False)
    assert done.returncode == 8 and "is in use" in done.stderr and "HINT" in done.stderr
    assert b.sql("SELECT count(*) FROM t") == "1000" and list(disk_b.glob("PG_*"))


def test_wal_on_another_disk_and_linked_configuration(cluster):
    a, b = cluster.two_nodes()
    b.stop()
    cluster.wait_states(a="wait_primary")
    elsewhere, etc = b.home / "wal", b.home / "etc"
    etc.mkdir()
    shutil.move(b.pgdata / "pg_wal", elsewhere)
    (b.pgdata / "pg_wal").symlink_to(elsewhere)
    conf = b.pgdata / "postgresql.conf"
    shutil.move(conf, etc / "postgresql.conf")
    conf.symlink_to(etc / "postgresql.conf")
    with open(etc / "postgresql.conf", "a", encoding="utf-8") as file:
        file.write("include_dir 'site'\n")
    (b.pgdata / "site").mkdir()  # which the other node does not have
    (b.pgdata / "site" / "mine.conf").write_text("work_mem = '5MB'\n")
    cluster.own(b.home)
    b.start()
    cluster.wait_states(a="primary", b="secondary")
    cluster.wait_promotable()

    def is_as_it_was():
        return conf.is_symlink() and (b.pgdata / "pg_wal").is_symlink() and b.sql("SHOW work_mem") == "5MB" and \
            any(len(name) == 24 for name in os.listdir(elsewhere)) and "include" in (etc / "postgresql.conf").read_text()
    assert is_as_it_was()
    copied_anew(cluster, a, b)
    assert is_as_it_was()
    assert "its WAL is elsewhere" in b.log.read_text()
    b.autoctl("perform", "switchover")
    cluster.wait_states(b="primary", a="secondary")
    cluster.wait_promotable()
    switched_over_and_rewound(cluster, b, a)
    assert is_as_it_was()
    b.autoctl("drop", "node", "--destroy")
    assert not b.pgdata.exists() and os.listdir(elsewhere) == [] and (etc / "postgresql.conf").exists()
    assert "auto-failover.conf" not in (etc / "postgresql.conf").read_text()


def test_configuration_below_etc_as_debian_has_it(cluster):
    cluster.create_monitor()
    a = cluster.node("a")
    etc = cluster.directory / "etc" / "15" / "main"
    (etc / "conf.d").mkdir(parents=True)
    initdb = a.host.command([BINDIR / "initdb", "-D", a.pgdata, "--auth=trust", "--no-sync"], a.env)
    subprocess.run(initdb, check=True, capture_output=True, cwd="/tmp")
    for name in ("postgresql.conf", "pg_hba.conf", "pg_ident.conf"):
        shutil.move(a.pgdata / name, etc / name)
    with open(etc / "postgresql.conf", "a", encoding="utf-8") as conf:
        conf.write(f"data_directory = '{a.pgdata}'\nhba_file = '{etc}/pg_hba.conf'\nident_file = '{etc}/pg_ident.conf'\n"
                   "include_dir = 'conf.d'\n")
    (etc / "conf.d" / "mine.conf").write_text("work_mem = '5MB'\n")
    cluster.own(cluster.directory / "etc")
    a.env["PG_CLUSTER_CONF_ROOT"] = cluster.directory / "etc"
    cluster.create_node("a")
    cluster.wait_states(a="single")
    a.wait_up()
    assert a.sql("SHOW work_mem") == "5MB"
    b = cluster.create_node("b")
    cluster.wait_states(a="primary", b="secondary")
    cluster.wait_promotable()
    switched_over_and_rewound(cluster, a, b)
    assert a.sql("SHOW work_mem") == "5MB" and (a.pgdata / "postgresql.conf").is_symlink()
    copied_anew(cluster, b, a)
    assert a.sql("SHOW work_mem") == "5MB" and (a.pgdata / "postgresql.conf").is_symlink()
    a.autoctl("drop", "node")
    a.process.wait(timeout=30)
    assert "auto-failover.conf" not in (etc / "postgresql.conf").read_text()
    cluster.wait_states(b="single")
    directory = os.stat(a.pgdata).st_ino
    cluster.create_node("a")
    cluster.wait_states(b="primary", a="secondary")
    assert a.sql("SHOW work_mem") == "5MB" and os.stat(a.pgdata).st_ino == directory
    a.autoctl("drop", "node", "--destroy")
    assert not a.pgdata.exists()
    assert sorted(path.name for path in etc.iterdir()) == ["conf.d", "pg_hba.conf", "pg_ident.conf", "postgresql.conf"]
    assert "auto-failover" not in (etc / "postgresql.conf").read_text() + (etc / "pg_hba.conf").read_text()


def test_parent_that_cannot_be_written_to_and_no_log_of_the_source(cluster):
    a, b = cluster.two_nodes()
    assert list((a.pgdata / "log").iterdir())
    theirs = {path.name for path in (a.pgdata / "log").iterdir()}
    b.stop()
    cluster.wait_states(a="wait_primary")
    b.home.chmod(0o555)
    if IS_ROOT:
        os.chown(b.home, 0, 0)
    try:
        break_data(b)
        b.start()
        cluster.wait_states(a="primary", b="secondary", timeout=90)
        assert "is not writable" in b.log.read_text()
        assert not theirs & {path.name for path in (b.pgdata / "log").iterdir()}
        cluster.wait_promotable()
        a.autoctl("perform", "switchover")
        cluster.wait_states(b="primary", a="secondary")
        cluster.wait_promotable()
        switched_over_and_rewound(cluster, b, a)
        b.autoctl("drop", "node", "--destroy")
        assert list(b.pgdata.iterdir()) == []
    finally:
        b.home.chmod(0o755)


@needs_mounts
def test_an_interrupted_copy_in_place_goes_on(cluster):
    space = cluster.directory / "space"
    space.mkdir()
    cluster.own(space)
    (a, _), (b, _) = (bound_node(cluster, name, space) for name in ("a", "b"))
    cluster.create_monitor()
    cluster.create_node("a")
    cluster.wait_states(a="single")
    a.wait_up()
    a.sql(f"CREATE TABLESPACE elsewhere LOCATION '{space}'")
    a.sql("CREATE TABLE t TABLESPACE elsewhere AS SELECT g, repeat('x', 500) FROM generate_series(1, 100000) g", timeout=60)
    cluster.create_node("b")
    cluster.wait_states(a="primary", b="secondary")
    b.stop()
    b.autoctl("config", "set", "replication.maximum_backup_rate", "8M")
    cluster.wait_states(a="wait_primary")
    break_data(b)
    b.start()
    wait_for(lambda: "Copying node" in b.log.read_text() and not (b.pgdata / "global" / "pg_control").exists(), 30,
             "the copy has begun in place")
    wait_for(lambda: any((cluster.directory / "disk-b").glob("PG_*/*/*")), 30, "files of the tablespace arrive")
    pids = b.pids()
    b.kill()
    assert not any(map(is_alive, pids))
    b.autoctl("config", "set", "replication.maximum_backup_rate", "0")
    b.start()
    cluster.wait_states(a="primary", b="secondary", timeout=90)
    assert b.sql("SELECT count(*) FROM t") == "100000"
