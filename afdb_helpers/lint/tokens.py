"""PostgreSQL's statements as tokens: enough to know what a statement does and to which table, and no more.

Quoted names, strings of every kind and nested comments are read as the server reads them; expressions are not parsed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["word", "name", "string", "number", "sign", "parameter"]
_PATTERNS = (
    ("space", r"\s+|--[^\n]*"),
    ("string", r"(?:[eE]'(?:[^'\\]|\\.|'')*'|(?:[bBxXnN]|[uU]&)?'(?:[^']|'')*')"),
    ("dollar", r"\$(?P<tag>[^\W\d]\w*)?\$.*?\$(?(tag)(?P=tag))\$"),
    ("name", r'"(?:[^"]|"")*"'),
    ("parameter", r"%\(\w+\)s|%s|\$\d+|(?<![:\w]):[a-zA-Z_]\w*"),
    ("word", r"[^\W\d][\w$]*"),
    ("number", r"\d[\w.]*"),
    ("sign", r"::|."),
)
_TOKEN = re.compile("|".join(f"(?P<{name}>{pattern})" for name, pattern in _PATTERNS), re.DOTALL)


@dataclass(frozen=True)
class Token:
    """`text` of a name or string without its quotes; a word in lower case. `start`, `end`: its place in the SQL."""

    kind: Kind
    text: str
    start: int
    end: int
    depth: int = 0  # of parentheses

    def word(self, *words: str) -> bool:
        return self.kind == "word" and self.text in words


def read(sql: str) -> list[Token]:
    """The tokens of a text, comments left out."""
    found: list[Token] = []
    place = depth = 0
    while place < len(sql):
        if sql.startswith("/*", place):
            place = _after_comment(sql, place)
            continue
        match = _TOKEN.match(sql, place)
        assert match  # the last alternative takes any character
        place = match.end()
        if match.lastgroup == "space":
            continue
        depth -= match[0] == ")"
        found.append(_token(match, depth))
        depth += match[0] == "("
    return found


def statements(sql: str) -> Iterator[list[Token]]:
    """The tokens of each statement of a text."""
    current: list[Token] = []
    for token in read(sql):
        if token.kind == "sign" and token.text == ";":
            if current:
                yield current
            current = []
        else:
            current.append(token)
    if current:
        yield current


def without_parameters(sql: str) -> str:
    """The text with `$1` where the driver would put a value, so that a parser of SQL reads it."""
    out, place = [], 0
    for number, token in enumerate((t for t in read(sql) if t.kind == "parameter"), 1):
        out += [sql[place : token.start], f"${number}"]
        place = token.end
    return "".join([*out, sql[place:]])


def qualified(tokens: Sequence[Token], at: int) -> tuple[tuple[str, ...], int]:
    """The name that begins at `at`, in its parts, and the place after it; empty where none begins there."""
    parts: list[str] = []
    while at < len(tokens) and tokens[at].kind in ("word", "name"):
        parts.append(tokens[at].text)
        at += 1
        if at >= len(tokens) or tokens[at].text != "." or tokens[at].kind != "sign":
            break
        at += 1
    return tuple(parts), at


def _token(match: re.Match[str], depth: int) -> Token:
    kind, text = match.lastgroup or "sign", match[0]
    if kind == "tag":  # the tag of a dollar quote is a group of its own
        kind = "dollar"
    if kind == "dollar":
        quote = text[: text.index("$", 1) + 1]
        return Token("string", text[len(quote) : -len(quote)], match.start(), match.end(), depth)
    if kind == "string":
        text = text[text.index("'") + 1 : -1].replace("''", "'")
    elif kind == "name":
        text = text[1:-1].replace('""', '"')
    elif kind == "word":
        text = text.lower()
    known: dict[str, Kind] = {"string": "string", "name": "name", "parameter": "parameter", "word": "word",
                              "number": "number"}  # fmt: skip
    return Token(known.get(kind, "sign"), text, match.start(), match.end(), depth)


def _after_comment(sql: str, place: int) -> int:
    """The place after a comment, which may hold others."""
    depth = 0
    for match in re.compile(r"/\*|\*/").finditer(sql, place):
        depth += 1 if match[0] == "/*" else -1
        if depth == 0:
            return match.end()
    return len(sql)
