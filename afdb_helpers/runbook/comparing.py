"""What differs between two records, in words: parameters, plan, before and after, durations. Changes neither."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from afdb_helpers.errors import ConfigError
from afdb_helpers.pages import facts
from afdb_helpers.report import Report, count
from afdb_helpers.runbook import records, site

SHOWN = 40  # rows of one part
NOTABLE = 0.2  # seconds, and a fifth: what differs by less than both is the machine's mood
Data = Mapping[str, Any]


def compare(first: Path, second: Path) -> Report:
    """The differences of two records, the earlier one's side named by its id; ok unless one of them was touched."""
    a, b = records.read(first), records.read(second)
    pairs = {name: (_kept(first, name), _kept(second, name)) for name in ("plan.json", "before.json", "after.json")}
    parts = [
        _about(a, b),
        _parameters(a, b),
        _plan(*pairs["plan.json"]),
        _state("before", *pairs["before.json"]),
        _state("after", *pairs["after.json"]),
        _durations(site.steps(first), site.steps(second), a, b),
    ]
    checked = [(folder, records.check(folder)) for folder in (first, second)]
    touched = [Report(headline=f"{folder.name}: {one.headline}", ok=False) for folder, one in checked if not one.ok]
    differing = [part for part in parts if part and part.rows]
    said = ", ".join(part.headline.partition(":")[0] for part in differing) or "nothing"
    return Report(
        headline=f"{first.name} against {second.name}: {said} differs" if len(differing) < 2 else
        f"{first.name} against {second.name}: {said} differ",
        ok=not touched, parts=(*touched, *(part for part in parts if part)),
    )  # fmt: skip


def _about(a: Data, b: Data) -> Report:
    asked: dict[str, Callable[[Data], Any]] = {
        "runbook": lambda run: facts.part(run, "runbook").get("name"),
        "runbook's hash": lambda run: str(facts.part(run, "runbook").get("sha256") or "")[:16],
        "target": lambda run: facts.part(run, "target").get("name"),
        "database": lambda run: facts.part(run, "target").get("label"),
        "server": lambda run: facts.part(facts.part(run, "target"), "server").get("version"),
        "outcome": lambda run: str(run.get("outcome") or "no end").replace("_", " "),
        "cause": lambda run: run.get("cause"),
        "who": facts.actor,
        "approved by": lambda run: facts.part(run, "approval").get("approver"),
        "change": lambda run: facts.part(run, "approval").get("change_ref"),
        "commit": lambda run: str(facts.part(run, "git").get("sha") or "")[:12],
    }
    return _part("the run", _differing("fact", {name: (ask(a), ask(b)) for name, ask in asked.items()}))


def _parameters(a: Data, b: Data) -> Report:
    one, other = facts.part(a, "parameters"), facts.part(b, "parameters")
    return _part("parameters", _differing("parameter", _joined(one, other)))


def _plan(a: Data | None, b: Data | None) -> Report | None:
    if a is None or b is None:
        return _alone("the plan", a, b)
    one, other = facts.part(a, "content"), facts.part(b, "content")
    files = [{str(f["id"]): f["sha256"][:16] for f in side.get("revisions", ())} for side in (one, other)]
    pairs = {key: (_flat(one.get(key)), _flat(other.get(key))) for key in ("direction", "from", "to", "schema")}
    rows = [*_differing("what", pairs), *_differing("what", _joined(files[0], files[1], "file of ")), *_sql(one, other)]
    return _part("the plan", rows, same=f"the plan: the same, {str(a.get('digest'))[:19]}…")


def _sql(a: Data, b: Data) -> list[dict[str, Any]]:
    """Statements that only one of the plans has, in their places."""
    one, other = ([" ".join(str(sql).split()) for sql in side.get("sql") or ()] for side in (a, b))
    rows = []
    for tag, i, j, k, m in difflib.SequenceMatcher(None, one, other, autojunk=False).get_opcodes():
        if tag != "equal":
            rows += [{"what": "statement", "A": sql[:120], "B": ""} for sql in one[i:j]]
            rows += [{"what": "statement", "A": "", "B": sql[:120]} for sql in other[k:m]]
    return rows


def _state(when: str, a: Data | None, b: Data | None) -> Report | None:
    """The target's revision, schema and rows at one point of both runs; of values only whether they are the same."""
    if a is None or b is None:
        return _alone(when, a, b)
    keys = [key for key in dict.fromkeys([*a, *b]) if key != "data"]
    rows = _differing("what", {key: (_flat(a.get(key)), _flat(b.get(key))) for key in keys})
    one, other = (facts.part(facts.part(side, "data"), "tables") for side in (a, b))
    rows += _differing("what", _joined(_rows(one), _rows(other), "rows of "))
    altered = [name for name in one if name in other and _hashes(one[name]) != _hashes(other[name])]
    return _part(when, [*rows, *({"what": f"values of {name}", "A": "these", "B": "others"} for name in altered)])


def _durations(a: Mapping[str, float], b: Mapping[str, float], one: Data, other: Data) -> Report:
    took = {"all of it": (one.get("seconds"), other.get("seconds"))}
    took |= {f"step {name}": (a.get(name), b.get(name)) for name in dict.fromkeys([*a, *b])}
    rows = []
    for name, (first, second) in took.items():
        if not facts.number(first) or not facts.number(second):
            rows += [{"what": name, "A": _seconds(first), "B": _seconds(second), "so": "in one of them only"}]
        elif abs(first - second) > max(NOTABLE, 0.2 * min(first, second)):
            rows += [{"what": name, "A": _seconds(first), "B": _seconds(second), "so": _ratio(first, second)}]
    return _part("durations", rows, same="durations: much the same")


def _ratio(first: float, second: float) -> str:
    slow, fast = max(first, second), min(first, second)
    word = "longer" if second > first else "shorter"
    times = f"{slow / fast:.1f} times" if fast > 0 else "much"
    return f"B took {slow - fast:.1f} s {word} ({times})"


def _part(title: str, rows: Sequence[Mapping[str, Any]], *, same: str = "") -> Report:
    rows = [row for row in rows if any(value != "" for key, value in row.items() if key != "what")]
    if not rows:
        return Report(headline=same or f"{title}: the same")
    more = f", the first {SHOWN} of them" if len(rows) > SHOWN else ""
    return Report(headline=f"{title}: {count(len(rows), 'difference')}{more}", rows=tuple(rows[:SHOWN]))


def _alone(title: str, a: Data | None, b: Data | None) -> Report | None:
    """Where only one of them has it; None where neither has."""
    if a is None and b is None:
        return None
    return Report(headline=f"{title}: only {'A' if b is None else 'B'} has one")


def _differing(name: str, pairs: Mapping[str, tuple[Any, Any]]) -> list[dict[str, Any]]:
    return [{name: key, "A": a, "B": b} for key, (a, b) in pairs.items() if a != b]


def _joined(a: Data, b: Data, prefix: str = "") -> dict[str, tuple[Any, Any]]:
    return {f"{prefix}{key}": (a.get(key, "(none)"), b.get(key, "(none)")) for key in dict.fromkeys([*a, *b])}


def _rows(tables: Data) -> dict[str, Any]:
    return {name: table["rows"] for name, table in tables.items()}


def _hashes(table: Data) -> Any:
    return {name: column[:2] for name, column in table["columns"].items()}


def _flat(value: Any) -> Any:
    if isinstance(value, str) and value.startswith("sha256:"):
        return f"{value[:23]}…"
    return ", ".join(map(str, value)) if isinstance(value, list) else value


def _seconds(value: Any) -> str:
    return f"{value:.1f} s" if facts.number(value) else ""


def _kept(folder: Path, name: str) -> Data | None:
    """A JSON file of a record, None where the runbook keeps none. Raises `ConfigError` where it is damaged."""
    try:
        data = json.loads((folder / name).read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(
            f"{name} of {folder.name} cannot be read", why=type(error).__name__, do=f"`afdb records show {folder.name}`"
        ) from None
    return data if isinstance(data, dict) else {}
