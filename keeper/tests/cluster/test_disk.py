"""A disk that is full."""
import os
import shutil
import subprocess
import time

import pytest

from harness import wait_for

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small file system, which needs root")
MEGABYTE = 1 << 20


@pytest.fixture
def small_disk(cluster):
    """Node a's home on a file system of its own."""
    home = cluster.node("a").home
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400m,mode=755", "tmpfs", home], check=True)
    (home / "run").mkdir()
    cluster.own(home)
    try:
        yield home
    finally:
        cluster.node("a").stop()
        subprocess.run(["umount", "-l", home], check=True)


def fill(home):
    """Until nothing fits any more."""
    with open(home / "filler", "wb", buffering=0) as filler:
        for size in (MEGABYTE, 4096):
            try:
                while True:
                    filler.write(b"x" * size)
            except OSError:
                pass


def exhaust_wal(node):
    """Asks for new WAL segments until there are none: PostgreSQL panics."""
    for _ in range(100):
        try:
            node.sql("SELECT pg_switch_wal() FROM pg_logical_emit_message(false, 'fill', repeat('x', 1000))")
        except subprocess.SubprocessError:
            return
    raise AssertionError("there was room for 100 segments")


def test_full_disk_of_the_primary(cluster, small_disk):
    """S43: while only data cannot grow, statements fail and nothing else happens; without room for WAL there is one
    failover, no storm of them, and the node returns by itself when there is room again."""
    a, b = cluster.two_nodes()
    witness = cluster.witness()
    fill(small_disk)
    wait_for(lambda: "No space left" in (a.pgdata / "log").iterdir().__next__().read_text(), 60, "statements fail")
    assert cluster.states() == {"a": ("primary", "primary"), "b": ("secondary", "secondary")}
    os.unlink(small_disk / "filler")
    witness.wait_ack_after(time.time(), 30)
    assert cluster.monitor_sql("SELECT term FROM pgautofailover.group_state") == "0", "no failover"

    fill(small_disk)
    exhaust_wal(a)
    panicked = time.time()
    cluster.wait_states(timeout=60, b="wait_primary")
    witness.wait_ack_after(time.time(), 30)
    # It cannot do anything now; neither does it take part, nor does the other one suffer.
    wait_for(lambda: time.time() > panicked + 10 and witness.acks_between(time.time() - 2, time.time()) > 20, 60,
             "writes go on on b")
    assert a.process.poll() is None, "the supervisor lives"
    assert cluster.monitor_sql("SELECT term FROM pgautofailover.group_state") == "1", "one failover"
    os.unlink(small_disk / "filler")
    cluster.wait_states(timeout=90, a="secondary", b="primary")
    witness.wait_ack_after(time.time(), 20)
    witness.verify()


def leave(home, size):
    """So many bytes are free afterwards."""
    disk = os.statvfs(home)
    with open(home / "filler", "wb") as filler:
        os.posix_fallocate(filler.fileno(), 0, disk.f_bavail * disk.f_bsize - size)


def test_a_standby_is_copied_without_room_for_two_and_when_there_is_room_again(cluster, small_disk):
    a, b = cluster.two_nodes()
    a.autoctl("perform", "switchover")
    cluster.wait_states(a="secondary", b="primary")
    cluster.wait_promotable()
    witness = cluster.witness()
    leave(small_disk, 20 * MEGABYTE)
    b.autoctl("reinit", "--name", "a")
    cluster.wait_states(a="secondary", b="primary")
    assert "there is no room for another copy beside it" in a.log.read_text()
    # A copy that does not fit at all: it is said, and goes on by itself.
    a.stop()
    shutil.rmtree(a.pgdata)
    b.sql("CREATE TABLE big AS SELECT repeat(md5(g::text), 4) FROM generate_series(1, 400000) g", timeout=60)
    os.unlink(small_disk / "filler")
    leave(small_disk, 60 * MEGABYTE)
    a.start()
    wait_for(lambda: "No space left on device" in b.autoctl("show", "state").stdout, 60, "show state says why")
    witness.wait_ack_after(time.time(), 20)
    os.unlink(small_disk / "filler")
    cluster.wait_states(timeout=90, a="secondary", b="primary")
    assert a.sql("SELECT count(*) FROM big") == "400000"
    witness.verify()
