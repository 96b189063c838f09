"""What would make a revision fail or lose something, found before it changes anything. Only reads.

A problem names the table and gives counts, never values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import sqlalchemy as sa

from afdb_helpers.errors import Refused
from afdb_helpers.online import rekey
from afdb_helpers.online.catalogue import Live, ask, kind
from afdb_helpers.online.change import Here
from afdb_helpers.online.differences import lacking_columns, lacking_foreign_keys, lacking_indexes, wrongly_nullable
from afdb_helpers.online.steps import is_renameable
from afdb_helpers.report import count

_KINDS = {"p": "a partitioned table", "v": "a view", "m": "a materialized view", "f": "a foreign table",
          "S": "a sequence", "c": "a composite type", "i": "an index", "view": "a view"}  # fmt: skip


def refuse_unless_possible(here: Here, *, copies: Mapping[str, tuple[str, list[str]]] | None = None) -> None:
    """Refuse with every problem found. `copies`: left-over table → (the table it copies, columns copied unchanged)."""
    if here.connection is None:
        return
    found = [problem for look in (_shapes, _keys) for problem in look(here)]
    found = found or [problem for look in (_counts, _numbers) for problem in look(here)]
    found += _copies(here, copies or {})
    if found:
        raise Refused(
            "the revision cannot be applied to this database; nothing was changed",
            why="\n       ".join(found),
            do="mend what is named, then run the same command again",
        )


def _shapes(here: Here) -> Iterator[str]:
    """Tables that are no tables, columns of another kind, columns there under both names."""
    assert here.connection is not None
    if here.postgresql:
        rows = ask(here.connection, "relation_kinds", names=list(here.change.tables.tables))
    else:
        rows = [(name, "view") for name in sa.inspect(here.connection).get_view_names()]
    for name, found in rows:
        if name in here.change.tables.tables and found != "r":
            yield f"{name} is {_KINDS.get(found, 'no table')}, and the revision is made for a table"
    for name, owner in ask(here.connection, "not_owned", names=list(here.tables)) if here.postgresql else ():
        yield f"{name} belongs to role {owner}, and only its owner can change it"
    for table in here.change.tables.sorted_tables:
        if live := here.tables.get(table.name):
            yield from _columns(here, live, table)


def _columns(here: Here, live: Live, table: sa.Table) -> Iterator[str]:
    old = {new: old for old, new in here.change.renamed(table.name).items()}
    key = here.change.key(table.name) or {}
    for column in table.columns:
        before = old.get(column.name)
        if before in live.columns and before not in table.c and column.name in live.columns:
            yield f"{table.name} has both {before} and {column.name}, which are one column"
        if column.name == key.get("column") and column.name in live.columns and key["kept"] not in live.columns:
            wanted = {kind(column.type, here.dialect), kind(sa.String(), here.dialect)}  # the number, or the old text
        else:
            wanted = {kind(column.type, here.dialect)}
        there = live.columns.get(column.name, live.columns.get(before or ""))
        if there is not None and kind(there.type, here.dialect) not in wanted and not _is_key(key, there.name, column):
            yield f"{table.name}.{there.name} is {there.type!s}, and {column.type!s} is expected: not the platform's"
        if there is not None and there.made:
            yield f"{table.name}.{there.name} is a column that is {there.made}, which the platform's is not"


def _is_key(key: Mapping[str, str], there: str, column: sa.Column[Any]) -> bool:
    """Whether this is the number key, which stands where an older revision had the text that is now kept elsewhere."""
    return there == key.get("column") and column.name == key["kept"]


def _keys(here: Here) -> Iterator[str]:
    """What would be in the way of a new key, a new index or a new sequence."""
    assert here.connection is not None
    for table in here.change.tables.sorted_tables:
        live, key = here.tables.get(table.name), here.change.key(table.name)
        for index in lacking_indexes(live, table) if live else ():
            there = live.indexes.get(str(index.name)) if live else None
            if there is not None and (there.columns, there.unique) != (tuple(index.columns.keys()), index.unique):
                yield f"index {index.name} of {table.name} is there and is another one than declared"
        if live and key and here.postgresql and not _is_number(here, live, table, key):
            for name, other in ask(here.connection, "incoming_foreign_keys", table=table.name):
                yield f"foreign key {name} of {other} refers to {table.name}, whose key is to become a number"
    yield from _sequences(here)
    names = {str(index.name): table.name for table in here.change.tables.sorted_tables for index in table.indexes}
    if here.postgresql:
        owners = ask(here.connection, "index_owners", names=list(names))
    else:
        owners = list(here.connection.exec_driver_sql("SELECT name, tbl_name FROM sqlite_master WHERE type = 'index'"))
    leftovers = set(here.tables) - set(here.change.tables.tables)
    for index_name, owner in owners:
        if owner not in leftovers and owner != names.get(index_name, owner):
            yield f"the name {index_name} is taken by an index of {owner}"


def _sequences(here: Here) -> Iterator[str]:
    for table in here.change.tables.sorted_tables if here.postgresql else ():
        if key := here.change.key(table.name):
            assert here.connection is not None
            name, own = f"{table.name}_{key['column']}_seq", f"{table.name}.{key['column']}"
            for found, owner in ask(here.connection, "relation_owner", name=name):
                if found != "S" or owner not in (None, own):
                    yield f"the name {name} is taken by {_KINDS.get(found, 'a table')} of {owner or 'somebody else'}"


def _is_number(here: Here, live: Live, table: sa.Table, key: Mapping[str, str]) -> bool:
    there, wanted = live.columns.get(key["column"]), table.c[key["column"]]
    return there is not None and kind(there.type, here.dialect) == kind(wanted.type, here.dialect)


def _counts(here: Here) -> Iterator[str]:
    """Rows that a NOT NULL, a unique index or a foreign key would refuse."""
    for table in here.change.tables.sorted_tables:
        live = here.tables.get(table.name)
        if live is None:
            continue
        now = _now(here, live, table)
        own = sa.table(live.name, *(sa.column(name) for name in live.columns))
        for name in wrongly_nullable(live, table):
            if n := _count(here, sa.select(sa.func.count()).select_from(own).where(own.c[name].is_(None))):
                yield f"{table.name}.{name} is NULL in {count(n, 'row')} and is to be NOT NULL"
        for column in lacking_columns(live, table):
            needed = column.name not in now and not column.nullable and column.server_default is None
            if needed and not here.change.key(table.name) and _count(here, sa.select(sa.func.count()).select_from(own)):
                yield f"{table.name} has rows and lacks {column.name}, which cannot be empty"
        for index in (i for i in lacking_indexes(live, table) if i.unique and set(i.columns.keys()) <= set(now)):
            yield from _duplicates(here, own, [now[c.name] for c in index.columns], str(index.name))
        for column_name, referred, target in lacking_foreign_keys(live, table):
            yield from _orphans(here, own, column_name, referred, target)


def _duplicates(here: Here, own: sa.TableClause, columns: list[str], index: str) -> Iterator[str]:
    keys = [own.c[name] for name in columns]
    found = sa.select(sa.func.count().label("n")).select_from(own).where(*(k.is_not(None) for k in keys))
    twice = found.group_by(*keys).having(sa.func.count() > 1).subquery()
    assert here.connection is not None
    values, rows = here.connection.execute(sa.select(sa.func.count(), sa.func.sum(twice.c.n))).one()
    if values:
        duplicates = f"{count(values, 'duplicated value')} in {count(rows, 'row')}"
        yield f"{own.name}.{', '.join(columns)}: {duplicates}, and {index} is to be unique"


def _orphans(here: Here, own: sa.TableClause, column: str, referred: str, target: str) -> Iterator[str]:
    value = own.c[column]
    orphans = sa.select(sa.func.count()).select_from(own).where(value.is_not(None))
    if referred in here.tables:
        other = sa.table(referred, sa.column(target)).alias("other")
        orphans = orphans.where(~sa.exists().where(other.c[target] == value))
    if n := _count(here, orphans):
        yield f"{own.name}.{column} refers to rows of {referred} that are not there, in {count(n, 'row')}"


def _numbers(here: Here) -> Iterator[str]:
    """More rows than a number key can count, or a number held by a key of old that leaves no room above it."""
    for name, live in here.tables.items():
        key, table = here.change.key(name), here.change.tables.tables.get(name)
        if table is None or key is None:
            continue
        room = 0 if not here.postgresql or _is_number(here, live, table, key) else rekey.MARGIN
        old: sa.ColumnClause[str] = sa.column(key["kept"] if key["kept"] in live.columns else key["column"])
        own = sa.table(live.name, old)
        if (rows := _count(here, sa.select(sa.func.count()).select_from(own))) + room > rekey.LARGEST:
            yield f"{name} has {count(rows, 'row')}, and its key, an integer, ends at {rekey.LARGEST}"
        elif here.postgresql and kind(live.columns[old.name].type, "postgresql") == "text":
            held = rekey.stamped(own.c[old.name], "postgresql")
            high = (
                sa.select(sa.func.count()).select_from(own).where(held.between(rekey.LARGEST - room + 1, rekey.LARGEST))
            )
            if room and (n := _count(here, high)):
                yield f"{name} has {count(n, 'row')} whose old key holds a number at the end of an integer's range"


def _copies(here: Here, copies: Mapping[str, tuple[str, list[str]]]) -> list[str]:
    """Left-over copies with rows that the table does not have; dropping them would lose rows."""
    found = []
    for copy, (table, columns) in copies.items():
        if copy in here.tables and table in here.tables:
            both: list[Any] = [
                sa.select(*map(sa.column, columns)).select_from(sa.table(name)) for name in (copy, table)
            ]
            rows = _count(here, sa.select(sa.func.count()).select_from(sa.except_(*both).subquery()))
            if rows:
                found.append(f"{copy}, left by a dead run, has {count(rows, 'row')} that {table} does not have")
    return found


def _now(here: Here, live: Live, table: sa.Table) -> dict[str, str]:
    """Column as declared → its name at this moment, for those that are there."""
    now = {name: name for name in live.columns}
    for old, new in here.change.renamed(table.name).items():
        if is_renameable(live, table, old, new, here.dialect):
            now[new] = old
    return now


def _count(here: Here, query: sa.Select[Any]) -> int:
    assert here.connection is not None
    return int(here.connection.execute(query).scalar_one())
