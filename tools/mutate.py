"""Breaks one place of the sources at a time, and shows which tests notice.

    tools/mutate.py                     the mutants that were picked by hand; each must be noticed
    tools/mutate.py --only lease        those whose name contains a word
    tools/mutate.py --list
    tools/mutate.py --count 60          mutants drawn at random over the core, the worker and the supervisor
    tools/mutate.py --count 60 --seed 7 --seconds 600 --folder keeper/src/core

A mutant that does not compile, or that the compiler makes the same code of, is drawn again. For each drawn mutant all of
the unit tests, the conversations, the enumeration (Closure.*) and the simulation are run, and what each noticed is printed. Those that
survive are shown with their change: some are equivalent to what was there, the others are tests that are missing.

Exit status 0: every picked mutant was noticed; at random, the tool worked (survivors are for people to judge).
"""
import argparse
import pathlib
import sys
import tempfile
import time

from mutation import known, report
from mutation.judge import Judge, draw, judge_known
from mutation.programs import Broken, TOP, Workshop

FOLDERS = ("keeper/src/core", "keeper/src/worker", "keeper/src/supervisor")


def parse():
    parser = argparse.ArgumentParser(description="breaks one place of the sources at a time")
    parser.add_argument("--count", type=int, help="draw so many mutants at random, instead of those picked by hand")
    parser.add_argument("--seed", type=int, help="which ones are drawn; the clock chooses by default")
    parser.add_argument("--seconds", type=int, default=86_400, help="no further mutant is drawn after so long")
    parser.add_argument("--folder", action="append", help="where they are drawn; default: " + " ".join(FOLDERS))
    parser.add_argument("--seeds", type=int, help="of the simulation, for each mutant; default 2000, or 300 with --count")
    parser.add_argument("--jobs", type=int, default=2, help="mutants at a time")
    parser.add_argument("--only", default="", help="picked mutants whose name contains this")
    parser.add_argument("--each", action="store_true", help="run all tests for the picked ones too, and print what each noticed")
    parser.add_argument("--list", action="store_true", help="names of the picked mutants")
    return parser.parse_args()


def run_known(judge, options):
    mutants = [mutant for mutant in known.MUTANTS if options.only in mutant[0]]
    survivors = []
    for name, noticed in judge_known(judge, mutants, options):
        print(f"{name:<34} {noticed or 'SURVIVES'}", flush=True)
        if not noticed:
            survivors.append(name)
    print(f"{len(mutants) - len(survivors)} of {len(mutants)} mutants caught")
    return 1 if survivors else 0


def run_drawn(judge, options):
    seed = options.seed if options.seed is not None else int(time.time())
    wanted = options.folder or FOLDERS
    folders = [folder for folder in wanted if (TOP / folder).is_dir()]
    print(f"mutants drawn with --seed {seed} in {', '.join(folders)}", flush=True)
    results, redrawn = [], {"does not compile": 0, "same code": 0}
    for result in draw(judge, folders, seed, options, redrawn):
        results.append(result)
        print(report.line_of(result), flush=True)
    print(report.survivors(results))
    print(report.table(results, folders))
    print("drawn again: " + ", ".join(f"{count} {why}" for why, count in redrawn.items()))
    if not results:
        raise Broken("no mutant was built in the time given")
    if not any(result.noticed() for result in results):
        raise Broken("no mutant was noticed by anything")
    return 0


def main():
    options = parse()
    if options.list:
        print("\n".join(name for name, *_ in known.MUTANTS))
        return 0
    with tempfile.TemporaryDirectory(prefix="pgaf-mutate-") as directory:
        try:
            seeds = options.seeds or (300 if options.count else 2000)
            judge = Judge(Workshop(pathlib.Path(directory)), seeds)
            return run_drawn(judge, options) if options.count else run_known(judge, options)
        except Broken as problem:
            print(f"error: mutants cannot be judged: {problem}", file=sys.stderr)
            return 2


if __name__ == "__main__":
    sys.exit(main())
