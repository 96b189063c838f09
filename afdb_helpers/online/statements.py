"""Statements that neither SQLAlchemy nor Alembic has a construct for, with every identifier quoted by the dialect."""

from __future__ import annotations

from typing import Any

from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import ExecutableDDLElement


class Statement(ExecutableDDLElement):
    """A template with one `{}` for each identifier: `Statement("DROP TRIGGER {} ON {}", trigger, table)`."""

    inherit_cache = False

    def __init__(self, template: str, *identifiers: str) -> None:
        self.template, self.identifiers = template, identifiers


@compiles(Statement)
def _statement(element: Statement, compiler: Any, **_: Any) -> str:
    return element.template.format(*map(compiler.preparer.quote, element.identifiers))
