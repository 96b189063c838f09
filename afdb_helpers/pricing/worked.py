"""Bills worked out by the providers themselves, computed anew by the same code that prices a workload.

A file of such bills is a list of mappings: id, provider (an offer's id), inputs, expected_usd, and optionally
tolerance_usd, formula, source. Inputs are those of `workload`, any meter of the offer, and these words:

    micro_hours         hours a project ran on Micro, a number or one a project; the rest of the month on `compute`
    cu_hours, root_gb   Neon: compute units × hours, data of the root branch
    storage_gb, class_a, class_b    files stored, writes, reads
    requests, cpu_ms_each           function calls, processor time of each
    iops, mbps          provisioned. No disk has less than its allowance, so a smaller number is what was added to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from afdb_helpers.errors import ConfigError
from afdb_helpers.pricing.bills import Bill, bill
from afdb_helpers.pricing.offers import Catalogue, Offer, load, number, read_yaml
from afdb_helpers.pricing.workload import Project, Workload, workload
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


def check_bills(path: Path | str, *, catalogue: Catalogue | None = None) -> Report:
    """Each bill of the file, expected and computed; not ok when one is missed by more than its tolerance.

    Raises ConfigError when the file is not of the form above or names an unknown offer or input.
    """
    catalogue = catalogue or load()
    entries = read_yaml(Path(path))
    if not isinstance(entries, list) or not entries:
        raise _malformed(path, "it holds no list of bills")
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
    words = {WORDS.get(name, name): value for name, value in inputs.items()}
    if isinstance(words.get("projects"), list):
        words["projects"] = [_of_project(offer, project) for project in words["projects"]]
    words = _of_project(offer, words)
    known = {*Workload.model_fields, *Project.model_fields}
    meters = {meter.of for meter in offer.meters} - known
    usage = {name: number(words.pop(name)) for name in list(words) if name in meters}
    return workload(**words, **({"usage": usage} if usage else {}))


def _of_project(offer: Offer, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """One project's inputs in the words of `workload`."""
    words = {WORDS.get(name, name): value for name, value in inputs.items()}
    if (hours := words.pop("micro_hours", None)) is not None:
        size = words.get("compute")
        words["hours"] = [_on_micro(h, size) for h in hours] if isinstance(hours, list) else _on_micro(hours, size)
    for name in ("iops", "mbps"):
        if name in words:
            least = _allowance(offer, name, words.get("disk_type", "gp3"))
            given = words[name]
            words[name] = (
                [_provisioned(g, least) for g in given] if isinstance(given, list) else _provisioned(given, least)
            )
    return words


def _on_micro(hours: Any, size: Any) -> dict[str, Any]:
    ran = {"micro": hours}
    if isinstance(size, str) and size != "micro":
        ran[size] = max(Decimal(0), 730 - number(hours))
    return ran


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
        expected, tolerance = number(entry["expected_usd"]), number(entry.get("tolerance_usd", TOLERANCE))
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


def _compute(entry: Mapping[str, Any], catalogue: Catalogue) -> Bill:
    offer = catalogue.offer(entry["provider"])
    return bill(offer, from_inputs(offer, entry["inputs"]), catalogue=catalogue)


def _malformed(path: Path | str, why: str) -> ConfigError:
    return ConfigError(
        f"{path} is no file of worked bills",
        why=why,
        do="give each bill an id, a provider (an offer's id), inputs (a mapping) and expected_usd (a number)",
    )
