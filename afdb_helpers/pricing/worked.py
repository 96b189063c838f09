"""Bills worked out by the providers themselves, computed anew by the same code that prices a workload.

A file of such bills is a list of mappings: id, provider (an offer's id), inputs, expected_usd, and optionally
tolerance_usd, formula, source. Inputs are those of `workload`, any meter of the offer, and these words:

    projects            a count, or a list of projects each with its own inputs over the shared ones; what is metered
                        for the organisation (egress_gb, mau …) and stated for each project is added up
    micro_hours         hours a project ran on Micro, a number or one a project; the rest of the month on `compute`
    db_gb               the disk, where an offer sells one; else the data stored
    cu_hours, root_gb   Neon: compute units × hours, data of the root branch
    storage_gb, class_a, class_b    files stored, writes, reads; egress_gb of an object storage is that of its files
    requests, cpu_ms_each           function calls, processor time of each
    vcpu                metered, where an offer meters processors as used (Railway)
    iops, mbps          provisioned. No disk has less than its allowance, so a smaller number is what was added to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from afdb_helpers.errors import ConfigError
from afdb_helpers.pricing.bills import Bill, bill
from afdb_helpers.pricing.offers import LARGEST, Catalogue, Offer, number
from afdb_helpers.pricing.pricefile import load, read_yaml
from afdb_helpers.pricing.workload import Project, Workload, spread, workload
from afdb_helpers.report import Report

TOLERANCE = Decimal("0.02")
WORDS: Mapping[str, str] = {
    "cu_hours": "capacity_hours",
    "root_gb": "db_gb",
    "storage_gb": "file_gb",
    "class_a": "file_writes",
    "class_b": "file_reads",
    "requests": "function_calls",
    "cpu_ms_each": "function_ms_each",
}
# Metered for the whole organisation: where a list of projects states them, they are added up.
_SHARED = frozenset(
    {"egress_gb", "cached_egress_gb", "mau", "file_gb", "file_egress_gb", "file_writes", "file_reads"}
    | {"realtime_connections", "realtime_messages", "function_calls", "usage_usd"}
)


def check_bills(path: Path | str, *, catalogue: Catalogue | None = None) -> Report:
    """Each bill of the file, expected and computed; not ok when one is missed by more than its tolerance.

    Raises ConfigError when the file is not of the form above or names an unknown offer or input.
    """
    catalogue = catalogue or load()
    entries = read_yaml(Path(path))
    if not isinstance(entries, list) or not entries:
        raise _malformed(path, "it holds no list of bills")
    names = [entry.get("id") for entry in entries if isinstance(entry, dict)]
    if twice := sorted({str(name) for name in names if name is not None and names.count(name) > 1}):
        raise _malformed(path, f"duplicate id: {', '.join(twice)}")
    rows = tuple(_row(path, entry, catalogue) for entry in entries)
    missed = [row["bill"] for row in rows if not row["ok"]]
    return Report(
        headline=f"{len(rows) - len(missed)} of {len(rows)} worked bills computed within tolerance",
        ok=not missed,
        rows=rows,
        remedy=f"compare the line items with the source of: {', '.join(missed)}" if missed else "",
    )


def from_inputs(offer: Offer, inputs: Mapping[str, Any]) -> Workload:
    """The workload that a worked bill's inputs describe for an offer."""
    words = _renamed(offer, inputs)
    each = {*Project.model_fields, "micro_hours", *(m.of for m in offer.meters if m.per == "project")} - _SHARED
    dealt = spread(
        [_renamed(offer, p) if isinstance(p, Mapping) else p for p in words["projects"]]
        if isinstance(words.get("projects"), list)
        else words.get("projects"),
        {name: words.pop(name) for name in list(words) if name in each},
    )
    words["projects"] = [_of_project(offer, project, words) for project in dealt]
    stated = {m.of for m in offer.meters if m.per == "organisation"} - set(Workload.model_fields)
    usage = {name: number(words.pop(name)) for name in list(words) if name in stated}
    return workload(**words, **({"usage": usage} if usage else {}))


def _renamed(offer: Offer, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """A bill's words as the workload has them, by what the offer meters; two words for one thing are refused."""
    meters = {meter.of for meter in offer.meters}
    names = dict(WORDS)
    if "disk_gb" in meters:
        names["db_gb"] = "disk_gb"
    if "busy_vcpu" in meters:
        names["vcpu"] = "busy_vcpu"
    if "egress_gb" not in meters:
        names["egress_gb"] = next((m for m in sorted(meters) if m.endswith("_egress_gb")), "egress_gb")
    found: dict[str, Any] = {}
    for name, value in inputs.items():
        if (meant := names.get(name, name)) in found:
            raise ConfigError(
                f"{name} is stated twice", why=f"another input means {meant} too", do="state it once, in one word"
            )
        found[meant] = value
    return found


def _of_project(offer: Offer, inputs: Any, shared: dict[str, Any]) -> Any:
    """One project's inputs in the words of `workload`; what is the organisation's is added to the shared ones."""
    if not isinstance(inputs, Mapping):
        return inputs
    words = dict(inputs)
    if (hours := words.pop("micro_hours", None)) is not None:
        words["hours"] = _on_micro(hours, words.get("compute"))
    for name in {"iops", "mbps"} & set(words):
        words[name] = _provisioned(words[name], _allowance(offer, name, words.get("disk_type", "gp3")))
    for name in _SHARED & set(words):
        shared[name] = number(shared.get(name, 0)) + number(words.pop(name))
    own = {m.of for m in offer.meters if m.per == "project"} - set(Project.model_fields) - {"fee", "compute"}
    if metered := {name: number(words.pop(name)) for name in own & set(words)}:
        words["metered"] = metered
    return words


def _on_micro(hours: Any, size: Any) -> dict[str, Any]:
    ran = {"micro": hours}
    if isinstance(size, str) and size != "micro":
        ran[size] = max(Decimal(0), 730 - number(hours))
    return {name: ran_for for name, ran_for in ran.items() if ran_for != 0} or ran


def _provisioned(given: Any, least: Decimal) -> Any:
    plain = isinstance(given, int | float | Decimal) and not isinstance(given, bool)
    return least + number(given) if plain and 0 < number(given) < least else given


def _allowance(offer: Offer, name: str, disk_type: Any) -> Decimal:
    found = (m.included for m in offer.meters if m.of == name and m.disk_type in (None, disk_type))
    return next(found, None) or Decimal(0)


def _row(path: Path | str, entry: Any, catalogue: Catalogue) -> dict[str, Any]:
    if not isinstance(entry, dict):
        raise _malformed(path, f"{entry!r} is no mapping")
    name = entry.get("id", "a bill without id")
    if missing := [key for key in ("id", "provider", "inputs", "expected_usd") if key not in entry]:
        raise _malformed(path, f"{name} has no {', '.join(missing)}")
    if not isinstance(entry["inputs"], dict):
        raise _malformed(path, f"inputs of {name} are no mapping")
    try:
        expected, tolerance = _dollars(entry, "expected_usd"), _dollars(entry, "tolerance_usd", TOLERANCE)
        computed = _compute(entry, catalogue)
    except ValueError as error:
        raise _malformed(path, f"{name}: {error}") from None
    except ConfigError as error:
        raise ConfigError(f"{name}: {error.what}", why=error.why, do=error.do) from None
    off = computed.total - expected
    return {
        "bill": name,
        "offer": entry["provider"],
        "expected USD": expected,
        "computed USD": computed.total,
        "difference": off,
        "tolerance": tolerance,
        "ok": abs(off) <= tolerance and not computed.unknown,
        "formula": entry.get("formula", ""),
        "charges": " + ".join(f"{c.label} {'?' if c.amount is None else c.amount}" for c in computed.charges),
    }


def _dollars(entry: Mapping[str, Any], name: str, default: Decimal | None = None) -> Decimal:
    """An amount of the file; raises ValueError naming the field and its range."""
    try:
        amount = number(entry.get(name, default))
    except ValueError as error:
        raise ValueError(f"{name} {error}") from None
    if not amount.is_finite() or not 0 <= amount <= LARGEST:
        raise ValueError(f"{name} = {entry[name]} is not from 0 to {LARGEST:,}")
    return amount


def _compute(entry: Mapping[str, Any], catalogue: Catalogue) -> Bill:
    offer = catalogue.offer(entry["provider"])
    return bill(offer, from_inputs(offer, entry["inputs"]), catalogue=catalogue)


def _malformed(path: Path | str, why: str) -> ConfigError:
    return ConfigError(
        f"{path} is no file of worked bills",
        why=why,
        do="give each bill an id, a provider (an offer's id), inputs (a mapping) and expected_usd (a number)",
    )
