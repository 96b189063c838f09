"""What a statement does, read off its tokens: its verb, what kind of object it is about, and which one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from afdb_helpers.lint import tokens
from afdb_helpers.lint.tokens import Token

_NOISE = {"if", "not", "exists", "only", "table", "concurrently", "or", "replace", "unique", "temp", "temporary",
          "unlogged", "constraint", "materialized", "recursive", "global", "local"}  # fmt: skip
_ON = {"index", "trigger", "policy", "rule"}  # objects that stand on a table: CREATE INDEX name ON table
_ENDS = {
    "as",
    "using",
    "references",
    "execute",
    "values",
    "where",
    "returning",
    "select",
}  # what it is about ends
_OPENS = {"begin", "then", "else", "loop"}  # after these, in a block of PL/pgSQL, a statement begins


@dataclass(frozen=True)
class Statement:
    """One statement, or one within a DO block. `table`: of a table or function, as the catalogue names it; or empty."""

    verb: str
    kind: str
    table: str
    words: tuple[Token, ...]

    def has(self, *words: str) -> bool:
        """Whether these words stand one after the other."""
        said = [token.text if token.kind == "word" else "" for token in self.words]
        return any(said[n : n + len(words)] == list(words) for n in range(len(said)))

    def about(self) -> tuple[Token, ...]:
        """The part that says what is changed: without a body, a query, a condition, or what is referred to."""
        ends = set() if self.verb in ("grant", "revoke") else {*_ENDS, "("}
        end = next((n for n, token in enumerate(self.words) if n and token.text in ends), None)
        return self.words[:end]


def read(sql: str) -> list[Statement]:
    """Every statement of a text that is not blank: those in DO blocks, in EXECUTE '…' and in WITH too."""
    return [statement for found in tokens.statements(sql) for statement in _read(found)]


def one_line(sql: str) -> str:
    return " ".join(sql.split())


def _read(found: Sequence[Token]) -> Iterator[Statement]:
    if found[0].word("do"):
        for token in found:
            if token.kind == "string":
                yield from _block(token.text)
        return
    if found[0].word("execute") and len(found) > 1 and found[1].kind == "string":
        yield from read(found[1].text)
        return
    if found[0].word("with"):
        yield from _with(found)
        return
    yield _statement(found)


def _block(body: str) -> Iterator[Statement]:
    for found in tokens.statements(body):
        opened = [n + 1 for n, token in enumerate(found) if token.word(*_OPENS)]
        begins = opened[-1] if opened else 0
        if begins < len(found):
            yield from _read(found[begins:])


def _with(found: Sequence[Token]) -> Iterator[Statement]:
    """The statements that WITH holds and the one that it is for; a lock or an ON CONFLICT is none."""
    for before, (n, token) in pairwise(enumerate(found)):
        writes = token.word("insert", "update", "delete", "merge", "select")
        if writes and not before[1].word("for", "do", "key", "on"):
            same = [t for t in found[n:] if t.depth >= token.depth]
            closing = next((i for i, t in enumerate(found[n:]) if t.depth < token.depth), len(same))
            yield _statement(found[n : n + closing])


def _statement(found: Sequence[Token]) -> Statement:
    verb = found[0].text if found[0].kind == "word" else ""
    kind, name = _kind(verb, found)
    return Statement(verb, kind, name, tuple(found))


def _kind(verb: str, found: Sequence[Token]) -> tuple[str, str]:
    """What the statement is about, `table`, `index`, `trigger` …, and the name of the table, or of the function."""
    if verb in ("update", "delete", "insert", "truncate", "lock", "merge", "copy"):
        start = next((n for n, t in enumerate(found) if n and not t.word("from", "into", "table", "only")), len(found))
        return "table", _name(found, start)
    if verb in ("grant", "revoke"):
        on = next((n for n, t in enumerate(found) if t.word("on")), len(found))
        named = next((n for n in range(on + 1, len(found)) if not found[n].word(*_ONE)), len(found))
        return "", "" if named < len(found) and found[named].word(*_MANY) else _name(found, named)
    if verb not in ("alter", "create", "drop", "comment"):
        return "", ""
    kind = next((t.text for n, t in enumerate(found[:8]) if n and t.kind == "word" and t.text in _KINDS), "")
    if kind in _ON and not (verb == "alter" and kind == "index"):
        on = next((n + 1 for n, t in enumerate(found) if t.word("on")), len(found))
        return kind, _name(found, on + 1 if on < len(found) and found[on].word("only") else on)
    if kind not in _ONE:
        return kind, ""
    at = next(n for n, t in enumerate(found) if t.word(kind)) + 1
    while at < len(found) and found[at].word(*_NOISE):
        at += 1
    return kind, _name(found, at)


_ONE = ("table", "function", "procedure")
_MANY = ("all", "schema", "database", "sequence", "type", "domain", "language", "large", "foreign", "parameter",
         "tablespace", "routine")  # fmt: skip
_KINDS = {"table", "index", "trigger", "policy", "rule", "view", "sequence", "function", "procedure", "type", "schema",
          "extension", "role", "user", "domain", "database"}  # fmt: skip


def _name(found: Sequence[Token], at: int) -> str:
    parts, _ = tokens.qualified(found, at)
    return ".".join(parts).removeprefix("public.")
