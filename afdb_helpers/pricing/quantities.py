"""From a workload to what an offer's meters count: the one place that knows what a name of a quantity means.

A name that is not in the list below is taken from the workload's `usage`, so a price file may meter anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import NamedTuple

from afdb_helpers.pricing.arithmetic import ceil, most, total
from afdb_helpers.pricing.offers import Meter, Offer, Size
from afdb_helpers.pricing.workload import Project, Workload

_ZERO = Decimal(0)
_MONTH = 730
_SMALL_FUNCTIONS = 8  # of the usual 128 MB that make a GB


class Kind(NamedTuple):
    """How a quantity is called on a bill, its unit, and the colour it is drawn in."""

    label: str
    unit: str
    group: str


KINDS: Mapping[str, Kind] = {
    "fee": Kind("Plan", "month", "plan and compute"),
    "compute": Kind("Compute", "month", "plan and compute"),
    "credit": Kind("Compute credit", "month", "plan and compute"),
    "commitment": Kind("Minimum not used up", "month", "plan and compute"),
    "capacity_hours": Kind("Compute", "unit-hours", "plan and compute"),
    "ram_gb": Kind("RAM", "GB-month", "plan and compute"),
    "busy_vcpu": Kind("Processor", "vCPU-month", "plan and compute"),
    "usage_usd": Kind("Metered usage", "USD", "plan and compute"),
    "ipv4": Kind("IPv4 address", "address", "plan and compute"),
    "server_ipv4": Kind("IPv4 address", "address", "plan and compute"),
    "high_availability": Kind("High availability", "standby", "plan and compute"),
    "read_replicas": Kind("Read replicas", "replica", "plan and compute"),
    "disk_gb": Kind("Database disk", "GB-month", "database storage"),
    "database_gb": Kind("Database storage", "GB-month", "database storage"),
    "iops": Kind("Disk IOPS", "IOPS-month", "database storage"),
    "mbps": Kind("Disk throughput", "MB/s-month", "database storage"),
    "pitr_days": Kind("Point-in-time recovery", "days kept", "backup and recovery"),
    "history_gb": Kind("Change history", "GB-month", "backup and recovery"),
    "archive_gb": Kind("Recovery archive", "GB-month", "backup and recovery"),
    "archived_gb": Kind("WAL upload", "GB", "backup and recovery"),
    "backup_gb": Kind("Backup storage", "GB-month", "backup and recovery"),
    "server_backup": Kind("Server backups", "of the server's price", "backup and recovery"),
    "recovery": Kind("Point-in-time recovery", "project", "backup and recovery"),
    "egress_gb": Kind("Egress", "GB", "traffic"),
    "cached_egress_gb": Kind("Cached egress", "GB", "traffic"),
    "file_egress_gb": Kind("File egress", "GB", "traffic"),
    "mau": Kind("Monthly active users", "users", "sign-in"),
    "file_gb": Kind("File storage", "GB-month", "files"),
    "file_writes": Kind("File writes", "operations", "files"),
    "file_reads": Kind("File reads", "operations", "files"),
    "realtime_connections": Kind("Realtime peak connections", "connections", "realtime"),
    "realtime_messages": Kind("Realtime messages", "messages", "realtime"),
    "connection_minutes": Kind("Connection minutes", "minutes", "realtime"),
    "function_calls": Kind("Function calls", "calls", "functions"),
    "function_ms": Kind("Function processor time", "ms", "functions"),
    "function_gb_seconds": Kind("Function memory time", "GB-seconds", "functions"),
    "labour": Kind("Engineer hours", "hours", "labour"),
}
SERVICES = {"auth": "sign-in", "storage": "files", "realtime": "realtime", "edge_functions": "functions"}
GROUPS = tuple(dict.fromkeys(kind.group for kind in KINDS.values()))


def kind(name: str) -> Kind:
    """How to show a quantity; one that only a price file knows goes by its name."""
    return KINDS.get(name, Kind(name.replace("_", " ").capitalize(), "units", "other"))


def order(group: str) -> int:
    """The place of a group on a bill; what no list knows comes before labour."""
    return GROUPS.index(group) if group in GROUPS else len(GROUPS) - 1


def of_project(offer: Offer, workload: Workload, project: Project) -> dict[str, Decimal]:
    """What one project uses, by quantity name."""
    database = project.db_gb + project.child_gb
    kept = max(workload.backup_days, project.pitr_days)
    history = project.pitr_days * workload.changed_gb_per_day if project.history_gb is None else project.history_gb
    used = dict(workload.usage) | {
        "fee": Decimal(1),
        "disk_gb": project.db_gb if project.disk_gb is None else project.disk_gb,
        "database_gb": database,
        "iops": project.iops,
        "mbps": project.mbps,
        "ram_gb": project.ram_gb,
        "busy_vcpu": project.vcpu * workload.cpu_load,
        "capacity_hours": capacity_hours(offer, workload, project),
        "ipv4": Decimal(project.ipv4),
        "server_ipv4": Decimal(1),
        "pitr_days": project.pitr_days,
        "history_gb": history,
        "archive_gb": database + history if project.pitr_days else _ZERO,
        "archived_gb": workload.changed_gb_per_day * _MONTH / 24 if project.pitr_days else _ZERO,
        "backup_gb": database + kept * workload.changed_gb_per_day if kept else _ZERO,
        "server_backup": Decimal(workload.backup_days > 0),
    }
    return used | dict(project.metered)


def of_organisation(offer: Offer, workload: Workload) -> dict[str, Decimal]:
    """What all projects use together, by quantity name. A service that is not needed is not used."""
    needs = workload.services
    used = {"fee": Decimal(1), "projects": Decimal(len(workload.projects)), **dict(workload.usage)}
    used["egress_gb"] = workload.egress_gb
    used["cached_egress_gb"] = workload.cached_egress_gb
    if "auth" in needs:
        used["mau"] = workload.mau
    if "storage" in needs:
        used |= {name: getattr(workload, name) for name in ("file_gb", "file_writes", "file_reads", "file_egress_gb")}
        if "storage" in offer.provides and not any(meter.of == "file_egress_gb" for meter in offer.meters):
            used["egress_gb"] = workload.egress_gb + workload.file_egress_gb
    if "realtime" in needs:
        used |= {name: getattr(workload, name) for name in ("realtime_connections", "realtime_messages")}
        used.setdefault("connection_minutes", workload.realtime_connections * _MONTH * 60)
    if "edge_functions" in needs:
        calls, milliseconds = workload.function_calls, workload.function_calls * workload.function_ms_each
        used |= {"function_calls": calls, "function_ms": milliseconds, "function_ms_each": workload.function_ms_each}
        used.setdefault("function_gb_seconds", milliseconds / 1000 / _SMALL_FUNCTIONS)
    if summed := {m.of for m in offer.meters if m.per == "organisation"} & {"database_gb", "disk_gb", "history_gb"}:
        each = [of_project(offer, workload, project) for project in workload.projects]
        used |= {name: total(one[name] for one in each) for name in summed}
    return used


def used(meter: Meter, quantities: Mapping[str, Decimal]) -> Decimal:
    """The quantity a meter counts; `x_per_day` is a month's `x` spread over its days."""
    if meter.of not in quantities and meter.of.endswith("_per_day"):
        return quantities.get(meter.of.removesuffix("_per_day"), _ZERO) * 24 / _MONTH
    return quantities.get(meter.of, _ZERO)


def capacity_hours(offer: Offer, workload: Workload, project: Project) -> Decimal:
    """Unit-hours of compute that scales: as stated, or the units that hold the RAM for the hours awake."""
    if project.capacity_hours is not None or offer.capacity is None:
        return project.capacity_hours or _ZERO
    capacity = offer.capacity
    steps = ceil(project.ram_gb / capacity.ram_gb / capacity.step)
    units: Decimal = most(capacity.least, steps * capacity.step)
    return units * workload.active_hours


def choose_size(offer: Offer, project: Project) -> Size | None:
    """The stated size, else the smallest that fits, else the largest; None where an offer has no sizes."""
    if not offer.sizes:
        return None
    if project.compute is not None:
        return offer.size(project.compute)
    return next((size for size in offer.sizes if not too_small(offer, project, size)), offer.sizes[-1])


def too_small(offer: Offer, project: Project, size: Size) -> str:
    """Empty, or what a project needs and this size does not have."""
    recovery = offer.recovery
    if size.ram_gb < project.ram_gb:
        return f"{project.ram_gb:f} GB of RAM needed, {size.name} has {size.ram_gb:f}"
    if size.vcpu < project.vcpu:
        return f"{project.vcpu:f} vCPU needed, {size.name} has {size.vcpu:f}"
    if size.max_db_gb is not None and size.max_db_gb < project.db_gb:
        return f"{project.db_gb:f} GB of data, {size.name} is meant for at most {size.max_db_gb:f}"
    least = recovery.least_size if recovery and project.pitr_days else None
    if least and [s.name for s in offer.sizes].index(size.name) < [s.name for s in offer.sizes].index(least):
        return f"point-in-time recovery needs compute {least} or larger, not {size.name}"
    return ""
