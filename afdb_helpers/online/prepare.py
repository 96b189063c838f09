"""What takes long, before the migration's transaction, while the application reads and writes. Changes the target.

Old names keep working throughout: tables and columns are added, none is renamed or dropped. Each step looks first, so
a run that died is gone on with. What is left for the transaction is renaming and swapping, under locks taken at once.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import Dialect

from afdb_helpers.online import concurrently, numbering
from afdb_helpers.online.catalogue import Live, look
from afdb_helpers.online.change import Here, fresh
from afdb_helpers.online.differences import (
    lacking_columns,
    lacking_foreign_keys,
    lacking_indexes,
    other_names,
    wrong_defaults,
    wrong_kinds,
    wrongly_nullable,
)
from afdb_helpers.online.statements import Statement
from afdb_helpers.online.steps import create_table, is_renameable
from afdb_helpers.online.transactions import apart, lock_all, shortly


def prepare(here: Here) -> None:
    """Do what takes long, then look again and take the locks. Nothing on SQLite and offline, where one transaction does
    it all. Died before the locks: new tables and columns that nobody uses stand, and a numbering that new rows follow.
    """
    if here.connection is None or not here.postgresql:
        return
    with apart(here):
        here.tables = look(here.connection, [*here.tables, *here.change.tables.tables])
        for table in here.change.tables.sorted_tables:
            _prepare(here, table)
        for table in here.change.tables.sorted_tables:
            numbering.number(here, table.name)
        for table in here.change.tables.sorted_tables:  # last: each index that is there makes every batch slower
            _indexes(here, table)
    here.tables = look(here.connection, here.change.tables.tables)
    lock_all(here, unfinished(here))


def unfinished(here: Here) -> list[str]:
    """The tables that the transaction will change: those that are not as declared yet."""
    return [
        table.name
        for table in here.change.tables.sorted_tables
        if (live := here.tables.get(table.name)) and _differs(live, table, here.op.get_context().dialect)
    ]


def _differs(live: Live, table: sa.Table, dialect: Dialect) -> bool:
    there = any(
        (
            lacking_columns(live, table),
            lacking_foreign_keys(live, table),
            lacking_indexes(live, table),
            wrong_kinds(live, table, dialect),
            wrong_defaults(live, table, dialect),
            wrongly_nullable(live, table),
            other_names(live),
        )
    )
    counting = table.autoincrement_column
    counts = counting is None or (live.columns[counting.name].default or "").startswith("nextval(")
    return there or not counts or live.key != tuple(column.name for column in table.primary_key.columns)


def _prepare(here: Here, table: sa.Table) -> None:
    live = here.tables.get(table.name)
    if live is None:
        referred = {key.column.table.name for key in table.foreign_keys} - {table.name}
        shortly(here, lambda: create_table(here, table), *sorted(referred))
        return
    _add_columns(here, live, table)
    live = here.tables[table.name] = look(here.connection, [table.name])[table.name]  # type: ignore[arg-type]
    for column, referred_to, target in lacking_foreign_keys(live, table):
        concurrently.foreign_key(here, table.name, column, referred_to, target)
    names = [f"{table.name}_{key.parent.name}_fkey" for key in table.foreign_keys]
    concurrently.validate(here, table.name, names)
    for name in wrongly_nullable(live, table):
        concurrently.not_null(here, table.name, name)


def _indexes(here: Here, table: sa.Table) -> None:
    live = here.tables[table.name]
    now = names_now(here, live, table)
    for index in lacking_indexes(live, table):
        columns = [now.get(column.name, "") for column in index.columns]
        if all(columns):
            concurrently.index(here, table.name, str(index.name), columns, unique=bool(index.unique))


def names_now(here: Here, live: Live, table: sa.Table) -> dict[str, str]:
    """Column as declared → its name at this moment, for those that are there; a key that is to be numbered is not."""
    now = {name: name for name in live.columns}
    for old, new in here.change.renamed(table.name).items():
        if is_renameable(live, table, old, new, here.dialect):
            now.pop(old, None)
            now[new] = old
    return now


def _add_columns(here: Here, live: Live, table: sa.Table) -> None:
    """Add what is lacking in one statement, which rewrites nothing: defaults are constants. Foreign keys come later."""
    now, key = names_now(here, live, table), here.change.key(table.name) or {}
    new = [
        c
        for c in lacking_columns(live, table)
        if c.name not in now and c.name not in (key.get("column"), key.get("kept"))
    ]
    if not new:
        return
    bare, parts = sa.Table(table.name, sa.MetaData()), []
    for column in new:
        copy = fresh(column)
        copy.foreign_keys.clear()
        copy.constraints.clear()
        bare.append_column(copy)
        parts.append(sa.schema.CreateColumn(copy))
    added = ", ".join(["ADD COLUMN {}"] * len(parts))
    shortly(
        here, lambda: here.op.execute(Statement(" ".join(["ALTER TABLE {}", added]), table.name, *parts)), table.name
    )
