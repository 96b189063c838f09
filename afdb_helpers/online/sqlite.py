"""SQLite: transactions that hold DDL too, the rebuild of a table, and the proof that no row was lost.

A command is one transaction on the file itself, begun with the write lock and checked before its COMMIT: no copy is
renamed into place, since whoever has the file open would go on writing to the old one, and lose it.

A rebuild makes the table anew under another name, copies the rows, drops the old one and takes its name. Its indexes
and triggers are made again from their own text. References to it from other tables and from views stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from afdb_helpers.errors import Refused, Unavailable
from afdb_helpers.online.catalogue import Column, ForeignKey, Live
from afdb_helpers.online.change import Here
from afdb_helpers.online.statements import Statement
from afdb_helpers.report import count

TEMPORARY = "_alembic_tmp_"
_NOT_CARRIED = re.compile(r"\b(COLLATE|STRICT|WITHOUT\s+ROWID|GENERATED|ON\s+CONFLICT|AUTOINCREMENT)\b", re.IGNORECASE)
_CREATED = sa.text("SELECT name, sql FROM sqlite_master WHERE type = :type AND tbl_name = :table AND sql IS NOT NULL")

Counts = dict[str, int]


def transactional(engine: sa.Engine, begin: Callable[[], str]) -> None:
    """Let SQLAlchemy begin transactions itself: Python's driver would commit before DDL. Foreign keys are not enforced,
    since dropping a table that others refer to would delete or refuse their rows."""

    @sa.event.listens_for(engine, "connect")
    def _connect(session: Any, _record: Any) -> None:
        session.isolation_level = None
        session.execute("PRAGMA foreign_keys = OFF")

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql(begin())


def busy_reader(error: sa.exc.DBAPIError) -> Unavailable | None:
    """What it means that the COMMIT, which no SQL text belongs to, found the file locked; None for other errors."""
    if error.statement is not None or "database is locked" not in str(error.orig):
        return None
    return Unavailable(
        "the revision was rolled back at its COMMIT; the file is as it was",
        why="another process was reading the file all through the 5 s that a COMMIT waits for readers",
        do="end its transaction, or switch the file to WAL, where readers are not waited for; then run again",
    )


def rebuild(here: Here, live: Live, rows: Any = None) -> None:
    """Make the table anew as `live` says. `rows` yields its columns in order; without it they are copied by name."""
    attached = _attached(here, live)
    made = _declared(live, f"{TEMPORARY}{live.name}")
    columns = [name for name, column in live.columns.items() if column.made != "computed"]
    if rows is None:
        rows = sa.select(*(sa.column(name) for name in columns)).select_from(sa.table(live.name))
    here.op.execute("PRAGMA legacy_alter_table = ON")
    here.op.execute(sa.schema.CreateTable(made))
    here.op.execute(made.insert().from_select(columns, rows))
    here.op.drop_table(live.name)
    here.op.rename_table(made.name, live.name)
    here.op.execute("PRAGMA legacy_alter_table = OFF")
    for statement in attached:
        here.op.execute(statement)


def sweep(connection: sa.Connection) -> list[str]:
    """Clear what a dead rebuild left: drop its copy; where the table itself is gone already, give the copy its name."""
    names = set(sa.inspect(connection).get_table_names())
    swept = sorted(name for name in names if name.startswith(TEMPORARY))
    for name in swept:
        table = name.removeprefix(TEMPORARY)
        if table in names:
            connection.execute(Statement("DROP TABLE {}", name))
        else:
            connection.execute(Statement("ALTER TABLE {} RENAME TO {}", name, table))
    return swept


def refuse_damaged(connection: sa.Connection, what: str) -> None:
    """Refuse where SQLite finds the file damaged, pages written in this transaction included."""
    try:
        found = list(connection.exec_driver_sql("PRAGMA integrity_check(5)").scalars())
    except sa.exc.DatabaseError as error:
        found = [str(error.orig)]
    if found != ["ok"]:
        raise Refused(
            f"{what}; nothing was changed",
            why="; ".join(said.replace("\n", " ") for said in found),
            do="restore the file from a backup, or save what can be read with sqlite3's .recover, then run again",
        )


def counts(connection: sa.Connection) -> tuple[Counts, Counts]:
    """Rows per table, and rows that point nowhere per pair of tables."""
    rows = {
        name: connection.execute(sa.select(sa.func.count()).select_from(sa.table(name))).scalar_one()
        for name in sa.inspect(connection).get_table_names()
    }
    orphans: Counts = {}
    for table, _, parent, _ in connection.exec_driver_sql("PRAGMA foreign_key_check"):
        orphans[f"{table} → {parent}"] = orphans.get(f"{table} → {parent}", 0) + 1
    return rows, orphans


def refuse_loss(before: tuple[Counts, Counts], after: tuple[Counts, Counts], meant: set[str]) -> None:
    """Refuse when a table has fewer rows than before, or more rows point nowhere; tables `meant` to be gone may be."""
    rows = {name: (n, after[0].get(name, 0)) for name, n in before[0].items() if name not in meant}
    lost = [f"{name} had {count(old, 'row')} and would have {new:,}" for name, (old, new) in rows.items() if new < old]
    dangling = {pair: n for pair, n in after[1].items() if n > before[1].get(pair, 0)}
    torn = [f"{count(n, 'row')} of {pair} would point nowhere" for pair, n in dangling.items()]
    if lost or torn:
        raise Refused(
            "the revision would lose data; everything was rolled back",
            why="; ".join(lost + torn),
            do="mend the revision; the file is as it was",
        )


def _attached(here: Here, live: Live) -> list[Any]:
    """What makes the table's indexes and triggers again, once it is there under its name."""
    if here.connection is None:
        table = sa.Table(live.name, sa.MetaData(), *(sa.Column(name, sa.String()) for name in live.columns))
        return [
            sa.schema.CreateIndex(sa.Index(name, *(table.c[str(c)] for c in index.columns), unique=index.unique))
            for name, index in live.indexes.items()
        ]
    found = {
        kind: dict(tuple(row) for row in here.connection.execute(_CREATED, {"type": kind, "table": live.name}))
        for kind in ("table", "index", "trigger")
    }
    if special := _NOT_CARRIED.search(next(iter(found["table"].values()), "")):
        raise Refused(
            f"table {live.name} cannot be rebuilt without losing its {special[0].upper()}",
            why="a rebuild declares columns, keys, checks and defaults, and nothing else",
            do=f"make {live.name} without it, or change it by hand to what revision 002 declares; nothing was changed",
        )
    kept = [sa.text(sql.replace(":", r"\:")) for name, sql in found["index"].items() if name in live.indexes]
    return kept + [sa.text(sql.replace(":", r"\:")) for sql in found["trigger"].values()]


def _declared(live: Live, name: str) -> sa.Table:
    metadata = sa.MetaData()
    for key in live.foreign_keys:  # what a key refers to has to be known by name, and by no more than that
        columns = [sa.Column(column, sa.String()) for column in key.referred]
        sa.Table(key.table, metadata, *columns, extend_existing=True)
    return sa.Table(
        name,
        metadata,
        *(_column(column) for column in live.columns.values()),
        sa.PrimaryKeyConstraint(*live.key),
        *(_foreign_key(key) for key in live.foreign_keys),
        *(sa.UniqueConstraint(*columns, name=said) for said, columns in live.uniques),
        *(sa.CheckConstraint(sql.replace(":", r"\:"), name=said) for said, sql in live.checks),
    )


def _foreign_key(key: ForeignKey) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(key.columns, [f"{key.table}.{column}" for column in key.referred], **key.options)


def _column(column: Column) -> sa.Column[Any]:
    default = sa.text(column.default.replace(":", r"\:")) if column.default is not None else None
    return sa.Column(column.name, column.type, nullable=column.nullable, server_default=default, autoincrement=False)
