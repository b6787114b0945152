"""What an administrator does who has not read our pages: the group is whole again by itself and nothing is copied, or the
node says what is wrong, in words with which it can be mended. A client keeps books all the while."""
import os
import shutil
import time

import pytest

from hands import MINUTE, choose, cluster, pair, pg_ctl, wait_whole  # noqa: F401 (a fixture)
from harness import IS_ROOT, wait_for


@pytest.fixture(scope="module")
def group():
    with pair() as cluster:
        yield cluster


def problems(cluster):
    return cluster.monitor.autoctl("show", "state").stdout


def restart(node):
    pg_ctl(node, "-m", "fast", "-w", "restart")


def own(node, path):
    os.chown(path, os.stat(node.pgdata).st_uid, os.stat(node.pgdata).st_gid)


def touch(name):
    def act(node):
        (node.pgdata / name).touch()
        own(node, node.pgdata / name)
    return act


def remove(name):
    return lambda node: (node.pgdata / name).unlink(missing_ok=True)


def only(name, text):
    return lambda node: (node.pgdata / name).write_text(text)


def mode(bits):
    return lambda node: node.pgdata.chmod(bits)


def sql(*statements):
    def act(node):
        for statement in statements:
            node.sql(statement)
    return act


def start_with_options(node):
    pg_ctl(node, "-m", "immediate", "-w", "stop")
    pg_ctl(node, "-o", "-c shared_preload_libraries= -c synchronous_standby_names=", "-w", "start")


def without_our_files(node):
    for path in node.pgdata.glob("postgresql-auto-failover*"):
        path.unlink()


def moved_and_linked(node):
    """To another disk, as many do it."""
    node.autoctl("stop")
    node.process.wait(timeout=30)
    elsewhere = node.home / "moved"
    if node.pgdata.is_symlink():
        node.pgdata.unlink()
        elsewhere.rename(node.pgdata)
    else:
        node.pgdata.rename(elsewhere)
        node.pgdata.symlink_to(elsewhere)
    node.start()


HEALS = {
    "start with other options": (start_with_options, None),
    "recovery.signal": (touch("recovery.signal"), restart),
    "standby.signal is there": (touch("standby.signal"), restart),
    "standby.signal is gone": (remove("standby.signal"), restart),
    "reset of all settings": (sql("ALTER SYSTEM RESET ALL"), restart),
    "no postgresql.auto.conf": (remove("postgresql.auto.conf"), restart),
    "a pg_hba.conf without our lines": (only("pg_hba.conf", "local all all trust\n"), restart),
    "an empty postgresql.conf": (only("postgresql.conf", ""), restart),
    "none of our files": (without_our_files, restart),
    "a mode that everybody may use": (mode(0o777), restart),
    "a mode that nobody may write with": (mode(0o500), restart),
    "slots are dropped": (sql("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active"), None),
    "moved, and linked": (moved_and_linked, None),
    "moved back": (moved_and_linked, None),
}


@pytest.mark.parametrize("role", ["primary", "standby"])
@pytest.mark.parametrize("hand", HEALS)
def test_it_heals_by_itself_without_a_copy(cluster, hand, role):
    if hand.startswith("moved") and role == "primary":
        pytest.skip("the same as on a standby: it is stopped first")
    node = choose(cluster, role)
    sizes = [(name, os.stat(cluster.node(name).pgdata).st_ino) for name in "ab"]
    act, then = HEALS[hand]
    act(node)
    if then:
        then(node)
    wait_for(lambda: node.worker() and node.sql("SELECT 1") == "1", MINUTE, "its server works")
    wait_whole(cluster)
    assert [(name, os.stat(cluster.node(name).pgdata).st_ino) for name in "ab"] == sizes, "data were copied"


def no_hba(node):
    shutil.move(node.pgdata / "pg_hba.conf", node.home / "hba")
    restart(node)


def no_conf(node):
    shutil.move(node.pgdata / "postgresql.conf", node.home / "conf")
    restart(node)


def back(kept, name):
    def act(node):
        shutil.move(node.home / kept, node.pgdata / name)
    return act


def with_line(line, then=None, name="postgresql.conf"):
    """A file of the administrator has one line more."""
    def act(node):
        shutil.copy(node.pgdata / name, node.home / name)
        with open(node.pgdata / name, "a", encoding="utf-8") as file:
            file.write(line + "\n")
        if then:
            then(node)
    return act


def without_line(name="postgresql.conf", then=None):
    def act(node):
        (node.pgdata / name).write_text((node.home / name).read_text())
        if then:
            then(node)
    return act


def reload(node):
    pg_ctl(node, "reload")


def with_role(change):
    """On the primary; its standby says what it misses."""
    def act(node):
        choose(node.cluster, "primary").sql(change)
        choose(node.cluster, "primary").sql("SELECT pg_terminate_backend(pid) FROM pg_stat_replication")
    return act


def mend_role(change):
    def act(node):
        other = node.cluster.node("ab".replace(node.name, ""))
        other.sql(change)
    return act


ABC = "invalid value for parameter \"work_mem\": \"abc\""
AUTO = "postgresql.auto.conf"
ROLE = "ALTER ROLE pgautofailover_replicator "
NAMED = {
    "no pg_hba.conf": (no_hba, "pg_hba.conf\" is missing: put it back", back("hba", "pg_hba.conf")),
    "no postgresql.conf": (no_conf, "postgresql.conf\" is missing: put it back", back("conf", "postgresql.conf")),
    "a value that cannot be": (with_line("work_mem = 'abc'"), f": {ABC}", without_line()),
    "the same, and a restart, without postgresql.auto.conf": (
        with_line("work_mem = 'abc'", lambda node: (remove(AUTO)(node), restart(node))), "postgresql.conf, line", without_line()),
    "the same, and a restart": (with_line("work_mem = 'abc'", restart), "postgresql.conf, line", without_line()),
    "beyond the range, by a tool": (with_line("shared_buffers = '900TB'", name=AUTO), "postgresql.auto.conf, line", without_line(AUTO)),
    "more memory than there is": (with_line("shared_buffers = '3TB'", restart), "shared memory", without_line()),
    "a library that is not there": (with_line("shared_preload_libraries = 'nowhere'", restart), "could not access file \"nowhere\"",
                                    without_line()),
    "sessions load what is not there": (with_line("session_preload_libraries = 'nowhere'", reload),
                                        "no session can begin but one of a superuser with PGOPTIONS", without_line(then=reload)),
    "the same, of a plugin": (with_line("local_preload_libraries = 'nowhere'", reload), "there is no library \"nowhere\"",
                              without_line(then=reload)),
    "replay is paused": (sql("SELECT pg_wal_replay_pause()"), "the replay of WAL is paused", sql("SELECT pg_wal_replay_resume()")),
    "the role of replication may not log in": (with_role(ROLE + "NOLOGIN"), "is not permitted to log in", mend_role(ROLE + "LOGIN")),
    "it may not replicate": (with_role(ROLE + "NOREPLICATION"), "no WAL is received", mend_role(ROLE + "REPLICATION")),
    "it has another name": (with_role(ROLE + "RENAME TO somebody"), "does not exist",
                            mend_role("ALTER ROLE somebody RENAME TO pgautofailover_replicator")),
}


# With these a standby takes over where the primary cannot start, and what it cannot read it goes on without.
ON_PRIMARY = ("no pg_hba.conf", "no postgresql.conf", "a value that cannot be",
              "the same, and a restart, without postgresql.auto.conf", "more memory than there is",
              "a library that is not there", "sessions load what is not there")
WRONG = [(hand, "standby") for hand in NAMED if "without" not in hand] + [(hand, "primary") for hand in ON_PRIMARY]


@pytest.mark.parametrize("hand, role", WRONG, ids=[f"{hand}, on the {role}" for hand, role in WRONG])
def test_it_says_what_is_wrong(cluster, hand, role):
    node = choose(cluster, role)
    directory = os.stat(node.pgdata).st_ino
    act, words, mend = NAMED[hand]
    act(node)
    try:
        wait_for(lambda: words in problems(cluster), MINUTE, f"show state says: {words}", interval=0.3)
        cluster.all_the_while.wait_ack_after(time.time(), MINUTE)
    finally:
        mend(node)  # also after a failure: the next row begins with a group that is whole
    wait_for(lambda: words not in problems(cluster), MINUTE, "all is well")
    wait_whole(cluster)
    assert os.stat(node.pgdata).st_ino == directory, "data were copied"


def test_a_file_that_is_gone_fills_no_log(cluster):
    """Our worker looks at the files again and again."""
    node = choose(cluster, "standby")
    remove(AUTO)(node)
    worker = node.worker()
    with_line("work_mem = 'abc'")(node)
    wait_for(lambda: ABC in problems(cluster), MINUTE, "it has looked")
    logs = "".join(path.read_text() for path in (node.pgdata / "log").iterdir())
    assert not [line for line in logs.splitlines() if f"[{worker}]" in line and "skipping" in line]
    without_line()(node)
    touch(AUTO)(node)
    wait_for(lambda: ABC not in problems(cluster), MINUTE, "it is mended")


@pytest.mark.skipif(not IS_ROOT, reason="makes a file that the user of PostgreSQL cannot read")
def test_what_a_copy_cannot_read_is_named(cluster):
    """Somebody has looked around as root, and has left a file. The copy goes on when it is gone."""
    node, primary = choose(cluster, "standby"), choose(cluster, "primary")
    file = primary.pgdata / "of_root"
    file.touch(mode=0o600)
    node.autoctl("reinit", "--no-wait")
    wait_for(lambda: 'of_root": Permission denied' in problems(cluster), MINUTE, "show state says why", interval=0.3)
    cluster.all_the_while.wait_ack_after(time.time(), MINUTE)
    file.unlink()
    wait_for(lambda: "Permission denied" not in problems(cluster), MINUTE, "all is well")
    wait_whole(cluster)


def test_nothing_is_lost(cluster):
    cluster.all_the_while.verify()
