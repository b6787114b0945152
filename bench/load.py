"""What a monitor costs: many groups of two nodes, one report per second and node, and health checks.

    tools/bench.sh --load 10,100,1000     groups; each with a monitor of its own

The keepers are pgaf_load (keeper/tools/load.cpp): they speak the real protocol and obey. CPU is that of all processes
of the monitor, from /proc; WAL and tables are read from the monitor itself.
"""
import json
import os
import pathlib
import subprocess

from faults import children_of
from harness import BINDIR, Cluster, wait_for

LOAD = pathlib.Path(__file__).resolve().parent.parent / "build/cmake/pgaf_load"
WARMUP_S = 65  # more than autovacuum_naptime: what it writes once is not what an hour costs
TICKS = os.sysconf("SC_CLK_TCK")
TABLES = ("node", "event", "group_state", "formation", "node_timeline")


def cpu_seconds(postmaster):
    """User and system time of the postmaster and its children; those that have ended are in its own children's time."""
    total = 0
    for pid in [postmaster] + children_of(postmaster):
        try:
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        total += int(fields[11]) + int(fields[12])
        if pid == postmaster:
            total += int(fields[13]) + int(fields[14])
    return total / TICKS


def private_megabytes(postmaster):
    total = 0
    for pid in children_of(postmaster):
        try:
            lines = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith(("Private_Clean:", "Private_Dirty:")))
    return total / 1024


class State:
    """Counters of a monitor at one moment."""

    def __init__(self, monitor, postmaster):
        def ask(sql):
            return float(monitor.sql(sql, dbname="pg_auto_failover", timeout=60) or 0)
        self.cpu_s = cpu_seconds(postmaster)
        self.wal_bytes = ask("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')")
        self.table_bytes = ask("SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c WHERE c.relnamespace ="
                               " 'pgautofailover'::regnamespace AND c.relkind IN ('r', 'm')")
        self.events = ask("SELECT count(*) FROM pgautofailover.event")


def measure(groups, seconds, failovers=0):
    cluster = Cluster()
    try:
        cluster.create_monitor()
        monitor = cluster.monitor
        monitor.stop()
        with open(monitor.pgdata / "postgresql.conf", "a") as conf:
            # One machine may have half of the sessions before their nodes report, and opens all of them first.
            conf.write(f"max_connections = {4 * groups + 50}\npgautofailover.max_nodes = {2 * groups + 16}\n")
        monitor.start()
        wait_for(lambda: monitor.sql("SELECT 1") == "1", 60, "the monitor answers")
        postmaster = monitor.postmaster()
        load = subprocess.Popen(
            [LOAD, "--conninfo", cluster.monitor_uri(), "--groups", str(groups), "--duration", str(seconds),
             "--warmup", str(WARMUP_S), "--failovers", str(failovers)], stdout=subprocess.PIPE, text=True)
        if load.stdout.readline().strip() != "steady":
            raise AssertionError("the load did not begin")
        before = State(monitor, postmaster)
        result = json.loads(load.stdout.readline())
        after = State(monitor, postmaster)
        result["private_mb"] = private_megabytes(postmaster)
        load.stdout.readline()
        rest = load.stdout.read()
        if load.wait(timeout=60) != 0:
            raise AssertionError("the load failed")
        hour = 3600 / seconds
        result.update(groups=groups, cores=(after.cpu_s - before.cpu_s) / seconds,
                      wal_mb_per_hour=(after.wal_bytes - before.wal_bytes) * hour / 1e6,
                      table_mb_per_hour=(after.table_bytes - before.table_bytes) * hour / 1e6,
                      events=after.events - before.events)
        if rest.strip():
            result["switchover_s"] = json.loads(rest)["seconds"]
        return result
    finally:
        cluster.close()


def run(sizes, seconds, failovers):
    print(f"one report per second and node, {seconds} s each, {os.cpu_count()} cores; monitor: {BINDIR}")
    print("groups  reports/s  cores of the monitor  us/report  p50 ms  p99 ms  max ms  WAL MB/h  tables MB/h  private MB"
          "  switchovers at once, s")
    for groups in sizes:
        r = measure(groups, seconds, failovers and max(1, groups // 10))
        took = f"{r['switchover_s']:.2f} ({max(1, groups // 10)})" if "switchover_s" in r else "-"
        print(f"{groups:6} {r['per_second']:10.0f} {r['cores']:21.3f} {1e6 * r['cores'] / r['per_second']:10.0f}"
              f" {r['p50_ms']:7.2f} {r['p99_ms']:7.2f} {r['max_ms']:7.1f} {r['wal_mb_per_hour']:9.2f}"
              f" {r['table_mb_per_hour']:12.2f} {r['private_mb']:11.0f}  {took}", flush=True)
