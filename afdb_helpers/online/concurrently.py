"""Indexes and constraints on tables in use: made without a lock that an application waits behind. Changes the target.

SHARE UPDATE EXCLUSIVE, which reads and writes pass; a constraint is added NOT VALID under ACCESS EXCLUSIVE (a foreign
key: SHARE ROW EXCLUSIVE on both tables) for milliseconds, and validated afterwards. Dead at any line: an index may be
left invalid, which the next run drops and builds again; a constraint not validated, which it validates.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from afdb_helpers.errors import Refused
from afdb_helpers.online.catalogue import ask
from afdb_helpers.online.change import Here
from afdb_helpers.online.patience import patiently
from afdb_helpers.online.statements import Statement
from afdb_helpers.online.transactions import shortly
from afdb_helpers.report import count

_UNIQUE = "23505"


def index(here: Here, table: str, name: str, columns: Sequence[str], *, unique: bool = False) -> None:
    """Build the index unless it stands and is valid. Raises `Refused` with counts where values are not unique."""
    connection = here.connection
    assert connection is not None
    kind = "CREATE UNIQUE INDEX CONCURRENTLY {} ON {} ({})" if unique else "CREATE INDEX CONCURRENTLY {} ON {} ({})"
    built = Statement(kind, name, table, list(columns))

    def attempt() -> None:
        assert connection is not None
        if drop_invalid(connection, name):
            return
        connection.execute(built)

    try:
        patiently(connection, attempt, tables=[table], anyone=True)
    except sa.exc.IntegrityError as error:
        drop_invalid(connection, name)
        raise _not_unique(connection, table, columns, name, error) from None


def drop_invalid(connection: sa.Connection, name: str) -> bool:
    """Whether the index stands and is valid; one that stands and is not is dropped."""
    found = ask(connection, "index_valid", name=name)
    if found and not found[0][0]:
        connection.execute(Statement("DROP INDEX CONCURRENTLY {}", name))
    return bool(found and found[0][0])


def foreign_key(here: Here, table: str, column: str, referred: str, target: str) -> None:
    """Add the foreign key, not validated yet, under the name that the server would give it."""
    name = f"{table}_{column}_fkey"
    added = Statement(
        "ALTER TABLE {} ADD CONSTRAINT {} FOREIGN KEY ({}) REFERENCES {} ({}) NOT VALID",
        table, name, column, referred, target,
    )  # fmt: skip
    shortly(here, lambda: here.op.execute(added), table, referred)


def validate(here: Here, table: str, names: Sequence[str]) -> None:
    """Validate those of the named constraints that are not: reads the table once."""
    connection = here.connection
    assert connection is not None
    for (name,) in ask(connection, "not_validated", table=table):
        if name in names:
            statement = Statement("ALTER TABLE {} VALIDATE CONSTRAINT {}", table, name)
            patiently(connection, lambda s=statement: connection.execute(s), tables=[table])  # type: ignore[misc]


def check_not_null(here: Here, table: str, column: str, name: str) -> None:
    """A validated CHECK that the column is not NULL; SET NOT NULL then needs no scan."""
    assert here.connection is not None
    if not checked(here.connection, table, name):
        added = Statement("ALTER TABLE {} ADD CONSTRAINT {} CHECK ({} IS NOT NULL) NOT VALID", table, name, column)
        shortly(here, lambda: here.op.execute(added), table)
    validate(here, table, [name])


def checked(connection: sa.Connection, table: str, name: str) -> bool:
    """Whether the table has a CHECK of that name, validated or not."""
    return name in {check["name"] for check in sa.inspect(connection).get_check_constraints(table)}


def not_null(here: Here, table: str, column: str) -> None:
    """Forbid NULL in a column. A dead run leaves at most the check, which forbids it too."""
    name = f"afdb_{table}_{column}_not_null"
    check_not_null(here, table, column, name)

    def settle() -> None:
        here.op.execute(Statement("ALTER TABLE {} ALTER COLUMN {} SET NOT NULL", table, column))
        here.op.execute(Statement("ALTER TABLE {} DROP CONSTRAINT {}", table, name))

    shortly(here, settle, table)


def _not_unique(
    connection: sa.Connection, table: str, columns: Sequence[str], name: str, error: sa.exc.IntegrityError
) -> Exception:
    if getattr(error.orig, "pgcode", None) != _UNIQUE:
        return error
    own = sa.table(table, *map(sa.column, columns))
    keys = [own.c[column] for column in columns]
    counted = sa.select(sa.func.count().label("n")).select_from(own).where(*(key.is_not(None) for key in keys))
    twice = counted.group_by(*keys).having(sa.func.count() > 1).subquery()
    values, rows = connection.execute(sa.select(sa.func.count(), sa.func.sum(twice.c.n))).one()
    found = f"{count(values, 'duplicated value')} in {count(rows or 0, 'row')}"
    return Refused(
        f"{name} cannot be unique; the index was dropped again, and the old names stand",
        why=f"{table}.{', '.join(columns)}: {found}, written meanwhile",
        do="mend the rows, then run the same command again: it goes on where this one stopped",
    )
