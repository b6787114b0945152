"""Who is who: copies of a node, a monitor from a backup, a primary that crashes while the monitor is away."""
import os
import shutil
import signal
import subprocess
import time

import pytest

from harness import children_of, wait_for


def keep_tree(cluster, origin, target):
    shutil.copytree(origin, target, symlinks=True,
                    ignore=lambda folder, names: [n for n in names if n in ("postmaster.pid", "postmaster.opts")])
    for folder, _, names in os.walk(target):
        for name in ["", *names]:
            entry = os.path.join(folder, name)
            shutil.copystat(entry.replace(str(target), str(origin), 1), entry, follow_symlinks=False)
    cluster.own(target)


def copy_node(cluster, origin, name):
    """As somebody does who clones a machine; only the paths are others, because it is one machine."""
    copy = cluster.node(name)
    shutil.rmtree(copy.home)
    keep_tree(cluster, origin.home, copy.home)
    for base in (".config", ".local/share"):
        top = copy.home / base / "pg_autoctl"
        old = top / str(origin.pgdata).lstrip("/")
        new = top / str(copy.pgdata).lstrip("/")
        if not old.is_dir():
            continue
        new.parent.mkdir(parents=True, exist_ok=True)
        old.rename(new)
        for entry in new.iterdir():
            if entry.suffix in (".cfg", ".conf"):
                entry.write_text(entry.read_text().replace(str(origin.home), str(copy.home)))
    cluster.own(copy.home)
    return copy


def test_a_copy_of_the_primary_waits(cluster):
    a, b = cluster.two_nodes()
    witness = cluster.witness()
    before = cluster.states()
    copy = copy_node(cluster, a, "copy")
    copy.start()
    wait_for(lambda: "another keeper of this node" in copy.log.read_text(), 30, "the copy is refused")
    moment = witness.last_ack()
    witness.wait_ack_after(moment, 10)
    assert copy.postmaster() is None
    assert cluster.states() == before and a.sql("SELECT pg_is_in_recovery()") == "f"
    assert "A second keeper" in cluster.events()
    copy.stop()
    witness.verify()


def test_a_copy_of_the_primary_that_is_alone_waits(cluster):
    a, b = cluster.two_nodes()
    b.stop()
    cluster.wait_states(a="wait_primary")
    copy = copy_node(cluster, a, "copy")
    copy.start()
    wait_for(lambda: "another keeper of this node" in copy.log.read_text(), 30, "the copy is refused")
    assert a.sql("CREATE TABLE t AS SELECT 1 AS id; SELECT count(*) FROM t") == "1"
    assert copy.postmaster() is None
    copy.stop()


def test_a_crash_while_the_monitor_is_away_is_survived(cluster):
    a, b = cluster.two_nodes()
    witness = cluster.witness()
    cluster.monitor.stop()
    moment = witness.last_ack()
    witness.wait_ack_after(moment, 10)
    victim = next(pid for pid in children_of(a.postmaster()) if pid != a.worker())
    os.kill(victim, signal.SIGKILL)
    moment = witness.last_ack()
    witness.wait_ack_after(moment, 40)
    assert a.sql("SELECT pg_is_in_recovery()") == "f"
    cluster.monitor.start()
    cluster.wait_states(a="primary", b="secondary")
    witness.verify()


def test_a_monitor_from_a_backup_learns_who_the_primary_is(cluster):
    a, b = cluster.two_nodes()
    monitor = cluster.monitor
    monitor.stop()
    kept = cluster.directory / "kept-monitor"
    keep_tree(cluster, monitor.pgdata, kept)
    monitor.start()
    wait_for(lambda: monitor.autoctl("perform", "switchover", check=False).returncode == 0, 60, "the switchover")
    cluster.wait_states(a="secondary", b="primary")
    witness = cluster.witness()
    monitor.stop()
    shutil.rmtree(monitor.pgdata)
    keep_tree(cluster, kept, monitor.pgdata)
    monitor.start()
    cluster.wait_states(a="secondary", b="primary")
    cluster.wait_promotable()
    assert "the monitor had forgotten decisions" in cluster.events(200)
    moment = witness.last_ack()
    witness.wait_ack_after(moment, 10)
    wait_for(lambda: monitor.autoctl("perform", "switchover", check=False).returncode == 0, 60, "the way back")
    cluster.wait_states(a="primary", b="secondary")
    witness.verify()


def what_it_consists_of_is_dropped(cluster, witness, a, b):
    """By nobody by accident. Who insists is without a monitor, and has the same way back."""
    m = cluster.monitor
    for statement, dbname in (("DROP EXTENSION pgautofailover CASCADE", "pg_auto_failover"), ("DROP ROLE autoctl_node", "postgres"),
                              ("DROP DATABASE pg_auto_failover WITH (FORCE)", "postgres")):
        with pytest.raises(subprocess.SubprocessError) as refused:
            m.sql(statement, dbname=dbname)
        assert "while nodes are registered" in str(refused.value) and "HINT" in str(refused.value)
    m.sql("SET pgautofailover.guard_monitor = off; DROP EXTENSION pgautofailover CASCADE", dbname="pg_auto_failover")
    wait_for(lambda: "does not exist" in (b.log.read_text() + "".join(log.read_text() for log in b.pgdata.glob("log/*"))), 20, "b says why")
    witness.wait_ack_after(time.time() + 4, 15)  # longer than a lease
    done = b.autoctl("show", "state", check=False)
    assert done.returncode == 6 and "has no extension pgautofailover" in done.stderr and "enable monitor" in done.stderr, done.stderr
    m.sql("CREATE EXTENSION pgautofailover CASCADE", dbname="pg_auto_failover")
    for node in (b, a):
        node.autoctl("enable", "monitor", cluster.monitor_uri())
    cluster.wait_states(a="secondary", b="primary")
    cluster.wait_promotable()


def test_running_nodes_go_to_a_new_monitor(cluster):
    """The old one is lost for good, without a backup. Nothing is restarted or copied, and writes go on."""
    a, b = cluster.two_nodes()
    cluster.monitor.autoctl("perform", "failover")
    cluster.wait_states(a="secondary", b="primary")
    cluster.wait_promotable()
    witness = cluster.witness()
    old, cluster.monitor = cluster.monitor, cluster.node("monitor2")
    cluster.create_monitor()
    refused = b.autoctl("enable", "monitor", cluster.monitor_uri(), check=False)
    assert refused.returncode == 3 and "two monitors must not decide" in refused.stderr, refused.stderr
    old.kill()
    old.stop()
    before = [(node.postmaster(), os.stat(node.pgdata).st_ino) for node in (a, b)]
    said = b.autoctl("enable", "monitor", cluster.monitor_uri())
    assert "belongs to the new monitor now, in state primary" in said.stderr, said.stderr
    wait_for(lambda: "rows are older than what" in
             cluster.monitor.autoctl("show", "state").stdout, 20, "b knows more than the monitor")
    witness.wait_ack_after(time.time(), 10)
    a.autoctl("enable", "monitor", cluster.monitor_uri())
    cluster.wait_states(a="secondary", b="primary")
    cluster.wait_promotable()
    assert [(node.postmaster(), os.stat(node.pgdata).st_ino) for node in (a, b)] == before
    assert (cluster.node_id("a"), cluster.node_id("b")) == (1, 2), "the nodes keep their numbers"
    assert a.autoctl("enable", "monitor", cluster.monitor_uri()).returncode == 0, "a second time nothing happens"
    what_it_consists_of_is_dropped(cluster, witness, a, b)
    assert [(node.postmaster(), os.stat(node.pgdata).st_ino) for node in (a, b)] == before
    pauses = witness.times()
    assert max(later - one for one, later in zip(pauses, pauses[1:])) < 2, "writes have not stopped"
    b.kill()
    cluster.wait_states(a="wait_primary")
    witness.wait_ack_after(time.time(), 30)
    witness.verify()
