"""The offers worth a line in a picture: the best of each kind, those that were asked for, then the next cheapest."""

from __future__ import annotations

from collections.abc import Sequence

from afdb_helpers.pricing.bills import Bill, bill, bills
from afdb_helpers.pricing.offers import Catalogue
from afdb_helpers.pricing.pricefile import load
from afdb_helpers.pricing.workload import Workload


def named(offers: str | Sequence[str]) -> tuple[str, ...]:
    """Ids of offers, from text with commas or a sequence."""
    parts = offers.split(",") if isinstance(offers, str) else offers
    return tuple(dict.fromkeys(part.strip() for part in parts if part.strip()))


def contenders(
    workload: Workload, *, also: str | Sequence[str] = (), most: int = 6, catalogue: Catalogue | None = None
) -> tuple[Bill, ...]:
    """Bills, cheapest first: the offers asked for even where they do not fit, and settled ones up to `most` in all.

    Raises ConfigError for an offer that is not in the price file.
    """
    catalogue = catalogue or load()
    asked = [bill(name, workload, catalogue=catalogue) for name in named(also)]
    settled = [each for each in bills(workload, catalogue=catalogue) if each.settled]
    kinds = {each.offer.kind: each for each in reversed(settled)}
    chosen: dict[str, Bill] = {each.offer.id: each for each in (*settled[:1], *asked, *kinds.values())}
    for each in settled:
        if len(chosen) < most:
            chosen.setdefault(each.offer.id, each)
    return tuple(sorted(chosen.values(), key=Bill.rank))
