"""The tables: how large, how empty, how busy, how fast they grow; and whose the rows are."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from afdb_helpers import catalog
from afdb_helpers.discovery.asking import ask
from afdb_helpers.report import Report, count

if TYPE_CHECKING:
    from sqlalchemy import Connection

SHOWN = 20  # tenants


def tables(connection: Connection, *, before: Mapping[str, Any] | None = None) -> Report:
    """One row a table, the largest first; growth since `before`, which is `kept` of an earlier run."""
    if connection.dialect.name == "sqlite":
        rows = [
            {"table": row["table"], "rows": row["estimated_rows"], "bytes": row["bytes"]}
            for row in catalog.sizes(connection).rows
        ]
    else:
        rows = ask(connection, "table_facts")
    total = sum(row["bytes"] or 0 for row in rows)
    headline = f"{count(len(rows), 'table')}, {catalog.human(total)}"
    if before:
        days = (_now() - dt.datetime.fromisoformat(before["at"])).total_seconds() / 86400
        headline += f"; {_grown(rows, before['tables'], days)} since {before['at'][:16].replace('T', ' ')}"
    return Report(headline=headline, rows=tuple(rows))


def kept(found: Report) -> dict[str, Any]:
    """What the next run needs to see growth: when, and the rows and bytes of each table."""
    sizes = {row["table"]: {"rows": row["rows"], "bytes": row["bytes"]} for row in found.rows}
    return {"at": _now().isoformat(timespec="seconds"), "tables": sizes}


def tenants(connection: Connection) -> Report:
    """The largest tenants, where a column says whose a row is; estimated from the statistics, so no row is read."""
    if connection.dialect.name == "sqlite":
        return Report(headline="tenants: not looked for in a file")
    answer = ask(connection, "tenant_key")
    if not answer:
        return Report(headline="tenants: no column says whose a row is")
    found = answer[0]
    rows = ask(connection, "tenant_sizes", key=found["key"])
    unknown = sum(row.pop("unknown") for row in rows)
    key = f"{found['key']} in {found['tables']} of {count(found['of'], 'table')}"
    if found["refers_to"]:
        key += f", which refer to {found['refers_to']}"
    named = [row for row in rows if row["tenant"] is not None]
    rest = [{**row, "tenant": "others, or none"} for row in rows if row["tenant"] is None and row["rows"]]
    missing = f"; {count(unknown, 'table')} not analysed, or not shown to the role" if unknown else ""
    return Report(
        headline=f"tenants: {key}{missing}",
        ok=not unknown,
        rows=(*named[:SHOWN], *rest),
        remedy="ANALYZE, or grant the role pg_read_all_data, then look again" if unknown else "",
    )


def _grown(rows: list[dict[str, Any]], before: Mapping[str, Any], days: float) -> str:
    """Add growth to the rows; the whole in words. A table that is new has grown by all of it."""
    whole = 0
    for row in rows:
        was = before.get(row["table"], {"rows": 0, "bytes": 0})
        grown = None if row["bytes"] is None or was["bytes"] is None else row["bytes"] - was["bytes"]
        row["growth"] = grown
        row["growth a day"] = round(grown / days) if grown is not None and days > 1 / 24 else None
        whole += grown or 0
    gone = sum(name not in {row["table"] for row in rows} for name in before)
    return f"{'+' if whole >= 0 else '-'}{catalog.human(abs(whole))}" + (
        f", {count(gone, 'table')} gone" if gone else ""
    )


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
