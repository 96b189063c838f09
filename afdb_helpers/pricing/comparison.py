"""Every offer's bill for one workload, as a table, as a picture, and line by line."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

from afdb_helpers.errors import ConfigError
from afdb_helpers.pricing import pictures
from afdb_helpers.pricing.arithmetic import cents
from afdb_helpers.pricing.bills import Bill, bill, bills
from afdb_helpers.pricing.offers import Catalogue, Rate
from afdb_helpers.pricing.pricefile import load
from afdb_helpers.pricing.quantities import GROUPS
from afdb_helpers.pricing.workload import Workload
from afdb_helpers.report import Picture, Report, Row, count

_YEAR = dt.timedelta(days=365)


def compare(
    workload: Workload, *, top: int | None = None, catalogue: Catalogue | None = None, on: dt.date | None = None,
    currency: str = "USD",
) -> Report:  # fmt: skip
    """A row for each feasible offer, cheapest first, then those that are not feasible, and why; none is left out.

    `top`: as many rows before the dearer ones are told in short.

    Not ok when no offer meets every need. `on` is the day against which a figure's age is judged, today by default.
    In another `currency` than USD the totals are shown in it too, at its rate in the price file.
    """
    rate = _rate(currency, catalogue or load())
    found = bills(workload, catalogue=catalogue)
    feasible = [each for each in found if each.feasible]
    others = tuple({"offer": b.offer.id, "why not": "; ".join(b.reasons)} for b in found if not b.feasible)
    part = Report(headline=f"{len(others)} offers do not meet a need", rows=others)
    if not feasible:
        return Report(
            headline="No offer meets every need",
            ok=False,
            parts=(part,),
            remedy="drop or lower the need that most of the offers below fail, then run again",
        )
    best = next((each for each in feasible if each.settled), feasible[0])
    rows = tuple(_row(each, on or dt.date.today(), rate) for each in feasible)
    known = "with every figure confirmed " if best.settled else ""
    return Report(
        headline=f"{len(feasible)} of {len(found)} offers meet every need as far as is known; the least bill {known}"
        f"is {best.offer.id}: {best} a month{said(rate)}",
        rows=_narrow(rows[:top]) if top else rows,
        parts=(*_dearer(rows[top:] if top else ()), *([part] if others else [])),
    )


def _narrow(rows: Sequence[Row]) -> tuple[Row, ...]:
    """The rows without the columns that are empty in all of them, and without the amount that the bill says too."""
    names = [name for name in rows[0] if name != "USD a month" and any(row[name] for row in rows)]
    return tuple({name: row[name] for name in names} for row in rows)


def _dearer(rows: Sequence[Row]) -> Iterator[Report]:
    """The rest of the feasible offers with what one has to know of their figures."""
    if rows:
        names = ("offer", "bill", "not confirmed", "as of", "marks")
        short = tuple({name: row[name] for name in names} for row in rows)
        yield Report(headline=f"{count(len(rows), 'dearer offer')}", rows=short)


def itemised(workload: Workload, offers: Sequence[str] | None = None, *, catalogue: Catalogue | None = None) -> Report:
    """Bills line by line, each figure with its source and date: the named offers, or the cheapest of each kind."""
    if offers is None:
        found = [each for each in bills(workload, catalogue=catalogue) if each.settled]
        offers = list({each.offer.kind: each.offer.id for each in reversed(found)}.values())[::-1]
    parts = tuple(bill(name, workload, catalogue=catalogue).report() for name in offers)
    return Report(headline=f"{len(parts)} bills line by line", parts=parts)


def age(as_of: dt.date | None, on: dt.date) -> str:
    """Empty, or how a figure is marked: undated, or older than a year on that day."""
    if as_of is None:
        return "undated"
    return "older than a year" if on - as_of > _YEAR else ""


def ages(each: Bill, on: dt.date) -> tuple[str, ...]:
    """How a bill is marked for the age of its figures: the plan's own, then those of single lines."""
    own = age(each.offer.as_of, on)
    lines: dict[str, list[str]] = {}
    for charge in each.charges:
        mark = age(charge.as_of, on) if charge.meter != "labour" else ""
        if mark and (mark, charge.offer) != (own, each.offer.id):
            lines.setdefault(mark, []).append(charge.label.lower())
    return (own, *(f"{', '.join(dict.fromkeys(labels))} {mark}" for mark, labels in lines.items()))


def picture(workload: Workload, *, top: int = 10, catalogue: Catalogue | None = None) -> Picture:
    """Stacked bars of the cheapest feasible offers, USD a month by what it is paid for."""
    found = [each for each in bills(workload, catalogue=catalogue) if each.feasible][:top]
    groups = [g for g in (*GROUPS, "other") if any(_sum(each, g) for each in found)]
    rows = tuple({"offer": b.offer.id, **{g: _sum(b, g) for g in groups}, "total": b.total} for b in found)
    title = f"What the {len(found)} cheapest feasible offers cost, by what is paid for"
    order = [*GROUPS, "other"]
    parts = {group: (order.index(group), [float(_sum(each, group)) for each in found]) for group in groups}
    png = pictures.stacked([each.offer.id for each in found], parts, [str(each) for each in found], title)
    return Picture(headline=title, rows=rows, png=png)


def _rate(currency: str, catalogue: Catalogue) -> Rate | None:
    """The rate to show totals at; None for USD."""
    rate = catalogue.rate(currency)
    if rate is None and currency != "USD":
        known = ", ".join(each.currency for each in catalogue.rates)
        raise ConfigError(
            f"there is no rate for {currency!r}",
            why=f"prices are in USD, and the price file has a rate for {known or 'nothing else'}",
            do=f"state it with its date: --rate {currency} USD DATE",
        )
    return rate


def said(rate: Rate | None) -> str:
    return f"; one {rate.currency} is {rate.usd:f} USD ({rate.as_of}, {rate.source})" if rate else ""


def _row(each: Bill, on: dt.date, rate: Rate | None) -> dict[str, Any]:
    marks = (*ages(each, on), f"{each.offer.confidence} confidence" if each.offer.confidence != "high" else "")
    return {
        "offer": each.offer.id,
        "kind": each.offer.kind,
        "USD a month": each.total,
        **({f"{rate.currency} a month": cents(each.total / rate.usd)} if rate else {}),
        "bill": str(each),
        "labour": each.labour or None,
        "with labour low to high": _range(each),
        "add-ons": ", ".join(each.add_ons),
        "not confirmed": ", ".join((*(c.label.lower() for c in each.unknown), *each.unconfirmed)),
        "as of": each.offer.as_of,
        "marks": ", ".join(filter(None, marks)),
    }


def _range(each: Bill) -> str:
    if each.labour_low == each.labour_high:
        return ""
    return f"{each.infrastructure + each.labour_low:,.2f} to {each.infrastructure + each.labour_high:,.2f}"


def _sum(each: Bill, group: str) -> Decimal:
    return sum((charge.amount or Decimal(0) for charge in each.charges if charge.group == group), Decimal("0.00"))
