"""Words of statements: names as they have to be written, texts in quotes, what a kind of object is called."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy.sql.compiler import IdentifierPreparer

_WORDS = {"enum": "TYPE", "composite type": "TYPE", "range": "TYPE"}  # where the kind is not the word


def word(kind: str) -> str:
    """What a kind of object is called in ALTER, COMMENT and DROP."""
    return _WORDS.get(kind, kind.upper())


def statement(template: str, *parts: object) -> str:
    """A statement to be shown. Whoever calls it gives names as the server or `quoted` writes them; nobody runs it."""
    return template.format(*parts)


def quoted(name: str) -> str:
    """An identifier as it has to be written."""
    return _preparer().quote(name)


def literal(value: str | None) -> str:
    """A text in quotes, or NULL."""
    return "NULL" if value is None else "'" + value.replace("'", "''") + "'"


@cache
def _preparer() -> IdentifierPreparer:
    from sqlalchemy.dialects import postgresql

    made: IdentifierPreparer = postgresql.dialect().identifier_preparer  # type: ignore[no-untyped-call]
    return made
