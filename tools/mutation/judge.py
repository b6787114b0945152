"""Which tests notice a mutant."""
import concurrent.futures
import dataclasses
import difflib
import random
import shutil
import threading
import time

from mutation.operators import Mutant, mutants_of
from mutation.programs import TOP, Broken, DoesNotCompile, runs_of

KINDS = ("simulation", "enumeration", "unit", "conversation")
# A run that is slower than the unchanged program by this much hangs.
SLOWER_MAX = 4
SECONDS_MIN = 20


@dataclasses.dataclass
class Result:
    file: str
    mutant: Mutant
    source: str
    outcomes: dict  # kind of run -> what it noticed; "" for nothing. A kind whose programs lack the source is not there

    def noticed(self):
        return any(self.outcomes.values())

    def change(self):
        changed = self.mutant.apply(self.source).splitlines(keepends=True)
        return "".join(difflib.unified_diff(self.source.splitlines(keepends=True), changed, self.file, self.file, n=1))


class Judge:
    def __init__(self, workshop, seeds):
        self.workshop = workshop
        self.runs = {program: runs_of(program, seeds, workshop.known_faults, workshop.conversations)
                     for program in workshop.programs}
        self.limits = {}
        self._measure()

    def _measure(self):
        """The unchanged programs must pass, and how long they take bounds the changed ones."""
        base = self.workshop.directory / "base"
        for run in (run for runs in self.runs.values() for run in runs):
            outcome = self.workshop.run(base, run, 600)
            if not outcome.passed:
                raise Broken(f"{run.program} ({run.name}) does not pass without a mutant: {outcome.what}")
            self.limits[run] = max(SECONDS_MIN, SLOWER_MAX * outcome.seconds)

    def outcomes(self, place, programs, stops_early=False):
        """What each kind of run noticed, the quick ones first."""
        found = {}
        for kind in ("unit", "conversation", "simulation", "enumeration"):
            for run in (run for program in programs for run in self.runs[program] if run.name == kind):
                outcome = self.workshop.run(place, run, self.limits[run])
                found[kind] = found.get(kind) or outcome.what
            if stops_early and found.get(kind):
                break
        return found

    def judge(self, name, file, text, stops_early=False):
        """The outcomes; None when the compiler made the same code."""
        try:
            place, programs = self.workshop.make(name, TOP / file, text)
            return None if programs is None else self.outcomes(place, programs, stops_early)
        finally:
            shutil.rmtree(self.workshop.directory / name, ignore_errors=True)


def judge_known(judge, mutants, options):
    """Name and what noticed it, in the order of the list."""
    def one(mutant):
        name, file, old, new = mutant
        text = (judge.workshop.sources / file).read_text()
        if text.count(old) != 1:
            raise Broken(f"mutant {name}: {file} holds {text.count(old)} times what it replaces; mend the mutant")
        try:
            found = judge.judge(name, file, text.replace(old, new), stops_early=not options.each)
        except DoesNotCompile as problem:
            raise Broken(f"mutant {name} does not compile; mend the mutant\n{problem}") from None
        return name, "; ".join(f"{kind}: {what}" for kind, what in (found or {}).items() if what)

    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        yield from pool.map(one, mutants)


class Deck:
    """All mutants of some folders in the order of a seed; dealt until enough have been judged or time is over."""

    def __init__(self, top, folders, *, seed, count, seconds):
        self.sources = {file.relative_to(top).as_posix(): file.read_text()
                        for folder in folders for file in sorted((top / folder).rglob("*.cpp"))}
        self.cards = [(file, mutant) for file, text in self.sources.items() for mutant in mutants_of(text)]
        if not self.cards:
            raise Broken(f"there is nothing to break in {', '.join(folders)}")
        random.Random(seed).shuffle(self.cards)
        self.wanted = count
        self.until = time.monotonic() + seconds
        self.lock = threading.Lock()
        self.dealt = 0

    def deal(self):
        with self.lock:
            if self.wanted == 0 or self.dealt == len(self.cards) or time.monotonic() > self.until:
                return None
            self.wanted -= 1
            self.dealt += 1
            return (self.dealt, *self.cards[self.dealt - 1])

    def put_back(self):
        """The card was no mutant: another one may be dealt for it."""
        with self.lock:
            self.wanted += 1


def draw(judge, folders, seed, options, redrawn):
    deck = Deck(judge.workshop.sources, folders, seed=seed, count=options.count, seconds=options.seconds)

    def one(card):
        number, file, mutant = card
        text = deck.sources[file]
        try:
            found = judge.judge(f"mutant-{number}", file, mutant.apply(text))
        except DoesNotCompile:
            return "does not compile"
        return "same code" if found is None else Result(file, mutant, text, found)

    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        running = set()
        while True:
            while len(running) < options.jobs and (card := deck.deal()):
                running.add(pool.submit(one, card))
            if not running:
                return
            ended, running = concurrent.futures.wait(running, return_when=concurrent.futures.FIRST_COMPLETED)
            for result in (future.result() for future in ended):
                if isinstance(result, Result):
                    yield result
                else:
                    redrawn[result] += 1
                    deck.put_back()
