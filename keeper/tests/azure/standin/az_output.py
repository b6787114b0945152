"""The part of JMESPath that our queries use, exactly; anything else is refused. And az's ways to print."""
import json
import os
import re

from az_state import AzError

TOKEN = re.compile(r"\s*(?:(?P<flatten>\[\s*\])|(?P<each>\[\s*\*\s*\])|(?P<filter>\[\?)|(?P<index>\[\s*(-?\d+)\s*\])"
                   r"|(?P<word>[A-Za-z_]\w*)|(?P<quoted>\"[^\"]*\")|(?P<raw>'[^']*')|(?P<sign>==|!=|[][{}.:,|@]))")
HIDDEN_IN_TABLES = {"id", "type", "etag", "revision"}


def bad_query(query):
    return AzError(2, f"argument --query: invalid jmespath_type value: {query!r}",
                   footer="To learn more about --query, please visit: 'https://docs.microsoft.com/cli/azure/query-azure-cli'\n")


def tokens_of(query):
    tokens, at = [], 0
    while at < len(query.rstrip()):
        found = TOKEN.match(query, at)
        if not found:
            raise bad_query(query)
        kind = found.lastgroup
        tokens.append((kind, found.group(0).strip()))
        at = found.end()
    return tokens


class Query:
    """A chain of steps. A projection ([], [*], [?]) applies the steps after it to each element."""

    def __init__(self, query):
        self.query, self.tokens, self.at = query, tokens_of(query), 0
        self.steps = self.chain()
        if self.at != len(self.tokens) or not self.steps:
            raise bad_query(query)

    def peek(self):
        return self.tokens[self.at] if self.at < len(self.tokens) else (None, None)

    def next(self, text=None):
        kind, value = self.peek()
        if kind is None or (text is not None and value != text):
            raise bad_query(self.query)
        self.at += 1
        return kind, value

    def name(self):
        kind, value = self.next()
        if kind not in ("word", "quoted"):
            raise bad_query(self.query)
        return value.strip('"')

    def chain(self):
        steps, dotted = [], True
        while True:
            kind, value = self.peek()
            if kind in ("flatten", "each"):
                self.next()
                steps.append((kind, None))
            elif kind == "index":
                self.next()
                steps.append(("index", int(value.strip("[] "))))
            elif kind == "filter":
                steps.append(("filter", self.filter()))
            elif value == "|" and steps:
                self.next()
                steps.append(("pipe", None))
                dotted = True
                continue
            elif value == "@" and not steps:
                self.next()
                steps.append(("self", None))
            elif value == "." and steps and not dotted:
                self.next()
                dotted = True
                continue
            elif dotted and kind in ("word", "quoted"):
                steps.append(("field", self.name()))
            elif dotted and value == "{":
                steps.append(("object", self.object()))
            else:
                break
            dotted = False
        if dotted and steps:
            raise bad_query(self.query)
        return steps

    def filter(self):
        self.next("[?")
        field = self.chain()
        _, sign = self.next()
        kind, value = self.next()
        self.next("]")
        if sign not in ("==", "!=") or kind != "raw":
            raise bad_query(self.query)
        return field, sign, value.strip("'")

    def object(self):
        self.next("{")
        members = []
        while True:
            name = self.name()
            self.next(":")
            members.append((name, self.chain()))
            if not members[-1][1]:
                raise bad_query(self.query)
            if self.peek()[1] != ",":
                break
            self.next(",")
        self.next("}")
        return members


def step(kind, what, value):
    if kind == "field":
        return value.get(what) if isinstance(value, dict) else None
    if kind == "index":
        return value[what] if isinstance(value, list) and -len(value) <= what < len(value) else None
    if kind == "object":
        return None if value is None else {name: evaluate(chain, value) for name, chain in what}
    return value


def filtered(what, value):
    field, sign, wanted = what
    return [entry for entry in value if (evaluate(field, entry) == wanted) == (sign == "==")]


def flattened(value):
    flat = []
    for entry in value:
        flat.extend(entry if isinstance(entry, list) else [entry])
    return flat


def evaluate(steps, value):
    projecting = False
    for kind, what in steps:
        if kind == "pipe":
            projecting = False
        elif kind in ("flatten", "each", "filter"):
            if projecting and kind != "flatten":
                raise AzError(2, "argument --query: the stand-in knows no projection inside a projection")
            if not isinstance(value, list):
                return None
            value = {"flatten": flattened, "each": list}[kind](value) if kind != "filter" else filtered(what, value)
            projecting = True
        elif projecting:
            value = [found for found in (step(kind, what, entry) for entry in value) if found is not None]
        else:
            value = step(kind, what, value)
    return value


def compile_query(query):
    steps = Query(query).steps
    return lambda value: evaluate(steps, value)


def table(value):
    rows = []
    for entry in value if isinstance(value, list) else [value]:
        if not isinstance(entry, dict):
            entry = {"result": entry}
        rows.append({key[:1].upper() + key[1:]: str(item) for key, item in entry.items()
                     if key not in HIDDEN_IN_TABLES and item is not None and not isinstance(item, (list, dict))})
    heads = list(dict.fromkeys(head for row in rows for head in row))
    if not heads:
        return "\n"
    width = {head: max([len(head) + 2] + [len(row.get(head, "")) for row in rows]) for head in heads}
    lines = [[head.ljust(width[head]) for head in heads], ["-" * width[head] for head in heads]]
    lines += [[row.get(head, "").ljust(width[head]) for head in heads] for row in rows]
    return "".join("  ".join(line).rstrip() + "\n" for line in lines)


def tsv(value):
    def cell(item):
        if isinstance(item, bool):
            return str(item).lower()
        return str(len(item)) if isinstance(item, list) else "" if isinstance(item, dict) else str(item)
    lines = []
    for row in value if isinstance(value, list) else [value]:
        cells = row.values() if isinstance(row, dict) else row if isinstance(row, list) else [row]
        lines.append("\t".join(map(cell, cells)) + "\n")
    return "".join(lines)


def render(value, output):
    output = output or os.environ.get("AZURE_CORE_OUTPUT") or "json"
    if value is None or output == "none":
        return ""
    if output in ("json", "jsonc"):
        return json.dumps(value, indent=2) + "\n"
    if output in ("table", "tsv"):
        return table(value) if output == "table" else tsv(value)
    raise AzError(2, f"the stand-in does not print {output}")
