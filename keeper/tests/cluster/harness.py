"""Real clusters with real faults: a monitor, data nodes and writing clients, each in directories of its own.

Hosts are either this machine's loopback (every node has its own port) or network namespaces that the test
makes and removes (root only), joined by a bridge in a namespace of its own. Everything that is started is
ended by its process id. Waiting is always for a condition, with a deadline.
"""
import contextlib
import json
import os
import pathlib
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from faults import children_of, is_alive, signal_all

BINDIR = pathlib.Path(os.environ.get("PGAF_BINDIR", "/usr/lib/postgresql/15/bin"))
IS_ROOT = os.geteuid() == 0
USER = "postgres" if IS_ROOT else pwd.getpwuid(os.geteuid()).pw_name
KEEP = os.environ.get("PGAF_KEEP") == "1"


class Timeout(AssertionError):
    pass


def wait_for(condition, timeout, what, interval=0.05):
    """Returns the first true value of condition(); fails after timeout seconds, naming what."""
    deadline = time.monotonic() + timeout
    last_error = None
    while True:
        try:
            value = condition()
            if value:
                return value
        except (subprocess.SubprocessError, OSError, json.JSONDecodeError) as error:
            last_error = error
        if time.monotonic() > deadline:
            raise Timeout(f"not within {timeout} s: {what}" + (f" ({last_error})" if last_error else ""))
        time.sleep(interval)


given_ports = set()  # a server that has one may not listen yet


def free_port():
    """Below the ephemeral ports: an outgoing connection of a client must not take it while a server is down."""
    while True:
        port = random.randrange(10000, 30000)
        if port in given_ports:
            continue
        with socket.socket() as sock, contextlib.suppress(OSError):
            sock.bind(("127.0.0.1", port))
            given_ports.add(port)
            return port


class Host:
    """Where processes of one machine run."""

    def __init__(self, name, address="127.0.0.1", namespace=None):
        self.name, self.address, self.namespace = name, address, namespace

    def command(self, argv, env):
        prefix = []
        if self.namespace:
            prefix += ["ip", "netns", "exec", self.namespace]
        if IS_ROOT:
            prefix += ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--init-groups"]
        return prefix + ["env"] + [f"{k}={v}" for k, v in env.items()] + [str(a) for a in argv]


class Program:
    """pg_autoctl run, and what it started."""

    def __init__(self, cluster, name, host):
        self.cluster, self.name, self.host = cluster, name, host
        self.home = cluster.directory / name
        self.pgdata = self.home / "pgdata"
        self.port = free_port() if host.namespace is None else 5432
        self.log = cluster.directory / f"{name}.log"
        self.process = None
        self.home.mkdir()
        (self.home / "run").mkdir()
        self.sockets = cluster.sockets / name
        self.sockets.mkdir()
        self.env = {
            "HOME": self.home, "PGDATA": self.pgdata, "LC_ALL": "C.UTF-8",
            "PATH": f"{BINDIR}:/usr/bin:/bin", "XDG_RUNTIME_DIR": self.home / "run",
            "PG_REGRESS_SOCK_DIR": self.sockets, "PGCONNECT_TIMEOUT": "5",
        }
        cluster.own(self.home)
        cluster.own(self.sockets)

    def autoctl(self, *argv, check=True, timeout=120, env=None):
        command = self.host.command([BINDIR / "pg_autoctl", *argv], {**self.env, **(env or {})})
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, cwd="/tmp")
        if check and done.returncode != 0:
            raise AssertionError(
                f"{' '.join(map(str, argv))}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def start(self, *options):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                self.host.command([BINDIR / "pg_autoctl", "run", *options], self.env),
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd="/tmp", start_new_session=True)
        return self

    def wait_up(self, timeout=30):
        """create reaches a node's first state with PostgreSQL stopped again; run starts it."""
        wait_for(lambda: self.sql("SELECT 1") == "1", timeout, f"{self.name} answers")

    def postmaster(self):
        try:
            return int((self.pgdata / "postmaster.pid").read_text().split()[0])
        except (OSError, IndexError, ValueError):
            return None

    def server_pids(self):
        """The postmaster and its children."""
        postmaster = self.postmaster()
        if not postmaster or not is_alive(postmaster):
            return []
        return [postmaster] + children_of(postmaster)

    def pids(self):
        """Supervisor and everything of its PostgreSQL."""
        found = []
        if self.process and self.process.poll() is None:
            found += [self.process.pid] + children_of(self.process.pid)
        return found + [pid for pid in self.server_pids() if pid not in found]

    def worker(self):
        """The pid of the keeper worker inside PostgreSQL."""
        for pid in self.server_pids()[1:]:
            with contextlib.suppress(OSError):
                title = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
                # A process that was just forked still has the postmaster's words.
                if title.startswith(b"postgres: ") and b"keeper" in title:
                    return pid
        return None

    def kill(self, signo=signal.SIGKILL):
        pids = self.pids()
        signal_all(pids, signo)
        if signo == signal.SIGKILL:
            if self.process:
                self.process.wait(timeout=10)
            wait_for(lambda: not any(map(is_alive, pids)), 10, f"processes of {self.name} are gone")
        return pids

    def stop(self):
        if self.process is None:
            return
        if self.process.poll() is None:
            signal_all(self.pids(), signal.SIGCONT)
            self.process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=20)
        self.kill()

    def sql(self, statement, dbname=None, timeout=10, user=None):
        env = {**self.env, "PGOPTIONS": f"-c statement_timeout={timeout * 1000}"}
        command = self.host.command(
            [BINDIR / "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", self.sockets, "-p", self.port,
             "-U", user or USER, "-d", dbname or self.cluster.database, "-c", statement], env)
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout + 5, cwd="/tmp")
        if done.returncode != 0:
            raise subprocess.SubprocessError(done.stderr.strip())
        return done.stdout.strip()


def open_session(cluster, node):
    """An interactive psql that stays connected to one node."""
    command = node.host.command(
        [BINDIR / "psql", "-XAtq", "-h", node.host.address, "-p", node.port, "-U", USER, "-d", "postgres"],
        cluster.client_env())
    session = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, bufsize=1, cwd="/tmp")
    session.stdin.write("SELECT 'ready';\n")
    session.stdin.flush()
    said = session.stdout.readline().strip()
    assert said == "ready", said
    return session


class Witness:
    """A client that writes and keeps a log of what was acknowledged."""

    def __init__(self, cluster, table="witness", clients=2, rate=100, uri=None, wait=True, client=None):
        self.cluster, self.table = cluster, table
        cluster.witnesses.append(self)
        self.log = cluster.directory / f"{table}-{time.monotonic_ns()}.log"
        self.out = open(f"{self.log}.out", "w+", encoding="utf-8")
        self.process = subprocess.Popen(
            (client or cluster.client).command(
                [BINDIR / "pgaf_witness", "--uri", uri or cluster.uri(), "--table", table, "--log", self.log,
                 "--clients", clients, "--rate", rate], cluster.client_env()),
            stdout=self.out, stderr=subprocess.STDOUT, cwd="/tmp", start_new_session=True)
        if wait:
            wait_for(lambda: self.count() > 0, 20, "the client's first acknowledged row")

    def acks(self):
        """Pairs (sent, acknowledged) in nanoseconds since the epoch: a row's id is the time of its INSERT."""
        try:
            lines = self.log.read_text().splitlines()
        except OSError:
            return []
        return [tuple(map(int, line.split())) for line in lines if len(line.split()) == 2]

    def times(self):
        """When rows were acknowledged, in seconds since the epoch."""
        return [at / 1e9 for _, at in self.acks()]

    def count(self):
        return len(self.times())

    def last_ack(self):
        return max(self.times(), default=0.0)

    def acks_between(self, start, end):
        return sum(1 for at in self.times() if start <= at < end)

    def wait_ack_after(self, moment, timeout):
        """Waits for an acknowledgement later than `moment`; returns its time."""
        return wait_for(lambda: next((at for at in sorted(self.times()) if at > moment), None), timeout,
                        "an acknowledged write")

    def finish(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=30)
        self.out.seek(0)
        return self.out.read()

    def verify(self):
        """Stops the client; every acknowledged row must be there."""
        if self.process.poll() is None:
            self.finish()
        done = subprocess.run(
            self.cluster.client.command(
                [BINDIR / "pgaf_witness", "--verify", "--uri", self.cluster.uri(), "--table", self.table,
                 "--log", self.log], self.cluster.client_env()),
            capture_output=True, text=True, timeout=60, cwd="/tmp")
        result = json.loads(done.stdout)
        assert result["missing"] == 0, f"acknowledged rows are missing: {done.stdout}"
        return result


class Cluster:
    def __init__(self, network=None, auth="trust", ssl="--no-ssl", parent="/tmp", options=()):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="pgaf-", dir=parent))
        self.directory.chmod(0o755)
        self.sockets = self.directory / "s"
        self.sockets.mkdir()
        self.own(self.directory)
        self.network = network
        self.auth, self.ssl = auth, ssl
        self.database = "postgres"  # of sessions that name none
        # Of every create postgres. A server that is tuned to this machine makes itself tables of a hundred megabytes at each
        # start, and there are several.
        self.options = ("--no-tune", *options)
        self.programs, self.witnesses = {}, []
        self.client = self.new_host("app")
        self.monitor = Program(self, "monitor", self.new_host("monitor"))
        self.programs["monitor"] = self.monitor

    def new_host(self, name):
        return self.network.host(name) if self.network else Host(name)

    def own(self, path):
        if not IS_ROOT:
            return
        record = pwd.getpwnam(USER)
        for root, _, files in os.walk(path):
            for entry in [root] + [os.path.join(root, name) for name in files]:
                os.chown(entry, record.pw_uid, record.pw_gid)

    def create_monitor(self):
        m = self.monitor
        m.autoctl("create", "monitor", "--pgport", m.port, "--hostname", m.host.address, "--auth", self.auth,
                  self.ssl)
        m.start()
        wait_for(lambda: m.sql("SELECT 1", dbname="pg_auto_failover") == "1", 30, "the monitor answers")

    def monitor_uri(self):
        return (f"postgres://autoctl_node@{self.monitor.host.address}:{self.monitor.port}"
                "/pg_auto_failover?sslmode=prefer")

    def node(self, name):
        if name not in self.programs:
            self.programs[name] = Program(self, name, self.new_host(name))
        return self.programs[name]

    def create_node(self, name, *extra, start=True):
        node = self.node(name)
        node.autoctl("create", "postgres", "--pgport", node.port, "--hostname", node.host.address,
                     "--name", name, "--auth", self.auth, self.ssl, "--username", USER, "--pg-hba-lan",
                     "--monitor", self.monitor_uri(), *self.options, *extra)
        return node.start() if start else node

    def two_nodes(self):
        self.create_monitor()
        a = self.create_node("a")
        self.wait_states(a="single")
        b = self.create_node("b")
        self.wait_states(a="primary", b="secondary")
        self.wait_promotable()
        return a, b

    def group(self, *names, options=None):
        """A group of these nodes, the first one primary, the others synchronous secondaries."""
        self.create_monitor()
        nodes = []
        for name in names:
            nodes.append(self.create_node(name, *(options or {}).get(name, ())))
            self.wait_states(**({name: "single"} if len(nodes) == 1 else {name: "secondary"}))
        self.wait_steady()
        return nodes

    def wait_steady(self, timeout=90, **wanted):
        """Waits for one primary, all others secondaries, and the synchronous set confirmed; returns the primary's name."""
        def steady():
            now = self.states()
            names = [name for name, pair in now.items() if pair == ("primary", "primary")]
            others = [pair for name, pair in now.items() if name not in names and name not in wanted]
            kept = all(now.get(name) == (state, state) for name, state in wanted.items())
            return names[0] if len(names) == 1 and kept and all(p == ("secondary", "secondary") for p in others) else None
        try:
            name = wait_for(steady, timeout, "one primary and secondaries", interval=0.1)
        except Timeout as error:
            raise Timeout(f"{error}; now {self.states()}\n{self.events()}") from None
        self.wait_promotable()
        return name

    def wait_taken_over(self, old, timeout=30):
        """Waits until the monitor has another primary: an acknowledgement that was under way when the old one was killed
        may arrive after that, and until its death is noticed the rows look steady."""
        wait_for(lambda: any(name != old and pair[0] in ("wait_primary", "primary")
                             for name, pair in self.states().items()), timeout, f"another primary than {old}")

    def monitor_sql(self, statement):
        return self.monitor.sql(statement, dbname="pg_auto_failover")

    def node_id(self, name):
        return int(self.monitor_sql(f"SELECT nodeid FROM pgautofailover.node WHERE nodename = '{name}'"))

    def sync_names(self):
        return self.monitor_sql("SELECT pgautofailover.synchronous_standby_names()")

    def uri(self, dbname=None):
        nodes = [p for n, p in self.programs.items() if not n.startswith("monitor")]
        hosts = ",".join(f"{p.host.address}:{p.port}" for p in nodes)
        return f"postgres://{USER}@{hosts}/{dbname or self.database}?target_session_attrs=read-write"

    def node_uri(self, node, dbname=None):
        return f"postgres://{USER}@{node.host.address}:{node.port}/{dbname or self.database}"

    def client_env(self):
        return {"PATH": f"{BINDIR}:/usr/bin:/bin", "HOME": self.directory, "LC_ALL": "C.UTF-8"}

    def states(self):
        rows = self.monitor.sql(
            "SELECT nodename, current_group_state, assigned_group_state FROM pgautofailover.current_state()",
            dbname="pg_auto_failover", timeout=5)
        return {row.split("|")[0]: tuple(row.split("|")[1:]) for row in rows.splitlines()}

    def wait_states(self, timeout=60, **wanted):
        """Waits until each named node reports and is assigned the state."""
        def reached():
            now = self.states()
            return all(now.get(name) == (state, state) for name, state in wanted.items())
        try:
            return wait_for(reached, timeout, f"states {wanted}", interval=0.1)
        except Timeout as error:
            raise Timeout(f"{error}; now {self.states()}\n{self.events()}") from None

    def wait_healed(self, timeout=90):
        """Waits for one primary and one secondary, whoever they are."""
        wanted = [("primary", "primary"), ("secondary", "secondary")]
        return wait_for(lambda: sorted(self.states().values()) == wanted, timeout, "the group heals")

    def wait_promotable(self, timeout=60):
        """Waits until the synchronous set is confirmed, so that a failover is safe."""
        return wait_for(lambda: self.monitor.sql(
            "SELECT bool_and(sync_goal_version = sync_confirmed_version AND cardinality(sync_confirmed) > 0)"
            " FROM pgautofailover.group_state", dbname="pg_auto_failover") == "t", timeout, "confirmed set")

    def events(self, count=40):
        try:
            return self.monitor.autoctl("show", "events", "--count", count, check=False).stdout
        except subprocess.SubprocessError as error:
            return str(error)

    def witness(self, **options):
        return Witness(self, **options)

    def close(self):
        for witness in self.witnesses:
            if witness.process.poll() is None:
                witness.process.kill()
                witness.process.wait()
        for program in reversed(list(self.programs.values())):
            with contextlib.suppress(Exception):
                program.stop()
        if self.network:
            self.network.close()
        if not KEEP:
            shutil.rmtree(self.directory, ignore_errors=True)

    def dump(self):
        """For failed tests: what everybody said last."""
        parts = [self.events()]
        for program in self.programs.values():
            for log in [program.log] + sorted(program.pgdata.glob("log/*"))[-1:]:
                with contextlib.suppress(OSError):
                    lines = log.read_text(errors="replace").splitlines()[-60:]
                    parts.append(f"--- {log}\n" + "\n".join(lines))
        return "\n".join(parts)
