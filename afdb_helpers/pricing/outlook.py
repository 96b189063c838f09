"""What staying with an offer costs while the workload grows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from afdb_helpers.errors import ConfigError
from afdb_helpers.pricing import pictures
from afdb_helpers.pricing.contenders import contenders
from afdb_helpers.pricing.many import many
from afdb_helpers.pricing.offers import Catalogue
from afdb_helpers.pricing.workload import Workload, limits
from afdb_helpers.report import Picture

if TYPE_CHECKING:
    from numpy.typing import NDArray

# What more users bring with them; the data in the database grows by its own number.
WITH_USERS = (
    "mau", "egress_gb", "cached_egress_gb", "file_gb", "file_egress_gb", "file_writes", "file_reads",
    "realtime_connections", "realtime_messages", "function_calls",
)  # fmt: skip


def growing(workload: Workload, months: int, percent: float) -> Mapping[str, NDArray[Any]]:
    """The inputs of each month, from the first; each stops at the largest value that is allowed."""
    import numpy as np

    if not (1 <= months <= 120 and -50 <= percent <= 100):
        raise ConfigError(
            f"growth of {percent} % a month over {months} months is not allowed",
            why="no forecast reaches so far",
            do="give months from 1 to 120, and a percentage from -50 to 100",
        )
    passed = np.arange(months)
    factor = (1 + percent / 100) ** passed
    found = {name: float(getattr(workload, name)) * factor for name in WITH_USERS}
    found["db_gb"] = float(workload.projects[0].db_gb) + float(workload.growth_gb) * passed
    return {name: np.minimum(values, limits(name)[1]) for name, values in found.items() if values.any()} or {
        "db_gb": found["db_gb"]
    }


def outlook(
    workload: Workload, *, months: int = 36, percent: float = 5.0, also: str | Sequence[str] = (),
    catalogue: Catalogue | None = None,
) -> Picture:  # fmt: skip
    """Total cost over the months for the contenders, each kept to as long as it fits; and of always the cheapest.

    Users, traffic and files grow by `percent` a month, the database by `growth_gb`; RAM and processors stay.
    """
    import numpy as np

    found = many(workload, growing(workload, months, percent), catalogue=catalogue)
    shown = contenders(workload, also=also, catalogue=catalogue)
    lines: dict[str, NDArray[Any]] = {}
    rows = []
    for each in shown:
        row = found.row(each.offer.id)
        fits = np.logical_and.accumulate(found.feasible[row])
        cost = np.where(fits, np.cumsum(found.total[row]), np.nan)
        lines[each.offer.id] = cost
        rows.append(_row(each.offer.id, found.total[row], fits))
    cheapest = np.where(found.settled, found.total, np.inf).min(axis=0)
    if np.isfinite(cheapest).all():
        lines["always the cheapest"] = np.cumsum(cheapest)
        rows.append(_row("always the cheapest", cheapest, np.ones(months, bool)))
    title = f"Total cost over {months} months, users and traffic growing by {percent:g} % a month"
    return Picture(headline=title, rows=tuple(rows), png=pictures.growth(lines, title))


def _row(name: str, monthly: NDArray[Any], fits: NDArray[Any]) -> dict[str, Any]:
    kept = int(fits.sum())
    return {
        "offer": name,
        "USD in month 1": _money(monthly[0]) if kept else None,
        f"USD in month {len(fits)}": _money(monthly[-1]) if fits.all() else None,
        f"USD in {len(fits)} months": _money(monthly.sum()) if fits.all() else None,
        "fits": "throughout" if fits.all() else f"for {kept} months" if kept else "not",
    }


def _money(amount: Any) -> Decimal:
    return Decimal(f"{amount:.2f}")
