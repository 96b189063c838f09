"""A recommendation for one workload, and what would change it.

Only settled bills are recommended: every price known, every need confirmed. A turning point is found by running the
whole comparison again with one input changed, so it holds for every offer, add-on and rule at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from afdb_helpers.pricing.bills import Bill, bills
from afdb_helpers.pricing.many import many
from afdb_helpers.pricing.offers import Catalogue
from afdb_helpers.pricing.pricefile import load
from afdb_helpers.pricing.simulation import Ranges
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
_TURN = ("if", "then", "USD a month")
_TRIED = 160  # values that are compared at once while a turning point is looked for
OPTIONS = (("A", "platform"), ("B", "managed"), ("C", "self-hosted"), ("D", "embedded"))


def recommend(workload: Workload, *, catalogue: Catalogue | None = None, simulated: Ranges | None = None) -> Report:
    """The cheapest settled offer, the best of each kind beside it, and the conditions that would change the answer.

    With `simulated` it says how often the answer holds. Not ok when no offer meets every need at confirmed prices.
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
    turns = tuple(_turns(workload, best, catalogue))
    sure = tuple(_held(simulated, best)) if simulated else ()
    return Report(
        headline=f"For this workload: {_named(best)}, {best} a month",
        rows=tuple(_options(found, best, turns, catalogue)),
        parts=(
            Report(headline="What would change the answer", rows=tuple({k: t[k] for k in _TURN} for t in turns)),
            Report(headline="How certain it is", rows=(*sure, *_doubts(found, best))),
        ),
    )


def turning_point(
    workload: Workload, name: str, *, catalogue: Catalogue | None = None
) -> tuple[Decimal, Bill | None] | None:
    """The largest value of an input at which today's answer still holds, and the answer beyond; None where it holds."""
    catalogue = catalogue or load()
    _, step, most = GROWS[name]
    low = float(getattr(workload if name in Workload.model_fields else workload.projects[0], name))
    high, size = float(most), float(step)
    if low >= high:
        return None
    while True:
        tried = _tried(low, high, size)
        best = many(workload, {name: tried}, catalogue=catalogue).best()
        changed = (best != best[0]).nonzero()[0]
        if not len(changed):
            return None
        last, first = float(tried[changed[0] - 1]), float(tried[changed[0]])
        if first - last <= size * 1.0001:
            break
        low, high = last, first
    at = Decimal(str(last)).quantize(step) if last % size == 0 else Decimal(str(last))
    return at, _best(bills(workload.but(**{name: Decimal(str(first))}), catalogue=catalogue))


def _tried(low: float, high: float, size: float) -> Any:
    """Values from low to high in whole steps, closer together at the low end; `low` itself is the first."""
    import numpy as np

    values = np.geomspace(max(low, size), high, _TRIED) if high > 4 * low else np.linspace(low, high, _TRIED)
    stepped = np.unique(np.round(np.round(values / size) * size, 9))
    return np.concatenate(([low], stepped[(stepped > low) & (stepped <= high)]))


def _best(found: tuple[Bill, ...]) -> Bill | None:
    return next((each for each in found if each.settled), None)


def _named(each: Bill) -> str:
    extra = f" with {', '.join(each.add_ons)}" if each.add_ons else ""
    return f"{each.offer.provider} {each.offer.plan} ({each.offer.id}){extra}"


def _held(simulated: Ranges, best: Bill) -> Iterator[dict[str, Any]]:
    """In how many of the simulated workloads the answer is the same, and what it is in the others."""
    off = f"with usage off by up to {simulated.uncertainty * 100:g} %, each input on its own"
    others = sorted((s, name) for name, s in simulated.shares.items() if name != best.offer.id)[::-1][:3]
    rest = ", ".join(f"{name} in {share:.1%}" for share, name in others)
    same = simulated.shares.get(best.offer.id, 0.0)
    yield {
        "what": f"the same answer in {same:.1%} of {simulated.samples:,} simulations",
        "is": f"{off}; else {rest}" if rest else off,
    }


def _options(
    found: tuple[Bill, ...], best: Bill, turns: tuple[dict[str, Any], ...], catalogue: Catalogue
) -> Iterator[dict[str, Any]]:
    """The cheapest settled offer of each kind, against the recommended one, and when that kind is the answer."""
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
            "the answer if": "as stated" if kind == best.offer.kind else _becomes(kind, turns, catalogue),
        }


def _becomes(kind: str, turns: tuple[dict[str, Any], ...], catalogue: Catalogue) -> str:
    """The conditions of the table of turning points under which an offer of this kind is the answer."""
    found = [str(turn["if"]) for turn in turns if turn["offer"] and catalogue.offer(turn["offer"]).kind == kind]
    return "; ".join(found) or "in none of the cases below"


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
        return {"then": "no offer with confirmed prices", "USD a month": None, "offer": ""}
    same = beyond.offer.id == best.offer.id
    then = f"still {beyond.offer.id}" if same else _named(beyond)
    return {"then": then, "USD a month": beyond.total, "offer": "" if same else beyond.offer.id}


def _self_hosting(found: tuple[Bill, ...], best: Bill, workload: Workload) -> Iterator[dict[str, Any]]:
    """How little an engineer's time may cost for running the server oneself to be cheaper."""
    own = min((b for b in found if b.offer.labour and b.settled), key=lambda b: b.infrastructure, default=None)
    if own is None or best.offer.labour:
        return
    spare = best.total - own.infrastructure
    if spare <= 0:
        yield {"if": "an engineer's time costs nothing", **_then(best, best)}
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
