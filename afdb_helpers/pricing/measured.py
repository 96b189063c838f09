"""What discovery measured, as inputs of a workload: the data's size, its growth between two records, its users."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from afdb_helpers.report import Report, Row, count

USERS = ("users", "auth.users", "accounts")  # tables whose rows are people who may sign in
_MONTH = Decimal(730) / 24
_SHORTEST = dt.timedelta(days=1)  # two records nearer than that say nothing of a month


@dataclass(frozen=True, kw_only=True, repr=False)
class Measured(Report):
    """`inputs` take the place of what was stated."""

    inputs: Mapping[str, Decimal] = field(default_factory=dict)


def measured(history: Sequence[Mapping[str, Any]]) -> Measured:
    """What is known of the database from its discovery records, oldest first; the last one is the one to go by.

    Each has `started` (ISO 8601) and `data`, the sizes of its tables. Empty: nothing is measured.
    """
    if not history:
        return Measured(headline="Nothing was measured: the numbers are as stated")
    last = history[-1]
    tables = {row["table"]: row for row in last["data"]["rows"]}
    size = _bytes(last)
    found: dict[str, tuple[Decimal, str]] = {
        "db_gb": (_gigabytes(size), f"{count(len(tables), 'table')} with their indexes")
    }
    first = next((each for each in history if _apart(each, last) >= _SHORTEST), None)
    if first:
        days = Decimal(_apart(first, last) / dt.timedelta(days=1))
        grown = max(Decimal(0), _gigabytes(size - _bytes(first)) / days * _MONTH)
        found["growth_gb"] = (round(grown, 6), f"since {first['id']}, {days:,.1f} days before")
    people = next((tables[name] for name in USERS if name in tables), None)
    if people and people["estimated_rows"] is not None:
        said = f"rows of {people['table']}: everyone who could sign in, so at most"
        found["mau"] = (Decimal(people["estimated_rows"]), said)
    rows: list[Row] = [{"input": name, "measured": f"{n.normalize():,f}", "from": s} for name, (n, s) in found.items()]
    if not first:
        said = "not measured: it takes a second discovery, a day or more apart"
        rows.append({"input": "growth_gb", "measured": None, "from": said})
    inputs = {name: number for name, (number, _) in found.items()}
    return Measured(headline=f"Measured by {last['id']}", rows=tuple(rows), inputs=inputs)


def _bytes(record: Mapping[str, Any]) -> int:
    return sum(int(row["bytes"] or 0) for row in record["data"]["rows"])


def _gigabytes(size: int) -> Decimal:
    return Decimal(size) / 10**9


def _apart(one: Mapping[str, Any], other: Mapping[str, Any]) -> dt.timedelta:
    return dt.datetime.fromisoformat(other["started"]) - dt.datetime.fromisoformat(one["started"])
