"""Each sequence is ahead of the column that it gives numbers: the next row gets one that nobody has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from afdb_helpers import catalog
from afdb_helpers.drift.words import literal, quoted, statement
from afdb_helpers.errors import Unavailable

if TYPE_CHECKING:
    from sqlalchemy import Connection

BEHIND = "not ahead of the column's largest value"


def behind(connection: Connection) -> Iterator[dict[str, Any]]:
    """One row a sequence whose next number its column has reached. Asks each column's largest value (ACCESS SHARE), by
    its index where it has one. Raises `Unavailable` naming the sequence that may not be read."""
    for row in catalog.rows(connection, "column_sequences"):
        if not _ahead(connection, row):
            named = f"{quoted(row['sequence_schema'])}.{quoted(row['sequence'])}"
            yield {
                "table": f"{row['schema']}.{row['relation']}",
                "object": f"sequence {row['sequence_schema']}.{row['sequence']} of {row['column']}",
                "state": BEHIND if row["step"] > 0 else BEHIND.replace("ahead of", "below").replace("largest", "least"),
                "mend": statement("SELECT setval({}, (SELECT {}({})::bigint FROM {}))", literal(named),
                                  "max" if row["step"] > 0 else "min", quoted(row["column"]), row["table"]),
            }  # fmt: skip


def _ahead(connection: Connection, row: Mapping[str, Any]) -> bool:
    """One statement: its snapshot of the table is older than what the sequence says, so rows written meanwhile are
    no finding."""
    import sqlalchemy as sa

    column: sa.ColumnClause[Any] = sa.column(row["column"])
    step = row["step"]
    table = sa.table(row["relation"], column, schema=row["schema"])
    furthest = sa.func.max(column) if step > 0 else sa.func.min(column)
    named = sa.table(row["sequence"], schema=row["sequence_schema"])
    asked: list[Any] = [sa.select(furthest).select_from(table).scalar_subquery()]
    asked += [sa.literal_column("last_value"), sa.literal_column("is_called")]
    try:
        reached, last, called = connection.execute(sa.select(*asked).select_from(named)).one()
    except sa.exc.DBAPIError as error:
        raise Unavailable(
            f"sequence {row['sequence_schema']}.{row['sequence']} cannot be compared with its column",
            why=str(error.orig).strip().splitlines()[0],
            do=f"grant the role SELECT on it and on {row['table']}; where it was dropped meanwhile, run again",
        ) from None
    following = last + step if called else last
    return reached is None or (following > reached if step > 0 else following < reached)
