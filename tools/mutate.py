"""Breaks known rules one at a time, and shows that simulation, enumeration or a unit test catches each.

    tools/mutate.py                 all mutants
    tools/mutate.py --only lease    those whose name contains a word
    tools/mutate.py --list

A mutant is one replacement in one file of the core (or of the supervisor's plan). It is built beside the sources, in a
temporary directory, and must make the simulation fail within a number of seeds, or else a unit test. Exit status 0 when
every mutant is caught.
"""
import argparse
import concurrent.futures
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

TOP = pathlib.Path(__file__).resolve().parent.parent
FLAGS = ["-std=c++20", "-O1", "-Ikeeper/include", "-Ikeeper/src", "-Ikeeper/sim", "-Ikeeper/tests/core"]
CORE = "keeper/src/core/"

# (name, file, what is there, what is put in its place)
MUTANTS = [
    ("lease_not_waited_for", CORE + "evidence.cpp",
     "if (LeaseLeftWithStream(view, old_primary) <= Milliseconds{0}) {", "if (true) {"),
    ("stream_extension_ignored", CORE + "evidence.cpp",
     "return std::max({old_primary.lease_left, by_stream, Milliseconds{0}});",
     "return std::max(old_primary.lease_left, Milliseconds{0});"),
    ("unheard_standbys_extend_nothing", CORE + "evidence.cpp",
     "return was_deaf ? Milliseconds{0} : kNoLimit;", "return Milliseconds{0};"),
    ("node_lease_too_long", "keeper/include/pgaf/core/lease.hpp",
     "return before_sending + lease;", "return before_sending + lease * 2;"),
    ("clock_rate_ignored", "keeper/include/pgaf/core/lease.hpp",
     "return lease + lease / 64 + Milliseconds{20};", "return lease - lease / 32;"),
    ("fenced_for_ever", "keeper/include/pgaf/core/lease.hpp",
     "if (reply.grant != GrantKind::kNone) lease.proved_fenced = false;", ""),
    ("unlimited_grant_forgotten", "keeper/include/pgaf/core/lease.hpp",
     "if (report.lease_mode) lease.unlimited = false;", "lease.unlimited = false;"),
    ("overtaken_reports_believed", "keeper/include/pgaf/core/protocol.hpp",
     "return report.keeper_epoch == last.keeper_epoch && report.sequence < last.sequence;", "return false;"),
    ("quorum_one_short", CORE + "sync_set.cpp", "- set.k + 1;", "- set.k;"),
    ("superseded_sets_forgotten", CORE + "sync_set.cpp",
     "for (const SyncSet &set : sync.superseded)\n        add(set);", ""),
    ("confirmed_set_forgotten", CORE + "sync_set.cpp",
     "std::vector<SyncSet> sets{sync.confirmed};", "std::vector<SyncSet> sets;"),
    ("set_confirmed_before_it_is_used", CORE + "decide.cpp",
     "report.sync_version != view.sync.goal_version || ", ""),
    ("seal_not_needed", CORE + "evidence.cpp", "return report.receiver.sealed || fetches;", "return true;"),
    ("seal_of_another_goal", CORE + "evidence.cpp",
     "report.goal_version != standby.goal_version", "false"),
    ("histories_not_compared", CORE + "timeline.cpp",
     "return ancestry == Ancestry::kDiverged || ancestry == Ancestry::kAhead;", "return false;"),
    ("timeline_number_given_twice", CORE + "reply.cpp",
     "if (primary == node) reply.next_timeline = view.highest_timeline;", ""),
    ("winner_lacks_wal", CORE + "rules_failover.cpp",
     "if (c.view.target_lsn.IsValid()) return c.node.report.lsn >= c.view.target_lsn;\n"
     "    return c.election.is_covered && c.node.report.lsn >= c.election.required;", "return true;"),
    ("target_of_another_election", CORE + "decide.cpp",
     "    Set(decision.target_lsn, view.target_lsn, Lsn{});\n    Set(decision.preferred",
     "    Set(decision.preferred"),
    ("incomplete_copy_elected", CORE + "election.cpp",
     "return node.goal == kCatchingup && IsStandby(node.reported) && IsMemberOfAny(view, node.id);",
     "return node.goal == kCatchingup;"),
    ("extension_by_one_set", CORE + "reply.cpp",
     "std::vector<SyncSet> sets = PossibleSets(view.sync);", "std::vector<SyncSet> sets{view.sync.goal};"),
    ("edge_missing", CORE + "keeper_edges.cpp",
     "Edge{kSecondary, kReportLsn, Step::kSeal, Actor::kWorker},", ""),
    ("old_primary_never_back", CORE + "rules_failover.cpp",
     "return is_out_of_reach && !CouldConclude(c.view, c.why);", "return false;"),
    ("lost_candidate_kept", CORE + "rules_failover.cpp",
     "if (!CouldConclude(without, nullptr)) return false;", "return false;"),
]


class Builder:
    """Objects of the sources as they are, and those of a mutant in their place."""

    def __init__(self, directory):
        self.directory = directory
        core = sorted((TOP / CORE).glob("*.cpp"))
        self.programs = {
            "sim": core + sorted((TOP / "keeper/src/supervisor").glob("*.cpp"))
            + sorted((TOP / "keeper/sim").glob("*.cpp")),
            "unit": core + sorted((TOP / "keeper/tests/core").glob("*_test.cpp")),
        }

    @staticmethod
    def compile(root, source, out):
        done = subprocess.run(["g++", *FLAGS, "-c", str(source.relative_to(TOP)), "-o", str(out)], cwd=root,
                              capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"{source}: {done.stderr[:2000]}")

    def build_all(self, root, directory, sources):
        directory.mkdir(exist_ok=True)
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(lambda s: self.compile(root, s, self.object(directory, s)), sources))

    @staticmethod
    def object(directory, source):
        return directory / (source.parent.name + "_" + source.stem + ".o")

    def build_base(self):
        every = sorted(set(self.programs["sim"] + self.programs["unit"]))
        self.build_all(TOP, self.directory / "base", every)

    def build_mutant(self, name, file, old, new):
        text = (TOP / file).read_text()
        if text.count(old) != 1:
            raise SystemExit(f"mutant {name}: {file} holds {text.count(old)} times what it replaces; mend the mutant")
        root = self.directory / name
        shutil.copytree(TOP / "keeper", root / "keeper", ignore=shutil.ignore_patterns("*.o", "*.d"))
        (root / file).write_text(text.replace(old, new))
        changed = [TOP / file] if file.endswith(".cpp") else sorted(set(self.programs["sim"] + self.programs["unit"]))
        self.build_all(root, root / "o", changed)
        for program, libraries in (("sim", []), ("unit", ["-lgtest", "-lgtest_main"])):
            objects = [o if (o := self.object(root / "o", s)).exists() else self.object(self.directory / "base", s)
                       for s in self.programs[program]]
            subprocess.run(["g++", *map(str, objects), "-o", str(root / program), *libraries], check=True)
        return root


def failed_test(program, tests):
    done = subprocess.run([program, f"--gtest_filter={tests}"], capture_output=True, text=True)
    failed = [line.split("] ")[1].split(" (")[0] for line in done.stdout.splitlines() if line.startswith("[  FAILED  ]")]
    return (failed or ["crashed"])[0] if done.returncode != 0 else None


def caught_by(root, options):
    """What noticed the mutant; None when nothing did. The quick ones first, unless only the simulation is asked."""
    if not options.simulation_only and (test := failed_test(root / "unit", "-Closure.*")):
        return "unit test: " + test
    done = subprocess.run([root / "sim", "--seeds", str(options.seeds)], capture_output=True, text=True)
    if done.returncode != 0:
        return "simulation: " + (done.stdout.splitlines() or ["crashed"])[0][:110]
    if not options.simulation_only and (test := failed_test(root / "unit", "Closure.*")):
        return "enumeration: " + test
    return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=2000, help="seeds that the simulation gets for each mutant")
    parser.add_argument("--only", default="", help="mutants whose name contains this")
    parser.add_argument("--simulation-only", action="store_true", help="what the simulation alone notices")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    mutants = [m for m in MUTANTS if options.only in m[0]]
    if options.list:
        print("\n".join(name for name, *_ in mutants))
        return 0
    survivors = []
    with tempfile.TemporaryDirectory(prefix="pgaf-mutate-") as directory:
        builder = Builder(pathlib.Path(directory))
        builder.build_base()

        def judge(mutant):
            root = builder.build_mutant(*mutant)
            how = caught_by(root, options)
            shutil.rmtree(root)
            return mutant[0], how

        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            for name, how in pool.map(judge, mutants):
                print(f"{name:<34} {how or 'SURVIVES'}", flush=True)
                if how is None:
                    survivors.append(name)
    print(f"{len(mutants) - len(survivors)} of {len(mutants)} mutants caught")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
