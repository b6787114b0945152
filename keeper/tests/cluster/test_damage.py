"""Data with which PostgreSQL cannot start: a standby is copied anew and says why; the only complete copy never is."""
import os
import shutil
import socket
import subprocess
import time

import pytest

from hands import MINUTE, choose, cluster, pair, wait_whole  # noqa: F401 (a fixture)
from harness import BINDIR, Cluster, open_session, wait_for


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
    def with_checksums(cluster):
        a = cluster.node("a")
        initdb = [BINDIR / "initdb", "-D", a.pgdata, "--auth=trust", "--no-sync", "--data-checksums"]
        subprocess.run(a.host.command(initdb, a.env), check=True, capture_output=True, cwd="/tmp")

    with pair(with_checksums) as cluster:
        yield cluster


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("role", ["standby", "primary"])
def test_damaged_node_is_copied_anew(cluster, role, damage):
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


def make_table(cluster):
    """In a database of its own, large enough for an index to be used; its first page is in no buffer after a restart."""
    primary = choose(cluster, "primary")
    if primary.sql("SELECT count(*) FROM pg_database WHERE datname = 'app'") == "0":
        primary.sql("CREATE DATABASE app")
    for statement in ("DROP TABLE IF EXISTS t", "CREATE TABLE t (i int PRIMARY KEY, s text)",
                      "INSERT INTO t SELECT i, repeat('x', 500) FROM generate_series(1, 500) i", "CHECKPOINT"):
        primary.sql(statement, dbname="app")
    return primary.sql("SELECT pg_relation_filepath('t')", dbname="app")


def without_file(pgdata, path):
    (pgdata / path).unlink()


def without_blocks(pgdata, path):
    os.truncate(pgdata / path, 8192)


def with_wrong_checksum(pgdata, path):
    for block in range(os.stat(pgdata / path).st_size // 8192):
        overwrite(pgdata / path, block * 8192 + 4000, b"\x5a" * 100)


def without_database(pgdata, path):
    shutil.rmtree((pgdata / path).parent)


# What PostgreSQL says of each, in part.
IN_ONE_DATABASE = {"a table's file is gone": (without_file, "could not open file"),
                   "a table lacks blocks": (without_blocks, "could not read block"),
                   "a page has a wrong checksum": (with_wrong_checksum, "page"),
                   "a database's directory is gone": (without_database, "app")}


def touch_table(node):
    """An application that reads what is damaged, and is told so by PostgreSQL."""
    try:
        # A bitmap scan passes over blocks that are not there.
        node.sql("SET enable_seqscan = off; SET enable_bitmapscan = off; SELECT count(s) FROM t WHERE i BETWEEN 100 AND 110", dbname="app")
    except subprocess.SubprocessError:
        return True
    return False


def damage_in_one_database(cluster, node, damage):
    path = make_table(cluster)
    wait_for(lambda: node.sql("SELECT count(*) FROM t", dbname="app") == "500", MINUTE, "the table is on both")
    act, words = IN_ONE_DATABASE[damage]
    # Replay begins after the table, and mends nothing.
    primary = choose(cluster, "primary")
    primary.sql("CHECKPOINT")
    end = primary.sql("SELECT pg_current_wal_lsn()")
    wait_for(lambda: node.sql(f"SELECT pg_last_wal_replay_lsn() >= '{end}'") == "t", MINUTE, "the checkpoint is replayed")
    node.sql("CHECKPOINT")
    pid = node.postmaster()
    node.autoctl("stop")
    node.process.wait(timeout=MINUTE)
    act(node.pgdata, path)
    node.start()
    wait_for(lambda: node.worker() and node.postmaster() != pid and node.sql("SELECT 1") == "1", MINUTE, "it is back")
    wait_whole(cluster)
    wait_for(lambda: touch_table(node), MINUTE, "PostgreSQL finds the damage")
    wait_for(lambda: "damaged data were seen" in problems(cluster), MINUTE, "show state says so")
    assert words in problems(cluster), problems(cluster)
    wait_for(lambda: f'"{node.name}" (' in cluster.events(60) and "damaged data were seen: " in cluster.events(60), MINUTE,
             "an event says so")
    health = cluster.monitor_sql(f"SELECT health FROM pgautofailover.current_state() WHERE nodename = '{node.name}'")
    assert health == "0"


@pytest.mark.parametrize("damage", IN_ONE_DATABASE)
def test_damage_in_one_database_of_a_standby(cluster, damage):
    """Nothing is handed over to it, and the command that it names mends it."""
    node = choose(cluster, "standby")
    primary = choose(cluster, "primary")
    damage_in_one_database(cluster, node, damage)
    refused = cluster.monitor.autoctl("perform", "switchover", check=False)
    assert refused.returncode != 0 and f"pg_autoctl reinit --name {node.name}" in refused.stderr, refused.stderr
    assert choose(cluster, "primary") is primary
    assert f"copy it anew: pg_autoctl reinit --name {node.name}" in problems(cluster)
    # It is remembered over restarts by hand.
    node.kill()
    node.start()
    wait_for(lambda: node.worker() and "damaged data were seen" in problems(cluster), MINUTE, "it is remembered")
    cluster.monitor.autoctl("reinit", "--name", node.name)
    wait_whole(cluster)
    wait_for(lambda: "damaged" not in problems(cluster), MINUTE, "all is well")
    assert not touch_table(node)


def test_damage_in_one_database_of_the_primary(cluster):
    """Its standby is whole: it is not copied from the damaged one, and takes over by the command that is named."""
    other = choose(cluster, "standby")
    directory = os.stat(other.pgdata).st_ino
    node = choose(cluster, "primary")
    path = make_table(cluster)
    wait_for(lambda: other.sql("SELECT count(*) FROM t", dbname="app") == "500", MINUTE, "the table is on both")
    without_database(node.pgdata, path)
    wait_for(lambda: touch_table(node), MINUTE, "PostgreSQL finds the damage")
    wait_for(lambda: "hand over: pg_autoctl perform switchover" in problems(cluster), MINUTE, "show state says what to do")
    refused = cluster.monitor.autoctl("reinit", "--name", other.name, check=False)
    assert refused.returncode != 0 and "This node may be whole" in refused.stderr, refused.stderr
    wait_whole(cluster)
    assert os.stat(other.pgdata).st_ino == directory, "the whole copy was not touched"
    cluster.monitor.autoctl("perform", "switchover")
    cluster.wait_states(**{other.name: "primary", node.name: "secondary"})
    assert other.sql("SELECT count(*) FROM t", dbname="app") == "500"
    wait_for(lambda: f"copy it anew: pg_autoctl reinit --name {node.name}" in problems(cluster), MINUTE, "the next step")
    cluster.monitor.autoctl("reinit", "--name", node.name)
    wait_whole(cluster)
    wait_for(lambda: "damaged" not in problems(cluster), MINUTE, "all is well")
    assert node.sql("SELECT count(*) FROM t", dbname="app") == "500"


def test_what_users_raise_is_no_damage(cluster):
    """Who may run a function must not be able to keep a node from being promoted."""
    node = choose(cluster, "primary")
    for code in ("XX001", "XX002", "58P01", "58030"):
        with pytest.raises(subprocess.SubprocessError):
            node.sql("DO $$ BEGIN RAISE EXCEPTION 'could not read block 0 in file \"base/5/1\"' "
                     f"USING ERRCODE = '{code}'; END $$")
    with pytest.raises(subprocess.SubprocessError):
        node.sql("SELECT pg_read_file('base/5/nothing')")
    with pytest.raises(subprocess.SubprocessError):
        node.sql("SELECT 1", dbname="nowhere")
    cluster.all_the_while.wait_ack_after(time.time() + 1, MINUTE)
    assert "damaged" not in problems(cluster)


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
