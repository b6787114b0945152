"""Two plain PostgreSQL servers with the settings of our nodes and nothing of ours in them: the floor."""
import signal
import subprocess
import time

from faults import signal_all
from harness import BINDIR, USER, Cluster, Witness, wait_for

SETTINGS = """
listen_addresses = '127.0.0.1'
wal_level = replica
max_wal_senders = 12
max_replication_slots = 12
wal_log_hints = on
hot_standby = on
hot_standby_feedback = on
wal_receiver_status_interval = 1s
wal_retrieve_retry_interval = 100ms
wal_keep_size = 512MB
logging_collector = on
"""


class PlainPair:
    def __init__(self, cluster=None):
        self.owns_cluster = cluster is None
        self.cluster = cluster or Cluster()
        self.nodes = [self.cluster.node("plain1"), self.cluster.node("plain2")]
        self.witness = None

    def run(self, node, *argv):
        subprocess.run(node.host.command([str(BINDIR / argv[0]), *argv[1:]], node.env), check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/tmp")

    def configure(self, node, upstream=None):
        lines = f"port = {node.port}\nunix_socket_directories = '{node.sockets}'\n" + SETTINGS
        if upstream:
            lines += (f"primary_conninfo = 'host=127.0.0.1 port={upstream.port} user={USER} "
                      f"application_name={node.name}'\n")
            lines += f"primary_slot_name = '{node.name}'\n"
        path = node.pgdata / "plain.conf"
        path.write_text(lines)
        self.cluster.own(node.pgdata)

    def set_sync(self, node, names):
        node.sql(f"ALTER SYSTEM SET synchronous_standby_names = '{names}'")
        node.sql("SELECT pg_reload_conf()")

    def create(self, standby=True):
        first, second = self.nodes
        self.run(first, "initdb", "-D", str(first.pgdata), "--auth=trust")
        with open(first.pgdata / "postgresql.conf", "a", encoding="utf-8") as conf:
            conf.write("include 'plain.conf'\n")
        self.configure(first)
        self.run(first, "pg_ctl", "-D", str(first.pgdata), "-w", "start")
        if not standby:
            return
        first.sql(f"SELECT pg_create_physical_replication_slot('{second.name}', true)")
        self.copy(second, first)
        self.follow(second, first)
        self.witness = Witness(self.cluster, table="plain", clients=4, rate=2000)

    def copy(self, standby, primary):
        self.run(standby, "pg_basebackup", "-D", str(standby.pgdata), "-h", "127.0.0.1", "-p", str(primary.port),
                 "-U", USER, "-c", "fast")

    def follow(self, standby, primary):
        self.configure(standby, primary)
        (standby.pgdata / "standby.signal").touch()
        self.cluster.own(standby.pgdata)
        primary.sql("SELECT pg_create_physical_replication_slot(s, true) FROM (VALUES ("
                    f"'{standby.name}')) v(s) WHERE s NOT IN (SELECT slot_name FROM pg_replication_slots)")
        self.run(standby, "pg_ctl", "-D", str(standby.pgdata), "-w", "start")
        wait_for(lambda: primary.sql("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'") == "1",
                 30, "the plain standby streams")
        self.set_sync(primary, f"ANY 1 ({standby.name})")
        wait_for(lambda: primary.sql("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'quorum'") == "1",
                 30, "the plain standby is synchronous")

    def gap_after(self, start):
        self.witness.wait_ack_after(start + 0.3, 60)
        times = sorted(self.witness.times())
        return max((b - a) * 1000 for a, b in zip(times, times[1:]) if b >= start)

    def swap(self):
        """The former primary follows the new one."""
        old, new = self.nodes
        self.nodes = [new, old]
        (old.pgdata / "postgresql.auto.conf").write_text("")
        self.follow(old, new)

    def switch_by_hand(self):
        """(gap of the whole, from the promotion alone to the first acknowledged write), in ms."""
        old, new = self.nodes
        self.set_sync(new, "")
        start = time.time()
        old.sql("CHECKPOINT")
        self.run(old, "pg_ctl", "-D", str(old.pgdata), "-m", "fast", "-w", "stop")
        promoted = time.time()
        self.run(new, "pg_ctl", "-D", str(new.pgdata), "promote", "-W")
        gap = self.gap_after(start)
        alone = (self.witness.wait_ack_after(promoted, 60) - promoted) * 1000
        self.swap()
        return gap, alone

    def close(self):
        for node in self.nodes:
            signal_all(node.server_pids(), signal.SIGKILL)
        if self.owns_cluster:
            if self.witness and self.witness.process.poll() is None:
                self.witness.process.send_signal(signal.SIGINT)
                self.witness.process.wait(timeout=30)
            self.cluster.close()
