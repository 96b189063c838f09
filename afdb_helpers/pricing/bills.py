"""The bill one would really get: the offer's own charges, the missing services, labour; feasible or not, and why."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from afdb_helpers.pricing import quantities
from afdb_helpers.pricing.arithmetic import cents, total
from afdb_helpers.pricing.charges import Charge, charges
from afdb_helpers.pricing.fitness import check
from afdb_helpers.pricing.offers import Catalogue, Offer
from afdb_helpers.pricing.pricefile import load
from afdb_helpers.pricing.workload import Workload
from afdb_helpers.report import Report

_ZERO = Decimal("0.00")
TRUST = {"high": 0, "medium": 1, "low": 2}


@dataclass(frozen=True, kw_only=True)
class Bill:
    """A month's bill in USD. `reasons` say why the offer is not feasible; `unconfirmed` needs may or may not be met."""

    offer: Offer
    charges: tuple[Charge, ...]
    reasons: tuple[str, ...] = ()
    unconfirmed: tuple[str, ...] = ()
    add_ons: tuple[str, ...] = ()
    labour_low: Decimal = _ZERO
    labour_high: Decimal = _ZERO

    @property
    def feasible(self) -> bool:
        return not self.reasons

    @property
    def unknown(self) -> tuple[Charge, ...]:
        """Charges without a confirmed price: the total is the least one can pay."""
        return tuple(charge for charge in self.charges if charge.amount is None)

    @property
    def settled(self) -> bool:
        """Feasible, every price known, every need confirmed: fit to be recommended."""
        return self.feasible and not self.unknown and not self.unconfirmed

    @property
    def total(self) -> Decimal:
        return sum((charge.amount or _ZERO for charge in self.charges), _ZERO)

    @property
    def labour(self) -> Decimal:
        return sum((c.amount or _ZERO for c in self.charges if c.meter == "labour"), _ZERO)

    @property
    def infrastructure(self) -> Decimal:
        return self.total - self.labour

    def __str__(self) -> str:
        if self.unknown:
            return f"at least ${self.total:,.2f}, {len(self.unknown)} unknown"
        return f"${self.total:,.2f}"

    def rank(self) -> tuple[object, ...]:
        """Feasible first, then cheapest; between equals the settled one, the better source, the name."""
        return (not self.feasible, self.total, not self.settled, TRUST[self.offer.confidence], self.offer.id)

    def report(self) -> Report:
        """The line items with quantity, unit price, source and date."""
        rows = tuple(
            {
                "item": charge.label,
                "from": charge.offer,
                "quantity": f"{charge.quantity.normalize():,f} {charge.unit}",
                "unit price": charge.price,
                "USD": "not confirmed" if charge.amount is None else charge.amount,
                "note": charge.note,
                "source": charge.source,
                "as of": charge.as_of or "undated",
            }
            for charge in self.charges
        )
        why = f"; not feasible: {'; '.join(self.reasons)}" if self.reasons else ""
        missing = f"; not confirmed: {', '.join(self.unconfirmed)}" if self.unconfirmed else ""
        return Report(headline=f"{self.offer.id}: {self} a month{why}{missing}", ok=self.feasible, rows=rows)


def bill(offer: Offer | str, workload: Workload, *, catalogue: Catalogue | None = None) -> Bill:
    """The bill of one offer (or its id) for a workload; raises ConfigError for an unknown offer or compute size."""
    catalogue = catalogue or load()
    found = catalogue.offer(offer) if isinstance(offer, str) else offer
    fit = check(found, workload)
    lines, reasons, add_ons = list(charges(found, workload, catalogue)), list(fit.reasons), []
    unconfirmed = list(fit.unconfirmed)
    for service, needed in missing(found, workload):
        extra = cheapest(service, needed, found.provider, catalogue)
        if extra is None:
            reasons.append(f"{service}: not provided, and no add-on fits")
            continue
        lines += [replace(charge, service=service) for charge in extra.charges]
        unconfirmed += extra.unconfirmed
        add_ons.append(extra.offer.id)
    lines += _labour(found, workload)
    rate = workload.engineer_rate_usd * found.labour
    return Bill(
        offer=found,
        charges=tuple(lines),
        reasons=tuple(reasons),
        unconfirmed=tuple(unconfirmed),
        add_ons=tuple(add_ons),
        labour_low=cents(workload.engineer_hours_low * rate),
        labour_high=cents(workload.engineer_hours_high * rate),
    )


def bills(workload: Workload, *, catalogue: Catalogue | None = None) -> tuple[Bill, ...]:
    """A bill from every offer that can hold the database, best first."""
    return _bills(workload, catalogue or load())


@functools.lru_cache(maxsize=64)
def _bills(workload: Workload, catalogue: Catalogue) -> tuple[Bill, ...]:
    """Kept for a while: a runbook asks for the same workload's bills in every cell."""
    found = (bill(offer, workload, catalogue=catalogue) for offer in catalogue.offers if offer.kind != "addon")
    return tuple(sorted(found, key=Bill.rank))


@functools.lru_cache(maxsize=4096)
def cheapest(service: str, workload: Workload, provider: str, catalogue: Catalogue) -> Bill | None:
    """The add-on that provides a service for the least; one with unknown prices only when no other fits."""
    found = []
    kind = "self-hosted" if service == "vm" else "addon"
    for offer in catalogue.providing(service, kind):
        if offer.only_with in ("", provider):
            fit = check(offer, workload)
            lines = charges(offer, workload, catalogue)
            found.append(Bill(offer=offer, charges=lines, reasons=fit.reasons, unconfirmed=fit.unconfirmed))
    fitting = [each for each in found if each.feasible]
    return min(fitting, key=lambda each: (not each.settled, *each.rank()), default=None)


def missing(offer: Offer, workload: Any) -> list[tuple[str, Any]]:
    """The services to add, each with the workload it is billed for. Own WAL archives need an object storage too."""
    if offer.kind == "addon":
        return []
    lacking = sorted(workload.services - set(offer.provides))
    found = dict.fromkeys((*lacking, *offer.requires), workload)
    recovery = offer.recovery
    if recovery and recovery.own and any(project.pitr_days for project in workload.projects):
        archive = total(quantities.of_project(offer, workload, each)["archive_gb"] for each in workload.projects)
        files = {"file_gb": archive, "storage": True}
        if "storage" in lacking:
            files["file_gb"] = workload.file_gb + archive
        else:
            files |= dict.fromkeys(("file_writes", "file_reads", "file_egress_gb"), _ZERO)
        found["storage"] = workload.model_copy(update=files)
    return list(found.items())


def _labour(offer: Offer, workload: Workload) -> list[Charge]:
    hours = workload.engineer_hours * offer.labour
    if not hours * workload.engineer_rate_usd:
        return []
    shown = quantities.kind("labour")
    line = Charge(
        offer=offer.id,
        meter="labour",
        label=shown.label,
        quantity=hours,
        unit=shown.unit,
        unit_price=workload.engineer_rate_usd,
        amount=cents(hours * workload.engineer_rate_usd),
        source="the workload",
        as_of=None,
        note="yours, as stated in the workload",
    )
    return [line]
