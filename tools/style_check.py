"""What compilers and formatters do not check. Prints file:line, what is wrong, and what to use instead."""
import pathlib
import re
import subprocess
import sys

LINES_MAX = 500
COLUMNS_MAX = 100
# Files that may be longer, and why.
LONG_FILES = {
    "keeper/tests/cluster/test_worker.py": (540, "the scripted monitor that its stories share is of no use elsewhere"),
}

# Rooms that are compiled into the simulation as well.
PURE = r"^keeper/(src/core|include/pgaf/core|src/worker|src/supervisor)/"

# (pattern, where it is banned, where it is allowed, what to do instead)
BANS = [
    (r'#include\s*[<"](postgres\.h|libpq-fe\.h|unistd\.h|sys/|uv\.h|spdlog|fmt/)', PURE, None,
     "the core, the worker's logic and the supervisor's machine are pure: move this to an adapter"),
    (r'#include\s*[<"](io|node|cli|azure|pg)/', PURE, None, "ask through a port: the machine knows no adapter"),
    (r"\b(system_clock::now|steady_clock::now|getenv|rand)\s*\(", PURE, None, "pass the value in"),
    (r"\b(PG_TRY|PG_CATCH|sigsetjmp)\b", r"^(extension|bgworker|keeper/src)/", r"^keeper/src/pg/", "use pg::CallPg"),
    (r"\b(system|popen|sprintf|strcpy|strcat|gets)\s*\(", r"^(keeper/src|extension|bgworker)/", None,
     "use the process port, snprintf, strlcpy or std::string"),
    (r"std::regex\b", r"\.(cpp|hpp)$", None, "it is slow and recursive: parse by hand"),
    (r"\b(pg_usleep|usleep|sleep_for|sleep)\s*\(", r"^(keeper/src|extension|bgworker)/", None,
     "wait for the condition, with a deadline"),
    (r"\b(CLOCK_REALTIME|time\s*\(\s*(NULL|nullptr)\s*\))", r"^(bgworker|keeper/src/worker)/", None,
     "leases count on CLOCK_BOOTTIME (S6: the wall clock may step)"),
    (r"\b(TODO|FIXME|XXX|HACK)\b", r"\.(cpp|hpp|py|sh|sql)$", r"^tools/style_check\.py$", "do it, or open an issue"),
    (r"\b(pkill|killall)\b", r".", r"^tools/style_check\.py$|\.md$", "end processes by their id"),
]


def tracked():
    out = subprocess.run(["git", "ls-files"], capture_output=True, text=True)
    if out.returncode == 0:
        return [pathlib.Path(name) for name in out.stdout.splitlines()]
    return [p for p in pathlib.Path(".").rglob("*") if p.is_file() and "build" not in p.parts]


def problems_in(path):
    name = path.as_posix()
    if path.suffix not in {".cpp", ".hpp", ".py", ".sh", ".sql"}:
        return
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    limit = LONG_FILES.get(name, (LINES_MAX, ""))[0]
    if len(lines) > limit and path.suffix in {".cpp", ".hpp", ".py"}:
        yield f"{name}: {len(lines)} lines; the limit is {limit}: split it"
    for number, line in enumerate(lines, 1):
        if path.suffix in {".cpp", ".hpp"} and len(line) > COLUMNS_MAX:
            yield f"{name}:{number}: {len(line)} columns; the limit is {COLUMNS_MAX}"
        code = re.sub(r"//.*", "", line) if path.suffix in {".cpp", ".hpp"} else line
        for pattern, banned, allowed, instead in BANS:
            if re.search(banned, name) and not (allowed and re.search(allowed, name)) and re.search(pattern, code):
                yield f"{name}:{number}: {line.strip()[:80]}\n    {instead}"


def unpaired_tests():
    expected = {p.stem.removesuffix("_1") for p in pathlib.Path("expected").glob("*.out")}
    tests = {p.stem for p in pathlib.Path("sql_tests").glob("*/*") if p.suffix in {".sql", ".spec"}}
    for name in sorted(expected - tests):
        yield f"expected/{name}.out: there is no such test"
    for name in sorted(tests - expected):
        yield f"sql_tests: {name} has no expected output"


def is_shell(path):
    if path.suffix == ".sh":
        return True
    with open(path, "rb") as file:
        return re.match(rb"#!.*[/ ](ba)?sh\b", file.readline()) is not None


def shell_problems():
    """Those that pg_autoctl prints too. What is quoted so that another shell expands it is meant so (SC2016)."""
    return said_by("shellcheck", "--format=gcc", "--exclude=SC2016", *filter(is_shell, files()))


def format_problems():
    # Other versions format otherwise.
    said = said_by("clang-format-14", "--dry-run", "-Werror", *(path for path in files() if path.suffix in {".cpp", ".hpp"}))
    return [line for line in said if ": error: " in line]


def files():
    return [path for path in tracked() if path.is_file()]


def said_by(program, *words):
    try:
        done = subprocess.run([program, *map(str, words)], capture_output=True, text=True)
    except FileNotFoundError:
        print(f"style: {program} is not installed, and its check is left out; tools/install-deps.sh installs it")
        return []
    return done.stdout.splitlines() + done.stderr.splitlines()


def main():
    found = [problem for path in tracked() for problem in problems_in(path)]
    found += unpaired_tests()
    found += shell_problems() + format_problems()
    for problem in found:
        print(problem)
    print(f"style: {len(found)} problems" if found else "style: clean")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
