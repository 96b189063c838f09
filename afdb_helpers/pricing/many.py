"""Every host's bill for many workloads at once: what growth, break-even curves and simulation are computed with.

Quantities and meters are those of a single bill (`quantities`, `charges`), on arrays with a value a workload in place
of decimals. Lines, sources and notes are left out; a test holds the totals against single bills to the cent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from afdb_helpers.errors import ConfigError
from afdb_helpers.pricing import quantities
from afdb_helpers.pricing.arithmetic import cents, least, most, total, where
from afdb_helpers.pricing.bills import TRUST, missing
from afdb_helpers.pricing.charges import billed, compute_cost, cost, provisioned, replicated, unpriced
from afdb_helpers.pricing.columns import Columns, as_float, checked, floats
from afdb_helpers.pricing.fitness import check
from afdb_helpers.pricing.offers import Catalogue, HighAvailability, Meter, Offer, Size
from afdb_helpers.pricing.pricefile import load
from afdb_helpers.pricing.workload import Workload

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Many:
    """Bills in USD a month: arrays with a row an offer and a column a workload. `settled` ones leave nothing open."""

    offers: tuple[Offer, ...]
    total: NDArray[Any]
    labour: NDArray[Any]
    feasible: NDArray[Any]
    settled: NDArray[Any]

    def row(self, name: str) -> int:
        """The row of the offer with that id."""
        return next(i for i, offer in enumerate(self.offers) if offer.id == name)

    def best(self) -> NDArray[Any]:
        """The row of the cheapest settled bill for each workload, -1 where there is none; ties as in a single one."""
        import numpy as np

        amounts = np.where(self.settled, self.total, np.inf)
        order = sorted(range(len(self.offers)), key=lambda i: (TRUST[self.offers[i].confidence], self.offers[i].id))
        found = np.array(order)[np.argmin(np.round(amounts[order], 2), axis=0)]
        return np.where(self.settled.any(axis=0), found, -1)


@dataclass
class _Bill:
    """One offer's bills. Each is an array, or one value for all workloads."""

    total: Any = 0.0
    feasible: Any = True
    settled: Any = True
    labour: Any = 0.0

    def add(self, amount: Any) -> None:
        self.total = self.total + amount

    def fits(self, so: Any) -> None:
        self.feasible = self.feasible & so

    def known(self, so: Any) -> None:
        self.settled = self.settled & so


def many(workload: Workload, varied: Mapping[str, Any], *, catalogue: Catalogue | None = None) -> Many:
    """The bills of all hosts for as many workloads as `varied` has values of each input; `workload` has the rest.

    Raises ConfigError for an input that cannot vary, for values out of range, and for arrays of several lengths.
    """
    import numpy as np

    columns = {name: checked(name, values) for name, values in varied.items()}
    if len(sizes := {len(values) for values in columns.values()}) != 1:
        raise ConfigError(
            f"the inputs have {' and '.join(map(str, sorted(sizes))) or 'no'} values",
            why="each workload has one value of every input that varies",
            do="give at least one array, all of one length",
        )
    (size,) = sizes
    catalogue = catalogue or load()
    sums = _Sums(catalogue, workload, columns)
    hosts = tuple(offer for offer in catalogue.offers if offer.kind != "addon")
    found = [sums.host(offer) for offer in hosts]
    total_, labour, feasible, settled = (
        np.array([np.broadcast_to(getattr(each, name), size) for each in found])
        for name in ("total", "labour", "feasible", "settled")
    )
    return Many(offers=hosts, total=total_, labour=labour, feasible=feasible, settled=settled)


class _Sums:
    """The arithmetic for one set of workloads; an add-on is computed once."""

    def __init__(self, catalogue: Catalogue, workload: Workload, columns: Mapping[str, Any]) -> None:
        self.catalogue, self.workload, self.prices = catalogue, workload, floats(catalogue)
        self.fixed = workload.but(**{name: 0 for name in columns if not name.startswith("engineer")})
        used: Any = Columns(workload, columns)
        used.projects = tuple(Columns(project, columns) for project in workload.projects)
        largest = {name: values.max() for name, values in columns.items() if not name.startswith("engineer")}
        used.services = workload.but(**{name: Decimal(str(value)) for name, value in largest.items()}).services
        if workload.storage is None:  # without a file there is no download
            used.file_egress_gb = where(used.file_gb + used.file_writes + used.file_reads > 0, used.file_egress_gb, 0.0)
        self.used = used
        self._extras: dict[tuple[str, str], _Bill] = {}

    def host(self, offer: Offer) -> _Bill:
        """Own charges, the cheapest add-ons, labour."""
        bill, priced = self.own(offer, self.used), self.prices.offer(offer.id)
        for service, needed in missing(priced, self.used):
            tied = any(each.only_with == offer.provider for each in self.catalogue.providing(service))
            key = (service, offer.provider if tied else "")
            extra = self._extras.get(key) if needed is self.used else None
            extra = extra or self.cheapest(service, needed, offer.provider)
            if needed is self.used:
                self._extras[key] = extra
            bill.add(extra.total)
            bill.fits(extra.feasible)
            bill.known(extra.settled)
        bill.labour = cents(self.used.engineer_hours * priced.labour * self.used.engineer_rate_usd)
        bill.add(bill.labour)
        bill.known(bill.feasible)
        return bill

    def cheapest(self, service: str, used: Any, provider: str) -> _Bill:
        """For each workload the cheapest add-on that fits, one with unknown prices only where no other does."""
        best = _Bill(feasible=False, settled=False)
        found = self.catalogue.providing(service, "self-hosted" if service == "vm" else "addon")
        for offer in sorted(found, key=lambda each: (TRUST[each.confidence], each.id)):
            if offer.only_with not in ("", provider):
                continue
            one = self.own(offer, used)
            cheaper = where(one.settled == best.settled, one.total < best.total, one.settled)
            better = where(best.feasible, one.feasible & cheaper, one.feasible)
            best = _Bill(*(where(better, getattr(one, n), getattr(best, n)) for n in ("total", "feasible", "settled")))
        return best

    def own(self, offer: Offer, used: Any) -> _Bill:
        """What the offer itself charges, and whether it fits."""
        fit, priced = check(offer, self.fixed), self.prices.offer(offer.id)
        bill = _Bill(feasible=not fit.reasons, settled=not fit.unconfirmed)
        bill.known(not any(unpriced(offer, self.workload)))
        shared = as_float(quantities.of_organisation(priced, used))
        for meter in priced.meters:
            if meter.per == "organisation":
                usage = as_float(quantities.used(meter, shared))
                self._charge(bill, meter, billed(meter, usage, shared), self._standby(priced))
                bill.fits(_within(meter, usage))
        credited = total([self._project(bill, priced, used, project) for project in used.projects])
        bill.add(-least(priced.credit, credited))
        bill.total = most(bill.total, priced.commitment)
        return bill

    def _project(self, bill: _Bill, offer: Offer, used: Any, project: Any) -> Any:
        """Adds a project's charges; returns what its own compute costs."""
        stated = as_float(quantities.of_project(offer, used, project))
        given, paid, compute = provisioned(offer, project, stated), dict[str, Any](), 0.0
        for meter in offer.meters:
            if meter.per != "project" or meter.disk_type not in (None, project.disk_type):
                continue
            usage = as_float(quantities.used(meter, given))
            if meter.of == "compute":
                compute = self._compute(bill, offer, meter, project)
            elif meter.percent_of:
                bill.add(cents(paid.get(meter.percent_of, 0.0) * usage * (meter.price or 0)))
            else:
                amount = self._charge(bill, meter, billed(meter, usage, given), self._standby(offer))
                if project.read_replicas and meter.replica:
                    each = billed(replicated(meter), usage * meter.replica, given)
                    amount = amount + self._charge(bill, meter, each * project.read_replicas, None)
                paid[meter.of] = paid.get(meter.of, 0.0) + amount
            bill.fits(_within(meter, as_float(quantities.used(meter, stated))))
        if not offer.sizes and offer.kind != "addon":
            _holds(bill, offer, project)
        return compute

    def _standby(self, offer: Offer) -> HighAvailability | None:
        return offer.high_availability if self.workload.high_availability else None

    def _charge(self, bill: _Bill, meter: Meter, above: Any, standby: HighAvailability | None) -> Any:
        """Adds a meter's charge, the standby's with it, and returns it; of an unknown price nothing is added."""
        price = cost(meter, above, self.prices)
        if standby and standby.kind == "plan" and meter.of == "fee":
            price = standby.price
        if price is None:
            bill.known(where(above > 0, False, True))
            return 0.0
        if standby and standby.kind == "multiplied" and meter.of in standby.of:
            price = price * standby.times
        amount = cents(price)
        bill.add(amount)
        return amount

    def _compute(self, bill: _Bill, offer: Offer, meter: Meter, project: Any) -> Any:
        """The smallest size that fits, or the stated one; returns what the primary costs, for the credit."""
        sizes = [offer.size(project.compute)] if project.compute else offer.sizes
        price: Any = sizes[-1].price
        fitting: Any = False
        for size in reversed(sizes):
            fits = _holds_size(offer, project, size)
            price, fitting = where(fits, size.price, price), where(fits, True, fitting)
        bill.fits(fitting)
        own = cents(price)
        if project.hours:
            month = self.prices.hours_per_month
            own = total(cents(compute_cost(offer.size(name), hours, month)) for name, hours in project.hours)
        bill.add(own)
        bill.add(cents(price * project.read_replicas * (meter.replica or 0)))
        return own


def _within(meter: Meter, usage: Any) -> Any:
    return True if meter.limit is None else usage <= meter.limit


def _holds_size(offer: Offer, project: Any, size: Size) -> Any:
    """Whether a size has what the project needs, as `quantities.too_small` has it."""
    names = [each.name for each in offer.sizes]
    first = offer.recovery.least_size if offer.recovery and project.pitr_days else None
    holds = (project.ram_gb <= size.ram_gb) & (project.vcpu <= size.vcpu)
    if size.max_db_gb is not None:
        holds = holds & (project.db_gb <= size.max_db_gb)
    return holds & (first is None or names.index(size.name) >= names.index(first))


def _holds(bill: _Bill, offer: Offer, project: Any) -> None:
    """RAM and processors of a plan without sizes, as `fitness` has it."""
    if offer.capacity is not None and offer.capacity.most is not None:
        bill.fits(project.ram_gb <= offer.capacity.most * offer.capacity.ram_gb)
    elif not offer.elastic:
        for needed, there in ((project.ram_gb, offer.ram_gb), (project.vcpu, offer.vcpu)):
            if there is None:
                bill.known(needed <= 0)
            else:
                bill.fits(needed <= there)
