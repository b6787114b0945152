"""What can be broken in a source: each operator finds its places and says what to put there instead."""
import dataclasses

from mutation.cpp import CLOSING, OPENING, Source

# What a comparison may become: the other side of the border, and the opposite.
COMPARISONS = {"<": ("<=", ">="), "<=": ("<", ">"), ">": (">=", "<="), ">=": (">", "<"), "==": ("!=",), "!=": ("==",)}
ASSIGNMENTS = {"=", "+=", "-=", "*=", "/=", "%=", "|=", "&=", "^=", "<<=", ">>="}
# A statement that begins with one of these is no call and no assignment.
KEYWORDS = {"return", "if", "for", "while", "switch", "case", "break", "continue", "using", "namespace", "struct",
            "class", "enum", "union", "static_assert", "template", "const", "constexpr", "auto", "static", "typedef",
            "throw", "goto", "default", "do", "else", "try", "catch", "extern", "inline", "friend", "explicit",
            "public", "private", "protected"}
# Numbers that these are given only name a rule or a request to people.
LABELLED = {"Rule", "AssignAsked", "One"}


@dataclasses.dataclass(frozen=True)
class Mutant:
    operator: str
    line: int
    start: int
    end: int
    text: str  # what comes in place of [start, end)

    def apply(self, source):
        return source[:self.start] + self.text + source[self.end:]


def mutants_of(text):
    """Every mutant of a source, in its order."""
    source = Source(text)
    checked = [(i, source.partner[i + 1]) for i, token in enumerate(source.tokens)
               if token.text == "static_assert" and source.is_text(i + 1, "(")]
    found = []
    for operator in (negated_conditions, dropped_operands, swapped_comparisons, skipped_effects, opposite_returns,
                     changed_numbers):
        for first, last, name, replacement in operator(source):
            if any(begin < first < end for begin, end in checked):
                continue  # the compiler would refuse it
            start, end = source.tokens[first].start, source.tokens[last].end
            found.append(Mutant(name, source.line_of(start), start, end, replacement))
    return sorted(set(found), key=lambda mutant: (mutant.start, mutant.end, mutant.operator, mutant.text))


def span_text(source, first, last):
    return source.text[source.tokens[first].start:source.tokens[last].end]


def has_at_top(source, first, last, texts):
    """The first of these tokens that is in no bracket within the span."""
    i = first
    while i <= last:
        if source.tokens[i].text in texts:
            return i
        i = source.partner[i] + 1 if source.tokens[i].text in OPENING else i + 1
    return None


def negated_conditions(source):
    for i, token in enumerate(source.tokens):
        if token.text not in ("if", "while") or not source.is_text(i + 1, "("):
            continue
        first, last = i + 2, source.partner[i + 1] - 1
        semicolon = has_at_top(source, first, last, {";"})
        if semicolon is not None:
            first = semicolon + 1
        if first > last or has_at_top(source, first, last, {"="}) is not None:
            continue  # it declares a variable
        yield first, last, "negate condition", f"!({span_text(source, first, last)})"


def is_binary(token):
    return token.kind == "sign" and token.is_spaced


def operand(source, i, step):
    """The last token of what stands on one side of the && or || at i."""
    ends = {";", ",", "?", ":", "return", "||"} | ASSIGNMENTS
    if source.tokens[i].text == "&&":
        ends = ends | {"&&"}
    closing = OPENING if step < 0 else CLOSING
    at = i + step
    while 0 <= at < len(source.tokens):
        token = source.tokens[at]
        if token.text in closing or (token.text in ends and (token.text != "&&" or is_binary(token))):
            break
        inner = CLOSING if step < 0 else OPENING
        at = source.partner[at] + step if token.text in inner else at + step
    return at - step


def dropped_operands(source):
    dropped = set()  # the middle one of three stands at two signs
    for i, token in enumerate(source.tokens):
        if token.text not in ("&&", "||") or not is_binary(token):
            continue
        left, right = operand(source, i, -1), operand(source, i, 1)
        if left >= i or right <= i:
            continue
        name = "drop conjunct" if token.text == "&&" else "drop disjunct"
        if (left, i - 1) not in dropped:
            yield left, right, name, span_text(source, i + 1, right)
        yield left, right, name, span_text(source, left, i - 1)
        dropped.update({(left, i - 1), (i + 1, right)})


def swapped_comparisons(source):
    for i, token in enumerate(source.tokens):
        if token.text in COMPARISONS and is_binary(token) and not source.is_text(i - 1, "operator"):
            for other in COMPARISONS[token.text]:
                yield i, i, "swap comparison", other


def statement_start(source, i):
    """Whether a statement may begin at this token of a function's body."""
    if source.is_text(i - 1, ";", "{", "}", "else"):
        return True
    if source.is_text(i - 1, ":"):
        at = i - 2
        while at >= 0 and source.tokens[at].text not in (";", "{", "}", "case", "default"):
            at -= 1
        return source.is_text(at, "case", "default")
    if not source.is_text(i - 1, ")"):
        return False
    opened = source.partner[i - 1]
    return source.is_text(opened - 1, "if", "for", "while") or source.is_text(opened - 2, "if")


def is_declaration(source, first, last):
    """Two words side by side, a type and a name: `Type name`, `Type<T> name`, `Type *name`."""
    for i in range(first, last):
        here, following = source.tokens[i], source.tokens[i + 1]
        if here.text in OPENING or here.text in ASSIGNMENTS:
            return False
        if following.kind != "name":
            continue
        is_word = here.kind == "name" or here.text == ">"
        is_pointer = here.text in ("*", "&", "&&") and i > first and not here.is_spaced
        if is_word or is_pointer:
            return True
    return False


def skipped_effects(source):
    for i, token in enumerate(source.tokens):
        if token.text in KEYWORDS or token.kind != "name" and token.text not in ("(", "*", "++", "--", "::"):
            continue
        body = source.body_at(i)
        if body is None or not statement_start(source, i):
            continue
        end = has_at_top(source, i, body.last - 1, {";"})
        if end is None or not is_among_statements(source, i, body):
            continue
        assigns = has_at_top(source, i, end, ASSIGNMENTS) is not None
        steps = source.is_text(i, "++", "--") or source.is_text(end - 1, "++", "--")
        calls = source.is_text(end - 1, ")")
        if (assigns or calls or steps) and not is_declaration(source, i, end):
            yield i, end, "skip effect", ";"


def enclosing(source, i):
    """The bracket that token i stands in."""
    at = i - 1
    while at >= 0:
        if source.tokens[at].text in OPENING:
            return at
        at = source.partner[at] - 1 if source.tokens[at].text in CLOSING else at - 1
    return None


def is_among_statements(source, i, body):
    """Not in the head of a loop, nor in braces that hold values."""
    opened = enclosing(source, i)
    if opened == body.first:
        return True
    return source.is_text(opened, "{") and source.is_text(opened - 1, ")", "else", ";", "{", "}", ":", "do", "try")


def looks_bool(source, first, last):
    if has_at_top(source, first, last, {"?", "<<"}) is not None:
        return False
    i = first
    while i <= last:
        token = source.tokens[i]
        if (token.text in COMPARISONS or token.text in ("&&", "||")) and is_binary(token):
            return True
        i = source.partner[i] + 1 if token.text in OPENING else i + 1
    return source.is_text(first, "!")


def opposite_returns(source):
    for i, token in enumerate(source.tokens):
        body = source.body_at(i) if token.text == "return" else None
        if body is None or source.is_text(i + 1, ";", "{"):
            continue
        end = has_at_top(source, i + 1, body.last - 1, {";"})
        if end is None:
            continue
        first, last = i + 1, end - 1
        if first == last and source.is_text(first, "true", "false"):
            yield first, last, "opposite return", "false" if source.is_text(first, "true") else "true"
        elif body.returns_bool or looks_bool(source, first, last):
            yield first, last, "opposite return", f"!({span_text(source, first, last)})"


def changed_numbers(source):
    for i, token in enumerate(source.tokens):
        if token.kind != "number" or source.is_text(i - 1, "<") and not source.tokens[i - 1].is_spaced:
            continue  # an argument of a template changes a type
        opened = enclosing(source, i)
        if opened is not None and opened > 0 and source.tokens[opened - 1].text in LABELLED:
            continue
        digits = token.text.replace("'", "").rstrip("uUlLzZ")
        try:
            value = int(digits, 0) if not digits.isdigit() else int(digits)
        except ValueError:
            continue  # a fraction
        suffix = token.text[len(token.text.rstrip("uUlLzZ")):]
        for other in {0: (1,), 1: (0, 2)}.get(value, (value - 1, value + 1, value * 2)):
            yield i, i, "change number", f"{other}{suffix}"
