"""How large the tables are, and how much they are used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from afdb_helpers.catalog.asking import question
from afdb_helpers.catalog.reading import snapshot
from afdb_helpers.report import Report, count

if TYPE_CHECKING:
    from sqlalchemy import Connection


def sizes(connection: Connection) -> Report:
    """Rows as estimated by the server and bytes per table, the largest first; on SQLite rows are counted."""
    if connection.dialect.name == "sqlite":
        rows = [_sqlite_size(connection, table) for table in snapshot(connection).tables]
    else:
        rows = [dict(row) for row in connection.exec_driver_sql(question("table_sizes")).mappings()]
    total = sum(row["bytes"] or 0 for row in rows)
    return Report(headline=f"{count(len(rows), 'table')}, {human(total)}", rows=tuple(rows))


def activity(connection: Connection) -> dict[str, dict[str, Any]]:
    """Table → rows and bytes, and writes and reads a second where the server counted for long enough. Only looks."""
    if connection.dialect.name == "sqlite":
        return {row["table"]: {"rows": row["estimated_rows"], "bytes": row["bytes"]} for row in sizes(connection).rows}
    rows = [dict(row) for row in connection.exec_driver_sql(question("table_activity")).mappings()]
    return {row.pop("table"): row for row in rows}


def human(size: float) -> str:
    """Bytes for people: 1 kB is 1,000 bytes."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if abs(size) < 1000 or unit == "TB":
            return f"{size:,.0f} {unit}" if unit == "B" else f"{size:,.1f} {unit}"
        size /= 1000
    raise AssertionError("unreachable")


def _sqlite_size(connection: Connection, table: str) -> dict[str, Any]:
    from sqlalchemy import func, select, text
    from sqlalchemy.exc import OperationalError
    from sqlalchemy.sql.expression import table as named

    rows = connection.execute(select(func.count()).select_from(named(table))).scalar_one()
    try:
        used = text("SELECT sum(pgsize) FROM dbstat WHERE name = :table")
        size = connection.execute(used, {"table": table}).scalar_one()
    except OperationalError:  # SQLite may be built without dbstat
        size = None
    return {"table": table, "estimated_rows": rows, "bytes": size}
