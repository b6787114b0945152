"""C++ as tokens: enough to know what is code, what belongs together, and which function a place is in.

The sources are formatted by clang-format, and that is relied upon where the language itself leaves a token open: a
binary operator has blanks on both sides, a template's bracket and a reference have not.
"""
import dataclasses
import re

PATTERN = re.compile(
    r"""
    (?P<comment>//[^\n]*|/\*.*?\*/)
  | (?P<directive>^[ \t]*\#(?:\\\n|[^\n])*)
  | (?P<string>(?:u8|[uUL])?R"(?P<raw>[^()\\\s]{0,16})\(.*?\)(?P=raw)"
      |(?:u8|[uUL])?"(?:\\.|[^"\\\n])*"|(?:u8|[uUL])?'(?:\\.|[^'\\\n])*')
  | (?P<number>\.?[0-9](?:[eEpP][+-]|'?[0-9A-Za-z_]|\.)*)
  | (?P<name>[A-Za-z_][A-Za-z_0-9]*)
  | (?P<sign><=>|<<=|>>=|->\*|\.\.\.|::|->|\+\+|--|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|[^\s])
    """,
    re.VERBOSE | re.DOTALL | re.MULTILINE)

OPENING = {"(": ")", "[": "]", "{": "}"}
CLOSING = {close: opened for opened, close in OPENING.items()}


@dataclasses.dataclass(frozen=True)
class Token:
    kind: str
    text: str
    start: int
    end: int
    is_spaced: bool  # blanks on both sides


@dataclasses.dataclass(frozen=True)
class Body:
    """The braces of a function or a lambda, as indices of tokens."""
    first: int
    last: int
    returns_bool: bool
    is_lambda: bool


def tokenize(text):
    """The tokens that are code: no blanks, comments or preprocessor lines."""
    tokens = []
    for match in PATTERN.finditer(text):
        kind = match.lastgroup if match.lastgroup != "raw" else "string"
        if kind in ("comment", "directive"):
            continue
        before, after = text[match.start() - 1:match.start()], text[match.end():match.end() + 1]
        tokens.append(Token(kind, match.group(), match.start(), match.end(), before.isspace() and after.isspace()))
    return tokens


def partners(tokens):
    """Index of the bracket that belongs to each bracket."""
    found, stack = {}, []
    for i, token in enumerate(tokens):
        if token.kind != "sign":
            continue
        if token.text in OPENING:
            stack.append(i)
        elif token.text in CLOSING:
            if not stack or tokens[stack[-1]].text != CLOSING[token.text]:
                raise ValueError(f"unbalanced {token.text} at offset {token.start}")
            found[stack[-1]], found[i] = i, stack[-1]
            stack.pop()
    if stack:
        raise ValueError(f"unbalanced {tokens[stack[-1]].text} at offset {tokens[stack[-1]].start}")
    return found


class Source:
    def __init__(self, text):
        self.text = text
        self.tokens = tokenize(text)
        self.partner = partners(self.tokens)
        self.bodies = [body for i, token in enumerate(self.tokens) if token.text == "{" and (body := self._body(i))]

    def is_text(self, i, *texts):
        return 0 <= i < len(self.tokens) and self.tokens[i].text in texts

    def _parameters_before(self, brace):
        """Index of the ( of the parameters, when the brace begins a function or a lambda."""
        i = brace - 1
        while i >= 0 and self.tokens[i].text not in (")", ";", "{", "}", "="):
            i -= 1  # const, noexcept, override, a trailing return type
        if not self.is_text(i, ")"):
            return None
        between = [token.text for token in self.tokens[i + 1:brace]]
        plain = {"const", "noexcept", "override", "final", "mutable"}
        return self.partner[i] if "->" in between or plain.issuperset(between) else None

    def _body(self, brace):
        if self.is_text(brace - 1, "]"):  # a lambda without parameters
            return Body(brace, self.partner[brace], False, True)
        opened = self._parameters_before(brace)
        if opened is None or opened == 0:
            return None
        before = self.tokens[opened - 1]
        if before.text == "]":
            trailing = [token.text for token in self.tokens[self.partner[opened] + 1:brace]]
            return Body(brace, self.partner[brace], trailing[-2:] == ["->", "bool"], True)
        if before.kind != "name" or before.text in ("if", "for", "while", "switch", "catch", "constexpr", "return"):
            return None
        i = opened - 1
        while self.is_text(i - 1, "::"):
            i -= 2
        return Body(brace, self.partner[brace], self.is_text(i - 1, "bool"), False)

    def body_at(self, i):
        """The innermost function or lambda around a token."""
        around = [body for body in self.bodies if body.first < i < body.last]
        return max(around, key=lambda body: body.first, default=None)

    def line_of(self, offset):
        return self.text.count("\n", 0, offset) + 1
