"""How sure an answer is: bills of many workloads around the stated one, and what moves a bill.

Usage may be off by a share, up or down; engineer hours lie between their low and high. Each input is drawn on its own,
from a triangle that peaks at what was stated. The same seed draws the same workloads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from afdb_helpers.errors import ConfigError
from afdb_helpers.pricing import pictures
from afdb_helpers.pricing.bills import bill
from afdb_helpers.pricing.contenders import contenders, named
from afdb_helpers.pricing.many import many
from afdb_helpers.pricing.offers import Catalogue
from afdb_helpers.pricing.outlook import WITH_USERS
from afdb_helpers.pricing.pricefile import load
from afdb_helpers.pricing.quantities import kind
from afdb_helpers.pricing.workload import Workload, limits
from afdb_helpers.report import Picture, Row

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LABELS = {"db_gb": "Data in GB", "changed_gb_per_day": "Written a day in GB", "engineer_hours": "Engineer hours"}
UNCERTAIN = ("db_gb", "changed_gb_per_day", *WITH_USERS)
NEEDS: Mapping[str, Mapping[str, Any]] = {
    "recovery over 7 days": {"pitr_days": 7},
    "a standby": {"high_availability": True},
    "a read replica": {"read_replicas": 1},
}


@dataclass(frozen=True, kw_only=True, repr=False)
class Ranges(Picture):
    """`shares` is in which part of the workloads an offer is the cheapest settled one; the rest has none."""

    shares: Mapping[str, float] = field(default_factory=dict)
    samples: int = 0
    uncertainty: float = 0.0


def sample(workload: Workload, *, samples: int, uncertainty: float, seed: int) -> dict[str, NDArray[Any]]:
    """Values of each uncertain input, one a workload."""
    import numpy as np

    if not (1 <= samples <= 1_000_000 and 0 <= uncertainty <= 10):
        raise ConfigError(
            f"{samples:,} samples with an uncertainty of {uncertainty} are not allowed",
            why="a share is meant, and what is drawn is held in memory",
            do="give samples from 1 to 1,000,000, and an uncertainty from 0 to 10 (0.5: two thirds to one and a half)",
        )
    drawn = np.random.default_rng(seed)
    found = {}
    for name, (low, stated, high) in _spans(workload, uncertainty).items():
        sure = low == high
        found[name] = np.full(samples, stated) if sure else drawn.triangular(low, stated, high, samples)
    return found or {"db_gb": np.zeros(samples)}


def simulate(
    workload: Workload, *, samples: int = 10_000, uncertainty: float = 0.5, seed: int = 1,
    also: str | Sequence[str] = (), catalogue: Catalogue | None = None,
) -> Ranges:  # fmt: skip
    """The range of each contender's bill over simulated workloads, and how often it is the cheapest."""
    import numpy as np

    drawn = sample(workload, samples=samples, uncertainty=uncertainty, seed=seed)
    found = many(workload, drawn, catalogue=catalogue)
    best = found.best()
    shares = {offer.id: float(np.mean(best == row)) for row, offer in enumerate(found.offers) if (best == row).any()}
    leading = sorted(shares, key=lambda name: -shares[name])[:5]
    also = (*named(also), *leading)
    rows = []
    for each in contenders(workload, also=also, most=8, catalogue=catalogue):
        row = found.row(each.offer.id)
        fits = found.feasible[row]
        amounts = np.percentile(found.total[row][fits], (5, 50, 95)) if fits.any() else (np.nan,) * 3
        low, middle, high = (None if np.isnan(a) else Decimal(f"{a:.2f}") for a in amounts)
        rows.append(
            {
                "offer": each.offer.id,
                "USD, 1 in 20 below": low,
                "half below": middle,
                "1 in 20 above": high,
                "cheapest in": _percent(shares.get(each.offer.id, 0.0)),
                "fits in": _percent(float(fits.mean())),
            }
        )
    rows.sort(key=lambda row: (row["half below"] is None, row["half below"] or 0))
    title = f"Where 9 of 10 bills lie in {samples:,} simulated months, usage off by up to {uncertainty * 100:g} %"
    png = pictures.intervals(rows, title)
    return Ranges(headline=title, rows=tuple(rows), png=png, shares=shares, samples=samples, uncertainty=uncertainty)


def tornado(
    workload: Workload, *, uncertainty: float = 0.5, also: str | Sequence[str] = (), catalogue: Catalogue | None = None
) -> Picture:
    """What moves the bill of the cheapest settled offer, and of those asked for: each input, low to high; each need."""
    catalogue = catalogue or load()
    found = contenders(workload, also=also, catalogue=catalogue)
    best = [each.offer.id for each in found if each.settled][:1]
    rows: list[Row] = []
    for name in dict.fromkeys((*best, *named(also))):
        rows += _moves(workload, name, uncertainty, catalogue)
    title = f"What moves the bill: each input off by up to {uncertainty * 100:g} %, each further need"
    return Picture(headline=title, rows=tuple(rows), png=pictures.tornado(rows, title))


def _moves(workload: Workload, name: str, uncertainty: float, catalogue: Catalogue) -> list[Row]:
    """A row for each input and need that changes this offer's bill, the widest first."""
    import numpy as np

    today = bill(name, workload, catalogue=catalogue)
    spans = _spans(workload, uncertainty)
    rows: list[dict[str, Any]] = []
    if spans:
        ends = {
            each: np.array([span[end] if each == moved else span[1] for moved in spans for end in (0, 2)])
            for each, span in spans.items()
        }
        found = many(workload, ends, catalogue=catalogue)
        row = found.row(name)
        for place, moved in enumerate(spans):
            pair = [place * 2, place * 2 + 1]
            low, high = (float(found.total[row, i]) if found.feasible[row, i] else None for i in pair)
            words = f"{_LABELS.get(moved) or kind(moved).label}: {spans[moved][0]:,.3g} to {spans[moved][2]:,.3g}"
            rows.append({"input": words, "low": low, "high": high})
    for words, changes in NEEDS.items():
        other = bill(name, workload.but(**changes), catalogue=catalogue)
        open_ = len(other.unknown) > len(today.unknown)
        high = float(other.total) if other.feasible and not open_ else None
        why = "the price was not confirmed" if other.feasible else "does not fit"
        rows.append({"input": words, "low": float(today.total), "high": high, "why": why})
    moving = [r for r in rows if None in (r["high"], r["low"]) or abs(r["high"] - r["low"]) >= 0.005]
    still = [r["input"].partition(":")[0].lower() for r in rows if r not in moving]
    if still:
        moving.append(
            {"input": f"no effect: {', '.join(still)}", "low": float(today.total), "high": float(today.total)}
        )
    moving.sort(key=lambda r: -abs((r["high"] or 0) - (r["low"] or 0)))
    return [_move(name, today.total, row) for row in moving]


def _move(name: str, stated: Decimal, moved: dict[str, Any]) -> Row:
    return {
        "offer": name,
        "input": moved["input"],
        "stated": stated,
        "USD at the low end": _money(moved["low"]),
        "USD at the high end": _money(moved["high"]),
        "": "" if moved["high"] is not None else moved.get("why", "does not fit"),
    }


def _spans(workload: Workload, uncertainty: float) -> dict[str, tuple[float, float, float]]:
    """Low, stated and high of each input that is used and uncertain."""
    found = {}
    for name in UNCERTAIN:
        own = name in type(workload).model_fields
        stated = float(getattr(workload if own else workload.projects[0], name))
        if stated:
            high = min(stated * (1 + uncertainty), limits(name)[1])
            found[name] = (stated / (1 + uncertainty), stated, high)
    hours = [float(h) for h in (workload.engineer_hours_low, workload.engineer_hours, workload.engineer_hours_high)]
    if hours[2] and workload.engineer_rate_usd:
        found["engineer_hours"] = (hours[0], hours[1], hours[2])
    return found


def _percent(share: float) -> str:
    """In whole percent, but never 100 or 0 unless it is so."""
    if 0 < share < 0.01:
        return "under 1 %"
    return f"{min(share, 0.99):.0%}".replace("%", " %") if share < 1 else "100 %"


def _money(amount: float | None) -> Decimal | None:
    return None if amount is None else Decimal(f"{amount:.2f}")
