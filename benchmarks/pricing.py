"""10,000 workloads over all offers against one workload: the limit is 200 × (docs: backend-options-and-costs.md)."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np

from afdb_helpers import pricing
from afdb_helpers.pricing.bills import _bills, cheapest
from afdb_helpers.runbook import catalogue

LIMIT, ROUNDS, SAMPLES = 200, 7, 10_000


def seconds(what: Callable[[], object]) -> float:
    """The median of some rounds, without what an earlier round kept."""
    taken = []
    for _ in range(ROUNDS):
        _bills.cache_clear()
        cheapest.cache_clear()
        begun = time.perf_counter()
        what()
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken)


def main() -> None:
    book = catalogue.read(catalogue.find("cost_comparison"))
    used = pricing.workload(**{p.name: p.default for p in book.parameters if p.name in pricing.INPUTS})
    drawn = np.random.default_rng(1)
    varied = {
        name: drawn.uniform(0.1, 10, SAMPLES) * stated
        for name, stated in {"db_gb": 2, "egress_gb": 10, "mau": 1_000, "file_gb": 5, "changed_gb_per_day": 0.1}.items()
    }
    varied["ram_gb"] = drawn.uniform(0.25, 16, SAMPLES)
    varied["engineer_hours"] = drawn.triangular(2, 4, 8, SAMPLES)
    pricing.bills(used)
    one, all_ = seconds(lambda: pricing.bills(used)), seconds(lambda: pricing.many(used, varied))
    offers = len(pricing.load().offers)
    print(f"one workload over {offers} offers: {one * 1000:,.1f} ms; {SAMPLES:,} of them: {all_ * 1000:,.1f} ms")
    print(f"ratio {all_ / one:.1f} (limit {LIMIT}): {'met' if all_ / one <= LIMIT else 'MISSED'}")


if __name__ == "__main__":
    main()
