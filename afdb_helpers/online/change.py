"""What a revision changes, as data, and the place where its steps do it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from alembic.operations import Operations

from afdb_helpers.online.catalogue import Live, assume, look

GONE = "afdb.tables_gone"
Mapped = Mapping[str, Mapping[str, Any]]


@dataclass
class Change:
    """The tables after a revision, and how they come from the ones before it.

    `mapping` says per table: `renamed` {old: new}, `added` [column], `indexes` [new index], `created` True for a new
    table, and `key` {"column", "kept", "order_by"} where a text key becomes a number and is kept in another column.
    """

    tables: sa.MetaData
    mapping: Mapped

    def table(self, name: str) -> sa.Table:
        return self.tables.tables[name]

    def renamed(self, table: str) -> dict[str, str]:
        return dict(self.mapping.get(table, {}).get("renamed", {}))

    def added(self, table: str) -> list[str]:
        return list(self.mapping.get(table, {}).get("added", []))

    def dropped(self, table: str) -> list[str]:
        """The columns that going back drops: the added ones, without the number that becomes a text key again."""
        return [name for name in self.added(table) if name != (self.key(table) or {}).get("column")]

    def created(self) -> list[sa.Table]:
        """The tables that are new, each after the ones it refers to."""
        return [t for t in self.tables.sorted_tables if self.mapping.get(t.name, {}).get("created")]

    def key(self, table: str) -> dict[str, str] | None:
        """How the table's text key becomes a number, None where it does not."""
        return self.mapping.get(table, {}).get("key")

    def before(self) -> sa.MetaData:
        """The tables before the revision: what was created is left out, what was added too, old names are back."""
        metadata = sa.MetaData()
        new = {table.name for table in self.created()}
        for table in self.tables.sorted_tables:
            if table.name not in new:
                self._before(table, metadata)
        return metadata

    def _before(self, table: sa.Table, metadata: sa.MetaData) -> None:
        old = {new: old for old, new in self.renamed(table.name).items()}
        added, kept = set(self.added(table.name)), (self.key(table.name) or {}).get("kept")
        made = sa.Table(table.name, metadata)
        for column in table.columns:
            if column.name not in added:
                again = fresh(column, name=old.get(column.name, column.name))
                again.primary_key = again.primary_key or column.name == kept
                again.nullable = again.nullable and column.name != kept
                made.append_column(again)
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            if index.name not in self.mapping.get(table.name, {}).get("indexes", ()):
                columns = [made.c[old.get(str(c.name), str(c.name))] for c in index.columns]
                sa.Index(index.name, *columns, unique=index.unique)


@dataclass
class Here:
    """Where a revision's steps work: Alembic's operations, and the tables as the steps so far have left them.

    Offline (`--sql`) there is no connection: the tables are assumed to be what the revision before left.
    """

    op: Operations
    change: Change
    connection: sa.Connection | None
    tables: dict[str, Live]

    @property
    def dialect(self) -> str:
        return self.op.get_context().dialect.name

    @property
    def postgresql(self) -> bool:
        return self.dialect == "postgresql"

    def gone(self, table: str) -> None:
        """Tell env.py, which counts rows before and after, that this table is meant to be gone."""
        config = self.op.get_context().config
        if config is not None:
            config.attributes.setdefault(GONE, set()).add(table)


def begin(op: Operations, change: Change | None = None, *, down: bool = False, leftovers: tuple[str, ...] = ()) -> Here:
    """Look at the catalogue, at the revision's tables and at `leftovers`; offline, assume what should be there. Without
    a `change` for a revision that calls single steps."""
    context, change = op.get_context(), change or Change(sa.MetaData(), {})
    if context.as_sql:
        tables = assume(change.tables if down else change.before(), context.dialect)
        context.impl.static_output(
            "-- This script assumes the schema of the revision it starts from: no database was looked at.\n"
            "-- Its checks before the first change are missing here; `alembic upgrade` without --sql makes them."
        )
        return Here(op, change, None, tables)
    connection = op.get_bind()
    return Here(op, change, connection, look(connection, [*change.tables.tables, *leftovers]))


def fresh(column: sa.Column[Any], *, name: str | None = None) -> sa.Column[Any]:
    """A column of the same definition that belongs to no table yet."""
    return sa.Column(
        name or column.name,
        column.type,
        *(sa.ForeignKey(key.target_fullname) for key in column.foreign_keys),
        primary_key=column.primary_key,
        nullable=column.nullable,
        server_default=default_of(column),
    )


def default_of(column: sa.Column[Any]) -> Any:
    """The server default as it was declared: a string, an SQL expression or None."""
    return column.server_default.arg if isinstance(column.server_default, sa.DefaultClause) else None
