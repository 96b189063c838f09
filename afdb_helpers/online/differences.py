"""How a table that is there differs from the one declared. Pure decisions: nothing here reads or writes a database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import Dialect

from afdb_helpers.online.catalogue import Live, counts_itself, declared_default, kind, plain_default, written_default


def lacking(tables: Mapping[str, Live], declared: sa.MetaData, dialect: Dialect) -> list[str]:
    """What is declared and not there: tables, columns, keys, indexes. Empty when a revision did all it had to."""
    found: list[str] = []
    for table in declared.sorted_tables:
        live = tables.get(table.name)
        if live is None:
            found.append(f"table {table.name}")
            continue
        found += [f"column {table.name}.{column.name}" for column in lacking_columns(live, table)]
        found += [f"foreign key {table.name}.{key[0]}" for key in lacking_foreign_keys(live, table)]
        found += [f"index {index.name}" for index in lacking_indexes(live, table)]
        found += [f"{wrong} of {table.name}" for wrong in _key(live, table, dialect)]
    return found


def deviating(tables: Mapping[str, Live], declared: sa.MetaData, dialect: Dialect) -> list[str]:
    """What is lacking, and what is there otherwise than declared: kinds, defaults, NULL allowed, names of keys."""
    found = lacking(tables, declared, dialect)
    for table in declared.sorted_tables:
        if live := tables.get(table.name):
            found += [f"kind of {table.name}.{name}" for name in wrong_kinds(live, table, dialect)]
            found += [f"default of {table.name}.{name}" for name in wrong_defaults(live, table, dialect)]
            found += [f"NULL allowed in {table.name}.{name}" for name in wrongly_nullable(live, table)]
            found += [f"name of {old}" for old in (other_names(live) if dialect.name == "postgresql" else ())]
    return found


def lacking_columns(live: Live, table: sa.Table) -> list[sa.Column[Any]]:
    return [column for column in table.columns if column.name not in live.columns]


def lacking_foreign_keys(live: Live, table: sa.Table) -> list[tuple[str, str, str]]:
    """(column, table referred to, its column) of those on columns that are there."""
    wanted = [(str(k.parent.name), *k.target_fullname.split(".")) for k in table.foreign_keys]
    return sorted(
        (column, referred, target)
        for column, referred, target in wanted
        if column in live.columns and not live.refers((column,), referred)
    )


def lacking_indexes(live: Live, table: sa.Table) -> list[sa.Index]:
    """The indexes that are not there, or there but unfinished or other than declared."""
    return sorted((index for index in table.indexes if not _same_index(live, index)), key=lambda index: str(index.name))


def wrong_kinds(live: Live, table: sa.Table, dialect: Dialect) -> list[str]:
    """The columns that hold another kind of values than declared."""
    both = [column for column in table.columns if column.name in live.columns]
    return [c.name for c in both if kind(live.columns[c.name].type, dialect.name) != kind(c.type, dialect.name)]


def wrong_defaults(
    live: Live, table: sa.Table, dialect: Dialect, *, to_the_letter: bool = False
) -> dict[str, str | None]:
    """Column → the default it should have, where it has another; a column that counts itself is left out.

    `to_the_letter`: also where it means the same and is written otherwise, since catalogues are compared as text.
    """
    wrong = {}
    for column in table.columns:
        there = live.columns.get(column.name)
        if there is None or there.made or counts_itself(column):
            continue
        wanted = declared_default(column, dialect)
        written = written_default(column, dialect) if to_the_letter else there.default
        if plain_default(there.default) != plain_default(wanted) or there.default != written:
            wrong[column.name] = wanted
    return wrong


def wrongly_nullable(live: Live, table: sa.Table) -> list[str]:
    """The columns that allow NULL and should not. NOT NULL where NULL is declared is stricter, and no difference."""
    there = [column for column in table.columns if column.name in live.columns and not counts_itself(column)]
    return [column.name for column in there if live.columns[column.name].nullable and not column.nullable]


def other_names(live: Live) -> dict[str, str]:
    """Key name → the name that PostgreSQL itself gives such a key, where it is another and not taken."""
    named = {live.key_name: f"{live.name}_pkey"}
    named |= {key.name: f"{live.name}_{key.columns[0]}_fkey" for key in live.foreign_keys if len(key.columns) == 1}
    taken = set(named)
    free = {new: old for old, new in named.items() if old and new not in taken}  # one of two keys on one column
    return {old: new for new, old in free.items()}


def _same_index(live: Live, index: sa.Index) -> bool:
    there = live.indexes.get(str(index.name))
    columns = tuple(column.name for column in index.columns)
    return there is not None and there.plain and (there.columns, there.unique) == (columns, bool(index.unique))


def _key(live: Live, table: sa.Table, dialect: Dialect) -> Iterator[str]:
    wanted = tuple(column.name for column in table.primary_key.columns)
    if live.key != wanted:
        yield "primary key"
    column = table.autoincrement_column
    if column is None or dialect.name != "postgresql" or column.name not in live.columns:
        return
    if live.columns[column.name].default != f"nextval('{table.name}_{column.name}_seq'::regclass)":
        yield "sequence"
