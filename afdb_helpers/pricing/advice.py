"""A recommendation for one workload, and what would change it.

Only settled bills are recommended: every price known, every need confirmed. A turning point is found by running the
whole comparison again with one input changed, so it holds for every offer, add-on and rule at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from afdb_helpers.pricing.bills import Bill, bills
from afdb_helpers.pricing.offers import Catalogue
from afdb_helpers.pricing.pricefile import load
from afdb_helpers.pricing.workload import Workload
from afdb_helpers.report import Report

# What grows: an input, how it reads, the step it is reported in, and how far it is followed.
GROWS: Mapping[str, tuple[str, Decimal, Decimal]] = {
    "db_gb": ("the database passes {} GB with the same RAM", Decimal(1), Decimal(1_000)),
    "egress_gb": ("egress passes {} GB a month", Decimal(1), Decimal(10_000)),
    "mau": ("monthly active users pass {}", Decimal(100), Decimal(1_000_000)),
    "file_gb": ("files pass {} GB", Decimal(1), Decimal(10_000)),
    "ram_gb": ("the database needs more than {} GB of RAM", Decimal("0.25"), Decimal(64)),
}
SWITCHES: tuple[tuple[str, Mapping[str, Any]], ...] = (
    ("point-in-time recovery over 7 days is needed", {"pitr_days": 7}),
    ("high availability is needed", {"high_availability": True}),
    ("a read replica is needed", {"read_replicas": 1}),
    ("it is for development only", {"production": False, "backup_days": 0}),
)
OPTIONS = (("A", "platform"), ("B", "managed"), ("C", "self-hosted"), ("D", "embedded"))


def recommend(workload: Workload, *, catalogue: Catalogue | None = None) -> Report:
    """The cheapest settled offer, the best of each kind beside it, and the conditions that would change the answer.

    Not ok when no offer meets every need at confirmed prices.
    """
    catalogue = catalogue or load()
    found = bills(workload, catalogue=catalogue)
    best = _best(found)
    if best is None:
        return Report(
            headline="No offer meets every need at prices that are all confirmed",
            ok=False,
            remedy="take the least bill of the comparison and have its missing figures confirmed by the provider",
        )
    return Report(
        headline=f"For this workload: {_named(best)}, {best} a month",
        rows=tuple(_options(found, best)),
        parts=(
            Report(headline="What would change the answer", rows=tuple(_turns(workload, best, catalogue))),
            Report(headline="How certain it is", rows=tuple(_doubts(found, best))),
        ),
    )


def turning_point(
    workload: Workload, name: str, *, catalogue: Catalogue | None = None
) -> tuple[Decimal, Bill | None] | None:
    """The largest value of an input at which today's answer still holds, and the answer beyond; None where it holds."""
    catalogue = catalogue or load()
    _, step, most = GROWS[name]
    low = Decimal(getattr(workload if name in Workload.model_fields else workload.projects[0], name))
    today, high = _answer(workload, catalogue), low
    while _answer(workload.but(**{name: high}), catalogue) == today:
        if high >= most:
            return None
        low, high = high, min(max(high * 2, step), most)
    while high - low > step:
        middle = ((low + high) / 2 / step).to_integral_value() * step
        if _answer(workload.but(**{name: middle}), catalogue) == today:
            low = middle
        else:
            high = middle
    return low, _best(bills(workload.but(**{name: high}), catalogue=catalogue))


def _best(found: tuple[Bill, ...]) -> Bill | None:
    return next((each for each in found if each.settled), None)


def _answer(workload: Workload, catalogue: Catalogue) -> str | None:
    best = _best(bills(workload, catalogue=catalogue))
    return best.offer.id if best else None


def _named(each: Bill) -> str:
    extra = f" with {', '.join(each.add_ons)}" if each.add_ons else ""
    return f"{each.offer.provider} {each.offer.plan} ({each.offer.id}){extra}"


def _options(found: tuple[Bill, ...], best: Bill) -> Iterator[dict[str, Any]]:
    """The cheapest settled offer of each kind, against the recommended one."""
    for letter, kind in OPTIONS:
        each = next((b for b in found if b.offer.kind == kind and b.settled), None)
        yield {
            "option": f"{letter}: {kind}",
            "cheapest": each.offer.id if each else "none meets every need",
            "USD a month": each.total if each else None,
            "of it labour": each.labour if each else None,
            "more than the recommended": each.total - best.total if each else None,
            "as of": (each.offer.as_of or "undated") if each else None,
            "confidence": each.offer.confidence if each else None,
        }


def _turns(workload: Workload, best: Bill, catalogue: Catalogue) -> Iterator[dict[str, Any]]:
    for name, (words, _, most) in GROWS.items():
        turn = turning_point(workload, name, catalogue=catalogue)
        at, beyond = turn or (most, _best(bills(workload.but(**{name: most}), catalogue=catalogue)))
        when = _when(workload, at) if turn and name == "db_gb" else ""
        yield {"if": words.format(f"{at.normalize():,f}") + when, **_then(beyond, best)}
    for words, changes in SWITCHES:
        yield {"if": words, **_then(_best(bills(workload.but(**changes), catalogue=catalogue)), best)}
    yield from _self_hosting(bills(workload, catalogue=catalogue), best, workload)


def _when(workload: Workload, at: Decimal) -> str:
    """In how many months the data reaches that size, where its growth is known."""
    own = workload.projects[0].db_gb
    if not workload.growth_gb or at <= own:
        return ""
    return f", in {(at - own) / workload.growth_gb:,.0f} months at the stated growth"


def _then(beyond: Bill | None, best: Bill) -> dict[str, Any]:
    if beyond is None:
        return {"then": "no offer with confirmed prices", "USD a month": None}
    same = beyond.offer.id == best.offer.id
    return {"then": f"still {beyond.offer.id}" if same else _named(beyond), "USD a month": beyond.total}


def _self_hosting(found: tuple[Bill, ...], best: Bill, workload: Workload) -> Iterator[dict[str, Any]]:
    """How little an engineer's time may cost for running the server oneself to be cheaper."""
    own = min((b for b in found if b.offer.labour and b.settled), key=lambda b: b.infrastructure, default=None)
    if own is None or best.offer.labour:
        return
    spare = best.total - own.infrastructure
    if spare <= 0:
        yield {"if": "an engineer's time costs nothing", "then": f"still {best.offer.id}", "USD a month": best.total}
        return
    rate = workload.engineer_rate_usd
    hours = f", {spare / rate * 60:,.0f} minutes at ${rate:,f} an hour" if rate else ""
    yield {
        "if": f"upkeep costs less than ${spare:,.2f} a month{hours}",
        **_then(own, best),
        "USD a month": own.infrastructure,
    }


def _doubts(found: tuple[Bill, ...], best: Bill) -> Iterator[dict[str, Any]]:
    offer = best.offer
    yield {
        "what": "source of the recommended offer",
        "is": f"{offer.source}, {offer.as_of or 'undated'}, {offer.confidence} confidence",
    }
    yield {"what": "how its figures were read", "is": offer.evidence}
    cheaper = [b for b in found if b.feasible and not b.settled and b.total < best.total]
    for each in cheaper:
        missing = (*(c.label.lower() for c in each.unknown), *each.unconfirmed)
        yield {"what": f"perhaps cheaper: {each.offer.id}, {each}", "is": f"not confirmed: {', '.join(missing)}"}
    second = next((b for b in found if b.settled and b.offer.id != offer.id), None)
    if second:
        yield {"what": "next best", "is": f"{second.offer.id}, {second}, {second.total - best.total:,.2f} more"}
