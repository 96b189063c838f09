"""The charges of one offer for one workload: quantity × unit price, rounded to the cent, with source and date.

Each function below is the arithmetic of one rule of the price file; none knows a provider.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from afdb_helpers.pricing import quantities
from afdb_helpers.pricing.arithmetic import ceil, cents, doubled, least, most, total, where
from afdb_helpers.pricing.offers import Catalogue, HighAvailability, Meter, Offer, Size
from afdb_helpers.pricing.workload import Project, Workload

_ZERO, _ONE = Decimal(0), Decimal(1)


@dataclass(frozen=True, kw_only=True)
class Charge:
    """One line of a bill. `amount` None: something is charged here, and its price was not confirmed."""

    offer: str
    meter: str
    label: str
    quantity: Decimal
    unit: str
    unit_price: Decimal | None
    amount: Decimal | None
    source: str
    as_of: dt.date | None
    note: str = ""
    replica: bool = False
    service: str = ""

    @property
    def group(self) -> str:
        """What it is paid for; an add-on, fee and all, is paid for its service."""
        if self.service in quantities.SERVICES:
            return quantities.SERVICES[self.service]
        return quantities.kind(self.meter).group

    @property
    def price(self) -> str:
        """The unit price as one reads it, to a millionth of a cent."""
        return "" if self.unit_price is None else f"{self.unit_price:,.8f}".rstrip("0").rstrip(".")


def charges(offer: Offer, workload: Workload, catalogue: Catalogue) -> tuple[Charge, ...]:
    """Every charge of the offer itself: its meters, what depends on them, the credit and the commitment."""
    found = list(_metered(offer, workload, catalogue))
    found += unpriced(offer, workload)
    if offer.credit:
        compute = sum((c.amount or _ZERO for c in found if c.meter == "compute" and not c.replica), _ZERO)
        found.append(_line(offer, None, "credit", _ONE, -min(offer.credit, compute)))
    if offer.commitment:
        unused = max(_ZERO, offer.commitment - sum((c.amount or _ZERO for c in found), _ZERO))
        found.append(_line(offer, None, "commitment", _ONE, unused, note=f"least bill {offer.commitment:f}"))
    shown = [charge for charge in found if charge.amount != 0 or charge.meter in ("fee", "compute")]
    return tuple(sorted(shown, key=lambda charge: quantities.order(charge.group)))


def billed(meter: Meter, usage: Any, given: Mapping[str, Any]) -> Any:
    """The part of a usage that is charged for: above the allowance, in whole steps. Never falls when usage grows.

    Decimals, or arrays with a value a workload; so are the two functions below.
    """
    provisioned = most(usage, meter.minimum)
    if meter.doubles:
        provisioned = meter.minimum * doubled(provisioned / meter.minimum)
    free = total(given.get(name, 0) * times for name, times in meter.included_times.items())
    above = most(0, provisioned - (meter.included or 0) - free)
    if meter.step:
        above = where(provisioned > meter.minimum, ceil(above / meter.step) * meter.step, above)
    return where(usage > 0, above, 0)


def cost(meter: Meter, above: Any, catalogue: Catalogue) -> Any:
    """What the charged part costs in USD, where the price is known; None where it was not confirmed."""
    rate = catalogue.rate(meter.currency)
    to_usd = rate.usd if rate else 1
    if meter.tiers:
        return _graduated(meter, above) * to_usd
    return None if meter.price is None else above / meter.each * meter.price * to_usd


def compute_cost(size: Size, hours: Any, month: Any) -> Any:
    """A size's monthly price, or its started hours at the hourly price where it ran for part of the month."""
    if hours is None or hours >= month or size.hourly is None:
        return size.price
    return min(size.price, ceil(hours) * size.hourly)


def _graduated(meter: Meter, above: Any) -> Any:
    """Each part at the price of its tier; tiers are counted from the first unit, the allowance included."""
    low = meter.included or 0
    high, found = low + above, above * 0
    for tier in meter.tiers:
        top = high if tier.up_to is None else least(high, tier.up_to)
        found = found + most(0, top - low) / meter.each * tier.price
        low = most(low, top)
    return found


def _metered(offer: Offer, workload: Workload, catalogue: Catalogue) -> Iterator[Charge]:
    standby = offer.high_availability if workload.high_availability else None
    shared = quantities.of_organisation(offer, workload)
    for meter in offer.meters:
        if meter.per == "organisation":
            above = billed(meter, quantities.used(meter, shared), shared)
            yield _charge(offer, meter, above, catalogue, standby=standby)
    for number, project in enumerate(workload.projects, start=1):
        tag = f" {number}" if len(workload.projects) > 1 else ""
        given = provisioned(offer, project, quantities.of_project(offer, workload, project))
        lines: list[Charge] = []
        for meter in offer.meters:
            if meter.per != "project" or meter.disk_type not in (None, project.disk_type):
                continue
            if meter.of == "compute":
                lines += _compute(offer, meter, project, catalogue, tag)
            elif meter.percent_of:
                lines.append(_percentage(offer, meter, quantities.used(meter, given), lines, tag))
            else:
                lines += _primary_and_replicas(offer, meter, project, given, catalogue, tag, standby)
        yield from lines


def provisioned(offer: Offer, project: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """Usage raised to the least that is sold, which is what an allowance in terms of another meter refers to."""
    minimum = {m.of: m.minimum for m in offer.meters if m.minimum and m.disk_type in (None, project.disk_type)}
    raised = {name: most(given[name], m) for name, m in minimum.items() if name in given}
    return {**given, **{name: where(given[name] > 0, larger, given[name]) for name, larger in raised.items()}}


def _primary_and_replicas(
    offer: Offer,
    meter: Meter,
    project: Project,
    given: Mapping[str, Decimal],
    catalogue: Catalogue,
    tag: str,
    standby: HighAvailability | None,
) -> Iterator[Charge]:
    usage = quantities.used(meter, given)
    yield _charge(offer, meter, billed(meter, usage, given), catalogue, tag, standby=standby)
    if project.read_replicas and meter.replica and usage:
        own = replicated(meter)
        each = billed(own, usage * meter.replica, given)
        yield _charge(offer, own, each * project.read_replicas, catalogue, f"{tag} replica")


def replicated(meter: Meter) -> Meter:
    """What bills a read replica: the same, without the allowance unless each replica has one of its own."""
    return meter if meter.replica_included else meter.model_copy(update={"included": _ZERO, "included_times": {}})


def _percentage(offer: Offer, meter: Meter, wanted: Decimal, before: list[Charge], tag: str) -> Charge:
    """A share of another meter's charges in the same project, once for each that is wanted."""
    base = sum((c.amount or _ZERO for c in before if c.meter == meter.percent_of), _ZERO) * wanted
    return _line(offer, meter, meter.of, base, base * (meter.price or _ZERO), tag, unit_price=meter.price)


def _compute(offer: Offer, meter: Meter, project: Project, catalogue: Catalogue, tag: str) -> Iterator[Charge]:
    """The size's price, or the hours on each size; then the replicas, for the whole month."""
    size, month = quantities.choose_size(offer, project), catalogue.hours_per_month
    for name, hours in project.hours:
        part = offer.size(name)
        yield _line(
            offer, meter, "compute", ceil(hours), compute_cost(part, hours, month),
            f" {name}{tag}", unit="hours",
        )  # fmt: skip
    if size and not project.hours:
        yield _line(offer, meter, "compute", _ONE, size.price, f" {size.name}{tag}")
    if size and project.read_replicas and meter.replica:
        count = project.read_replicas * meter.replica
        yield _line(offer, meter, "compute", count, size.price * count, f" {size.name}{tag} replica")


def unpriced(offer: Offer, workload: Workload) -> Iterator[Charge]:
    """What the workload asks for and the provider charges for, without a confirmed price."""
    if offer.kind == "addon":
        return
    standby, recovery = offer.high_availability, offer.recovery
    if workload.high_availability and standby and standby.kind == "unpriced":
        yield _line(offer, None, "high_availability", _ONE, None, note=standby.note)
    days = max((project.pitr_days for project in workload.projects), default=_ZERO)
    free = recovery.unpriced_above if recovery else None
    if days and recovery and (recovery.unpriced or (free is not None and days > free)):
        yield _line(offer, None, "recovery", _ONE, None, note="has a price that was not confirmed")
    replicas = sum(project.read_replicas for project in workload.projects)
    if replicas and not any(meter.replica for meter in offer.meters):
        yield _line(offer, None, "read_replicas", Decimal(replicas), None, note="the price was not confirmed")


def _charge(
    offer: Offer,
    meter: Meter,
    above: Decimal,
    catalogue: Catalogue,
    tag: str = "",
    *,
    standby: HighAvailability | None = None,
) -> Charge:
    """A meter's charge, with the standby's share where the offer multiplies this meter or has a price for the pair."""
    price, rate = cost(meter, above, catalogue) if above else _ZERO, catalogue.rate(meter.currency)
    notes = [meter.note]
    if standby and standby.kind == "multiplied" and meter.of in standby.of:
        above, price = above * standby.times, None if price is None else price * standby.times
        notes.append(f"× {standby.times:f}: {standby.note}")
    if standby and standby.kind == "plan" and meter.of == "fee":
        price, notes = standby.price, [standby.note]
    if rate:
        notes.append(f"{rate.usd:f} USD per {rate.currency} on {rate.as_of}")
    if meter.included is None and price:
        notes.append("at most: the free allowance was not confirmed")
    unit = quantities.kind(meter.of).unit if meter.each == 1 else f"{meter.each:,f} {quantities.kind(meter.of).unit}"
    return _line(offer, meter, meter.of, above / meter.each, price, tag, unit=unit, note="; ".join(filter(None, notes)))


def _line(
    offer: Offer,
    meter: Meter | None,
    name: str,
    quantity: Decimal,
    amount: Decimal | None,
    tag: str = "",
    *,
    unit: str = "",
    unit_price: Decimal | None = None,
    note: str = "",
) -> Charge:
    shown = quantities.kind(name)
    if unit_price is None and amount is not None and quantity:
        unit_price = amount / quantity
    return Charge(
        offer=offer.id,
        meter=name,
        label=((meter.label if meter else "") or shown.label) + tag,
        quantity=Decimal(quantity),
        unit=unit or shown.unit,
        unit_price=unit_price,
        amount=None if amount is None else cents(amount),
        source=(meter.source if meter else "") or offer.source,
        as_of=(meter.as_of if meter else None) or offer.as_of,
        note=note or (meter.note if meter else ""),
        replica=tag.endswith("replica"),
    )
