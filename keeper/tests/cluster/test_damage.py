"""Data with which PostgreSQL cannot start: a standby is copied anew and says why; the only complete copy never is."""
import os
import socket

import pytest

from hands import MINUTE, choose, wait_whole
from harness import Cluster, open_session, wait_for


def overwrite(path, offset, data):
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(data)


def control_checksum(pgdata):
    overwrite(pgdata / "global/pg_control", 40, b"\x5a" * 8)


def no_control(pgdata):
    (pgdata / "global/pg_control").unlink()


def short_control(pgdata):
    os.truncate(pgdata / "global/pg_control", 100)


def empty_version(pgdata):
    os.truncate(pgdata / "PG_VERSION", 0)


def commit_log(pgdata):
    """A directory that recovery needs, replaced by a file."""
    (pgdata / "pg_xact").rename(pgdata / "pg_xact.gone")
    (pgdata / "pg_xact").write_bytes(b"")


def tail_of_wal(pgdata):
    """The segment with the last checkpoint ends in its middle: what is missing comes by the stream, or by a copy."""
    for segment in sorted((pgdata / "pg_wal").glob("0*0*"))[-3:]:
        if segment.is_file() and segment.suffix == "":
            os.truncate(segment, 8192)


DAMAGES = {"pg_control with a wrong checksum": (control_checksum, True), "no pg_control": (no_control, True),
           "a short pg_control": (short_control, True), "an empty PG_VERSION": (empty_version, True),
           "no pg_xact": (commit_log, True),
           "truncated WAL": (tail_of_wal, False)}


@pytest.fixture(scope="module")
def group():
    cluster = Cluster()
    try:
        cluster.two_nodes()
        cluster.all_the_while = cluster.witness(rate=50)
        yield cluster
    finally:
        cluster.close()


@pytest.fixture
def cluster(group):
    wait_whole(group)
    return group


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("role", ["standby", "primary"])
def test_damaged_node_is_copied_anew(cluster, role, damage):
    if role == "primary" and damage == "truncated WAL":
        pytest.skip("WAL that a primary has sent already")
    node = choose(cluster, role)
    act, is_copied = DAMAGES[damage]
    directory = os.stat(node.pgdata).st_ino
    node.kill()
    act(node.pgdata)
    if role == "primary":
        other = choose_other(cluster, node)
        wait_for(lambda: cluster.states()[other][0] in ("wait_primary", "primary"), MINUTE, "the other one serves")
    node.start()
    wait_for(lambda: node.worker(), 2 * MINUTE, "its server works")
    wait_whole(cluster)
    if is_copied:
        assert os.stat(node.pgdata).st_ino != directory
        wait_for(lambda: "cannot be used" in cluster.events(60), 20, "an event says why")


def relation_map(pgdata):
    return pgdata / "global/pg_filenode.map"


def problems(cluster):
    return cluster.monitor.autoctl("show", "state").stdout


@pytest.mark.parametrize("role", ["standby", "primary"])
def test_server_that_lets_nobody_in_is_replaced(cluster, role):
    """It runs, its worker and its sessions go on, and every new session fails."""
    node = choose(cluster, role)
    other = choose_other(cluster, node)
    directory = os.stat(node.pgdata).st_ino
    overwrite(relation_map(node.pgdata), 0, b"\x5a" * 512)
    wait_for(lambda: "lets no session in" in problems(cluster), MINUTE, "show state says so")
    wait_for(lambda: os.stat(node.pgdata).st_ino != directory, 2 * MINUTE, "the node is copied anew")
    wait_for(lambda: node.worker(), MINUTE, "its server works")
    wait_whole(cluster)
    assert cluster.states()[other][0] == "primary"
    assert node.sql("SELECT 1") == "1"
    assert "lets no session in: " in cluster.events(60)


def test_the_only_server_that_lets_nobody_in_goes_on():
    """Those that are in are served, and it says what is wrong until that is mended."""
    cluster = Cluster()
    try:
        cluster.create_monitor()
        node = cluster.create_node("a")
        cluster.wait_states(a="single")
        wait_for(lambda: node.worker() and node.sql("SELECT 1") == "1", MINUTE, "it serves")
        node.sql("CREATE TABLE written (i int)")
        sound = relation_map(node.pgdata).read_bytes()
        postmaster = node.postmaster()
        with open_session(cluster, node) as session:
            overwrite(relation_map(node.pgdata), 0, b"\x5a" * 512)
            wait_for(lambda: "lets no session in" in problems(cluster), MINUTE, "show state says so")
            wait_for(lambda: cluster.monitor_sql("SELECT health FROM pgautofailover.current_state()") == "0", MINUTE,
                     "it is not shown as healthy")
            session.stdin.write("INSERT INTO written VALUES (1) RETURNING i;\n")
            assert session.stdout.readline().strip() == "1"
            overwrite(relation_map(node.pgdata), 0, sound)
            wait_for(lambda: "lets no session in" not in problems(cluster), MINUTE, "all is well again")
        assert node.postmaster() == postmaster and cluster.states()["a"] == ("single", "single")
    finally:
        cluster.close()


def choose_other(cluster, node):
    return next(name for name in "ab" if name != node.name)


def test_the_only_copy_is_left_alone():
    cluster = Cluster()
    try:
        a, b = cluster.two_nodes()
        b.kill()
        cluster.wait_states(a="wait_primary")
        a.kill()
        control_checksum(a.pgdata)
        control_checksum(b.pgdata)
        inodes = [os.stat(node.pgdata).st_ino for node in (a, b)]
        a.start()
        b.start()
        wait_for(lambda: "checksum is wrong" in a.log.read_text() and "checksum is wrong" in b.log.read_text(), MINUTE,
                 "both say what is wrong")
        wait_for(lambda: cluster.monitor.autoctl("show", "state").stdout.count("checksum is wrong") == 2, MINUTE,
                 "show state says so too")
        assert [os.stat(node.pgdata).st_ino for node in (a, b)] == inodes
    finally:
        cluster.close()


def test_port_that_is_taken_is_no_damage(cluster):
    """A server that does not start for another reason is not copied."""
    node = choose(cluster, "standby")
    directory = os.stat(node.pgdata).st_ino
    node.kill()
    with socket.create_server(("::", node.port), family=socket.AF_INET6, dualstack_ipv6=True):
        node.start()
        wait_for(lambda: "The data seem to be whole" in node.log.read_text(), 2 * MINUTE, "the data are tried")
        assert os.stat(node.pgdata).st_ino == directory
    wait_for(lambda: node.worker(), MINUTE, "it starts when the port is free")
    wait_whole(cluster)
    assert os.stat(node.pgdata).st_ino == directory


def test_nothing_is_lost(cluster):
    cluster.all_the_while.verify()
