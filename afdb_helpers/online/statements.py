"""Statements that neither SQLAlchemy nor Alembic has a construct for, with every part written by the dialect."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import CreateColumn, ExecutableDDLElement

Part = str | sa.ClauseElement | Sequence[Any]


class Statement(ExecutableDDLElement):
    """A template with one `{}` for each part: `Statement("DROP TRIGGER {} ON {}", trigger, table)`.

    A string is an identifier; an SQL expression, a query or a column's definition is written with its values in it; a
    list is its parts with commas between.
    """

    inherit_cache = False

    def __init__(self, template: str, *parts: Part) -> None:
        self.template, self.parts = template, parts


class Setting(ExecutableDDLElement):
    """SET of a server setting, for the session or, `local`, the transaction; without a value, RESET."""

    inherit_cache = False

    def __init__(self, name: str, value: str | int | None = None, *, local: bool = False) -> None:
        self.name, self.value, self.local = name, value, local


@compiles(Statement)
def _statement(element: Statement, compiler: Any, **_: Any) -> str:
    return element.template.format(*(_written(part, compiler) for part in element.parts))


@compiles(Setting)
def _setting(element: Setting, compiler: Any, **_: Any) -> str:
    if element.value is None:
        return " ".join(["RESET", element.name])
    value = _written(sa.literal(str(element.value)), compiler)
    return " ".join(["SET LOCAL" if element.local else "SET", element.name, "=", value])


def _written(part: Part, compiler: Any) -> str:
    if isinstance(part, str):
        return str(compiler.preparer.quote(part))
    if isinstance(part, CreateColumn):
        return str(compiler.process(part))
    if isinstance(part, sa.ClauseElement):
        return str(compiler.sql_compiler.process(part, literal_binds=True))
    return ", ".join(_written(one, compiler) for one in part)
