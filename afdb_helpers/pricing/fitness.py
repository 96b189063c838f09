"""Whether an offer meets a workload's needs: what it cannot do, and what nobody confirmed that it can.

What is confirmed to be missing makes an offer infeasible. What was not confirmed either way is named, and such an offer
is never recommended.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from afdb_helpers.pricing import quantities
from afdb_helpers.pricing.offers import Meter, Offer
from afdb_helpers.pricing.workload import Project, Workload


@dataclass(frozen=True, kw_only=True)
class Fitness:
    """`reasons` against, and needs that are `unconfirmed`."""

    reasons: tuple[str, ...]
    unconfirmed: tuple[str, ...]


class _Unknown(str):
    """A need of which the price file says nothing."""


def check(offer: Offer, workload: Workload) -> Fitness:
    """Every need of the workload against what the price file says of the offer."""
    found = [*_kind(offer, workload), *_safety(offer, workload), *_limits(offer, workload)]
    for project in workload.projects:
        found += _size(offer, project)
    found += [_Unknown(text) for text in offer.unconfirmed]
    stated = {name for name, _ in workload.usage}
    unstated = (meter.of for meter in offer.meters if meter.must_be_stated and meter.of not in stated)
    found += [
        _Unknown(f"{quantities.kind(name).label.lower()}, which the workload does not state") for name in unstated
    ]
    once = dict.fromkeys(found)
    return Fitness(
        reasons=tuple(str(text) for text in once if not isinstance(text, _Unknown)),
        unconfirmed=tuple(str(text) for text in once if isinstance(text, _Unknown)),
    )


def _kind(offer: Offer, workload: Workload) -> Iterator[str]:
    if workload.production and offer.kind != "addon":
        if offer.not_for_production:
            yield f"not for production: {offer.not_for_production}"
        if not {"postgres", "vm"} & set(offer.provides):
            yield "not PostgreSQL, which production runs on"
    if workload.region != "any" and offer.kind != "addon":
        if not offer.regions:
            yield _Unknown(f"region {workload.region}")
        elif workload.region not in offer.regions:
            yield f"priced for region {', '.join(offer.regions)} only"


def _safety(offer: Offer, workload: Workload) -> Iterator[str]:
    if offer.kind == "addon":
        return
    if workload.high_availability and offer.high_availability is None:
        yield "high availability: none was found for this plan"
    days = max(project.pitr_days for project in workload.projects)
    recovery = offer.recovery
    if days and recovery is None:
        yield "point-in-time recovery: none was found for this plan"
    elif days and recovery and not recovery.own:
        if recovery.days is None:
            yield _Unknown(f"point-in-time recovery over {_days(days)}")
        elif days > recovery.days:
            yield f"point-in-time recovery reaches back {_days(recovery.days)}, {days:f} needed"
    kept = max(offer.backup_days or Decimal(0), (recovery and recovery.days) or Decimal(0))
    if workload.backup_days > kept and not offer.own_backups:
        if offer.backup_days is None:
            yield _Unknown(f"backups kept {_days(workload.backup_days)}")
        else:
            yield f"backups are kept {_days(kept)}, {workload.backup_days:f} needed"


def _days(count: Decimal) -> str:
    return f"{count:f} day{'' if count == 1 else 's'}"


def _limits(offer: Offer, workload: Workload) -> Iterator[str]:
    shared = quantities.of_organisation(offer, workload)
    for meter in offer.meters:
        if meter.limit is not None and meter.per == "organisation":
            yield from _limit(meter, quantities.used(meter, shared), meter.limit)
        elif meter.limit is not None:
            for project in workload.projects:
                if meter.disk_type in (None, project.disk_type):
                    used = quantities.used(meter, quantities.of_project(offer, workload, project))
                    yield from _limit(meter, used, meter.limit)


def _limit(meter: Meter, used: Decimal, limit: Decimal) -> Iterator[str]:
    if used > limit:
        shown, needed = quantities.kind(meter.of), f"{round(used, 6).normalize():,f}"
        yield f"{shown.label.lower()}: {needed} {shown.unit} needed, the plan ends at {limit:,f}; {meter.beyond}"


def _size(offer: Offer, project: Project) -> Iterator[str]:
    size = quantities.choose_size(offer, project)
    if size is not None:
        if reason := quantities.too_small(offer, project, size):
            yield reason
        return
    if offer.capacity is not None and (most := offer.capacity.most) is not None:
        if project.ram_gb > (largest := most * offer.capacity.ram_gb):
            yield f"{project.ram_gb:f} GB of RAM needed, the plan grows to {largest:f}"
        return
    if offer.elastic or offer.kind == "addon":
        return
    for unit, needed, there in (("GB of RAM", project.ram_gb, offer.ram_gb), ("vCPU", project.vcpu, offer.vcpu)):
        if there is None and needed:
            yield _Unknown(f"{needed:f} {unit}")
        elif there is not None and there < needed:
            yield f"{needed:f} {unit} needed, the plan has {there:f}"
