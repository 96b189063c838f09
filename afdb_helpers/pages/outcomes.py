"""How an outcome is said and marked: by a word and a sign, and only then by a colour."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from afdb_helpers import errors

_SAID = {  # outcome: (sign, class, words)
    "succeeded": ("✓", "good", "Succeeded"),
    "refused": ("⊘", "warn", "Refused"),
    "failed_unchanged": ("✗", "bad", "Failed, nothing changed"),
    "failed_changed": ("✗", "bad", "Failed after changes began"),
    "interrupted": ("■", "warn", "Interrupted"),
    "running": ("▶", "warn", "Running"),
    "corrupt": ("?", "bad", "Corrupt"),
}
_NONE = ("?", "bad", "No end recorded")


def sign(run: Mapping[str, Any]) -> str:
    return _known(run)[0]


def colour(run: Mapping[str, Any]) -> str:
    """The class that colours it: `good`, `warn` or `bad`."""
    return _known(run)[1]


def said(run: Mapping[str, Any]) -> str:
    """The outcome in words; one that is not known, as it stands."""
    outcome = run.get("outcome")
    return _SAID[outcome][2] if outcome in _words() else _NONE[2] if outcome is None else str(outcome)


def change(run: Mapping[str, Any]) -> str:
    """Whether the target was changed: what whoever reads at 2 a.m. asks next."""
    if not run.get("target") or run.get("outcome") in ("running", "corrupt"):
        return ""
    told = {True: "the target was changed", False: "the target was not changed"}
    changed = run.get("changed")
    return told[changed] if isinstance(changed, bool) else "it is not known whether the target was changed"


def told(run: Mapping[str, Any]) -> list[str]:
    """What was said at the end: a result's headline, or an error's what, why and do, a line each.

    The name of an error of ours is left out: the outcome says it already.
    """
    first, *rest = str(run.get("headline") or run.get("cause") or "").strip().splitlines() or [""]
    name, colon, said = first.partition(": ")
    return [said if colon and errors.by_name(name) else first, *(line.strip() for line in rest if line.strip())]


def brief(run: Mapping[str, Any]) -> str:
    """The same on one line of a table: a result's headline, or an error's what and why."""
    what, *rest = told(run)
    why = next((line.removeprefix("why: ") for line in rest if line.startswith("why: ")), "")
    return f"{what.rstrip('.')}: {why}" if why else what


def _known(run: Mapping[str, Any]) -> tuple[str, str, str]:
    outcome = run.get("outcome")
    return _SAID[outcome] if outcome in _words() else _NONE


def _words() -> list[str]:  # a list: what a damaged record holds here may be no key of a dict
    return list(_SAID)
