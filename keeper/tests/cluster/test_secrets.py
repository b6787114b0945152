"""Where passwords and secrets may be: looked for in every process and every file of a group with scram and TLS, from its
creation over failover, rewind and copy to the change of each of them, which a writing client must not notice."""
import json
import os
import pathlib
import pwd
import signal
import subprocess
import threading
import time

import pytest

from faults import signal_all
from harness import BINDIR, IS_ROOT, USER, Cluster, wait_for

# Parts of words: whatever way they are quoted, these stay.
FIRST = {"node": "aLPHAsecret", "replication": "bRAVOsecret", "operator": "cHARLIEsecret", "reader": "dELTAsecret"}
SECOND = {"node": "eCHOsecret", "replication": "fOXTROTsecret"}
APP = "app password"
# They hold secrets, and nobody else may read them.
KEEPERS = {"pg_autoctl.cfg", "keeper.conf", "secret", "replication.pass"}
BRIEF_S = 2.0


class Watcher(threading.Thread):
    """Looks at the words and the environment of every process, again and again, and at who may read our files."""

    def __init__(self, cluster):
        super().__init__(daemon=True)
        self.cluster, self.secrets = cluster, set(FIRST.values()) | set(SECOND.values())
        self.found, self.open_files, self.looks, self.names = {}, set(), 0, set()
        self.ended = threading.Event()
        self.start()

    def run(self):
        while not self.ended.is_set():
            for entry in os.listdir("/proc"):
                if entry.isdigit() and int(entry) != os.getpid():
                    self.look(int(entry))
            self.look_at_files()
            self.looks += 1
            time.sleep(0.01)

    def look(self, pid):
        for field in ("cmdline", "environ"):
            try:
                text = pathlib.Path(f"/proc/{pid}/{field}").read_bytes().decode(errors="replace")
                name = pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
            except OSError:
                return
            self.names.add(name)
            if any(secret in text for secret in self.secrets):
                first = self.found.get((pid, field), (time.monotonic(),))[0]
                self.found[pid, field] = (first, time.monotonic(), name)

    def look_at_files(self):
        for program in list(self.cluster.programs.values()):
            for top in (".local", ".config"):
                for directory, _, files in os.walk(program.home / top):
                    for name in files:
                        path = os.path.join(directory, name)
                        try:
                            if os.stat(path).st_mode & 0o077 and self.holds(path):
                                self.open_files.add(path)
                        except OSError:
                            continue

    def holds(self, path):
        content = pathlib.Path(path).read_bytes()
        return any(secret.encode() in content for secret in self.secrets)

    def judge(self):
        """Only the program that is told a secret may show it, and only until it has read it."""
        self.ended.set()
        self.join()
        assert self.looks > 50 and {"pg_basebackup", "pg_rewind", "postgres", "pg_autoctl"} <= self.names, (self.looks, self.names)
        long = {key: seen for key, seen in self.found.items()
                if seen[2] not in ("setpriv", "pg_autoctl") or seen[1] - seen[0] > BRIEF_S}
        assert long == {} and self.open_files == set()


def autoctl(program, *argv, secrets=None):
    """As the harness does, but the words of `env` would show what is in the environment."""
    prefix = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--init-groups"] if IS_ROOT else []
    env = {key: str(value) for key, value in {**program.env, **(secrets or {})}.items()}
    done = subprocess.run([*prefix, BINDIR / "pg_autoctl", *map(str, argv)], env=env, capture_output=True, text=True, timeout=120, cwd="/tmp")
    assert done.returncode == 0, done.stderr
    return done


def sql(program, text, dbname="postgres"):
    """On standard input: a statement with a password must not be a word of psql either."""
    command = program.host.command([BINDIR / "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", program.sockets, "-p", program.port, "-d", dbname],
                                   program.env)
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True, timeout=30, cwd="/tmp").stdout.strip()


def type_password(program, role, password, dbname="postgres"):
    """As somebody types it: the server gets, and logs, what it keeps instead of the password."""
    command = program.host.command([BINDIR / "psql", "-X", "-h", program.sockets, "-p", program.port, "-d", dbname, "-c", f"\\password {role}"],
                                   program.env)
    subprocess.run(command, input=f"{password}\n{password}\n", capture_output=True, text=True, check=True, timeout=30, cwd="/tmp",
                   start_new_session=True)


def uri(cluster, password):
    printed = cluster.monitor.autoctl("show", "uri", "--formation", "monitor").stdout.strip()
    return printed.replace("autoctl_node@", f"autoctl_node:{password}@")


@pytest.fixture(scope="module")
def group():
    cluster = Cluster(auth="scram-sha-256", ssl="--ssl-self-signed")
    watcher = Watcher(cluster)
    m = cluster.monitor
    options = ("--hostname", "127.0.0.1", "--auth", "scram-sha-256", "--ssl-self-signed")
    autoctl(m, "create", "monitor", "--pgport", m.port, *options, secrets={f"PG_AUTOCTL_{who.upper()}_PASSWORD": FIRST[who]
                                                                           for who in ("node", "operator", "reader")})
    talk_much(m)
    m.start()
    wait_for(lambda: m.sql("SELECT 1", dbname="pg_auto_failover") == "1", 30, "the monitor answers")
    for name in ("a", "b"):
        node = cluster.node(name)
        autoctl(node, "create", "postgres", "--pgport", node.port, "--name", name, *options,
                secrets={"PG_AUTOCTL_MONITOR": uri(cluster, FIRST["node"]), "PG_AUTOCTL_REPLICATION_PASSWORD": FIRST["replication"]})
        talk_much(node)
        node.start()
        cluster.wait_states(**({"a": "single"} if name == "a" else {"a": "primary", "b": "secondary"}))
        watcher.secrets.add(next(node.home.glob(".local/share/**/secret")).read_text().split()[0])
    cluster.wait_promotable()
    sql(cluster.node("a"), f"CREATE ROLE app LOGIN PASSWORD '{APP}'; GRANT ALL ON SCHEMA public TO app")
    cluster.watcher = watcher
    yield cluster
    watcher.ended.set()
    cluster.close()


def talk_much(program):
    """An administrator who wants to see everything must not see secrets."""
    with open(program.pgdata / "postgresql.conf", "a", encoding="utf-8") as file:
        file.write("log_connections = on\nlog_replication_commands = on\nlog_min_messages = debug1\nlog_min_error_statement = debug1\n"
                   "log_statement = all\nlog_min_duration_statement = 0\nlog_duration = on\nlog_parameter_max_length = -1\n"
                   "log_parameter_max_length_on_error = -1\ntrack_activity_query_size = 64kB\n"
                   "shared_preload_libraries = 'pg_stat_statements, auto_explain'\npg_stat_statements.track = all\n"
                   "auto_explain.log_min_duration = 0\nauto_explain.log_verbose = on\nauto_explain.log_nested_statements = on\n")


def app_uri(cluster):
    return cluster.uri().replace(f"//{USER}@", f"//app:{APP.replace(' ', '%20')}@")


def longest_gap(times):
    return max((later - earlier for earlier, later in zip(times, times[1:])), default=0)


def test_failover_rewind_and_copy(group):
    """What starts pg_rewind and pg_basebackup."""
    a, b = group.node("a"), group.node("b")
    a.sql("CREATE TABLE t (i int)")
    # More than sockets hold, which the standby does not get: the former primary has to be rewound.
    receiver = [int(b.sql("SELECT pid FROM pg_stat_wal_receiver"))]
    signal_all(receiver, signal.SIGSTOP)
    a.sql("SET synchronous_commit = local; INSERT INTO t SELECT generate_series(1, 500000)")
    a.kill()
    signal_all(receiver, signal.SIGCONT)
    group.wait_states(b="wait_primary")
    b.sql("INSERT INTO t SELECT generate_series(1, 1000)")
    a.start()
    group.wait_states(a="secondary", b="primary")
    group.wait_promotable()
    said = [line for line in a.log.read_text().splitlines() if " INFO " in line]
    assert any("Rewinding to the history" in line for line in said), said
    autoctl(a, "reinit")
    group.wait_states(a="secondary", b="primary")
    group.wait_promotable()
    autoctl(b, "perform", "switchover")
    group.wait_states(a="primary", b="secondary")
    group.wait_promotable()


def test_every_change_while_a_client_writes(group):
    """The commands of docs/security.md; the client notices none of them."""
    m, a, b = group.monitor, group.node("a"), group.node("b")
    witness = group.witness(uri=app_uri(group))
    term = m.sql("SELECT term FROM pgautofailover.group_state", dbname="pg_auto_failover")
    began = time.time()
    type_password(m, "autoctl_node", SECOND["node"], "pg_auto_failover")
    for node in (a, b):
        autoctl(node, "config", "set", "pg_autoctl.monitor", uri(group, SECOND["node"]))
    m.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'autoctl_node'")
    type_password(a, "pgautofailover_replicator", SECOND["replication"])
    for node in (a, b):
        autoctl(node, "config", "set", "replication.password", SECOND["replication"])
    for node in (a, b):
        directory = next(node.home.glob(".local/share/**/secret")).parent
        script = 'cd "$0" && (umask 077; { openssl rand -hex 24; head -n 1 secret; } > secret.new && mv secret.new secret)'
        subprocess.run(node.host.command(["sh", "-c", script, directory], node.env), check=True, cwd="/tmp")
        autoctl(node, "reload")
        group.watcher.secrets.add((directory / "secret").read_text().split()[0])

    def reports():
        return m.sql("SELECT count(*) FROM pgautofailover.node_facts() WHERE report_time > now() - interval '1 s' AND problem = ''",
                     dbname="pg_auto_failover") == "2"
    wait_for(reports, 20, "both report with the new secrets")
    witness.wait_ack_after(time.time(), 10)
    gap = longest_gap(sorted(at for at in witness.times() if at >= began))
    assert gap < 3, f"the client waited {gap:.1f} s"
    assert m.sql("SELECT term FROM pgautofailover.group_state", dbname="pg_auto_failover") == term
    witness.finish()
    a.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_replication")
    wait_for(lambda: a.sql("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'") == "1", 20, "it streams again")
    group.wait_steady()


def test_no_answer_of_a_command_has_them(group):
    shown = []
    for program in group.programs.values():
        for words in (("show", "state", "--json"), ("show", "events", "--json"), ("status", "--json"), ("show", "settings", "--json")):
            done = program.autoctl(*words, check=False)
            shown.append(done.stdout + done.stderr)
    for bad in (f"postgres://autoctl_node:{SECOND['node']}@127.0.0.1:1/x", f"postgres://autoctl_node:{SECOND['node']}@[::1/x",
                f"host=127.0.0.1 port=1 password={SECOND['node']}", f"password='{SECOND['node']}"):
        done = group.node("a").autoctl("show", "state", "--monitor", bad, check=False)
        assert done.returncode != 0
        shown.append(done.stdout + done.stderr)
    for program in group.programs.values():
        facts = "SELECT json_agg(f) FROM pgautofailover.node_facts() f" if program is group.monitor else "SELECT json_agg(s) FROM pg_settings s"
        shown.append(json.dumps(program.sql(facts, dbname="pg_auto_failover" if program is group.monitor else "postgres")))
        shown.append(program.sql("SELECT string_agg(query, ' ') FROM pg_stat_activity"))
    for node in (group.node("a"), group.node("b")):
        # Two servers have logged and counted every statement, those of create, copy, rewind and change among them.
        assert node.sql("SHOW shared_preload_libraries").startswith("pg_stat_statements, auto_explain")
    group.node("a").sql("CREATE EXTENSION pg_stat_statements")
    shown.append(group.node("a").sql("SELECT string_agg(query, ' ') FROM pg_stat_statements"))
    assert "SELECT" in shown[-1] and "duration:" in "".join(log.read_text() for log in group.node("a").pgdata.glob("log/*"))
    for text in shown:
        assert not any(secret in text for secret in group.watcher.secrets), text


def test_nobody_looks_into_the_memory(group):
    """No core file and no debugger of the same user: the kernel gives the files of such a process to root. PostgreSQL is as it always is."""
    for program in group.programs.values():
        assert pathlib.Path(f"/proc/{program.process.pid}/mem").stat().st_uid == 0, program.name
        assert pathlib.Path(f"/proc/{program.postmaster()}/mem").stat().st_uid == pwd.getpwnam(USER).pw_uid


def test_no_process_and_no_file_has_them_but_those_that_keep_them(group):
    """Files last: of everything that was done before."""
    for program in group.programs.values():
        program.stop()
    group.watcher.judge()
    kept = set()
    for directory, _, files in os.walk(group.directory):
        for name in files:
            path = pathlib.Path(directory, name)
            if path.is_symlink() or not path.is_file() or not group.watcher.holds(path):
                continue
            assert name in KEEPERS and path.stat().st_mode & 0o077 == 0, path
            kept.add(name)
    assert kept == KEEPERS
