"""A target's page: what was done to it as a timeline, its revision over time, and how long each step takes.

Works on the short facts that `short` takes from a record, so that a page of hundreds of runs reads no record again.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from afdb_helpers.pages import facts, outcomes

SHOWN = 50  # runs in the timeline; the index has them all
MOVES = 60  # changes of the revision in the picture
RUNS = 20  # of which each step's durations are shown
BRIEF = 0.2  # seconds: a step that never took longer is not shown
_LEFT, _WIDTH, _ROW = 200, 860, 24  # of the pictures, in their own units
Short = Mapping[str, Any]


def file_name(target: str) -> str:
    """The name of a target's page, which is a file name whatever the target is called."""
    safe = re.sub(r"[^A-Za-z0-9_]+", "_", target)[:40]
    mark = "" if safe == target else f"-{hashlib.sha256(target.encode('utf-8', 'replace')).hexdigest()[:8]}"
    return f"target-{safe}{mark}.html"


def short(run: Mapping[str, Any], page: str, steps: Mapping[str, float]) -> dict[str, Any]:
    """What this page needs of a record: plain data, small enough to keep for every run."""
    target, seconds = facts.part(run, "target"), run.get("seconds")
    server = facts.part(target, "server")
    return {
        "target": _text(target.get("name"), 200),
        "label": _text(target.get("label"), 200),
        "version": _text(f"version {server['version']}" if server.get("version") else "", 40),
        "runbook": _text(facts.part(run, "runbook").get("name") or "unknown", 60),
        "started": facts.moment(run.get("started")),
        "seconds": seconds if facts.number(seconds) else None,
        "sign": outcomes.sign(run),
        "colour": outcomes.colour(run),
        "said": _text(outcomes.said(run), 60),
        "headline": _text(outcomes.brief(run), 300),
        "who": _text(facts.actor(run), 60),
        "change": _text(facts.part(run, "approval").get("change_ref"), 60),
        "move": facts.revisions(run),
        "changed": run.get("changed") is not False and bool(facts.revisions(run)),
        "page": page,
        "steps": {name: took for name, took in steps.items() if facts.number(took)},
    }


def view(target: str, runs: Sequence[Short], moves: Sequence[Short]) -> dict[str, Any]:
    """What the template shows. `runs` are the newest `SHOWN`, `moves` those that changed the revision, newest first."""
    last = runs[0]
    stands = next((move["move"][1] for move in moves if move["move"][1] != "unknown"), None)
    about = [
        ("Revision", f"{stands}, since {moves[0]['started']} UTC" if stands else "no record has changed it"),
        ("Last run", f"{last['runbook']}, {last['started']} UTC: {last['said'].lower()}"),
        ("Backed up", _last(runs, "backup")),
        ("Verified", _last(runs, "verification")),
        ("Where", " · ".join(v for v in (last["label"], last["version"]) if v) or "not recorded"),
    ]
    return {"target": target, "about": about, "runs": runs, "way": way(moves[:MOVES]), "strips": strips(runs)}


def way(moves: Sequence[Short]) -> dict[str, Any] | None:
    """The revision over time as a line of steps: points, the line's path, a label for each revision."""
    known = [(when, move) for move in reversed(moves) if (when := _seconds(move["started"])) is not None]
    if not known:
        return None
    names = list(dict.fromkeys(name for _, move in known for name in move["move"]))
    height = {name: 30 + (len(names) - 1 - level) * 34 for level, name in enumerate(names)}
    first, last = known[0][0], known[-1][0]
    span = (last - first) or 1.0
    points, path = [], f"M{_LEFT - 60} {height[known[0][1]['move'][0]]}"
    for when, move in known:
        x = round(_LEFT + (when - first) / span * (_WIDTH - _LEFT - 80), 1) if last > first else _LEFT + 120
        path += f" H{x} V{height[move['move'][1]]}"
        points.append({"x": x, "y": height[move["move"][1]], "run": move})
    path += f" H{_WIDTH - 20}"
    labels = [{"y": y, "name": name} for name, y in height.items()]
    bottom = 30 + len(names) * 34
    return {"points": points, "path": path, "labels": labels, "height": bottom + 12, "bottom": bottom, "left": _LEFT,
            "first": known[0][1]["started"], "last": known[-1][1]["started"], "width": _WIDTH}  # fmt: skip


def strips(runs: Sequence[Short]) -> list[dict[str, Any]]:
    """For each runbook how long its steps took, the latest run against the ones before, on a scale of powers of ten."""
    out = []
    longest = max((took for run in runs for took in run["steps"].values()), default=1.0)
    high = max(1, math.ceil(math.log10(max(longest, 1.0))))
    for name in dict.fromkeys(run["runbook"] for run in runs):
        of = [run for run in runs if run["runbook"] == name and run["steps"]][:RUNS]
        steps = [s for s in dict.fromkeys(s for run in of for s in run["steps"]) if max(_took(of, s)) >= BRIEF]
        if steps:
            out.append(_strip(name, of, steps[:40], high))
    return out


def _strip(name: str, runs: Sequence[Short], steps: Sequence[str], high: int) -> dict[str, Any]:
    low = -1

    def x(seconds: float) -> float:
        share = (math.log10(max(seconds, 10.0**low)) - low) / (high - low)
        return round(_LEFT + share * (_WIDTH - _LEFT - 90), 1)

    rows = []
    for at, step in enumerate(steps):
        dots = [{"x": x(run["steps"][step]), "took": facts.duration(run["steps"][step]), "run": run}
                for run in runs if step in run["steps"]]  # fmt: skip
        rows.append({"y": 34 + at * _ROW, "name": step.replace("-", " "), "dots": dots, "median": _median(runs, step)})
    ticks = [{"x": x(10.0**power), "label": _tick(10.0**power)} for power in range(low, high + 1)]
    return {"runbook": name, "rows": rows, "ticks": ticks, "height": 34 + len(steps) * _ROW, "width": _WIDTH,
            "left": _LEFT, "runs": len(runs)}  # fmt: skip


def _took(runs: Sequence[Short], step: str) -> list[float]:
    return [run["steps"][step] for run in runs if step in run["steps"]]


def _median(runs: Sequence[Short], step: str) -> str:
    took = sorted(_took(runs, step))
    return facts.duration((took[(len(took) - 1) // 2] + took[len(took) // 2]) / 2)


def _tick(seconds: float) -> str:
    return f"{seconds:g} s" if seconds < 1000 else f"{seconds:,.0f} s"


def _last(runs: Sequence[Short], runbook: str) -> str:
    of = next((run for run in runs if run["runbook"] == runbook), None)
    return f"{of['started']} UTC: {of['said'].lower()}" if of else f"none among the last {len(runs)} runs"


def _seconds(moment: str) -> float | None:
    try:
        return datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None


def _text(value: Any, limit: int) -> str:
    return " ".join(str(value or "")[:limit].split())
