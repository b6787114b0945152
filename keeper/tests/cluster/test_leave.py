"""A node that leaves its group is an ordinary PostgreSQL: it starts by hand and accepts writes."""
import os
import pathlib
import re
import subprocess

from harness import BINDIR, USER, wait_for

PAGE = pathlib.Path(__file__).resolve().parents[3] / "docs/uninstall.md"


def pg_ctl(node, *words):
    command = [BINDIR / "pg_ctl", "-D", node.pgdata, "-w", "-l", node.home / "by-hand.log", *words]
    return subprocess.run(node.host.command(command, node.env), capture_output=True, text=True, timeout=60, cwd="/tmp")


def starts_by_hand(node):
    done = pg_ctl(node, "start")
    assert done.returncode == 0, (node.home / "by-hand.log").read_text()
    try:
        node.sql("CREATE TABLE on_its_own AS SELECT 1 AS i")
        assert node.sql("SELECT count(*) FROM on_its_own") == "1"
        assert node.sql("SELECT pg_is_in_recovery()") == "f"
        assert node.sql("SHOW synchronous_standby_names") == "" and node.sql("SHOW primary_conninfo") == ""
        assert "pgautofailover" not in node.sql("SHOW shared_preload_libraries")
        assert node.sql("SELECT count(*) FROM pg_replication_slots WHERE slot_name LIKE 'pgautofailover%'") == "0"
        assert node.sql("SHOW port") == str(node.port)
        return node.sql("SHOW shared_preload_libraries")
    finally:
        assert pg_ctl(node, "-m", "fast", "stop").returncode == 0


def nothing_of_ours(node):
    left = [path.name for path in node.pgdata.iterdir() if path.name.startswith("postgresql-auto-failover")]
    assert left == [] and not (node.pgdata / "standby.signal").exists()
    assert "include" not in "".join(line for line in (node.pgdata / "postgresql.conf").read_text().splitlines(True)
                                    if "auto-failover" in line)
    hba = (node.pgdata / "pg_hba.conf").read_text()
    assert "pgautofailover_replicator" not in hba and "pgautofailover_monitor" not in hba


def test_dropped_standby_and_dropped_primary_start_by_hand(cluster):
    a, b = cluster.two_nodes()
    a.sql("CREATE TABLE kept AS SELECT 42 AS i")
    conf = a.pgdata / "postgresql.conf"
    conf.write_text("shared_preload_libraries = 'auto_explain'\n" + conf.read_text())
    b.autoctl("drop", "node")
    b.process.wait(timeout=20)
    nothing_of_ours(b)
    cluster.wait_states(a="single")
    starts_by_hand(b)
    assert b.server_pids() == []
    done = a.autoctl("drop", "node")
    assert f'"{a.pgdata}"' in done.stderr and "node 1" in done.stderr and "MB" in done.stderr
    a.process.wait(timeout=20)
    nothing_of_ours(a)
    assert starts_by_hand(a) == "auto_explain"
    again = a.autoctl("run", check=False)
    assert again.returncode == 121 and "dropped" in again.stderr


def type_in(node, script):
    """What the page says, on the node, with its directory in the place of the words that stand for it."""
    script = script.replace("PGDATA", str(node.pgdata)).replace("MONITOR", str(node.cluster.monitor.pgdata))
    env = {**node.env, "PGHOST": node.sockets, "PGPORT": node.port, "PGUSER": USER}
    done = subprocess.run(node.host.command(["bash", "-e", "-u", "-c", script], env), capture_output=True, text=True,
                          timeout=120, cwd="/tmp", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def test_every_command_of_the_page_works(cluster):
    one_node, roles, whole_group = re.findall(r"```sh\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    a, b = cluster.two_nodes()
    # The files of the monitor are in another home directory, which is where the last command is typed.
    drop_last_node, drop_monitor = whole_group.splitlines()
    type_in(b, one_node)
    b.process.wait(timeout=30)
    cluster.wait_states(a="single")
    type_in(a, drop_last_node)
    a.process.wait(timeout=30)
    type_in(a, roles)
    try:
        assert a.sql("SELECT count(*) FROM pg_roles WHERE rolname LIKE 'pgautofailover%'") == "0"
    finally:
        assert pg_ctl(a, "-m", "fast", "stop").returncode == 0
    type_in(cluster.monitor, drop_monitor)
    assert cluster.monitor.postmaster() is None


def test_a_node_that_is_dropped_by_force_or_from_elsewhere_leaves_as_well(cluster):
    a, b = cluster.two_nodes()
    b.stop()
    b.autoctl("drop", "node", "--force")
    nothing_of_ours(b)
    starts_by_hand(b)
    cluster.wait_states(a="single")
    c = cluster.create_node("c")
    cluster.wait_states(a="primary", c="secondary")
    a.autoctl("drop", "node", "--name", "c")
    c.process.wait(timeout=30)
    assert c.process.returncode == 121
    nothing_of_ours(c)


def test_commits_of_a_dropped_node_that_still_loads_the_module_are_refused_with_another_hint(cluster):
    a, b = cluster.two_nodes()
    keeper = next(b.home.glob(".local/share/pg_autoctl/**/pg_autoctl.state")).parent
    b.autoctl("drop", "node")
    b.process.wait(timeout=20)
    options = f"-c shared_preload_libraries=pgautofailover_keeper -c pgautofailover_keeper.directory={keeper}"
    assert pg_ctl(b, "-o", options, "start").returncode == 0
    try:
        refused = ""
        try:
            b.sql("CREATE TABLE t(i int)")
        except subprocess.SubprocessError as error:
            refused = str(error)
        assert "has left its group" in refused, refused
    finally:
        pg_ctl(b, "-m", "immediate", "stop")


def test_a_dropped_node_comes_back_without_a_copy(cluster):
    a, b = cluster.two_nodes()
    a.sql("CREATE TABLE before_drop AS SELECT 1 AS i")
    b.autoctl("drop", "node")
    b.process.wait(timeout=20)
    directory = os.stat(b.pgdata).st_ino
    cluster.wait_states(a="single")
    a.sql("CREATE TABLE meanwhile AS SELECT 1 AS i")
    cluster.create_node("b")
    cluster.wait_states(a="primary", b="secondary")
    cluster.wait_promotable()
    assert os.stat(b.pgdata).st_ino == directory, "data were copied"
    assert b.sql("SELECT count(*) FROM meanwhile") == "1"
    text = (b.pgdata / "postgresql.conf").read_text()
    assert "Kept by pg_auto_failover" not in text
    witness = cluster.witness()
    b.autoctl("perform", "switchover")
    cluster.wait_states(b="primary", a="secondary")
    witness.verify()


def test_a_dropped_node_that_was_written_to_is_copied(cluster):
    a, b = cluster.two_nodes()
    b.autoctl("drop", "node")
    b.process.wait(timeout=20)
    cluster.wait_states(a="single")
    starts_by_hand(b)
    done = cluster.create_node("b", start=False)
    done.start()
    cluster.wait_states(a="primary", b="secondary")
    assert b.sql("SELECT count(*) FROM pg_class WHERE relname = 'on_its_own'") == "0"


def test_what_is_dropped_is_named_and_refused_when_it_cannot_be_read(cluster):
    a, b = cluster.two_nodes()
    state = next(b.home.glob(".local/share/pg_autoctl/**/pg_autoctl.state"))
    b.stop()
    good = state.read_text()
    state.unlink()
    refused = b.autoctl("drop", "node", "--destroy", check=False)
    assert refused.returncode == 3 and "state file" in refused.stderr and "HINT" in refused.stderr
    assert "--destroy" not in refused.stderr and b.pgdata.exists()
    state.write_text(good)
    cluster.own(state.parent)
    done = b.autoctl("drop", "node", "--destroy")
    assert "removing the data in" in done.stderr and str(b.pgdata) in done.stderr and "in state secondary" in done.stderr
    assert not b.pgdata.exists()
    cluster.wait_states(a="single")
    m = cluster.monitor
    refused = m.autoctl("drop", "monitor", "--destroy", check=False)
    assert refused.returncode == 3 and "has 1 node" in refused.stderr
    m.stop()
    refused = m.autoctl("drop", "monitor", "--destroy", check=False)
    assert refused.returncode == 3 and "has 1 node" in refused.stderr and m.pgdata.exists()
    m.start()
    wait_for(lambda: cluster.states(), 30, "the monitor answers")
    a.autoctl("drop", "node")
    m.autoctl("drop", "monitor", "--destroy")
    assert not m.pgdata.exists()
