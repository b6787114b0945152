"""Runs files of tests of real servers, some at a time; each lane takes the next file when it is free.

    tools/lanes.py --lanes 2 keeper/tests/azure keeper/tests/cluster/test_a.py keeper/tests/cluster/test_b.py

They wait more than they compute, and no file shares anything with another. A line says how each file ended, with its
time; what a failed one printed is shown whole. PYTEST_OPTIONS goes to pytest. Exit status 1 when a file failed.
"""
import argparse
import os
import pathlib
import queue
import shlex
import subprocess
import sys
import threading
import time

NOTHING_CHOSEN = 5  # pytest: no test of the file was selected
LONGEST = ["azure", "test_hands_table.py", "test_odd_hands.py", "test_trio.py", "test_layout.py"]


def length(path):
    """The longest first, so that no lane begins one when the others have ended."""
    if path.name in LONGEST:
        return -1000 + LONGEST.index(path.name)
    return -path.read_text().count("\ndef test_")


def run(path):
    command = [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", str(path)]
    return subprocess.run(command + shlex.split(os.environ.get("PYTEST_OPTIONS", "")), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def lane(units, failed, lock):
    while True:
        try:
            path = units.get_nowait()
        except queue.Empty:
            return
        begun = time.monotonic()
        done = run(path)
        lines = done.stdout.strip().splitlines()
        with lock:
            print(f"{path.name:<32} {time.monotonic() - begun:6.0f} s  {lines[-1] if lines else 'no word'}", flush=True)
            for line in lines:
                if line.startswith("SKIPPED"):
                    print(f"    {line}", flush=True)
            if done.returncode not in (0, NOTHING_CHOSEN):
                failed.append(path.name)
                print(done.stdout, flush=True)


def main():
    parser = argparse.ArgumentParser(description="files of tests, some at a time")
    parser.add_argument("--lanes", type=int, default=2)
    parser.add_argument("paths", nargs="+", type=pathlib.Path)
    options = parser.parse_args()
    units, failed, lock = queue.Queue(), [], threading.Lock()
    for path in sorted(options.paths, key=length):
        units.put(path)
    threads = [threading.Thread(target=lane, args=(units, failed, lock)) for _ in range(options.lanes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        print(f"failed: {' '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
