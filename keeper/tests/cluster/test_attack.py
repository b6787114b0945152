"""An attacker's session: nobody, an ordinary user of a node, a reader, an operator, and a node try what they should not be able
to do. Nothing works, a client goes on writing, and the group is the same afterwards."""
import contextlib
import json
import selectors
import socket
import subprocess
import threading
import time

import pytest

import attacks
from harness import BINDIR, Cluster, wait_for
from test_security import NODE_PASSWORD, OPERATOR_PASSWORD, READER_PASSWORD, REPLICATION_PASSWORD, secret_of, uri

PASSWORDS = {"autoctl_node": NODE_PASSWORD, "autoctl_operator": OPERATOR_PASSWORD, "autoctl_reader": READER_PASSWORD}
MAX_NODES, NEW_ADDRESSES = 130, 20
MONITOR = f"""
pgautofailover.transaction_timeout = '2s'
pgautofailover.max_nodes = {MAX_NODES}
pgautofailover.new_addresses_per_minute = {NEW_ADDRESSES}
max_connections = 60
"""
@pytest.fixture(scope="module")
def group():
    cluster = Cluster(auth="scram-sha-256", ssl="--ssl-self-signed")
    m = cluster.monitor
    m.autoctl("create", "monitor", "--pgport", m.port, "--hostname", "127.0.0.1", "--auth", "scram-sha-256", "--ssl-self-signed",
              env={"PG_AUTOCTL_NODE_PASSWORD": NODE_PASSWORD, "PG_AUTOCTL_OPERATOR_PASSWORD": OPERATOR_PASSWORD,
                   "PG_AUTOCTL_READER_PASSWORD": READER_PASSWORD})
    with open(m.pgdata / "postgresql.conf", "a", encoding="utf-8") as file:
        file.write(MONITOR)
    m.start()
    wait_for(lambda: m.sql("SELECT 1", dbname="pg_auto_failover") == "1", 30, "the monitor answers")
    for name in ("a", "b"):
        node = cluster.node(name)
        node.autoctl("create", "postgres", "--pgport", node.port, "--hostname", "127.0.0.1", "--name", name, "--auth",
                     "scram-sha-256", "--ssl-self-signed", "--pg-hba-lan",
                     env={"PG_AUTOCTL_MONITOR": uri(cluster, NODE_PASSWORD), "PG_AUTOCTL_REPLICATION_PASSWORD": REPLICATION_PASSWORD})
        node.start()
        cluster.wait_states(**({"a": "single"} if name == "a" else {"a": "primary", "b": "secondary"}))
    cluster.wait_promotable()
    a = cluster.node("a")
    a.sql("CREATE ROLE mallory LOGIN PASSWORD 'mallory'")
    a.sql("CREATE DATABASE shop OWNER mallory")
    a.sql("CREATE EXTENSION dblink", dbname="shop")
    cluster.client_writes = cluster.witness(uri=f"postgres://mallory:mallory@127.0.0.1:{a.port}/shop")
    cluster.before = whole(cluster)
    yield cluster
    cluster.close()


def whole(cluster):
    """What may not change, whatever is tried: terms, sets, timelines, nodes, and that they are heard."""
    return cluster.monitor_sql(
        "SELECT g.term, g.highest_timeline, g.sync_confirmed_version, n.nodename, n.nodehost, n.nodeport, n.reportedstate, n.goalstate,"
        " n.candidatepriority FROM pgautofailover.group_state g JOIN pgautofailover.node n USING (formationid, groupid)"
        " WHERE n.nodename IN ('a', 'b') AND g.formationid = 'default' ORDER BY n.nodeid")


@pytest.fixture(autouse=True)
def nothing_changes(group):
    began = time.time()
    yield
    if group.client_writes.process.poll() is not None:
        return
    group.client_writes.wait_ack_after(time.time(), 5)
    times = sorted(at for at in group.client_writes.times() if at >= began)
    gap = max((later - earlier for earlier, later in zip(times, times[1:])), default=0)
    assert gap < 2, f"the client waited {gap:.1f} s"
    wait_for(lambda: whole(group) == group.before, 10, f"the group is as it was, not {whole(group)}, {group.before}")


def of(cluster, role, options=""):
    return uri(cluster, PASSWORDS[role]).replace("autoctl_node:", f"{role}:") + options


def psql(cluster, conninfo, *arguments):
    return cluster.client.command([BINDIR / "psql", "-XAtq", "-d", conninfo, *arguments],
                                  {**cluster.client_env(), "PGCONNECT_TIMEOUT": "10", "PGSSLMODE": "prefer"})


def attempts(cluster, conninfo, statements, secret=None):
    """The statements that were not refused, with what they answered. A line each, in one session."""
    lines = statements.strip().splitlines()
    script = f"SET pgautofailover.node_secret = '{secret}';\n" if secret else ""
    for number, line in enumerate(lines):
        script += f"\\echo @{number}\n{line};\n\\echo @@ :ERROR\n"
    done = subprocess.run(psql(cluster, conninfo), input=script, capture_output=True, text=True, timeout=60, cwd="/tmp", check=False)
    went, heard, at, said = [], 0, 0, ""
    for line in done.stdout.splitlines():
        if line.startswith("@@ "):
            heard += 1
            if line != "@@ true":
                went.append((lines[at], said))
        elif line.startswith("@"):
            at, said = int(line[1:]), ""
        else:
            said += line
    assert heard == len(lines), f"the session ended at: {lines[at]}\n{done.stderr[-500:]}"
    return went


class Session:
    """An open session; what it is told is done in turn."""

    def __init__(self, cluster, conninfo, *statements):
        self.process = subprocess.Popen(psql(cluster, conninfo), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        text=True, cwd="/tmp")
        self.process.stdin.write("".join(f"{statement};\n" for statement in statements))
        self.process.stdin.flush()

    def is_open(self):
        return self.process.poll() is None

    def end(self):
        """What it said."""
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        said = self.process.stdout.read()
        self.process.wait(timeout=20)
        return said


def on_node(cluster, dbname="shop"):
    return f"postgres://mallory:mallory@127.0.0.1:{cluster.node('a').port}/{dbname}"


def reports_are_fresh(cluster):
    return cluster.monitor_sql("SELECT count(*) FROM pgautofailover.node_facts() f JOIN pgautofailover.node n ON n.nodeid = f.node_id"
                               " WHERE n.nodename IN ('a', 'b') AND f.report_time > now() - interval '1 s' AND f.problem = ''") == "2"


def test_nobody(group):
    """No password, no session; and who says nothing keeps nobody out for long."""
    m, a = group.monitor, group.node("a")
    for port, names in ((m.port, ["autoctl_node", "autoctl_operator", "autoctl_reader", "autoctl", "postgres"]),
                        (a.port, ["pgautofailover_replicator", "pgautofailover_monitor", "postgres", "mallory"])):
        for name in names:
            for more in ("", "&replication=true"):
                dbname = "pg_auto_failover" if port == m.port else "postgres"
                done = subprocess.run(psql(group, f"postgres://{name}@127.0.0.1:{port}/{dbname}?sslmode=prefer{more}", "-w", "-c", "SELECT 1"),
                                      capture_output=True, text=True, timeout=20, cwd="/tmp", check=False)
                assert done.returncode != 0 and done.stdout == "", (name, port, done.stdout, done.stderr)
    silent = [socket.create_connection(("127.0.0.1", m.port)) for _ in range(150)]
    assert m.sql("SHOW authentication_timeout") == "10s"
    wait_for(lambda: reports_are_fresh(group), 10, "nodes report meanwhile")
    for connection in silent:
        connection.close()


def test_an_ordinary_user_of_a_node(group):
    """He owns a database, in which an administrator has put dblink."""
    a = group.node("a")
    said = attempts(group, on_node(group), attacks.USER.replace("{SOCKETS}", str(a.sockets)).replace("{PORT}", str(a.port)))
    assert told(said) == []
    # What he may do in his own database changes nothing for ours.
    evil = ["CREATE SCHEMA evil", "CREATE OPERATOR evil.= (leftarg = name, rightarg = name, function = namene)",
            "CREATE FUNCTION evil.pg_is_in_recovery() RETURNS bool LANGUAGE sql AS 'SELECT false'",
            "CREATE TEMP TABLE pg_settings (name text, setting text)", "ALTER DATABASE shop SET search_path = evil, public, pg_catalog"]
    assert len(attempts(group, on_node(group), "\n".join(evil))) == len(evil)
    shown = attempts(group, on_node(group), "SELECT coalesce(string_agg(conninfo, ''), '-') FROM pg_stat_wal_receiver\n"
                     "SELECT string_agg(setting, ' ') FROM pg_settings\nSELECT string_agg(query, ' ') FROM pg_stat_activity")
    assert len(shown) == 3 and not any(word in text for _, text in shown for word in ("n0de", "r3plication", "passfile"))
    # All sessions that there are.
    sessions = [Session(group, on_node(group), "SELECT pg_backend_pid()") for _ in range(100)]
    wait_for(lambda: any(not session.is_open() for session in sessions), 20, "no session is left")
    wait_for(lambda: reports_are_fresh(group), 10, "the node reports meanwhile")
    assert a.autoctl("status").returncode == 0
    for session in sessions:
        session.end()


def told(went):
    """What was not refused, but for queries that have answered nothing: no rows, or NULL."""
    return [(line, said) for line, said in went if said or not line.startswith(("SELECT", "SHOW"))]


def test_a_reader(group):
    conninfo = of(group, "autoctl_reader")
    assert told(attempts(group, conninfo, attacks.EVERYWHERE + attacks.READER.strip())) == []


def test_an_operator(group):
    conninfo = of(group, "autoctl_operator")
    assert told(attempts(group, conninfo, attacks.EVERYWHERE + attacks.OPERATOR.strip())) == []


@pytest.mark.parametrize("has_secret", [False, True])
def test_a_node(group, has_secret):
    """Whoever has the password of the nodes; and one of them, with its secret."""
    secret = secret_of(group.node("b")).read_text().split()[0] if has_secret else None
    report = json.dumps({"version": 1, "formation": "default", "node_id": 1, "group": 0, "keeper_epoch": 1 << 40, "state": "primary",
                         "pg_running": False, "fenced": True, "holder": "supervisor"})
    statements = attacks.EVERYWHERE + attacks.NODE.strip().replace("{REPORT_OF_A}", report)
    assert told(attempts(group, of(group, "autoctl_node"), statements, secret)) == []


def test_forged_numbers_of_a_node(group):
    """With the secret, the epoch and the instance of the standby: whatever it says of itself, the primary goes on."""
    secret = secret_of(group.node("b")).read_text().split()[0]
    known = json.loads(group.monitor_sql(
        "SELECT json_build_object('keeper_epoch', keeperepoch, 'instance', keeperinstance, 'system_identifier', sysidentifier::text,"
        " 'timeline', g.highest_timeline, 'term', g.term) FROM pgautofailover.node JOIN pgautofailover.group_state g USING (formationid, groupid)"
        " WHERE nodename = 'b'"))
    report = {"version": 1, "formation": "default", "node_id": 2, "group": 0, "holder": "worker", "state": "secondary", "pg_running": True,
              "in_recovery": True, "fenced": True, "lease_mode": False, "goal_version": 0, "sync_version": 0, "lsn": "0/1", **known}
    refused = [{"term": 1 << 40}, {"timeline": 1 << 20}, {"keeper_epoch": 1 << 40}, {"sequence": 1 << 50}, {"sync_version": 1 << 40},
               {"known_sync_version": 1 << 40}, {"keeper_epoch": -1}, {"timeline": -1}, {"lsn": "x"}, {"group": 1}, {"formation": "other"},
               {"node_id": 1}, {"state": "dropped?"}]
    harmless = [{"lsn": "FFFFFFFF/FFFFFFFF"}, {"lsn": "FFFFFFFF/FFFFFFFF", "replay_lsn": "FFFFFFFF/FFFFFFFF"},
                {"sealed_lsn": "FFFFFFFF/FFFFFFFF"}, {"lsn": "0/0"}, {"state": "primary", "in_recovery": False, "fenced": False},
                {"state": "wait_primary", "in_recovery": False, "fenced": False}]

    def call(more):
        return "SELECT pgautofailover.report('" + json.dumps({**report, **more}) + "')"
    went = attempts(group, of(group, "autoctl_node"), "\n".join(map(call, refused)), secret)
    assert went == []
    for more in harmless:
        attempts(group, of(group, "autoctl_node"), call(more), secret)
    group.client_writes.wait_ack_after(time.time() + 1, 10)


def test_nobody_holds_a_lock(group):
    """PostgreSQL's own limits can be switched off by every session; ours cannot."""
    own = ("SET application_name = 'held'", "SET idle_in_transaction_session_timeout = 0", "SET statement_timeout = 0", "SET lock_timeout = 0")
    change = "SELECT pgautofailover.set_node_candidate_priority('default', 'b', 50)"
    sessions = [Session(group, of(group, "autoctl_node"), *own, "BEGIN", change),
                Session(group, of(group, "autoctl_node"), *own, f"{change}, pg_sleep(60)"),
                Session(group, of(group, "autoctl_node"), *own, f"DO $$BEGIN LOOP BEGIN PERFORM pg_sleep(60), ({change}); EXCEPTION WHEN OTHERS"
                        " THEN NULL; END; END LOOP; END$$"),
                Session(group, of(group, "autoctl_reader"), *own, "BEGIN ISOLATION LEVEL REPEATABLE READ", "SELECT count(*) FROM pgautofailover.event"),
                Session(group, of(group, "autoctl_reader"), *own, "LISTEN x", "BEGIN", "NOTIFY x"),
                Session(group, of(group, "autoctl_reader"), *own, "SELECT count(*) FROM (SELECT random() FROM generate_series(1, 1000000000) ORDER BY 1) t")]
    held = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'held' AND xact_start IS NOT NULL"
    wait_for(lambda: group.monitor_sql(held) == str(len(sessions)), 2, "all of them are there")
    wait_for(lambda: group.monitor_sql(held) == "0", 20, "they are ended")
    wait_for(lambda: reports_are_fresh(group), 10, "nodes report again")
    assert log_of(group.monitor).count("whose transaction has lasted too long") >= len(sessions)
    for session in sessions:
        session.end()
    assert group.monitor.sql("SHOW temp_file_limit") == "1GB"


def test_notifications_do_not_keep_others_silent(group):
    flood = Session(group, of(group, "autoctl_reader"), *(f"NOTIFY state, '{'x' * 7000}'" for _ in range(2000)))
    told_before = group.monitor_sql("SELECT max(eventid) FROM pgautofailover.event")
    done = group.node("a").autoctl("set", "node", "candidate-priority", "--name", "b", "49")
    group.node("a").autoctl("set", "node", "candidate-priority", "--name", "b", "50")
    assert done.returncode == 0 and group.monitor_sql("SELECT max(eventid) FROM pgautofailover.event") > told_before
    flood.end()


def test_sessions_of_each_role(group):
    """Readers and operators leave room for nodes, nodes for operators."""
    m = group.monitor
    for role, most in (("autoctl_reader", 12), ("autoctl_operator", 12)):
        assert m.sql(f"SELECT rolconnlimit FROM pg_roles WHERE rolname = '{role}'") == str(most)
        sessions = [Session(group, of(group, role)) for _ in range(most + 3)]
        wait_for(lambda sessions=sessions: sum(not session.is_open() for session in sessions) == 3, 20, "three are refused")
        wait_for(lambda: reports_are_fresh(group), 10, "nodes report meanwhile")
        said = [session.end() for session in sessions]
        assert sum("too many connections for role" in text for text in said) == 3
    sessions = [Session(group, of(group, "autoctl_node")) for _ in range(60)]
    wait_for(lambda: any(not session.is_open() for session in sessions), 20, "some are refused")
    done = group.node("a").autoctl("show", "state", "--monitor", of(group, "autoctl_operator"))
    assert done.returncode == 0
    wait_for(lambda: reports_are_fresh(group), 10, "nodes report meanwhile")
    for session in sessions:
        session.end()


class Relay(threading.Thread):
    """Another machine: what connects to it comes to the monitor from an address of its own."""

    def __init__(self, group, address):
        super().__init__(daemon=True)
        self.monitor, self.address = ("127.0.0.1", group.monitor.port), address
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=200)
        self.port = self.socket.getsockname()[1]
        self.start()

    def run(self):
        while True:
            here, _ = self.socket.accept()
            there = socket.create_connection(self.monitor, source_address=(self.address, 0))
            for one, other in ((here, there), (there, here)):
                threading.Thread(target=self.pump, args=(one, other), daemon=True).start()

    @staticmethod
    def pump(one, other):
        with contextlib.suppress(OSError):
            while data := one.recv(4096):
                other.sendall(data)
            other.shutdown(socket.SHUT_WR)


def test_one_machine_does_not_take_all_sessions_of_the_nodes(group):
    """Who knows their password opens as many as he gets; a node that must connect anew finds room."""
    m = group.monitor
    hba = m.pgdata / "pg_hba.conf"
    hba.write_text("hostssl all autoctl_node 127.0.0.9/32 scram-sha-256\n" + hba.read_text())
    m.sql("SELECT pg_reload_conf()")
    relay = Relay(group, "127.0.0.9")
    sessions = [Session(group, of(group, "autoctl_node").replace(f":{m.port}/", f":{relay.port}/")) for _ in range(60)]
    wait_for(lambda: sum(not session.is_open() for session in sessions) == 60 - (60 - 10) // 2, 20, "half of what the role has are left")
    m.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'autoctl_node' AND client_addr = '127.0.0.1'")
    wait_for(lambda: reports_are_fresh(group), 10, "nodes report again")
    said = [session.end() for session in sessions]
    assert sum('too many connections for role "autoctl_node" from this address' in text for text in said) == 35


def test_strangers_in_the_group(group):
    """Whoever has the password of the nodes registers some that never come: the group does not wait for them."""
    went = attempts(group, of(group, "autoctl_node"), "\n".join(
        f"SELECT assigned_node_id FROM pgautofailover.register_node('default', '127.0.3.{i}', 6000, 'postgres', 's{i}')" for i in range(1, 4)))
    assert len(went) >= 1
    group.client_writes.wait_ack_after(time.time() + 2, 10)
    for _, said in went:
        assert len(attempts(group, of(group, "autoctl_operator"), f"SELECT pgautofailover.remove_node({said}, true)")) == 1
    wait_for(lambda: reports_are_fresh(group), 10, "nodes report meanwhile")


class Listener(threading.Thread):
    """Takes connections on every address of the loopback, says nothing, and counts them."""

    def __init__(self):
        super().__init__(daemon=True)
        self.socket = socket.create_server(("0.0.0.0", 0), backlog=500)
        self.port = self.socket.getsockname()[1]
        self.asked, self.open, self.most = set(), set(), 0
        self.start()

    def run(self):
        with selectors.DefaultSelector() as selector:
            selector.register(self.socket, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    try:
                        if key.fileobj is self.socket:
                            connection, _ = self.socket.accept()
                            self.asked.add(connection.getsockname()[0])
                            self.open.add(connection)
                            self.most = max(self.most, len(self.open))
                            selector.register(connection, selectors.EVENT_READ)
                        elif not key.fileobj.recv(4096):
                            selector.unregister(key.fileobj)
                            self.open.discard(key.fileobj)
                            key.fileobj.close()
                    except OSError:
                        return


def test_nodes_formations_and_probes_are_limited(group):
    """Who registers nodes fills no memory, makes the monitor look at few addresses, and asks few at a time."""
    m, listener = group.monitor, Listener()
    operator, node = of(group, "autoctl_operator"), of(group, "autoctl_node")

    def register(number):
        return (f"SELECT assigned_node_id FROM pgautofailover.register_node('f{number}', '127.0.1.{number}', {listener.port}, 'postgres', 'n{number}')")
    formations = "\n".join(f"SELECT pgautofailover.create_formation('f{i}', 'pgsql', 'postgres', true, 0)" for i in range(1, MAX_NODES + 3))
    assert len(attempts(group, operator, formations)) == MAX_NODES - 1
    began = time.monotonic()
    went = attempts(group, node, "\n".join(register(number) for number in range(1, MAX_NODES)))
    assert len(went) == MAX_NODES - 2, "those that were refused took no room from the others"
    moves = "\n".join(f"SELECT pgautofailover.update_node_metadata({went[0][1]}, NULL, '127.0.2.{i}', NULL)" for i in range(1, 120))
    attempts(group, node, moves)
    wait_for(lambda: len(listener.asked) >= NEW_ADDRESSES, 10, "some are probed")
    wait_for(lambda: reports_are_fresh(group), 10, "nodes report meanwhile")
    assert len(listener.asked) <= NEW_ADDRESSES + 1 + (time.monotonic() - began) * NEW_ADDRESSES / 60
    # Without that limit the other one: how many at a time.
    m.sql("ALTER SYSTEM SET pgautofailover.new_addresses_per_minute = 10000")
    m.sql("SELECT pg_reload_conf()")
    wait_for(lambda: listener.most >= 60, 20, "many are probed at a time")
    wait_for(lambda: len(listener.asked) > 100, 20, "and every one in its turn")
    assert listener.most <= 64
    drop = "\n".join(f"SELECT pgautofailover.remove_node({said}, true)" for _, said in went)
    assert len(attempts(group, operator, drop)) == len(went)
    m.sql("ALTER SYSTEM RESET pgautofailover.new_addresses_per_minute")
    m.sql("SELECT pg_reload_conf()")
    listener.socket.close()


def test_what_was_acknowledged_is_there(group):
    group.client_writes.finish()
    acknowledged = {sent for sent, _ in group.client_writes.acks()}
    there = set(map(int, group.node("a").sql("SELECT id FROM public.witness", dbname="shop").split()))
    assert len(acknowledged) > 100 and acknowledged <= there


def log_of(node):
    return "".join(log.read_text(errors="replace") for log in [node.log, *node.pgdata.glob("log/*")])
