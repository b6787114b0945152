"""The programs that test, as CMake builds them, and the same programs with one source changed.

Nothing about sources is written down here: compile_commands.json says how each is compiled, link.txt of each target
what it is made of. A changed object stands before the libraries, so that the linker never asks for the old one.
"""
import dataclasses
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import time

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = TOP / "build" / "cmake"
UNIT = ("core_tests", "worker_tests", "supervisor_tests")
SIMULATION = "pgaf_simulate"
CONVERSATION = "pgaf_conversation"
CONVERSATIONS = TOP / "keeper" / "tests" / "conversation" / "scenarios"
KNOWN_FAULTS = TOP / "keeper" / "sim" / "known_faults.txt"


class Broken(Exception):
    """The tool itself cannot work; no mutant is to blame."""


class DoesNotCompile(Exception):
    """This mutant is no program."""


@dataclasses.dataclass(frozen=True)
class Run:
    """One way to notice a mutant: a command of one program."""
    name: str  # unit, conversation, enumeration or simulation
    program: str
    arguments: tuple


@dataclasses.dataclass
class Outcome:
    passed: bool
    what: str = ""
    seconds: float = 0.0


def runs_of(program, seeds, known_faults, conversations=CONVERSATIONS):
    if program == SIMULATION:
        return [Run("simulation", program, ("--known", str(known_faults), "--seeds", str(seeds)))]
    if program == CONVERSATION:
        return [Run("conversation", program, (str(conversations),))]
    unit = Run("unit", program, ("--gtest_brief=1", "--gtest_fail_fast", "--gtest_filter=-Closure.*"))
    if program != "core_tests":
        return [unit]
    return [unit, Run("enumeration", program, ("--gtest_brief=1", "--gtest_fail_fast", "--gtest_filter=Closure.*"))]


def call(command, cwd=None, timeout=None):
    return subprocess.run([str(word) for word in command], cwd=cwd, capture_output=True, text=True, errors="replace",
                          timeout=timeout)


def first_words(run, done):
    """What a failed run said, in few words."""
    if done.returncode < 0:
        return f"ended by signal {-done.returncode}"
    if run.name in ("simulation", "conversation"):
        return (done.stdout.splitlines() or done.stderr.splitlines() or ["no output"])[0][:100]
    failed = re.search(r"^\[  FAILED  \] (\S+)", done.stdout, re.MULTILINE)
    return failed.group(1) if failed else "no output"


def not_compiled(folder, names):
    """What no program that tests is made of."""
    if folder == str(TOP / "keeper" / "tests"):
        return {"cluster", "azure", "cli"}
    return {name for name in names if name.endswith((".o", ".d"))}


class Workshop:
    """The built programs, and a place beside the sources where mutants are made."""

    def __init__(self, directory):
        self.directory = directory
        # Of its own: a change of the tree while this runs is no mutant's fault.
        self.known_faults = directory / KNOWN_FAULTS.name
        shutil.copy2(KNOWN_FAULTS, self.known_faults)
        self.conversations = directory / CONVERSATIONS.name
        shutil.copytree(CONVERSATIONS, self.conversations)
        self.commands, self.links = {}, {}
        self._build()
        self._read_links()
        for entry in json.loads((BUILD / "compile_commands.json").read_text()):
            words = shlex.split(entry["command"])
            output = words[words.index("-o") + 1]
            self.commands.setdefault(pathlib.Path(entry["file"]), []).append((output, words))
        self._copy_inputs()
        # Whoever edits the sources meanwhile changes no mutant.
        self.sources = directory / "sources"
        shutil.copytree(TOP / "keeper", self.sources / "keeper", ignore=not_compiled)
        self.reference = {}

    def _build(self):
        if not (BUILD / "compile_commands.json").exists():
            done = call(["cmake", "-S", TOP, "-B", BUILD, "-DCMAKE_BUILD_TYPE=Release"])
            if done.returncode != 0:
                raise Broken(done.stderr)
        names = [path.parent.name.removesuffix(".dir") for path in (BUILD / "CMakeFiles").glob("*.dir/link.txt")]
        self.programs = [name for name in (*UNIT, CONVERSATION, SIMULATION) if name in names]
        if not self.programs:
            raise Broken(f"{BUILD}/CMakeFiles holds no link.txt of a program that tests: build with Makefiles")
        done = call(["cmake", "--build", BUILD, "--parallel", "2", "--target", *self.programs])
        if done.returncode != 0:
            raise Broken(done.stdout[-2000:] + done.stderr[-2000:])

    def _read_links(self):
        archives = {}
        for path in (BUILD / "CMakeFiles").glob("*.dir/link.txt"):
            words = shlex.split(path.read_text().splitlines()[0])
            if words[0].endswith("ar"):
                archives[words[2]] = words[3:]
            else:
                self.links[path.parent.name.removesuffix(".dir")] = words
        self.parts = {program: {part for word in self.links[program] for part in archives.get(word, [word])}
                      for program in self.programs}

    def _copy_inputs(self):
        """What is linked stays as it is now, whatever is built meanwhile."""
        for program in self.programs:
            for word in self.links[program]:
                source = BUILD / word
                if word.startswith("/") or not word.endswith((".o", ".a")) or not source.exists():
                    continue
                target = self.directory / "base" / word
                target.parent.mkdir(parents=True, exist_ok=True)
                if not target.exists():
                    shutil.copy2(source, target)
        for program in self.programs:
            shutil.copy2(BUILD / program, self.directory / "base" / program)

    def programs_with(self, files):
        """Programs that contain one of the sources."""
        outputs = {output for file in files for output, _ in self.commands.get(file, [])}
        return [program for program in self.programs if outputs & self.parts[program]]

    def sources_with(self, file):
        """A source itself; of a header the sources that include it, in the programs that test."""
        if file.suffix == ".cpp":
            return [file]
        wanted = {part for parts in self.parts.values() for part in parts}
        # The files of dependencies are read by make; a compiler's cache may write shorter paths.
        names = [str(name).replace(" ", "\\ ") for name in (file, os.path.relpath(file, BUILD))]

        def includes(output):
            rules = BUILD / (output + ".d")
            return rules.exists() and any(name in rules.read_text() for name in names)
        found = [source for source, compiled in self.commands.items()
                 if any(output in wanted and includes(output) for output, _ in compiled)]
        if not found:
            raise Broken(f"no program that tests includes {file}")
        return found

    def _compile(self, source, output, replaced):
        """`replaced`: the folder that stands for keeper/."""
        words = list(self.commands[source][0][1])
        words[words.index("-o") + 1] = str(output)
        words = [word.replace(str(TOP / "keeper"), str(replaced)) for word in words if word != "-Werror"]
        return call([*words, "-w", f"-ffile-prefix-map={replaced}=keeper"], cwd=BUILD)

    def objects(self, place, sources):
        compiled = {}
        for number, source in enumerate(sources):
            output = place / f"{number}.o"
            done = self._compile(source, output, place / "keeper")
            if done.returncode != 0:
                raise DoesNotCompile(done.stderr[:2000])
            compiled[source] = output
        return compiled

    def is_same_code(self, source, compiled):
        """Whether the compiler made the same of the mutant as of the source."""
        if source not in self.reference:
            output = self.directory / f"reference-{len(self.reference)}-{source.stem}.o"
            done = self._compile(source, output, self.sources / "keeper")
            if done.returncode != 0:
                raise Broken(done.stderr[:2000])
            self.reference[source] = output.read_bytes()
        return self.reference[source] == compiled.read_bytes()

    def make(self, name, file, text):
        """The folder with the programs in which `file` reads `text`, and their names; None for the same code."""
        place = self.directory / name
        shutil.copytree(self.sources / "keeper", place / "keeper")
        (place / file.relative_to(TOP)).write_text(text)
        sources = self.sources_with(file)
        compiled = self.objects(place, sources)
        if len(sources) == 1 and self.is_same_code(sources[0], compiled[sources[0]]):
            return place, None
        programs = self.programs_with(sources)
        for program in programs:
            self._link(place, program, compiled)
        return place, programs

    def _link(self, place, program, compiled):
        words = list(self.links[program])
        words[words.index("-o") + 1] = str(place / program)
        for source, built in compiled.items():
            outputs = {output for output, _ in self.commands[source]}
            if not outputs & self.parts[program]:
                continue
            direct = [i for i, word in enumerate(words) if word in outputs]
            if direct:
                words[direct[0]] = str(built)
            else:
                words.insert(words.index("-o"), str(built))
        done = call(words, cwd=self.directory / "base")
        if done.returncode != 0:
            raise DoesNotCompile(done.stderr[:2000])

    def run(self, place, run, seconds):
        """Carries one run out; one that takes longer than it may hangs, and that is noticed."""
        begun = time.monotonic()
        try:
            done = call([place / run.program, *run.arguments], cwd=place, timeout=seconds)
        except subprocess.TimeoutExpired:
            return Outcome(False, f"hangs for {seconds:.0f} s", time.monotonic() - begun)
        passed = done.returncode == 0
        return Outcome(passed, "" if passed else first_words(run, done), time.monotonic() - begun)
