"""What is there already becomes a node: backups, standbys of another tool, and what is refused, with what to do."""
import os
import subprocess
import time

import pytest

from harness import BINDIR, USER, wait_for


def tool(node, *words, check=True):
    return subprocess.run(node.host.command([BINDIR / words[0], *words[1:]], node.env), capture_output=True, text=True,
                          timeout=60, cwd="/tmp", check=check)


def create(cluster, node, *extra, check=True, env=None, timeout=120):
    return node.autoctl("create", "postgres", "--pgport", node.port, "--hostname", node.host.address, "--name",
                        node.name, "--auth", "trust", "--no-ssl", "--username", USER, "--monitor",
                        cluster.monitor_uri(), *extra, check=check, env=env, timeout=timeout)


def ordinary_server(cluster, name):
    """A primary that archives, as somebody has made it; it runs."""
    node = cluster.node(name)
    archive = node.home / "archive"
    tool(node, "initdb", "-D", node.pgdata, "--auth=trust", "--no-sync")
    archive.mkdir()
    cluster.own(archive)
    with open(node.pgdata / "postgresql.conf", "a", encoding="utf-8") as conf:
        conf.write(f"port = {node.port}\nunix_socket_directories = '{node.sockets}'\narchive_mode = on\n"
                   f"archive_command = 'cp %p {archive}/%f'\nwal_level = replica\n")
    pg_ctl(node, "start")
    return node, archive


def pg_ctl(node, *words):
    return tool(node, "pg_ctl", "-D", node.pgdata, "-w", "-l", node.home / "by-hand.log", "-m", "fast", *words)


def base_backup(source, node, *words):
    tool(node, "pg_basebackup", "-D", node.pgdata, "-h", source.sockets, "-p", str(source.port), "-X", "stream",
         "-c", "fast", *words)


def set_port(node):
    conf = node.pgdata / "postgresql.conf"
    conf.write_text(conf.read_text() + f"port = {node.port}\nunix_socket_directories = '{node.sockets}'\n")


def test_a_restored_backup_is_recovered_to_its_end_and_adopted(cluster):
    cluster.create_monitor()
    old, archive = ordinary_server(cluster, "old")
    old.sql("CREATE TABLE t AS SELECT 1 AS i")
    a = cluster.node("a")
    base_backup(old, a)
    old.sql("INSERT INTO t VALUES (2)")
    old.sql("SELECT pg_switch_wal()")
    pg_ctl(old, "stop")
    set_port(a)
    done = create(cluster, a, check=False)
    assert done.returncode == 3 and "was not restored" in done.stderr and "recovery.signal" in done.stderr
    assert cluster.states() == {}, "a refused node must not stay registered"
    (a.pgdata / "recovery.signal").touch()
    cluster.own(a.pgdata)
    done = create(cluster, a, check=False)
    assert done.returncode != 0 and "restore_command" in done.stderr and (a.pgdata / "recovery.signal").exists()
    with open(a.pgdata / "postgresql.auto.conf", "a", encoding="utf-8") as conf:
        conf.write(f"restore_command = 'sleep 0.3; cp {archive}/%f %p'\nprimary_conninfo = 'host=192.0.2.10 user=repl'\n")
    done = create(cluster, a)
    assert "Finishing the recovery" in done.stderr and "The recovery has ended" in done.stderr
    a.start()
    cluster.wait_states(a="single")
    a.wait_up()
    assert a.sql("SELECT count(*) FROM t") == "2", "what was archived after the backup"
    assert a.sql("SELECT timeline_id FROM pg_control_checkpoint()") == "2"
    b = cluster.create_node("b")
    cluster.wait_states(a="primary", b="secondary")
    assert b.sql("SELECT count(*) FROM t") == "2"


def test_a_standby_is_no_first_node_and_no_hint_tells_to_remove_a_signal_file(cluster):
    cluster.create_monitor()
    old, _ = ordinary_server(cluster, "old")
    a = cluster.node("a")
    base_backup(old, a, "-R")
    pg_ctl(old, "stop")
    done = create(cluster, a, check=False)
    assert done.returncode == 3 and "is a standby" in done.stderr and "pg_ctl promote" in done.stderr
    assert "remove" not in done.stderr.lower()
    assert (a.pgdata / "standby.signal").exists() and cluster.states() == {}


def test_a_standby_of_the_same_system_is_kept_without_a_copy(cluster):
    cluster.create_monitor()
    a, _ = ordinary_server(cluster, "a")
    a.sql("CREATE TABLE t AS SELECT 1 AS i")
    b = cluster.node("b")
    base_backup(a, b, "-R")
    set_port(b)
    pg_ctl(b, "start")
    wait_for(lambda: b.sql("SELECT count(*) FROM t") == "1", 20, "the standby follows")
    pg_ctl(b, "stop")
    pg_ctl(a, "stop")
    create(cluster, a)
    a.start()
    cluster.wait_states(a="single")
    a.wait_up()
    a.sql("INSERT INTO t VALUES (2)")
    directory = os.stat(b.pgdata).st_ino
    done = create(cluster, b)
    assert "without a copy" in done.stderr
    b.start()
    cluster.wait_states(a="primary", b="secondary")
    cluster.wait_promotable()
    assert os.stat(b.pgdata).st_ino == directory and b.sql("SELECT count(*) FROM t") == "2"
    b.autoctl("perform", "switchover")
    cluster.wait_states(b="primary", a="secondary")


def test_create_says_at_once_what_it_waits_for(cluster):
    cluster.create_monitor()
    cluster.create_node("a", start=False)
    b = cluster.node("b")
    command = b.host.command([BINDIR / "pg_autoctl", "create", "postgres", "--pgport", b.port, "--hostname",
                              b.host.address, "--name", "b", "--auth", "trust", "--no-ssl", "--monitor",
                              cluster.monitor_uri()], b.env)
    with open(b.home / "create.log", "wb") as log:
        creating = subprocess.Popen(command, stdout=log, stderr=log, cwd="/tmp", start_new_session=True)
    try:
        said = lambda: (b.home / "create.log").read_text()  # noqa: E731
        wait_for(lambda: 'aiting for node 1 "a"' in said() and "pg_autoctl run" in said(), 5, "it is said at once")
        wait_for(lambda: said().count("aiting for node 1") >= 2, 15, "and again after 10 s")
        cluster.node("a").start()
        creating.wait(timeout=60)
        assert creating.returncode == 0
    finally:
        if creating.poll() is None:
            creating.terminate()
            creating.wait(timeout=20)


def test_a_wrong_replication_password_ends_create_with_what_to_do(cluster):
    cluster.create_monitor()
    cluster.auth = "scram-sha-256"
    a = cluster.node("a")
    a.env["LANGUAGE"] = "de"  # what it says before anybody is let in is read by nobody
    words = ("create", "postgres", "--auth", "scram-sha-256", "--no-ssl", "--hostname", "127.0.0.1", "--monitor",
             cluster.monitor_uri())
    a.autoctl(*words, "--pgport", a.port, "--name", "a", env={"PG_AUTOCTL_REPLICATION_PASSWORD": "right"})
    a.start()
    cluster.wait_states(a="single")
    b = cluster.node("b")
    began = time.monotonic()
    done = b.autoctl(*words, "--pgport", b.port, "--name", "b", check=False, env={"PG_AUTOCTL_REPLICATION_PASSWORD": "wrong"},
                     timeout=50)
    assert done.returncode == 8, done.stderr
    assert "PG_AUTOCTL_REPLICATION_PASSWORD" in done.stderr and "wrong" not in done.stderr
    assert "SQLSTATE 28P01" in done.stderr, done.stderr
    assert time.monotonic() - began < 30
    b.autoctl("config", "set", "replication.password", "right")
    b.autoctl(*words, "--pgport", b.port, "--name", "b", env={"PG_AUTOCTL_REPLICATION_PASSWORD": "right"})
    b.start()
    cluster.wait_states(a="primary", b="secondary")


def test_data_that_are_gone_or_incomplete_are_copied_anew(cluster):
    a, b = cluster.two_nodes()
    a.sql("CREATE TABLE t AS SELECT generate_series(1, 1000) AS i")
    for damage in (["."], ["global/pg_filenode.map"], ["base"]):
        b.stop()
        cluster.wait_states(a="wait_primary")
        for name in damage:
            subprocess.run(["rm", "-rf", b.pgdata / name if name != "." else b.pgdata], check=True)
        b.start()
        cluster.wait_states(a="primary", b="secondary")
        assert b.sql("SELECT count(*) FROM t") == "1000"
        cluster.wait_promotable()


def test_create_is_not_done_without_data(cluster):
    a, b = cluster.two_nodes()
    b.stop()
    cluster.wait_states(a="wait_primary")
    subprocess.run(["rm", "-rf", b.pgdata], check=True)
    done = b.autoctl("create", "postgres")
    assert "is ready" in done.stderr and (b.pgdata / "global" / "pg_control").exists()
    b.start()
    cluster.wait_states(a="primary", b="secondary")


def test_a_dump_of_the_monitor_holds_the_extension(cluster):
    cluster.create_monitor()
    m = cluster.monitor
    dump = tool(m, "pg_dump", "-h", m.sockets, "-p", str(m.port), "pg_auto_failover").stdout
    assert dump.count("CREATE EXTENSION") == 2, "pgautofailover and what it needs"
    for query in ("SELECT min(oid) FROM pg_extension WHERE extname = 'pgautofailover'",
                  "SELECT oid FROM pg_database WHERE datname = 'pg_auto_failover'",
                  "SELECT min(oid::bigint) FROM pg_roles WHERE rolname LIKE 'autoctl%'"):
        assert int(m.sql(query, dbname="pg_auto_failover")) >= 16384, query
    a = cluster.node("a")
    a.autoctl("create", "postgres", "--pgport", a.port, "--hostname", "127.0.0.1", "--name", "a", "--auth", "trust",
              "--no-ssl", "--monitor", cluster.monitor_uri(), "--dbname", "app", "--username", "app")
    a.start()
    cluster.wait_states(a="single")
    a.wait_up()
    for query in ("SELECT min(oid::bigint) FROM pg_roles WHERE rolname LIKE 'pgautofailover%' OR rolname = 'app'",
                  "SELECT oid FROM pg_database WHERE datname = 'app'"):
        assert int(a.sql(query)) >= 16384, query


@pytest.mark.parametrize("words", [["show", "state"], ["show", "events"], ["show", "settings"], ["show", "standby-names"]])
def test_unknown_formations_and_groups_are_named(cluster, words):
    cluster.create_monitor()
    m = cluster.monitor
    done = m.autoctl(*words, "--formation", "typo", check=False)
    assert done.returncode == 6 and '"typo" does not exist' in done.stderr
    done = m.autoctl(*words, "--group", "7", check=False)
    assert done.returncode == 6 and "no group 7" in done.stderr
    if words[1] != "standby-names":  # there is none without a node
        assert m.autoctl(*words).returncode == 0


def test_rules_of_the_site_that_end_in_a_rejection(cluster):
    cluster.create_monitor()
    a, _ = ordinary_server(cluster, "a")
    pg_ctl(a, "stop")
    hba = a.pgdata / "pg_hba.conf"
    hba.write_text("local all all trust\nhost all all 0.0.0.0/0 reject\nhost replication all 0.0.0.0/0 reject\n")
    create(cluster, a)
    a.start()
    cluster.wait_states(a="single")
    cluster.create_node("b")
    cluster.wait_states(a="primary", b="secondary")
    assert hba.read_text().startswith("local all all trust\n") and "0.0.0.0/0 reject" in hba.read_text()


def test_the_trouble_of_a_node_is_in_show_state(cluster):
    a, b = cluster.two_nodes()
    conf = b.pgdata / "postgresql.conf"
    good = conf.read_text()
    b.stop()
    conf.write_text(good + "this is not a setting\n")
    b.start()
    wait_for(lambda: "syntax error" in a.autoctl("show", "state").stdout, 30, "the reason in show state")
    assert 'Node 2 "b":' in a.autoctl("show", "state").stdout
    conf.write_text(good)
    cluster.wait_states(a="primary", b="secondary")
    wait_for(lambda: "syntax error" not in a.autoctl("show", "state").stdout, 30, "it is over")


def adopted(cluster, name, configuration, *statements):
    """A server of an administrator, with his configuration, that was stopped and taken over."""
    node, _ = ordinary_server(cluster, name)
    with open(node.pgdata / "postgresql.conf", "a", encoding="utf-8") as conf:
        conf.write(configuration)
    pg_ctl(node, "restart")
    for statement in statements:
        node.sql(statement)
    pg_ctl(node, "stop")
    done = create(cluster, node)
    node.start()
    cluster.wait_states(**{name: "single"})
    node.wait_up()
    return node, done.stderr


def test_what_had_to_change_is_said_and_an_event(cluster):
    cluster.create_monitor()
    # No test runs on more than one address: one that is not the node's stands for a private one.
    a, said = adopted(cluster, "a", "listen_addresses = '127.0.0.2'\nrecovery_target_xid = '1'\nmax_wal_senders = 5\n",
                      "ALTER SYSTEM SET synchronous_standby_names = ''", "ALTER SYSTEM SET primary_slot_name = 'of_old'")
    assert 'Changed the setting "max_wal_senders" from "5" to "72"' in said
    assert 'listens on "127.0.0.2" only' in said and "postgresql.listen_addresses" in said
    told = cluster.events(60)
    assert "Settings of PostgreSQL that had to change" in told and '"max_wal_senders" from "5" to "72"' in told
    assert '"recovery_target_xid" from "1" to ""' in told and 'listens on "127.0.0.2" only' in told
    assert "# Decided by pg_auto_failover: primary_slot_name" in (a.pgdata / "postgresql.auto.conf").read_text()
    a.autoctl("config", "set", "postgresql.listen_addresses", "*")
    a.autoctl("restart")
    wait_for(lambda: a.sql("SHOW listen_addresses") == "*", 30, "it listens to everybody")
    # The target of an earlier recovery comes with the copy, and stops no standby.
    b = cluster.create_node("b")
    cluster.wait_states(a="primary", b="secondary")
    a.sql("CREATE TABLE t AS SELECT 1 AS i")
    wait_for(lambda: b.sql("SELECT count(*) FROM pg_class WHERE relname = 't'") == "1", 20, "the standby replays")
    assert b.sql("SHOW recovery_target_xid") == ""


def test_slots_of_users_are_theirs(cluster):
    """Nobody drops them, and who loses them is told."""
    cluster.create_monitor()
    a, _ = adopted(cluster, "a", "wal_level = logical\nmax_slot_wal_keep_size = 48MB\n",
                   "SELECT pg_create_physical_replication_slot('barman', true)",
                   "SELECT pg_create_logical_replication_slot('debezium', 'pgoutput')")
    cluster.create_node("b")
    cluster.wait_states(a="primary", b="secondary")
    cluster.wait_promotable()
    names = "SELECT string_agg(slot_name, ' ' ORDER BY 1) FROM pg_replication_slots WHERE slot_name !~ '^pgautofailover'"
    assert a.sql(names) == "barman debezium"
    for _ in range(3):
        a.sql("SELECT pg_logical_emit_message(true, 'fill', 'x')")
        a.sql("SELECT pg_switch_wal()")
    wait_for(lambda: "holds back" in cluster.monitor.autoctl("show", "state").stdout, 20, "the slot is a named problem")
    cluster.monitor.autoctl("perform", "switchover")
    cluster.wait_states(a="secondary", b="primary")
    wait_for(lambda: "Logical replication slots of users are on this standby" in cluster.events(60), 20, "an event")
    assert a.sql(names) == "barman debezium"
    cluster.wait_promotable()
    a.autoctl("reinit")
    wait_for(lambda: "slots of users went with the old data" in cluster.events(60), 20, "an event")
