"""PostgreSQL: a preparation that nobody goes on with is taken back. Changes the target.

An upgrade that died, or was given up, before its last transaction leaves a trigger that numbers new rows, and tables
and columns that nobody uses; a downgrade leaves a trigger that gives them a text key, a check and indexes. Going on
with it clears them. So does asking for the revision that the database is stamped with: `alembic downgrade 001` at 001,
`alembic upgrade 002` at 002. Indexes go first, then the trigger together with what it wrote to. Dead at any line: the
same command again.
"""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa

from afdb_helpers.online.catalogue import ask, look
from afdb_helpers.online.change import Change, Here
from afdb_helpers.online.loss import refuse_loss
from afdb_helpers.online.patience import patiently
from afdb_helpers.online.statements import Statement
from afdb_helpers.online.steps import drop_columns, drop_indexes, drop_table
from afdb_helpers.online.transactions import apart, lock_all, shortly

_UP = [r"afdb\_%"]
_BACK = [r"afdb\_old\_%", r"afdb\_%\_old\_not\_null", r"afdb\_loss\_%"]


def prepared(connection: sa.Connection, change: Change) -> list[str]:
    """What an upgrade to the revision has left in a database that is stamped with the one before, by name."""
    if connection.dialect.name != "postgresql":
        return []
    tables, created = look(connection, change.tables.tables), {table.name for table in change.created()}
    found = [f"table {name}" for name in sorted(tables) if name in created]
    for name in sorted(set(tables) - created):
        found += [f"column {name}.{c}" for c in change.dropped(name) if c in tables[name].columns]
        found += [f"{kind} {thing}" for kind, thing in ask(connection, "left_behind", table=name, names=_UP)]
    return found


def prepared_back(connection: sa.Connection, change: Change) -> list[str]:
    """What a downgrade has left in a database that is stamped with the revision, by name."""
    if connection.dialect.name != "postgresql":
        return []
    return [
        f"without {kind} {thing} of {table}"
        for table in sorted(change.tables.tables)
        for kind, thing in ask(connection, "left_behind", table=table, names=_BACK)
    ]


def abandon(here: Here) -> None:
    """Take back an upgrade's preparation. Raises `Refused` with counts where rows or values stand in what is to go."""
    change = here.change
    refuse_loss(here, locked=False)
    with apart(here):
        for table in sorted(set(here.tables) - {table.name for table in change.created()}):
            _clear(here, table, _UP)
    here.tables = look(here.connection, change.tables.tables)  # type: ignore[arg-type]
    lock_all(here, sorted(here.tables))
    refuse_loss(here, locked=False)
    for created in reversed(change.created()):
        drop_table(here, created.name)
    for table in sorted(here.tables):
        drop_indexes(here, table, change.mapping.get(table, {}).get("indexes", []))
        drop_columns(here, table, change.dropped(table))
        for sequence in _loose_sequences(here, table):
            here.op.execute(Statement("DROP SEQUENCE {}", sequence))


def abandon_back(here: Here) -> None:
    """Take back a downgrade's preparation; text keys that rows were given stay in the column that keeps them."""
    if here.connection is not None and prepared_back(here.connection, here.change):
        with apart(here):
            for table in sorted(here.tables):
                _clear(here, table, _BACK)


def _clear(here: Here, table: str, names: list[str]) -> None:
    connection = here.connection
    assert connection is not None
    there: dict[str, list[str]] = {}
    for kind, name in ask(connection, "left_behind", table=table, names=names):
        there.setdefault(kind, []).append(name)
    for name in there.get("index", []):
        dropped = Statement("DROP INDEX CONCURRENTLY {}", name)
        patiently(connection, lambda d=dropped: connection.execute(d), tables=[table], anyone=True)  # type: ignore[misc]

    def drop() -> None:
        for name in there.get("trigger", []):
            here.op.execute(Statement("DROP TRIGGER {} ON {}", name, table))
        for name in there.get("function", []):
            here.op.execute(Statement("DROP FUNCTION {}()", name))
        for name in there.get("check", []):
            here.op.execute(Statement("ALTER TABLE {} DROP CONSTRAINT {}", table, name))
        for name in there.get("column", []):
            here.op.execute(Statement("ALTER TABLE {} DROP COLUMN {}", table, name))
        for name in there.get("table", []):
            here.op.execute(Statement("DROP TABLE {}", name))

    if there:
        shortly(here, drop, table)


def _loose_sequences(here: Here, table: str) -> Iterator[str]:
    """The sequence of a key that was never made: nobody owns it."""
    if key := here.change.key(table):
        name = f"{table}_{key['column']}_seq"
        assert here.connection is not None
        yield from (
            name for kind, owner in ask(here.connection, "relation_owner", name=name) if (kind, owner) == ("S", None)
        )
