"""The steps that a runbook lists, held against the journal of its run: what is not there was not done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

KEPT = "kept"  # the event of a file that the notebook kept


def parsed(listed: Iterable[str]) -> dict[str, list[str]]:
    """Cell to what it has to leave, in order, from lines like `dump: backup.end, manifest.json`."""
    pairs = (step.partition(":") for step in listed)
    return {cell.strip(): [mark.strip() for mark in marks.split(",") if mark.strip()] for cell, _, marks in pairs}


def missing(listed: Iterable[str], events: Iterable[Mapping[str, Any]]) -> str:
    """What the journal lacks or has in another order, in a few words; nothing where every step was done.

    A step is a cell that came to its end, in the listed order, and between its start and its end left what is listed
    for it: an event by its name, a kept file by the file's.
    """
    steps = parsed(listed)
    done: list[str] = []
    left: dict[str, set[str]] = {}
    cell = ""
    for event in events:
        name = event["event"]
        if name == "cell.start":
            cell = event["cell"]
        elif name == "cell.end" and event.get("status") == "completed":
            done.append(event["cell"])
        else:
            left.setdefault(cell, set()).add(event["file"] if name == KEPT else name)
    lacking = next((step for step in steps if step not in done), None)
    if lacking is not None:
        return f"the journal lacks step {lacking}"
    if [step for step in done if step in steps] != list(steps):
        return f"the steps were done in another order: {', '.join(step for step in done if step in steps)}"
    for step, marks in steps.items():
        if lack := [mark for mark in marks if mark not in left.get(step, set())]:
            return f"step {step} left no {lack[0]} in the journal"
    return ""
