"""Where the answer turns: bills as one input grows, the others as stated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from afdb_helpers.pricing import pictures
from afdb_helpers.pricing.contenders import contenders
from afdb_helpers.pricing.many import Many, many
from afdb_helpers.pricing.offers import Catalogue
from afdb_helpers.pricing.workload import Workload
from afdb_helpers.report import Picture

if TYPE_CHECKING:
    from numpy.typing import NDArray

POINTS = 160


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One panel: bills by offer over `values`, NaN where one does not fit; `turns`: where the cheapest changes."""

    label: str
    values: NDArray[Any]
    stated: float
    bills: dict[str, NDArray[Any]]
    turns: tuple[tuple[float, str], ...]
    logarithmic: bool = True


def break_even(workload: Workload, *, also: str | Sequence[str] = (), catalogue: Catalogue | None = None) -> Picture:
    """Bills of the contenders against users, egress, database and the cost of upkeep, and where the answer turns."""
    shown = [each.offer.id for each in contenders(workload, also=also, catalogue=catalogue)]
    curves = [
        _curve(workload, "mau", "Monthly active users", 100, 1_000_000, shown, catalogue),
        _curve(workload, "egress_gb", "Egress, GB a month", 1, 10_000, shown, catalogue),
        _curve(workload, "db_gb", "Database, GB (RAM as stated)", 0.5, 1_000, shown, catalogue),
        _upkeep(workload, shown, catalogue),
    ]
    rows = tuple(
        {"when": curve.label, "from": Decimal(f"{at:.2f}"), "the cheapest is": offer}
        for curve in curves
        for at, offer in curve.turns
    )
    title = "What a month costs as one input grows, and where the cheapest settled offer changes"
    return Picture(headline=title, rows=rows, png=pictures.panels(curves, title))


def _curve(
    workload: Workload, name: str, label: str, low: float, high: float, shown: Sequence[str], catalogue: Any
) -> Curve:
    import numpy as np

    stated = float(getattr(workload if name in type(workload).model_fields else workload.projects[0], name))
    values = np.unique(np.append(np.geomspace(low, high, POINTS), np.clip(stated, low, high)))
    return _drawn(label, values, stated, many(workload, {name: values}, catalogue=catalogue), shown)


def _upkeep(workload: Workload, shown: Sequence[str], catalogue: Any) -> Curve:
    """What an engineer's hours cost a month, whatever the hours and the rate."""
    import numpy as np

    stated = float(workload.engineer_hours * workload.engineer_rate_usd)
    values = np.linspace(0, max(2 * stated, 200), POINTS)
    one = workload.but(engineer_hours_low=1, engineer_hours=1, engineer_hours_high=1)
    found = many(one, {"engineer_rate_usd": values}, catalogue=catalogue)
    curve = _drawn("Engineer hours × rate, USD a month", values, stated, found, shown)
    return Curve(**vars(curve) | {"logarithmic": False})


def _drawn(label: str, values: NDArray[Any], stated: float, found: Many, shown: Sequence[str]) -> Curve:
    import numpy as np

    rows = {name: found.row(name) for name in shown}
    bills = {name: np.where(found.feasible[row], found.total[row], np.nan) for name, row in rows.items()}
    best = found.best()
    starts = [0, *(int(i) + 1 for i in np.flatnonzero(np.diff(best)))]
    turns = tuple((float(values[i]), found.offers[best[i]].id if best[i] >= 0 else "none is settled") for i in starts)
    return Curve(label=label, values=values, stated=stated, bills=bills, turns=turns)
