"""The list of all records, quick with thousands: a run.json is read once, and what it says kept elsewhere.

The copy stands in the user's own cache, where whoever can write to the records cannot reach it, and counts only while
the file's number, size and time of change are what they were.
"""

from __future__ import annotations

import hashlib
import os
from bisect import bisect
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from afdb_helpers.report import Report, count, show

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

NAMES = ("record", "runbook", "target", "outcome", "seconds", "mode")
_FINAL = ("succeeded", "refused", "failed_unchanged", "failed_changed", "interrupted")
_VERSION = "afdb list 1"


@dataclass(frozen=True, kw_only=True, repr=False)
class Listing(Report):
    """The records as rows of text; printed by one format, since a table of 10,000 rows takes rich half a minute."""

    def __repr__(self) -> str:
        cells = [tuple(row.values()) for row in self.rows]
        columns = list(zip(NAMES, *cells, strict=True))
        widths = [max(map(len, column)) for column in columns]
        layout = "  %-{}s  %-{}s  %-{}s  %-{}s  %{}s  %-{}s".format(*widths)
        lines = [(layout % row).rstrip() for row in [NAMES, *cells]] if cells else []
        next_ = [f"  next: {self.remedy}"]
        return "\n".join([f"✓ {show(self.headline)}", *lines, *next_])

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.text import Text

        yield Text(repr(self), no_wrap=True, overflow="ignore")


def table(where: Path, names: Iterable[str], read: Callable[[Path], Mapping[str, Any]]) -> Listing:
    """Every record of `names`, the newest by the ledger's numbers first; `read` is asked for those that are new."""
    kept = _kept(where)
    found: dict[str, tuple[str, ...]] = {}
    fresh: dict[str, tuple[str, ...]] = {}
    base = os.open(where, os.O_RDONLY) if where.is_dir() else -1
    try:
        for name in names:
            try:
                stat = os.stat(f"{name}/run.json", dir_fd=base)
                key = f"{stat.st_ino}.{stat.st_size}.{stat.st_ctime_ns}"
            except OSError:
                key = ""
            known = kept.get(name)
            if known is None or known[1] != key:
                known = (name, key, *_said(read(where / name)))
                if key and known[5] in _FINAL:
                    fresh[name] = known
            found[name] = known
    finally:
        if base != -1:
            os.close(base)
    if fresh or len(kept) > len(found):
        _keep(where, [line for name, line in found.items() if name in fresh or name in kept])
    rows = [dict(zip(NAMES, (one[0], *one[3:]), strict=True)) for one in _ordered(found)]
    remedy = "afdb records show ID" if rows else "afdb run discovery"
    there = where.is_dir()
    remedy += "" if there else ", which makes it; where there are records already, name their folder with AFDB_RECORDS"
    headline = f"{count(len(rows), 'record')} in {where}{'' if there else ': there is no such folder'}"
    return Listing(headline=headline, rows=tuple(rows), remedy=remedy)


def ordered(names: Mapping[str, int]) -> list[str]:
    """Names from the newest on: by their number in the ledger, not by a clock; those without one (0) by their time."""
    by_time = sorted(name for name, number in names.items() if number)
    latest = list(accumulate((names[name] for name in by_time), max))

    def place(name: str) -> tuple[float, str]:
        if names[name]:
            return float(names[name]), ""
        at = bisect(by_time, name)
        return (latest[at - 1] + 0.5 if at else 0.5), name

    return sorted(names, key=place, reverse=True)


def _ordered(found: Mapping[str, tuple[str, ...]]) -> list[tuple[str, ...]]:
    return [found[name] for name in ordered({name: int(one[2] or 0) for name, one in found.items()})]


def _said(run: Mapping[str, Any]) -> tuple[str, ...]:
    """Number in the ledger, then the columns after the record's name."""
    number = str(run.get("ledger") or "").partition(":")[0]
    seconds = run.get("seconds")
    cells = (
        (run.get("runbook") or {}).get("name"),
        (run.get("target") or {}).get("name"),
        run["outcome"],
        f"{seconds:.1f}" if isinstance(seconds, int | float) else None,
        run.get("mode"),
    )
    return (number if number.isdigit() else "", *(show(cell).replace("\n", " ") for cell in cells))


def _file(where: Path) -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "afdb" / "lists"
    return cache / hashlib.sha256(os.fsencode(where)).hexdigest()[:16]


def _kept(where: Path) -> dict[str, tuple[str, ...]]:
    with suppress(OSError, ValueError):
        first, *lines = _file(where).read_text().split("\n")
        cells = [tuple(line.split("\t")) for line in lines]
        if first == _VERSION and all(len(one) == len(NAMES) + 2 for one in cells):
            return {one[0]: one for one in cells}
    return {}


def _keep(where: Path, lines: list[tuple[str, ...]]) -> None:
    """Write the copy; a cache that cannot be written costs time and nothing else."""
    from afdb_helpers.runbook import record

    with suppress(OSError):
        _file(where).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        text = "\n".join([_VERSION, *("\t".join(cell.replace("\t", " ") for cell in line) for line in lines)])
        record.write(_file(where), text.encode())
