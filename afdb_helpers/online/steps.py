"""The building blocks of a revision. Each looks at what is there and does only what is left to do, so that running a
revision again after a crash goes on where it stood. They change the target.

On PostgreSQL every statement here takes ACCESS EXCLUSIVE on its table until the transaction ends and none rewrites it,
except that a foreign key takes SHARE ROW EXCLUSIVE on both tables and an index SHARE. Views follow a renamed column by
themselves; the body of a function does not. On SQLite what ALTER TABLE cannot do is done by a rebuild.
"""

from __future__ import annotations

import logging

import sqlalchemy as sa

from afdb_helpers.online import sqlite
from afdb_helpers.online.catalogue import ForeignKey, Index, Live, assume, kind
from afdb_helpers.online.change import Here, default_of, fresh
from afdb_helpers.online.differences import (
    lacking_columns,
    lacking_foreign_keys,
    lacking_indexes,
    other_names,
    wrong_defaults,
    wrongly_nullable,
)
from afdb_helpers.online.statements import Statement

log = logging.getLogger("alembic.runtime.migration")


def create_table(here: Here, table: sa.Table) -> None:
    """Create the table with its keys, unless it is there already, whatever its shape."""
    if table.name in here.tables:
        return
    here.op.execute(sa.schema.CreateTable(table))
    here.tables[table.name] = assume(table.metadata, here.op.get_context().dialect)[table.name]
    here.tables[table.name].indexes.clear()


def rename_columns(here: Here, table: sa.Table, renamed: dict[str, str]) -> None:
    """Rename the columns that still have their old name, where what the old name holds is of the new one's kind."""
    live = here.tables.get(table.name)
    for old, new in renamed.items() if live else ():
        if live and is_renameable(live, table, old, new, here.dialect):
            here.op.alter_column(table.name, old, new_column_name=new)
            live.rename_column(old, new)


def is_renameable(live: Live, table: sa.Table, old: str, new: str, dialect: str) -> bool:
    """Whether `old` stands there in place of `new`. A number called `id` is not the text called `legacy_id`."""
    if old not in live.columns or new in live.columns:
        return False
    wanted = table.c.get(new, table.c.get(old))
    return wanted is None or kind(live.columns[old].type, dialect) == kind(wanted.type, dialect)


def add_columns(here: Here, table: sa.Table) -> None:
    """Add the columns that are not there, each with its default and its foreign key."""
    live = here.tables[table.name]
    for column in lacking_columns(live, table):
        here.op.add_column(table.name, fresh(column), inline_references=True)
        assumed = assume(table.metadata, here.op.get_context().dialect)[table.name]
        live.columns[column.name] = assumed.columns[column.name]
        live.foreign_keys += [key for key in assumed.foreign_keys if key.columns == (column.name,)]


def settle_columns(here: Here, table: sa.Table) -> None:
    """Give every column its default, its NOT NULL and its foreign key where they differ; a stricter NOT NULL stays."""
    live = here.tables[table.name]
    defaults = wrong_defaults(live, table, here.op.get_context().dialect, to_the_letter=True)
    nullable, foreign = wrongly_nullable(live, table), lacking_foreign_keys(live, table)
    for name, default in defaults.items():
        log.info("%s.%s: default %s becomes %s", table.name, name, live.columns[name].default, default)
        live.columns[name].default = default
    for name in nullable:
        live.columns[name].nullable = False
    for column, referred, target in foreign:
        named = f"{table.name}_{column}_fkey" if here.postgresql else None
        live.foreign_keys.append(ForeignKey((column,), referred, (target,), named))
    if not (defaults or nullable or foreign):
        return
    if not here.postgresql:
        sqlite.rebuild(here, live)
        return
    for name in defaults:
        here.op.alter_column(table.name, name, server_default=default_of(table.c[name]))
    for name in nullable:
        here.op.alter_column(table.name, name, nullable=False)
    for column, referred, target in foreign:
        here.op.create_foreign_key(f"{table.name}_{column}_fkey", table.name, referred, [column], [target])


def create_indexes(here: Here, table: sa.Table) -> None:
    """Build the indexes that are not there; one left invalid is dropped and built again."""
    live = here.tables[table.name]
    for index in lacking_indexes(live, table):
        name = str(index.name)
        if name in live.indexes:
            here.op.drop_index(name, table.name)
        columns = [column.name for column in index.columns]
        here.op.create_index(name, table.name, columns, unique=bool(index.unique))
        live.indexes[name] = Index(tuple(columns), bool(index.unique))


def standard_names(here: Here, table: sa.Table) -> None:
    """PostgreSQL: the keys get the names that the server gives, whatever table and columns were called before."""
    live = here.tables[table.name]
    for old, new in other_names(live).items() if here.postgresql else ():
        here.op.execute(Statement("ALTER TABLE {} RENAME CONSTRAINT {} TO {}", table.name, old, new))
        live.key_name = new if live.key_name == old else live.key_name
        for key in live.foreign_keys:
            key.name = new if key.name == old else key.name


def drop_table(here: Here, name: str) -> None:
    """Drop the table if it is there. Whoever calls this has counted its rows."""
    if here.tables.pop(name, None):
        here.op.drop_table(name)
        here.gone(name)


def drop_columns(here: Here, table: str, columns: list[str]) -> None:
    """Drop the columns that are there, with their foreign keys. Whoever calls this has counted their values."""
    live = here.tables[table]
    there = [name for name in columns if name in live.columns]
    for name in there:
        del live.columns[name]
    live.foreign_keys = [key for key in live.foreign_keys if not set(key.columns) & set(there)]
    live.indexes = {name: index for name, index in live.indexes.items() if not set(index.columns) & set(there)}
    if there and not here.postgresql:
        sqlite.rebuild(here, live)
    for name in there if here.postgresql else ():
        here.op.drop_column(table, name)


def drop_indexes(here: Here, table: str, names: list[str]) -> None:
    """Drop the indexes that are there."""
    for name in names:
        if here.tables[table].indexes.pop(name, None):
            here.op.drop_index(name, table)


def adopt_copy(here: Here, copy: str, *, of: str) -> None:
    """Deal with the copy of a table that a dead run left: drop it where the table is there, else it is the table.

    The preflight has made sure that it holds no row that the table does not.
    """
    if copy not in here.tables:
        return
    if of in here.tables:
        drop_table(here, copy)
        return
    here.op.rename_table(copy, of)
    here.gone(copy)
    here.tables[of] = here.tables.pop(copy)
    here.tables[of].name = of
