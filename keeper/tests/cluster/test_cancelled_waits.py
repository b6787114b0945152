"""A commit that waits for synchronous standbys is not made visible by whoever cancels it: its client is sent away, the
commit waits on, and the monitor says so."""
import subprocess
import time

import pytest

from harness import BINDIR, USER, open_session, wait_for


def lose_standbys(cluster):
    """A group of three whose commits wait: both standbys are dead."""
    a, b, c = cluster.group("a", "b", "c")
    a.sql("CREATE TABLE t(id int)")
    b.kill()
    c.kill()
    return a, b, c


def insert(cluster, node, number):
    """A client that commits a row; it has to wait."""
    session = open_session(cluster, node)
    session.stdin.write(f"INSERT INTO t VALUES ({number});\n")
    session.stdin.flush()
    wait_for(lambda: waiting(node) != [], 10, "the commit waits")
    return session


def waiting(node):
    return node.sql("SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep' ORDER BY 1").split()


def rows(node):
    return node.sql("SELECT coalesce(string_agg(id::text, ',' ORDER BY id), '') FROM t")


def ends_unanswered(session):
    said, _ = session.communicate(timeout=20)
    assert "server closed the connection unexpectedly" in said, said
    return said


def told(cluster, words):
    return wait_for(lambda: words in cluster.events(200), 20, f"an event: {words}")


@pytest.mark.parametrize("end", ["pg_cancel_backend", "pg_terminate_backend"])
def test_nobody_sees_it_before_it_is_confirmed(cluster, end):
    a, b, _ = lose_standbys(cluster)
    session = insert(cluster, a, 1)
    pid = waiting(a)[0]
    assert a.sql(f"SELECT {end}({pid})") == "t"
    ends_unanswered(session)
    assert waiting(a) == [pid] and rows(a) == ""
    told(cluster, "1 commit was cancelled while it waited for synchronous standbys")
    # Asked once more, and in the same way, it is no other.
    a.sql(f"SELECT pg_terminate_backend({pid})")
    assert waiting(a) == [pid] and rows(a) == ""

    b.start()
    wait_for(lambda: rows(a) == "1", 60, "the standby has confirmed it")
    wait_for(lambda: a.sql(f"SELECT count(*) FROM pg_stat_activity WHERE pid = {pid}") == "0", 10, "its process has ended")


@pytest.mark.parametrize("how", ["commit in a procedure", "COMMIT PREPARED"])
def test_other_commits_that_wait(cluster, how):
    """The timeout of a CALL runs on while its procedure commits; the second phase of two waits as the first does."""
    a, b, c = cluster.group("a", "b", "c")
    a.sql("CREATE TABLE t(id int)")
    a.sql("CREATE PROCEDURE p() LANGUAGE plpgsql AS 'BEGIN INSERT INTO t VALUES (1); COMMIT; END'")
    if how == "COMMIT PREPARED":
        for node in (a, b, c):
            with open(node.pgdata / "postgresql.conf", "a") as conf:
                conf.write("max_prepared_transactions = 5\n")
        cluster.monitor.autoctl("restart", "--all", timeout=180)
        cluster.wait_steady()
    nodes = {node.name: node for node in (a, b, c)}
    primary = nodes.pop(cluster.wait_steady())
    session = open_session(cluster, primary)
    if how == "COMMIT PREPARED":
        session.stdin.write("BEGIN; INSERT INTO t VALUES (1); PREPARE TRANSACTION 'x';\n\\echo prepared\n")
        session.stdin.flush()
        assert session.stdout.readline().strip() == "prepared"
    for node in nodes.values():
        node.kill()
    session.stdin.write("COMMIT PREPARED 'x';\n" if how == "COMMIT PREPARED" else "SET statement_timeout = '2s'; CALL p();\n")
    session.stdin.flush()
    wait_for(lambda: waiting(primary) != [], 10, "the commit waits")
    if how == "COMMIT PREPARED":
        primary.sql(f"SELECT pg_cancel_backend({waiting(primary)[0]})")
    ends_unanswered(session)
    assert len(waiting(primary)) == 1 and rows(primary) == ""
    next(iter(nodes.values())).start()
    wait_for(lambda: rows(primary) == "1", 60, "a standby has confirmed it")


def test_what_a_failover_may_have_taken_is_named(cluster):
    a, b, c = lose_standbys(cluster)
    session = insert(cluster, a, 1)
    a.sql(f"SELECT pg_cancel_backend({waiting(a)[0]})")
    ends_unanswered(session)
    told(cluster, "1 commit was cancelled while it waited for synchronous standbys")
    assert rows(a) == ""
    a.kill()
    b.start()
    c.start()
    cluster.wait_taken_over("a", 90)
    told(cluster, "1 commit whose wait for standbys was cancelled there may be missing")
    new = b if cluster.states()["b"][0] in ("wait_primary", "primary") else c
    wait_for(lambda: new.sql("SELECT pg_is_in_recovery()") == "f", 30, "the new primary")
    # Whatever is there now, it was never seen before.
    assert rows(new) == ""


def test_a_server_that_is_stopped_does_not_wait_for_them(cluster):
    a, b, _ = lose_standbys(cluster)
    left = insert(cluster, a, 1)
    a.sql(f"SELECT pg_terminate_backend({waiting(a)[0]})")
    ends_unanswered(left)
    stays = insert(cluster, a, 2)
    wait_for(lambda: len(waiting(a)) == 2, 10, "both wait")
    began = time.monotonic()
    a.autoctl("stop")
    assert time.monotonic() - began < 20
    stays.communicate(timeout=10)
    a.process.wait(timeout=20)
    # Nobody sees them before a standby holds them; then both are there, or none.
    a.start()
    b.start()
    cluster.wait_states(a="primary", b="secondary", timeout=90)
    wait_for(lambda: rows(a) == "1,2", 60, "both are confirmed")


def test_a_cancel_that_is_too_late_or_too_early_costs_nothing(cluster):
    """Cancels hail down on a client that commits with its standby: each commit is answered or its session ends, and
    what was answered is there."""
    a, _ = cluster.two_nodes()
    a.sql("CREATE TABLE t(id int)")
    cancels = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = 'hail'"
    hail = subprocess.Popen(
        a.host.command([BINDIR / "psql", "-XAtq", "-h", a.sockets, "-p", a.port, "-U", USER, "-d", "postgres"],
                       cluster.client_env()),
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True, cwd="/tmp")
    hail.stdin.write(f"{cancels} \\watch 0.01\n")
    hail.stdin.flush()
    told_ids, number, deadline = [], 0, time.monotonic() + 6
    while time.monotonic() < deadline:
        number += 1
        client = open_session(cluster, a)
        client.stdin.write("SET application_name = 'hail';\n" + "".join(
            f"INSERT INTO t VALUES ({number * 1000 + i}) RETURNING id;\n" for i in range(200)) + "\\q\n")
        said, _ = client.communicate(timeout=20)
        told_ids += [int(line) for line in said.splitlines() if line.isdigit()]
    hail.kill()
    hail.wait()
    found = set(map(int, filter(None, rows(a).split(","))))
    assert len(told_ids) > 100 and set(told_ids) <= found
    assert waiting(a) == []
