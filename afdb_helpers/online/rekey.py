"""A text key that becomes a number, and back.

Rows are numbered from 1 in (`order_by`, old key) order: NULL last, old keys compared byte by byte, so that the order is
total and the same everywhere. The old key stays in the `kept` column.

On the way back a row gets its old key again. A row written since has none: it gets a UUID that holds its number
(`61666462-0002-8000-8000-000000000042` is 42). On the next way up such a row takes its number again, and the others
take the free numbers in order, so that down and up again every row has the number it had.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.sql.expression import ColumnElement, FromClause, TableClause

from afdb_helpers.online import sqlite
from afdb_helpers.online.catalogue import Column, Live, ask
from afdb_helpers.online.change import Here
from afdb_helpers.online.statements import Statement
from afdb_helpers.online.triggers import silenced

LARGEST = 2**31 - 1
MARGIN = 10_000  # numbers for rows written between the count and the trigger
_SEQUENCE = ("last_value", "is_called")
STAMP = "61666462-0002-8000-8000-"  # "afdb" in hexadecimal, the revision, a custom UUID (version 8)


class Names(NamedTuple):
    """What stands beside a table while its key changes; all of it is gone with the transaction that swaps."""

    column: str
    trigger: str
    function: str
    map: str
    unique: str
    check: str


def names(table: str) -> Names:
    return Names("afdb_next_id", "afdb_next_id", f"afdb_next_id_{table}", f"afdb_map_{table}", f"afdb_key_{table}",
                 f"afdb_{table}_key_not_null")  # fmt: skip


def names_back(table: str) -> Names:
    """The same on the way back, where the column is the kept one and no map is needed."""
    return Names("", "afdb_old_id", f"afdb_old_id_{table}", "", f"afdb_old_{table}", f"afdb_{table}_old_not_null")


def integer_key(here: Here, table: str) -> None:
    """Give the table a number as its key. Reads and writes every row once, under ACCESS EXCLUSIVE; carries on where a
    dead run left off. On PostgreSQL in place, so that everything attached to the table stays."""
    live, key = here.tables.get(table), here.change.key(table)
    if live is None or key is None:
        return
    if not here.postgresql:
        if live.key != (key["column"],):
            _rebuild_with_number(here, live, key)
        return
    if live.key != (key["column"],):
        _number_in_place(here, live, key)
    kept = live.columns.get(key["kept"])
    if kept is not None and not kept.nullable:
        here.op.alter_column(table, key["kept"], nullable=True)
        kept.nullable = True
    _count(here, live, key["column"])


def text_key(here: Here, table: str) -> None:
    """Give the table its text key back. Reads and writes every row once, under ACCESS EXCLUSIVE."""
    key, live = here.change.key(table), here.tables[table]
    if key is None or live.key == (key["kept"],) or key["kept"] not in live.columns:
        return
    number, kept = key["column"], key["kept"]
    if not here.postgresql:
        _rebuild_with_text(here, live, key)
        return
    if names_back(table).unique in live.indexes:
        _swap_back(here, live, key)
        return
    own = sa.table(table, sa.column(number), sa.column(kept))
    value = old_key(own.c[number], own.c[kept], here.dialect)
    if number in live.columns:
        if _holds(here, sa.select(sa.exists().where(own.c[kept].is_(None)))):
            with silenced(here, table):
                here.op.execute(sa.update(own).values({kept: value}).where(own.c[kept].is_(None)))
        here.op.drop_column(table, number)  # its primary key and its sequence go with it
        del live.columns[number]
    here.op.create_primary_key(f"{table}_pkey", table, [kept])
    live.key, live.key_name = (kept,), f"{table}_pkey"
    live.columns[kept].nullable = False


def old_key(number: ColumnElement[int], kept: ColumnElement[str], dialect: str) -> ColumnElement[str]:
    """The text key of a row: the kept one, else a UUID that holds the number."""
    if dialect == "postgresql":
        digits: ColumnElement[str] = sa.func.lpad(sa.cast(number, sa.Text), 12, "0")
    else:
        digits = sa.func.printf("%012d", number)
    return sa.func.coalesce(kept, sa.literal(STAMP, sa.Text).concat(digits))


def numbers(rows: FromClause, dialect: str) -> FromClause:
    """`place` and `number` of every row of `rows`, which has `place`, `at` (the time) and `old` (the text key).

    The k-th row in order takes the k-th number that no stamped row holds: k plus the held numbers below it.
    """
    source = sa.select(rows.c.place, rows.c.at, rows.c.old, stamped(rows.c.old, dialect).label("said")).cte("source")
    holds = source.c.said.between(1, LARGEST)
    order = [source.c.at.nulls_last(), sa.collate(source.c.old, "C" if dialect == "postgresql" else "BINARY")]
    rank = sa.func.row_number().over(order_by=order)
    others = sa.select(source.c.place, rank.label("rank")).where(holds.is_not(True)).cte("others")
    before = source.c.said - sa.func.row_number().over(order_by=source.c.said)
    held = sa.select(source.c.place, source.c.said, before.label("free")).where(holds).cte("held")
    merged = sa.union_all(
        sa.select(others.c.place, others.c.rank.label("rank"), sa.literal_column("0").label("held")),
        sa.select(held.c.place, held.c.free + 1, sa.literal_column("1")),
    ).cte("merged")
    below = sa.func.sum(merged.c.held).over(order_by=[merged.c.rank, merged.c.held.desc()], rows=(None, 0))
    counted = sa.select(merged.c.place, merged.c.held, (merged.c.rank + below).label("number")).cte("counted")
    free = sa.select(counted.c.place, sa.cast(counted.c.number, sa.Integer).label("number")).where(counted.c.held == 0)
    own = sa.select(held.c.place, sa.cast(held.c.said, sa.Integer))
    return sa.union_all(free, own).subquery("numbers")


def stamped(old: ColumnElement[str], dialect: str) -> ColumnElement[int | None]:
    """The number that a text key made by `old_key` holds, NULL for any other key."""
    if dialect == "postgresql":
        begins = sa.func.starts_with(old, STAMP)  # cheaper, and says no of nearly every key
        holds_one = sa.and_(begins, old.regexp_match(f"^{STAMP}[0-9]{{12}}$"))
    else:
        holds_one = old.op("GLOB")(STAMP + "[0-9]" * 12)
    return sa.case((holds_one, sa.cast(sa.func.substr(old, len(STAMP) + 1), sa.BigInteger)))


def mapped(
    own: TableClause, key: Mapping[str, str], old: str, where: ColumnElement[bool], *, stamped: bool
) -> sa.Select[Any]:
    """`place`, `old` and `number` of the rows as they lie; PostgreSQL. Where no key is stamped, that is their rank."""
    if not stamped:
        order = [own.c[key["order_by"]].nulls_last(), sa.collate(own.c[old], "C")]
        rank = sa.cast(sa.func.row_number().over(order_by=order), sa.Integer)
        ranked = sa.select(own.c.ctid.label("place"), own.c[old].label("old"), rank.label("number")).where(where)
        return sa.select(ranked.subquery("ranked")).order_by("place")
    rows = sa.select(own.c.ctid.label("place"), own.c[key["order_by"]].label("at"), own.c[old].label("old"))
    found = numbers(rows.where(where).cte("rows_now"), "postgresql")
    both = own.join(found, own.c.ctid == found.c.place)
    return sa.select(found.c.place, own.c[old].label("old"), found.c.number).select_from(both).order_by(found.c.place)


def rows_of(own: TableClause, key: dict[str, str], old: ColumnElement[str] | None = None) -> FromClause:
    """What `numbers` needs to know of each row of a table clause that has `place` among its columns."""
    where = own.c.ctid if "ctid" in own.c else own.c.rowid
    old = own.c[key["kept"]] if old is None else old
    return sa.select(where.label("place"), own.c[key["order_by"]].label("at"), old.label("old")).cte("rows_now")


def place(dialect: str) -> sa.ColumnClause[str]:
    """Where a row lies: unique within one statement, whatever its columns hold."""
    return sa.column("ctid" if dialect == "postgresql" else "rowid")


def _number_in_place(here: Here, live: Live, key: dict[str, str]) -> None:
    number, kept = key["column"], key["kept"]
    if names(live.name).column in live.columns:
        _swap(here, live, key)
        return
    if number not in live.columns:
        here.op.add_column(live.name, sa.Column(number, sa.Integer()))
        live.columns[number] = Column(number, sa.Integer(), nullable=True)
    if kept in live.columns:
        own = sa.table(live.name, place("postgresql"), *map(sa.column, (number, kept, key["order_by"])))
        found = numbers(rows_of(own, key), "postgresql")
        fill = sa.update(own).values({number: found.c.number}).where(own.c.ctid == found.c.place)
        if _holds(here, sa.select(sa.exists().where(own.c[number].is_(None)))):
            with silenced(here, live.name):
                here.op.execute(fill.where(own.c[number].is_(None)))
    if live.key and live.key_name:
        here.op.drop_constraint(live.key_name, live.name, type_="primary")
    here.op.create_primary_key(f"{live.name}_pkey", live.name, [number])
    live.key, live.key_name = (number,), f"{live.name}_pkey"
    live.columns[number].nullable = False


def _swap(here: Here, live: Live, key: dict[str, str]) -> None:
    """Make the column that was numbered beforehand the key. Reads and writes no row: the check says that none is NULL,
    and the index that none is twice."""
    table, made = live.name, names(live.name)
    here.op.execute(Statement("DROP TRIGGER {} ON {}", made.trigger, table))
    here.op.execute(Statement("DROP FUNCTION {}()", made.function))
    if live.key and live.key_name:
        here.op.drop_constraint(live.key_name, table, type_="primary")
    here.op.alter_column(table, key["kept"], nullable=True)
    here.op.alter_column(table, made.column, new_column_name=key["column"])
    here.op.alter_column(table, key["column"], nullable=False)
    here.op.drop_constraint(made.check, table, type_="check")
    name = f"{table}_pkey"
    here.op.execute(Statement("ALTER TABLE {} ADD CONSTRAINT {} PRIMARY KEY USING INDEX {}", table, name, made.unique))
    here.op.execute(Statement("ALTER TABLE {} RENAME COLUMN {} TO {}", name, made.column, key["column"]))  # the index's
    here.op.execute(Statement("DROP TABLE IF EXISTS {}", made.map))
    own, sequence = sa.table(table, sa.column(key["column"], sa.Integer)), f"{table}_{key['column']}_seq"
    largest = sa.select(sa.func.coalesce(sa.func.max(own.c[key["column"]]), 0) + 1).scalar_subquery()
    quoted = here.op.get_context().dialect.identifier_preparer.quote(sequence)
    here.op.execute(sa.select(sa.func.setval(quoted, largest, sa.false())))  # the margin that was not used is free
    live.rename_column(made.column, key["column"])
    live.indexes.pop(made.unique, None)
    live.columns[key["kept"]].nullable, live.columns[key["column"]].nullable = True, False
    live.key, live.key_name = (key["column"],), name


def _swap_back(here: Here, live: Live, key: dict[str, str]) -> None:
    """The same on the way back: the kept column, filled beforehand, becomes the key."""
    table, made, kept = live.name, names_back(live.name), key["kept"]
    here.op.execute(Statement("DROP TRIGGER {} ON {}", made.trigger, table))
    here.op.execute(Statement("DROP FUNCTION {}()", made.function))
    here.op.drop_column(table, key["column"])  # its primary key and its sequence go with it
    here.op.alter_column(table, kept, nullable=False)
    here.op.drop_constraint(made.check, table, type_="check")
    name = f"{table}_pkey"
    here.op.execute(Statement("ALTER TABLE {} ADD CONSTRAINT {} PRIMARY KEY USING INDEX {}", table, name, made.unique))
    del live.columns[key["column"]], live.indexes[made.unique]
    live.columns[kept].nullable = False
    live.key, live.key_name = (kept,), name


def _rebuild_with_number(here: Here, live: Live, key: dict[str, str]) -> None:
    number, kept = key["column"], key["kept"]
    if kept not in live.columns:
        live.key = (number,)
        sqlite.rebuild(here, live)
        return
    names = [name for name in live.columns if name != number]
    own = sa.table(live.name, place("sqlite"), *map(sa.column, names))
    found = numbers(rows_of(own, key), "sqlite")
    live.columns = {number: Column(number, sa.Integer(), nullable=False), **{n: live.columns[n] for n in names}}
    live.columns[kept].nullable, live.key = True, (number,)
    both = own.join(found, own.c.rowid == found.c.place)
    copied = sa.select(found.c.number, *(own.c[name] for name in names)).select_from(both)
    sqlite.rebuild(here, live, copied.order_by(found.c.number))


def _rebuild_with_text(here: Here, live: Live, key: dict[str, str]) -> None:
    number, kept = key["column"], key["kept"]
    own = sa.table(live.name, *map(sa.column, live.columns))
    value = old_key(own.c[number], own.c[kept], here.dialect) if number in own.c else own.c[kept]
    live.columns = {name: column for name, column in live.columns.items() if name != number}
    live.columns[kept].nullable, live.key = False, (kept,)
    sqlite.rebuild(here, live, sa.select(*(value if name == kept else own.c[name] for name in live.columns)))


def _count(here: Here, live: Live, column: str) -> None:
    """Let the server hand out the next number, from a sequence of the standard name that the column owns."""
    default, name = live.columns[column].default or "", f"{live.name}_{column}_seq"
    quoted = here.op.get_context().dialect.identifier_preparer.quote(name)
    wanted = f"nextval('{quoted}'::regclass)"
    if default.startswith("nextval(") and default != wanted:
        there = default.split("'")[1].split(".")[-1].strip('"')
        here.op.execute(Statement("ALTER SEQUENCE {} RENAME TO {}", there, name))
    elif default != wanted:
        if _holds(here, sa.select(sa.func.to_regclass(quoted).is_(None))):
            here.op.execute(sa.schema.CreateSequence(sa.Sequence(name, data_type=sa.Integer())))
        here.op.alter_column(live.name, column, server_default=sa.text(wanted))
    live.columns[column].default = wanted
    if _holds(here, sa.select(sa.func.pg_get_serial_sequence(live.name, column).is_(None))):
        own_sequence(here, live.name, name)
        here.op.execute(Statement("ALTER SEQUENCE {} OWNED BY {}.{}", name, live.name, column))
    own, sequence = sa.table(live.name, sa.column(column, sa.Integer)), sa.table(name, *map(sa.column, _SEQUENCE))
    largest = sa.select(sa.func.coalesce(sa.func.max(own.c[column]), 0)).scalar_subquery()
    following = sequence.c.last_value + sa.case((sequence.c.is_called, 1), else_=0)
    if _holds(here, sa.select(following <= largest).select_from(sequence)):
        here.op.execute(sa.select(sa.func.setval(quoted, largest + 1, sa.false())))


def own_sequence(here: Here, table: str, sequence: str) -> None:
    """Let the sequence belong to whom the table belongs to: the server links no others."""
    for (owner,) in ask(here.connection, "owner_beside", table=table, other=sequence) if here.connection else ():
        here.op.execute(Statement("ALTER SEQUENCE {} OWNER TO {}", sequence, owner))


def _holds(here: Here, question: sa.Select[bool]) -> bool:
    """Whether it is so; offline it is taken to be, since the revision before leaves it so."""
    return here.connection is None or bool(here.connection.execute(question).scalar_one())
