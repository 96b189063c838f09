"""What the rehearsal says of the target: how long in all, and how long each table will be blocked.

Every statement is stretched by how much larger the tables that it touches are on the target, in bytes, than they were
in the backup; time between statements is not. A lock is held as long as the stretched statements within it take.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from afdb_helpers import catalog
from afdb_helpers.rehearsal import timeline
from afdb_helpers.rehearsal.result import BLOCKS, Rehearsal, Statement, numbers
from afdb_helpers.rehearsal.watch import Hold
from afdb_helpers.report import Picture, Report

if TYPE_CHECKING:
    from sqlalchemy import Connection


@dataclass(frozen=True, kw_only=True, repr=False)
class Forecast(Picture):
    """Rows: per table and what is blocked, the longest hold, as measured and as predicted. Seconds.

    `stretched`: statement → how many times longer than measured, where it is not as long.
    """

    seconds: float
    holds: tuple[Hold, ...]
    stretched: Mapping[int, float]

    def as_dict(self) -> dict[str, Any]:
        return {**super().as_dict(), "seconds": self.seconds}


def forecast(rehearsed: Rehearsal, connection: Connection) -> Report:
    """The forecast for the database behind `connection`, by the sizes of its tables now. Only looks."""
    now = {row["table"]: row["bytes"] or 0 for row in catalog.sizes(connection).rows}
    return make(rehearsed, now)


def make(rehearsed: Rehearsal, now: Mapping[str, int]) -> Report:
    """The same from bytes per table; a report without a picture where no lock was seen that anybody waits for."""
    stretched = factors(rehearsed.statements, rehearsed.sizes, now)
    clock = Clock([s for s in rehearsed.statements if s["seconds"]], stretched)
    holds = tuple(replace(hold, begin=clock(hold.begin), end=clock(hold.end)) for hold in rehearsed.holds)
    total = clock(rehearsed.seconds)
    rows = tuple(_rows(rehearsed.holds, holds, numbers(rehearsed.statements)))
    grown = f"{sum(now.values()) / (sum(rehearsed.sizes.values()) or 1):.1f} times the backup's bytes"
    if not rows:
        return Report(headline=f"forecast: {total:.1f} s, no table blocked; the target has {grown}")
    waits = "; ".join(filter(None, (_worst(rows, kind) for kind in ("reads and writes", "writes"))))
    title = f"Forecast: {total:.1f} s in all; {waits or 'neither reads nor writes wait'}"
    return Forecast(
        headline=title,
        rows=rows,
        parts=(Report(headline=f"measured {rehearsed.seconds:.1f} s; the target has {grown}"),),
        png=timeline.draw(holds, BLOCKS, total, title=title, said=grown),
        seconds=total,
        holds=holds,
        stretched=stretched,
    )


def factors(statements: Iterable[Statement], before: Mapping[str, int], now: Mapping[str, int]) -> dict[int, float]:
    """Statement → how many times longer it takes with tables of these sizes, where it is another time."""
    found = {s["n"]: _factor(s, before, now) for s in statements if s["seconds"]}
    return {number: factor for number, factor in found.items() if abs(factor - 1) > 0.01}


class Clock:
    """From the rehearsal's seconds to the target's: faster or slower within a statement, the same between them."""

    def __init__(self, statements: Sequence[Statement], factors: Mapping[int, float]) -> None:
        spans = sorted((s["begin"], s["begin"] + s["seconds"], factors.get(s["n"], 1.0)) for s in statements)
        self.spans = [span for span in spans if span[2] != 1.0]

    def __call__(self, at: float) -> float:
        added = [(min(at, end) - begin) * (factor - 1) for begin, end, factor in self.spans if begin < at]
        return float(at + sum(added))


def touched(statement: Statement, tables: Iterable[str]) -> list[str]:
    """The tables that a statement names, or takes a lock on though it does not name them."""
    words = set(re.findall(r"\w+", statement["sql"]))
    locked = {relation.replace('"', "") for relation, mode in statement["locks"] if mode != "AccessShareLock"}
    return [table for table in tables if table.rpartition(".")[2] in words or table in locked]


def _factor(statement: Statement, before: Mapping[str, int], now: Mapping[str, int]) -> float:
    names = [name for name in touched(statement, before) if name in now]
    then = sum(before[name] for name in names)
    return sum(now[name] for name in names) / then if then else 1.0


def _rows(measured: Sequence[Hold], predicted: Sequence[Hold], known: Mapping[int, int]) -> Iterable[dict[str, Any]]:
    """The longest, by what it blocks and then by how long."""
    longest: dict[tuple[str, str], dict[str, Any]] = {}
    for was, will in zip(measured, predicted, strict=True):
        blocks = BLOCKS[will.lock]
        row = {
            "relation": will.relation,
            "blocks": blocks,
            "measured s": round(was.end - was.begin, 3),
            "predicted s": round(will.end - will.begin, 3),
            "lock": will.lock,
            "from": known.get(will.statement),
        }
        longer = longest.get((will.relation, blocks))
        if longer is None or row["predicted s"] > longer["predicted s"]:
            longest[will.relation, blocks] = row
    order = list(dict.fromkeys(BLOCKS.values()))
    return sorted(longest.values(), key=lambda row: (order.index(row["blocks"]), -row["predicted s"]))


def _worst(rows: Sequence[Mapping[str, Any]], blocks: str) -> str:
    found = max((r for r in rows if r["blocks"] == blocks), key=lambda row: row["predicted s"], default=None)
    return f"{blocks} of {found['relation']} wait {found['predicted s']:.2f} s at most" if found else ""
