"""Every word that an administrator can say to pg_ctl, and every setting that is ours, in every way that he can
change it: on the primary and on the standby, in one group that goes on from row to row.

A client keeps books all the while, and on each node one for which the local disk is enough. After each row the
group is whole again within a minute and data were not copied; at the end nothing that was acknowledged is
missing, and never did two nodes acknowledge.
"""
import os
import signal
import subprocess
import time

import pytest

from faults import signal_all
from hands import MINUTE, TwoWriters, choose, cluster, pair, pg_ctl, wait_whole  # noqa: F401 (a fixture)
from harness import wait_for


@pytest.fixture(scope="module")
def group():
    with pair() as cluster:
        cluster.two_writers = TwoWriters(cluster, cluster.node("a"), cluster.node("b"))
        yield cluster


def check_row(cluster, act, role):
    node = choose(cluster, role)
    directories = [os.stat(cluster.node(name).pgdata).st_ino for name in "ab"]
    said = act(node)
    # As long as nothing has noticed, a group looks whole.
    cluster.all_the_while.wait_ack_after(time.time(), MINUTE)
    wait_for(lambda: node.worker() and node.sql("SELECT 1") == "1", MINUTE, "the node runs as it should")
    wait_whole(cluster)
    assert [os.stat(cluster.node(name).pgdata).st_ino for name in "ab"] == directories, "data were copied"
    return node, said


def words(*argv):
    return lambda node: pg_ctl(node, *argv)


def kill(signo):
    """Of pg_ctl kill, which knows eight signals; SIGKILL among them."""
    return lambda node: pg_ctl(node, "kill", signo, node.postmaster())


def without_keeper(*argv):
    """pg_autoctl is stopped, PostgreSQL handled without it; then somebody remembers pg_autoctl."""
    def act(node):
        node.autoctl("stop")
        node.process.wait(timeout=30)
        pg_ctl(node, *argv)
        node.start()
    return act


def started_late(node):
    """The same, and everybody has noticed meanwhile."""
    other = next(name for name in "ab" if name != node.name)
    node.autoctl("stop")
    node.process.wait(timeout=30)
    pg_ctl(node, "-w", "start")
    wait_for(lambda: node.cluster.states()[other][0] in ("wait_primary", "primary"), MINUTE, "the other one serves")
    node.start()


def kill_everything(node):
    node.kill()
    node.start()


VERBS = {
    "start": without_keeper("-w", "start"),
    "stop smart": words("-m", "smart", "-W", "stop"),
    "stop fast": words("-m", "fast", "-w", "stop"),
    "stop immediate": words("-m", "immediate", "-w", "stop"),
    "restart smart": words("-m", "smart", "-w", "restart"),
    "restart fast": words("-m", "fast", "-w", "restart"),
    "restart immediate": words("-m", "immediate", "-w", "restart"),
    "reload": words("reload"),
    "promote": words("-W", "promote"),
    "logrotate": words("logrotate"),
    "status": words("status"),
    **{f"kill {signo}": kill(signo) for signo in ("HUP", "INT", "QUIT", "TERM", "USR1", "USR2", "ABRT", "KILL")},
    "kill -9 of everything": kill_everything,
}
ROWS = [(verb, role) for verb in VERBS for role in ("primary", "standby")] + [("start and wait", "primary")]
VERBS["start and wait"] = started_late


@pytest.mark.parametrize("verb, role", ROWS, ids=[f"{verb} on the {role}" for verb, role in ROWS])
def test_verb(cluster, verb, role):
    if verb == "promote" and role == "standby":
        return promoted_by_hand(cluster)
    check_row(cluster, VERBS[verb], role)


def promoted_by_hand(cluster):
    """A standby that was promoted has begun a timeline of its own: it is stopped, rewound, and nothing is lost."""
    node = choose(cluster, "standby")
    pg_ctl(node, "-W", "promote")
    wait_for(lambda: "writes although the node is a standby" in cluster.events(60), MINUTE, "an event says so")
    wait_for(lambda: node.worker() and node.sql("SELECT pg_is_in_recovery()") == "t", MINUTE, "it follows again")
    wait_whole(cluster)


# What changes while a server runs: refused to ALTER SYSTEM.
RUNNING = {
    "synchronous_standby_names": "",
    "primary_conninfo": "host=192.0.2.1",
    "primary_slot_name": "nowhere",
    "recovery_target_timeline": "current",
}
# What stands on the command line.
FIXED = {
    "shared_preload_libraries": "auto_explain",
    "pgautofailover_keeper.directory": "/nowhere",
    "restart_after_crash": "on",
    "hot_standby": "off",
    "wal_level": "replica",
    "wal_log_hints": "off",
    "max_wal_senders": "3",
    "max_replication_slots": "3",
    "recovery_target_xid": "1",
}


def lines(settings):
    return "".join(f"{name} = '{value}'\n" for name, value in settings.items())


def quote(value):
    return "'" + value.replace("'", "''") + "'"


def by_alter_system(node):
    for name, value in RUNNING.items():
        with pytest.raises(subprocess.SubprocessError) as refused:
            node.sql(f"ALTER SYSTEM SET {name} = {quote(value)}")
        assert "HINT" in str(refused.value), str(refused.value)
    for name, value in FIXED.items():
        node.sql(f"ALTER SYSTEM SET {name} = {quote(value)}")


def by_auto_conf(node):
    """As a tool does that edits the file, or ALTER SYSTEM of a server without the module."""
    with open(node.pgdata / "postgresql.auto.conf", "a", encoding="utf-8") as file:
        file.write(lines({**RUNNING, **FIXED}))


def by_include(node):
    (node.pgdata / "site.conf").write_text(lines({**RUNNING, **FIXED}))
    node.cluster.own(node.pgdata / "site.conf")
    with open(node.pgdata / "postgresql.conf", "a", encoding="utf-8") as file:
        file.write("include 'site.conf'\n")
    os.chown(node.pgdata / "site.conf", os.stat(node.pgdata).st_uid, os.stat(node.pgdata).st_gid)


def without_our_include(node):
    conf = node.pgdata / "postgresql.conf"
    conf.write_text("".join(line for line in conf.read_text().splitlines(keepends=True)
                            if "postgresql-auto-failover" not in line))


WAYS = {"ALTER SYSTEM": by_alter_system, "postgresql.auto.conf": by_auto_conf, "an include": by_include,
        "no include of ours": without_our_include}
AFTERWARDS = {"reload": words("reload"), "restart": words("-m", "fast", "-w", "restart"),
              "kill": lambda node: signal_all([node.postmaster()], signal.SIGKILL)}
SETTINGS = [(way, then, role) for way in WAYS for then in AFTERWARDS for role in ("primary", "standby")]


def used(node):
    names = [name for name in (*RUNNING, *FIXED)]
    rows = node.sql("SELECT name, setting FROM pg_settings WHERE name IN (" + ", ".join(map(quote, names)) + ")")
    return dict(row.split("|", 1) for row in rows.splitlines())


def is_ours(node):
    """What the server uses is what we decide, whatever the files say."""
    now = used(node)
    primary = node.sql("SELECT pg_is_in_recovery()") == "f"
    followed = "192.0.2.1" not in now["primary_conninfo"] and now["primary_slot_name"] != "nowhere"
    names = now["synchronous_standby_names"]
    return (followed and now["recovery_target_timeline"] == "latest" and (names.startswith("ANY 1") if primary else True)
            and "pgautofailover_keeper" in now["shared_preload_libraries"]
            and now["pgautofailover_keeper.directory"] != "/nowhere" and now["restart_after_crash"] == "off"
            and now["hot_standby"] == "on" and now["wal_log_hints"] == "on" and now["recovery_target_xid"] == ""
            and int(now["max_wal_senders"]) >= 72 and int(now["max_replication_slots"]) >= 72)


def put_back(node):
    """The next row begins with an administrator's files as they were."""
    node.sql("ALTER SYSTEM RESET ALL")
    conf = node.pgdata / "postgresql.conf"
    conf.write_text(conf.read_text().replace("include 'site.conf'\n", ""))
    pg_ctl(node, "reload")


@pytest.mark.parametrize("way, then, role", SETTINGS, ids=[f"{way}, {then}, on the {role}" for way, then, role in SETTINGS])
def test_setting(cluster, way, then, role):
    def act(node):
        WAYS[way](node)
        return AFTERWARDS[then](node)
    node, _ = check_row(cluster, act, role)
    wait_for(lambda: is_ours(node), MINUTE, "the server uses what we decide", interval=0.2)
    put_back(node)


def test_nothing_is_lost_and_never_two_acknowledge(cluster):
    cluster.two_writers.verify()
    cluster.all_the_while.verify()
