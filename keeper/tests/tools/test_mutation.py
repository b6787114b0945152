"""tools/mutation: what it takes for code, and what it breaks."""
import pathlib
import subprocess
import sys

import pytest

TOP = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(TOP / "tools"))

from mutation import known, report  # noqa: E402
from mutation.cpp import Source, tokenize  # noqa: E402
from mutation.judge import Deck, Result  # noqa: E402
from mutation.operators import mutants_of  # noqa: E402
from mutation.programs import first_words, runs_of  # noqa: E402


def texts(source):
    return [token.text for token in tokenize(source)]


def broken(source, operator):
    """What the operator makes of the source, in the order of its places."""
    return [mutant.apply(source) for mutant in mutants_of(source) if mutant.operator == operator]


def in_function(statements, returns="void"):
    return f"{returns} F(int a) {{ {statements} }}"


def statements_after(statements, operator, returns="void"):
    head, tail = in_function("@", returns).split("@")
    return [text.removeprefix(head).removesuffix(tail) for text in broken(in_function(statements, returns), operator)]


def test_comments_strings_and_directives_are_no_code():
    source = '#include <a> // if (x)\n#define B \\\n  if (y)\nint a = 1; /* b == c */ auto s = "p && q // r"; // d < e\n'
    assert texts(source) == ["int", "a", "=", "1", ";", "auto", "s", "=", '"p && q // r"', ";"]
    assert texts('''R"(a "quoted" && b)" + 'x' + u8"\\"" + R"--(a)" b)--"''') == [
        'R"(a "quoted" && b)"', "+", "'x'", "+", 'u8"\\""', "+", 'R"--(a)" b)--"']


def test_numbers_and_signs_are_whole():
    assert texts("256'000 0x3F 1.5e-3 a<=>b x->y p<<=2 ::q") == [
        "256'000", "0x3F", "1.5e-3", "a", "<=>", "b", "x", "->", "y", "p", "<<=", "2", "::", "q"]


def test_brackets_must_fit():
    with pytest.raises(ValueError, match="unbalanced"):
        Source("void F() { (]; }")


def test_conditions_are_negated():
    assert statements_after("if (a > 1) return;", "negate condition") == ["if (!(a > 1)) return;"]
    assert statements_after("if (int b = a; b) return;", "negate condition") == ["if (int b = a; !(b)) return;"]
    assert statements_after("while (G(a)) --a;", "negate condition") == ["while (!(G(a))) --a;"]
    assert statements_after("if (const auto b = G(a)) return;", "negate condition") == [], "it declares"


def test_each_operand_is_dropped_once():
    assert statements_after("return a && G(b || c) && d;", "drop conjunct", "bool") == [
        "return G(b || c) && d;", "return a && d;", "return a && G(b || c);"]
    assert statements_after("return a && b || c;", "drop disjunct", "bool") == ["return a && b;", "return c;"]
    assert statements_after("x = a || b ? c : d;", "drop disjunct") == ["x = a ? c : d;", "x = b ? c : d;"]


def test_brackets_of_templates_and_references_are_no_operators():
    source = "template <typename T>\nvoid F(T &&a, std::vector<std::pair<int, int>> b) { auto *c = &a; }"
    assert mutants_of(source) == []


def test_comparisons_become_others():
    assert statements_after("x = a < b;", "swap comparison") == ["x = a <= b;", "x = a >= b;"]
    assert statements_after("x = a == b;", "swap comparison") == ["x = a != b;"]
    assert broken("bool operator==(const A &a, const A &b);", "swap comparison") == []


def test_effects_are_skipped():
    assert statements_after("G(a); int b = H(a); b = 2;", "skip effect") == [
        "; int b = H(a); b = 2;", "G(a); int b = H(a); ;"]
    assert statements_after("for (int i = 0; i < a; ++i) x.push_back(i);", "skip effect") == [
        "for (int i = 0; i < a; ++i) ;"]
    assert statements_after("std::vector<int> v(a); const A b{F(a), 2}; return G(a);", "skip effect") == []
    assert statements_after("switch (a) { case kB: G(a); break; }", "skip effect") == [
        "switch (a) { case kB: ; break; }"]
    assert statements_after("*why = a ? b : G(a); (void)H(*why);", "skip effect") == [
        "; (void)H(*why);", "*why = a ? b : G(a); ;"]
    assert broken("const auto a = G();\nstruct B { int c = 1; void D(); };", "skip effect") == []


def test_effects_in_lambdas_are_effects():
    assert statements_after("Each([&](int b) { x += b; });", "skip effect") == [
        ";", "Each([&](int b) { ; });"]


def test_opposites_are_returned():
    assert statements_after("return true;", "opposite return", "bool") == ["return false;"]
    assert statements_after("return G(a);", "opposite return", "bool") == ["return !(G(a));"]
    assert statements_after("return G(a);", "opposite return", "int") == []
    assert statements_after("return Any([](int b) { return b == 1; });", "opposite return", "int") == [
        "return Any([](int b) { return !(b == 1); });"]
    assert statements_after("return a < 1 ? b : c;", "opposite return", "int") == []


def test_numbers_are_changed():
    assert statements_after("x = 0;", "change number") == ["x = 1;"]
    assert statements_after("x = 1U;", "change number") == ["x = 0U;", "x = 2U;"]
    assert statements_after("x = 2'000;", "change number") == ["x = 1999;", "x = 2001;", "x = 4000;"]
    assert statements_after("y = 1.5; G<2>(a);", "change number") == []
    assert broken("constexpr std::array kRules{Rule{101, kA}};", "change number") == [], "a label"


def test_what_the_compiler_checks_is_left_alone():
    assert mutants_of("static_assert(F() == 1, \"one\");") == []


@pytest.mark.parametrize("file", sorted((TOP / "keeper/src").rglob("*.cpp")), ids=lambda file: file.stem)
def test_every_source_can_be_read(file):
    text = file.read_text()
    for mutant in mutants_of(text):
        assert mutant.apply(text) != text, mutant


def test_picked_mutants_fit_the_sources():
    for name, file, old, _ in known.MUTANTS:
        assert (TOP / file).read_text().count(old) == 1, f"mutant {name}: {file} has changed; mend the mutant"


def test_a_seed_draws_the_same_mutants():
    decks = [Deck(TOP, ["keeper/src/core"], seed=seed, count=5, seconds=60) for seed in (7, 7, 8)]
    drawn = [[deck.deal() for _ in range(6)] for deck in decks]
    assert drawn[0] == drawn[1] != drawn[2]
    assert drawn[0][5] is None, "as many as were asked for"
    decks[0].put_back()
    assert decks[0].deal() is not None


def test_time_ends_the_deal():
    assert Deck(TOP, ["keeper/src/core"], seed=1, count=5, seconds=-1).deal() is None


def test_a_failed_run_is_told_in_few_words():
    unit, enumeration = runs_of("core_tests", 100, "known")
    [simulation] = runs_of("pgaf_simulate", 100, "known")
    [conversation] = runs_of("pgaf_conversation", 100, "known", "scenarios")
    done = subprocess.CompletedProcess([], 1, "noise\n[  FAILED  ] Decide.Something (3 ms)\n[  FAILED  ] 1 test\n", "")
    assert first_words(unit, done) == first_words(enumeration, done) == "Decide.Something"
    assert first_words(unit, subprocess.CompletedProcess([], -11, "", "")) == "ended by signal 11"
    assert first_words(simulation, subprocess.CompletedProcess([], 1, "seed 4: lost\nmore\n", "")) == "seed 4: lost"
    assert first_words(simulation, subprocess.CompletedProcess([], 1, "", "")) == "no output"
    assert first_words(conversation, subprocess.CompletedProcess([], 1, "", "s01: line 4\n")) == "s01: line 4"


def test_shares_are_of_what_was_asked():
    [mutant, *_] = mutants_of(in_function("return true;", "bool"))
    source = in_function("return true;", "bool")
    results = [Result("keeper/src/core/a.cpp", mutant, source, {"unit": "T.a", "simulation": "", "enumeration": "",
                                                                 "conversation": ""}),
               Result("keeper/src/worker/b.cpp", mutant, source, {"unit": "", "simulation": ""})]
    lines = report.table(results, ["keeper/src/core", "keeper/src/worker"]).splitlines()
    assert lines[1].split() == ["keeper/src/core", "1", "0/1", "0%", "0/1", "0%", "1/1", "100%", "0/1", "0%", "1/1", "100%"]
    assert lines[2].split() == ["keeper/src/worker", "1", "0/1", "0%", "-", "0/1", "0%", "-", "0/1", "0%"]
    assert lines[3].split() == ["all", "2", "0/2", "0%", "0/1", "0%", "1/2", "50%", "0/1", "0%", "1/2", "50%"]
    assert "b.cpp:1" in report.line_of(results[1]) and "SURVIVES" in report.line_of(results[1])
    assert "-bool F(int a) { return true; }" in report.survivors(results)
