"""What the HTTP port costs and how fast it answers, on a primary with one standby: a new connection for each request.

    tools/bench.sh http
"""
import os
import pathlib
import signal
import socket
import threading
import time

from harness import Cluster, free_port, wait_for

RATE = 1000
SECONDS = 10
THREADS = 4
PATHS = ("/primary", "/replica?lag=16MB", "/health")
TICK = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def pss_kb(pid):
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))


def ask(port, path):
    """(status, seconds)"""
    begun = time.perf_counter()
    with socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        said = sock.recv(4096)
    return int(said.split()[1]), time.perf_counter() - begun


def load(port, seconds):
    """Times of all answers to RATE requests a second."""
    times, lock = [], threading.Lock()

    def client(number):
        mine = []
        begun = time.perf_counter()
        for i in range(RATE * seconds // THREADS):
            due = begun + (i * THREADS + number) / RATE
            time.sleep(max(0.0, due - time.perf_counter()))
            mine.append(ask(port, PATHS[i % len(PATHS)])[1])
        with lock:
            times.extend(mine)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(times)


def say(what, times):
    def at(share):
        return times[min(len(times) - 1, int(len(times) * share))] * 1000
    print(f"{what}: {len(times)} answers, p50 {at(0.5):.2f} ms, p99 {at(0.99):.2f} ms, p99.9 {at(0.999):.2f} ms")


def measure_port():
    cluster = Cluster()
    try:
        port = free_port()
        cluster.create_monitor()
        node = cluster.create_node("a", "--http-listen", f"127.0.0.1:{port}")
        cluster.wait_states(a="single")
        cluster.create_node("b")
        cluster.wait_steady()
        wait_for(lambda: ask(port, "/primary")[0] == 200, 10, "the port answers")
        pid = node.process.pid
        idle = cpu_seconds(pid)
        time.sleep(SECONDS)  # not for a condition: what it costs to do nothing is measured
        idle = cpu_seconds(pid) - idle
        busy = cpu_seconds(pid)
        times = load(port, SECONDS)
        busy = cpu_seconds(pid) - busy
        say(f"{RATE} requests a second", times)
        print(f"supervisor: {(busy - idle) / SECONDS:.3f} cores for them, {idle / SECONDS:.3f} without")
        print(f"memory: supervisor {pss_kb(pid)} kB, worker {pss_kb(node.worker())} kB PSS")
        frozen = node.server_pids()
        for one in frozen:
            os.kill(one, signal.SIGSTOP)
        try:
            times = load(port, 2)
        finally:
            for one in frozen:
                os.kill(one, signal.SIGCONT)
        say("with PostgreSQL stopped", times)
    finally:
        cluster.close()
