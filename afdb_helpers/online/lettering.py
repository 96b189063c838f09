"""A number key gets its text key back while the application goes on writing. Changes the target.

In this order, each step looking whether it is done; the process dead at any line, the next run goes on there:

    trigger         from here on new rows have a text key           SHARE ROW EXCLUSIVE, milliseconds
    batches         rows without one get it; what is NULL is left to do
    index, check    unique, and not NULL                            SHARE UPDATE EXCLUSIVE
    guards          tiny partial indexes over what the older schema cannot hold: that none was written meanwhile is
                    then seen under the locks at once; they go with their columns
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from afdb_helpers.errors import Refused
from afdb_helpers.online import concurrently, loss, rekey
from afdb_helpers.online.batches import in_batches
from afdb_helpers.online.catalogue import look
from afdb_helpers.online.change import Here
from afdb_helpers.online.numbering import follow, triggered
from afdb_helpers.online.patience import patiently
from afdb_helpers.online.statements import Setting, Statement
from afdb_helpers.online.transactions import apart, lock_all, shortly

_BODY = (
    "BEGIN IF NEW.{kept} IS NULL THEN NEW.{kept} := '{stamp}' || lpad(NEW.{number}::text, 12, '0');"
    " END IF; RETURN NEW; END"
)
ROWS = 2_000  # in a batch


def prepare_back(here: Here) -> None:
    """Do what takes long, look again, take the locks, and see that nothing was written that would be lost.

    Nothing on SQLite and offline. Died before the locks: every row has a text key, and new rows get one.
    """
    connection = here.connection
    if connection is None or not here.postgresql:
        return
    with apart(here):
        for table in sorted(here.tables):
            _letter(here, table)
        for table, column in loss.guarded(here):
            _guard(here, table, column)
    here.tables = look(connection, here.change.tables.tables)
    lock_all(here, sorted(here.tables))
    connection.execute(Setting("enable_seqscan", "off", local=True))
    _refuse_new_loss(here)
    connection.execute(Setting("enable_seqscan", "on", local=True))


def _letter(here: Here, table: str) -> None:
    key, live = here.change.key(table), here.tables[table]
    if key is None or not {key["column"], key["kept"]} <= set(live.columns) or live.key == (key["kept"],):
        return
    connection, names = here.connection, rekey.names_back(table)
    assert connection is not None
    if not triggered(connection, table, names.trigger):
        shortly(here, lambda: _trigger(here, table, names, key), table)
    _fill(here, table, key)
    concurrently.index(here, table, names.unique, [key["kept"]], unique=True)
    concurrently.check_not_null(here, table, key["kept"], names.check)


def _trigger(here: Here, table: str, names: rekey.Names, key: dict[str, str]) -> None:
    quote = here.op.get_context().dialect.identifier_preparer.quote
    body = _BODY.format(kept=quote(key["kept"]), number=quote(key["column"]), stamp=rekey.STAMP)
    follow(here, table, names, body)


def _fill(here: Here, table: str, key: dict[str, str]) -> None:
    """Give the rows without a text key theirs, a few at a time in the order of their numbers."""
    own = sa.table(table, sa.column(key["column"], sa.Integer), sa.column(key["kept"], sa.String))
    number, kept = own.c[key["column"]], own.c[key["kept"]]
    last = sa.bindparam("last", type_=sa.Integer)
    some = sa.select(number).where(kept.is_(None), number > last).order_by(number).limit(ROWS)
    fill = sa.update(own).where(number.in_(some), kept.is_(None)).returning(number)
    batch = fill.values({key["kept"]: rekey.old_key(number, kept, "postgresql")})
    reached: list[int] = [-(2**31)]

    def step(connection: sa.Connection) -> int:
        found = [int(row[0]) for row in connection.execute(batch, {"last": reached[-1]})]
        reached.append(max(found, default=reached[-1]))
        return len(found)

    with in_batches(here, table) as run:
        while run(step):
            pass


def _guard(here: Here, table: str, column: sa.Column[Any]) -> None:
    connection, name = here.connection, f"afdb_loss_{table}_{column.name}"[:63]
    assert connection is not None
    condition = loss.lossy(here, column)
    built = Statement("CREATE INDEX CONCURRENTLY {} ON {} ((1)) WHERE {}", name, table, condition)

    def attempt() -> None:
        if not concurrently.drop_invalid(connection, name):
            connection.execute(built)

    patiently(connection, attempt, tables=[table], anyone=True)


def _refuse_new_loss(here: Here) -> None:
    """Under the locks: whether what the older schema cannot hold was written since it was counted."""
    assert here.connection is not None
    asked = [
        (t.name, sa.select(sa.exists(sa.text("1")).select_from(sa.table(t.name)))) for t in loss.dropped_tables(here)
    ]
    for table, column in loss.guarded(here):
        there = sa.exists(sa.text("1")).select_from(sa.table(table)).where(loss.lossy(here, column))
        asked.append((f"{table}.{column.name}", sa.select(there)))
    if written := [name for name, query in asked if here.connection.execute(query).scalar_one()]:
        raise Refused(
            "what the schema before this revision cannot hold was written a moment ago; all names stand as they were",
            why=", ".join(written),
            do="run the same command again: it counts, and says what may be named to go",
        )
