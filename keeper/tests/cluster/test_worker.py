"""The keeper module alone, against a monitor that says what the test wants.

The monitor is a plain PostgreSQL whose pgautofailover.report(text) keeps the report and answers from a table.
Each test starts from what it needs to see: a server with the module, its node directory, and the answer.
"""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

import pytest

from harness import BINDIR, IS_ROOT, USER, Timeout, free_port, wait_for  # noqa: F401

LEASE_MS = 1500


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def as_user(argv):
    prefix = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--init-groups"] if IS_ROOT else []
    return prefix + [str(a) for a in argv]


def run(argv, check=True, timeout=60):
    done = subprocess.run(as_user(argv), capture_output=True, text=True, timeout=timeout,
                          stdin=subprocess.DEVNULL, cwd="/")
    if check and done.returncode != 0:
        raise AssertionError(f"{argv}: {done.stderr}{done.stdout}")
    return done


class Server:
    def __init__(self, directory, name):
        self.directory, self.name = directory, name
        self.pgdata = directory / name
        self.port = free_port()
        self.log = directory / f"{name}.log"
        self.process = None

    def initdb(self):
        run([BINDIR / "initdb", "-D", self.pgdata, "-A", "trust", "-U", "postgres", "-N"])

    def append(self, text, file="postgresql.conf"):
        with open(self.pgdata / file, "a") as out:
            out.write(text)

    def start(self):
        with open(self.log, "a") as log:
            self.process = subprocess.Popen(as_user([BINDIR / "postgres", "-D", self.pgdata]), stdout=log,
                                            stderr=log, stdin=subprocess.DEVNULL, cwd="/")

    def sql(self, text, host=None, check=True, timeout=20):
        done = run([BINDIR / "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-p", self.port,
                    "-h", host or self.directory, "-d", "postgres", "-c", text], check=check, timeout=timeout)
        return done.stdout.strip() if check else done

    def tcp(self, text):
        """As an application: over TCP, so without the exemption of local superusers."""
        return self.sql(text, host="127.0.0.1", check=False)

    def answers(self):
        return self.sql("SELECT 1", check=False).returncode == 0

    def stop(self):
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait(30)

    def child_pid(self, title):
        out = run(["ps", "-o", "pid=,args=", "--ppid", self.process.pid], check=False).stdout
        return next((int(line.split()[0]) for line in out.splitlines() if title in line), None)

    def worker_pid(self):
        return self.child_pid("pgautofailover keeper")


class Node(Server):
    def __init__(self, world, number):
        super().__init__(world.directory, f"node{number}")
        self.world, self.number = world, number
        self.home = world.directory / f"home{number}"

    def write_home(self, state, had_peer=True, goal=None):
        self.home.mkdir(exist_ok=True)
        body = "pg_autoctl state, format 1\n" + "".join(f"{k} = {v}\n" for k, v in {
            "node_id": self.number, "group": 0, "state": state, "goal": goal or state, "term": 1,
            "keeper_epoch": 1, "sync_version": 0, "had_peer": int(had_peer), "system_identifier": 0}.items())
        text = body + f"crc32c = {crc32c(body.encode())}\n"
        (self.home / "pg_autoctl.state").write_text(text)
        monitor = f"host=127.0.0.1 port={self.world.monitor.port} user=postgres dbname=postgres"
        (self.home / "keeper.conf").write_text("".join(f"{k} = {v}\n" for k, v in {
            "monitor": monitor, "formation": "default", "group": 0, "node_id": self.number,
            "name": self.name, "host": "127.0.0.1", "port": self.port, "pgdata": self.pgdata,
            "monitor_host": "127.0.0.1", "auth_method": "trust", "ssl": 0, "ssl_mode": "disable",
            "ssl_ca_file": "", "ssl_crl_file": "", "replication_password": "", "dbname": "postgres",
            "username": "postgres"}.items()))
        own(self.home)

    def settings(self):
        return f"""
shared_preload_libraries = 'pgautofailover_keeper'
pgautofailover_keeper.directory = '{self.home}'
port = {self.port}
listen_addresses = '127.0.0.1'
unix_socket_directories = '{self.directory}'
wal_log_hints = on
restart_after_crash = off
wal_retrieve_retry_interval = 100ms
wal_receiver_status_interval = 1s
shared_buffers = 16MB
max_prepared_transactions = 5
include_if_exists 'postgresql-auto-failover-standby.conf'
include_if_exists 'postgresql-auto-failover-sync.conf'
"""

    def record(self):
        lines = (self.home / "pg_autoctl.state").read_text().splitlines()[1:]
        return dict(line.split(" = ", 1) for line in lines)

    def peer(self, **more):
        return {"node_id": self.number, "name": self.name, "host": "127.0.0.1", "port": self.port,
                "state": "secondary", "primary": False, "promotable": False, "lsn": "0/0"} | more

    def reply(self, goal, **more):
        body = {"version": 1, "node_id": self.number, "group": 0, "goal": goal, "term": 1, "grant": "none",
                "lease_ms": LEASE_MS, "report_interval_ms": 300, "sync_version": 1, "sync_names": "",
                "target_lsn": "0/0", "upstream": 0, "peers": [], "candidate_priority": 50,
                "replication_quorum": True, "channel": f"node_{self.number}", "reason": "the test"} | more
        self.world.monitor.sql(
            f"DELETE FROM reply WHERE node = {self.number};"
            f"INSERT INTO reply VALUES ({self.number}, $json${json.dumps(body)}$json$);"
            f"NOTIFY node_{self.number}")

    def last_report(self):
        text = self.world.monitor.sql(
            f"SELECT body FROM reports WHERE node = {self.number} ORDER BY id DESC LIMIT 1")
        return json.loads(text) if text else {}

    def wait_report(self, what, timeout=15, **wanted):
        def check():
            report = self.last_report()
            return report if all(report.get(k) == v for k, v in wanted.items()) else None
        try:
            return wait_for(check, timeout, what)
        except Timeout as error:
            raise Timeout(f"{error}\nlast: {self.last_report()}\n{self.log.read_text()[-3000:]}") from None


def own(path):
    if IS_ROOT:
        shutil.chown(path, USER, USER)
        for child in pathlib.Path(path).iterdir():
            shutil.chown(child, USER, USER)


class World:
    def __init__(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="pgaf_worker_"))
        own(self.directory)
        os.chmod(self.directory, 0o755)
        self.servers = []
        self.monitor = Server(self.directory, "monitor")
        self.monitor.initdb()
        self.monitor.append(f"port = {self.monitor.port}\nlisten_addresses = '127.0.0.1'\nfsync = off\n"
                            f"unix_socket_directories = '{self.directory}'\nshared_buffers = 16MB\n")
        self.monitor.start()
        self.servers.append(self.monitor)
        wait_for(self.monitor.answers, 20, "the monitor starts")
        self.monitor.sql("""
CREATE SCHEMA pgautofailover;
CREATE TABLE reply (node bigint PRIMARY KEY, body text);
CREATE TABLE reports (id bigserial PRIMARY KEY, at timestamptz DEFAULT clock_timestamp(), node bigint, body jsonb);
CREATE FUNCTION pgautofailover.report(r text) RETURNS text LANGUAGE sql AS $$
INSERT INTO public.reports (node, body) VALUES ((r::jsonb ->> 'node_id')::bigint, r::jsonb);
SELECT coalesce((SELECT body FROM public.reply WHERE node = (r::jsonb ->> 'node_id')::bigint), '{}') $$;
""")

    def primary(self, state="primary", **home):
        node = Node(self, 1)
        node.initdb()
        node.append(node.settings())
        node.write_home(state, **home)
        node.start()
        self.servers.append(node)
        wait_for(node.answers, 20, "the primary starts")
        return node

    def standby(self, primary):
        node = Node(self, 2)
        primary.sql("SELECT pg_create_physical_replication_slot('pgautofailover_standby_2', true)", check=False)
        primary.sql("CREATE ROLE pgautofailover_replicator REPLICATION LOGIN", check=False)
        run([BINDIR / "pg_basebackup", "-h", self.directory, "-p", primary.port, "-U", "postgres", "-D",
             node.pgdata, "-c", "fast", "-X", "stream"])
        # The copy brings the primary's settings; the last one of each name wins.
        node.append(node.settings())
        (node.pgdata / "standby.signal").touch()
        own(node.pgdata)
        node.write_home("catchingup")
        node.start()
        self.servers.append(node)
        wait_for(node.answers, 20, "the standby starts")
        return node

    def close(self):
        for server in reversed(self.servers):
            server.stop()
        if os.environ.get("PGAF_KEEP") != "1":
            shutil.rmtree(self.directory, ignore_errors=True)


@pytest.fixture
def world():
    made = World()
    yield made
    made.close()


def can_write(node):
    return node.tcp("INSERT INTO t VALUES (1)").returncode == 0


def test_a_started_primary_is_fenced_until_a_grant_comes(world):
    node = world.primary()
    node.reply("primary")
    node.wait_report("reports fenced", fenced=True, state="primary")
    refused = node.tcp("CREATE TABLE t (i int)")
    assert refused.returncode != 0 and "fenced" in refused.stderr
    local = node.sql("CREATE TABLE t (i int)", check=False)
    assert local.returncode != 0 and "cannot commit" in local.stderr
    assert node.sql("SELECT 1") == "1", "a local superuser may look around"
    node.reply("primary", grant="timed")
    wait_for(lambda: node.tcp("CREATE TABLE IF NOT EXISTS t (i int)").returncode == 0, 5, "the gate opens")
    node.wait_report("not fenced, timed", fenced=False, lease_mode=True)


def test_a_lonely_single_needs_no_monitor(world):
    world.monitor.stop()
    node = world.primary(state="single", had_peer=False)
    wait_for(lambda: node.tcp("CREATE TABLE IF NOT EXISTS t (i int)").returncode == 0, 5, "the gate opens")


def test_the_gate_closes_at_the_deadline_while_the_worker_is_stopped(world):
    node = world.primary()
    node.reply("primary", grant="timed")
    wait_for(lambda: node.tcp("CREATE TABLE IF NOT EXISTS t (i int)").returncode == 0, 5, "the gate opens")
    worker = node.worker_pid()
    os.kill(worker, signal.SIGSTOP)
    try:
        stopped = time.monotonic()
        wait_for(lambda: not can_write(node), LEASE_MS / 1000 + 2, "the gate closes", interval=0.02)
        assert time.monotonic() - stopped < LEASE_MS / 1000 + 0.5
        assert node.sql("INSERT INTO t VALUES (1)", check=False).returncode != 0
    finally:
        os.kill(worker, signal.SIGCONT)
    wait_for(lambda: can_write(node), 5, "the gate opens again")


def test_a_silent_monitor_ends_in_demote_timeout(world):
    node = world.primary()
    node.reply("primary", grant="timed")
    wait_for(lambda: node.tcp("CREATE TABLE IF NOT EXISTS t (i int)").returncode == 0, 5, "the gate opens")
    world.monitor.stop()
    wait_for(lambda: node.process.poll() is not None, 3 * LEASE_MS / 1000 + 5, "the server stops itself")
    assert node.record()["state"] == "demote_timeout"


def test_an_unlimited_grant_outlives_the_monitor_and_a_timed_one_takes_it_back(world):
    node = world.primary(state="wait_primary")
    node.reply("wait_primary", grant="unlimited")
    wait_for(lambda: node.tcp("CREATE TABLE IF NOT EXISTS t (i int)").returncode == 0, 5, "the gate opens")
    node.wait_report("unlimited", lease_mode=False)
    node.reply("wait_primary", grant="timed")
    node.wait_report("timed", lease_mode=True)
    world.monitor.stop()
    wait_for(lambda: not can_write(node), LEASE_MS / 1000 + 3, "the gate closes")


def test_an_older_term_is_ignored(world):
    node = world.primary()
    node.reply("demoted", term=0, grant="none")
    node.wait_report("reports", state="primary")
    node.reply("primary", term=0, grant="timed")
    time_limit = time.monotonic() + 1
    wait_for(lambda: time.monotonic() > time_limit, 2, "one second passes")
    assert node.process.poll() is None and node.last_report()["fenced"]


def pair(world, sync=True):
    """A primary and a secondary that streams; synchronous unless told otherwise."""
    primary = world.primary(state="single")
    primary.reply("single", grant="timed")
    wait_for(lambda: primary.tcp("CREATE TABLE IF NOT EXISTS t (i int)").returncode == 0, 5, "open")
    standby = world.standby(primary)
    primary.reply("wait_primary", grant="timed", peers=[standby.peer(state="catchingup")])
    primary.wait_report("wait_primary", state="wait_primary", sync_version=1)
    standby.reply("secondary", upstream=1, peers=[primary.peer(state="wait_primary", primary=True)])
    standby.wait_report("secondary", state="secondary")
    names = "ANY 1 (pgautofailover_standby_2)" if sync else ""
    primary.reply("primary", grant="timed", sync_version=2, sync_names=names,
                  peers=[standby.peer(promotable=True)], extension="1:2")
    primary.wait_report("primary", state="primary", sync_version=2)
    return primary, standby


def test_a_standby_becomes_synchronous_and_slots_appear(world):
    primary, standby = pair(world)
    assert primary.sql("SELECT sync_state FROM pg_stat_replication") == "quorum"
    report = primary.last_report()
    assert [s["node_id"] for s in report["standbys"]] == [2]
    wait_for(lambda: standby.sql("SELECT slot_name FROM pg_replication_slots") == "pgautofailover_standby_1",
             10, "the standby keeps a slot for the primary")
    assert "Auto-generated" in (primary.pgdata / "pg_hba.conf").read_text()


def test_the_stream_keeps_the_gate_open_without_the_monitor(world):
    primary, standby = pair(world)
    world.monitor.stop()
    until = time.monotonic() + 3 * LEASE_MS / 1000
    wait_for(lambda: not can_write(primary) or time.monotonic() > until, 60, "three leases pass")
    assert can_write(primary)
    standby.stop()
    wait_for(lambda: primary.process.poll() is not None, 3 * LEASE_MS / 1000 + 5, "the primary stops itself")


def test_a_cancelled_synchronous_wait_is_not_acknowledged(world):
    primary, standby = pair(world)
    receiver = int(standby.sql("SELECT pid FROM pg_stat_wal_receiver"))
    os.kill(receiver, signal.SIGSTOP)
    try:
        client = subprocess.Popen(
            as_user([BINDIR / "psql", "-XAt", "-U", "postgres", "-p", primary.port, "-h", "127.0.0.1", "-d",
                     "postgres", "-c", "INSERT INTO t VALUES (42)"]),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd="/")
        wait_for(lambda: primary.sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'") == "1",
                 5, "the commit waits")
        primary.sql("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
        out, err = client.communicate(timeout=10)
    finally:
        os.kill(receiver, signal.SIGCONT)
    assert "INSERT" not in out and client.returncode != 0, (out, err)


def test_what_needs_no_synchronous_confirmation_is_answered(world):
    """A transaction with an id that wrote no WAL does not wait, so it must not be taken for a cancelled one."""
    primary, standby = pair(world)
    receiver = int(standby.sql("SELECT pid FROM pg_stat_wal_receiver"))
    os.kill(receiver, signal.SIGSTOP)
    try:
        assert primary.tcp("SELECT txid_current()").returncode == 0
        assert primary.tcp("SET synchronous_commit = local; INSERT INTO t VALUES (9)").returncode == 0
    finally:
        os.kill(receiver, signal.SIGCONT)


def test_a_new_worker_finds_a_drained_primary_as_it_was(world):
    primary, standby = pair(world)
    peers = [standby.peer(promotable=True)]
    names = "ANY 1 (pgautofailover_standby_2)"
    primary.reply("draining", grant="timed", sync_version=2, sync_names=names, peers=peers)
    report = primary.wait_report("draining", state="draining", fenced=True)
    os.kill(primary.worker_pid(), signal.SIGTERM)
    again = wait_for(lambda: [r for r in [primary.last_report()]
                              if r["keeper_epoch"] > report["keeper_epoch"] and r["sealed_lsn"] != "0/0"],
                     15, "the next worker reports the end of WAL")[0]
    assert again["fenced"] and again["state"] == "draining"
    world.monitor.sql("UPDATE reply SET body = replace(body, '\"timed\"', '\"none\"') WHERE node = 1")
    assert not can_write(primary)
    reports = world.monitor.sql("SELECT count(*) FROM reports WHERE node = 1 AND (body->>'fenced')::boolean"
                                " AND body->>'state' <> 'draining' AND id > (SELECT min(id) FROM reports"
                                " WHERE node = 1 AND body->>'state' = 'primary')")
    assert reports == "0", "no promise before the drain has ended"


def test_a_drained_primary_loses_nothing_and_can_go_on(world):
    primary, standby = pair(world)
    writer = subprocess.Popen(
        as_user([BINDIR / "psql", "-XAtq", "-U", "postgres", "-p", primary.port, "-h", "127.0.0.1", "-d",
                 "postgres", "-c", "DO $$ BEGIN LOOP INSERT INTO t VALUES (7); COMMIT; END LOOP; END $$"]),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd="/")
    wait_for(lambda: primary.sql("SELECT count(*) > 10 FROM t") == "t", 10, "the writer writes")
    names = "ANY 1 (pgautofailover_standby_2)"
    common = {"grant": "timed", "sync_version": 2, "sync_names": names, "peers": [standby.peer(promotable=True)]}
    primary.reply("draining", **common)
    report = primary.wait_report("draining", state="draining", fenced=True)
    assert report["sealed_lsn"] != "0/0"
    writer.communicate(timeout=10)
    assert writer.returncode != 0
    held = standby.sql(f"SELECT greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) >= '{report['sealed_lsn']}'::pg_lsn")
    assert held == "t"
    assert not can_write(primary)
    primary.reply("primary", **common)
    primary.wait_report("primary again", state="primary", fenced=False)
    wait_for(lambda: can_write(primary), 10, "the gate opens")


def test_a_standby_seals_and_is_promoted_with_its_grant(world):
    primary, standby = pair(world)
    primary.reply("draining", grant="timed", sync_version=2,
                  sync_names="ANY 1 (pgautofailover_standby_2)", peers=[standby.peer(promotable=True)])
    sealed = primary.wait_report("draining", state="draining", fenced=True)["sealed_lsn"]
    peers = [primary.peer(state="draining", primary=True)]
    standby.reply("prepare_promotion", target_lsn=sealed, peers=peers)
    report = standby.wait_report("sealed", state="prepare_promotion")
    assert report["receiver"]["sealed"]
    standby.reply("wait_primary", term=2, grant="unlimited", sync_version=3, peers=peers)
    standby.wait_report("promoted", state="wait_primary", in_recovery=False, sync_version=3, fenced=False)
    assert can_write(standby)
    primary.reply("demoted", term=2, peers=[standby.peer(state="wait_primary", primary=True)])
    wait_for(lambda: primary.process.poll() is not None, 10, "the old primary stops")
    assert primary.record()["state"] == "demoted" and primary.record()["term"] == "2"


def test_sealed_is_reported_only_when_the_startup_process_has_read_it(world):
    """The receiver is gone, and whoever starts receivers still believes in the old upstream: not sealed."""
    primary, standby = pair(world)
    startup = standby.child_pid("startup")
    os.kill(startup, signal.SIGSTOP)
    try:
        primary.stop()
        wait_for(lambda: standby.child_pid("walreceiver") is None, 10, "the stream has ended")
        standby.reply("prepare_promotion", peers=[primary.peer(state="draining", primary=True)])
        wait_for(lambda: standby.sql("SHOW primary_conninfo") == "", 10, "the setting is empty for sessions")
        since = world.monitor.sql("SELECT max(id) FROM reports WHERE node = 2")
        wait_for(lambda: int(world.monitor.sql("SELECT max(id) FROM reports WHERE node = 2")) > int(since) + 3, 10,
                 "several reports are made")
        report = standby.last_report()
        assert report["state"] == "secondary" and not report["receiver"]["sealed"]
    finally:
        os.kill(startup, signal.SIGCONT)
    assert standby.wait_report("sealed", state="prepare_promotion")["receiver"]["sealed"]


def switches_of(pid):
    """How often the process has gone to sleep."""
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("voluntary_ctxt_switches")).split()[1])


def test_an_idle_primary_does_not_look_around_all_the_time(world):
    """What the worker waits for are events: nothing happens, nothing is done, apart from the reports."""
    primary, standby = pair(world)
    count_reports = "SELECT count(*) FROM reports WHERE node = 1"
    before, switched = int(world.monitor.sql(count_reports)), switches_of(primary.worker_pid())
    wait_for(lambda: int(world.monitor.sql(count_reports)) >= before + 10, 20, "ten more reports", interval=0.3)
    reports = int(world.monitor.sql(count_reports)) - before
    # Of a report: its time, the answer, and what else arrives in pieces. Not 20 looks a second.
    assert switches_of(primary.worker_pid()) - switched <= 5 * reports


def test_a_failover_that_finds_the_primary_alive_fences_it_at_once(world):
    """Nobody streams any more, so there is no hand-over to prepare and no checkpoint to wait for."""
    primary, standby = pair(world)
    standby.stop()
    wait_for(lambda: primary.sql("SELECT count(*) FROM pg_stat_replication") == "0", 10, "the stream ends")
    primary.reply("draining", sync_version=2, sync_names="ANY 1 (pgautofailover_standby_2)",
                  peers=[standby.peer(state="prepare_promotion")])
    report = primary.wait_report("draining", state="draining", fenced=True)
    assert report["sealed_lsn"] == "0/0", "no standby holds that position"
    assert not can_write(primary)
    primary.reply("demoted", sync_version=2, peers=[standby.peer(state="wait_primary", primary=True)])
    wait_for(lambda: primary.process.poll() is not None, 10, "the server stops")


def test_a_demoted_node_that_is_started_as_the_primary_waits_for_its_grant(world):
    node = world.primary(state="demoted", goal="primary")
    node.reply("primary")
    node.wait_report("demoted and fenced", state="demoted", fenced=True)
    node.reply("primary", grant="timed")
    node.wait_report("primary", state="primary", fenced=False)


def test_a_dropped_node_stops_and_a_fast_shutdown_is_clean(world):
    node = world.primary(state="single")
    node.reply("single", grant="unlimited")
    wait_for(lambda: node.tcp("SELECT 1").returncode == 0, 5, "open")
    node.process.send_signal(signal.SIGINT)
    assert node.process.wait(20) == 0
    assert "keeper\" (PID" not in node.log.read_text(), "the worker ends without noise"
    node.start()
    wait_for(node.answers, 20, "it starts again")
    node.reply("dropped")
    wait_for(lambda: node.process.poll() is not None, 10, "the server stops")
    assert node.record()["state"] == "dropped"


def test_prepared_transactions_obey_the_gate(world):
    node = world.primary()
    node.reply("primary", grant="timed")
    wait_for(lambda: node.tcp("CREATE TABLE IF NOT EXISTS t (i int)").returncode == 0, 5, "open")
    assert node.tcp("BEGIN; INSERT INTO t VALUES (1); PREPARE TRANSACTION 'a'").returncode == 0
    node.reply("primary", grant="none")
    wait_for(lambda: not can_write(node), LEASE_MS / 1000 + 3, "the gate closes")
    for text in ("COMMIT PREPARED 'a'", "ROLLBACK PREPARED 'a'",
                 "BEGIN; SELECT 1; PREPARE TRANSACTION 'b'"):
        refused = node.sql(text, check=False)
        assert refused.returncode != 0 and "cannot commit" in refused.stderr, text


def test_an_unsafe_mark_keeps_the_server_from_starting(world):
    node = world.primary()
    node.stop()
    (node.home / "unsafe").write_text("clone\n")
    node.start()
    assert node.process.wait(20) != 0
    assert "the data directory is incomplete" in node.log.read_text()


def test_a_terminated_worker_comes_back_with_a_higher_epoch(world):
    node = world.primary()
    node.reply("primary", grant="timed")
    epoch = node.wait_report("reports", state="primary")["keeper_epoch"]
    os.kill(node.worker_pid(), signal.SIGTERM)
    wait_for(lambda: node.last_report().get("keeper_epoch") == epoch + 1, 10, "the next worker reports")
    assert node.answers()
