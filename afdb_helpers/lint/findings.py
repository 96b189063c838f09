"""What lint finds, the facts it goes by, and how much a finding weighs on a given database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from afdb_helpers.report import Report

Severity = Literal["low", "medium", "high", "blocking"]
SEVERITIES: tuple[Severity, ...] = ("low", "medium", "high", "blocking")
LONG, NOTICED = 1.0, 0.2  # seconds that an application waits: high, medium
MANY, NOBODY = 100, 0.1  # statements that arrive meanwhile: one level more, one less
SMALL = 1000  # rows
_SCANNED, _WRITTEN = 100e6, 20e6  # bytes a second, where nothing was measured


@dataclass(frozen=True)
class Table:
    """A table of the target: rows as the server estimates them, bytes with indexes, writes and reads a second."""

    rows: int | None = None
    bytes: int | None = None
    writes: float | None = None
    reads: float | None = None

    @property
    def small(self) -> bool:
        return self.rows is not None and self.rows < SMALL


@dataclass(frozen=True)
class Wait:
    """A lock that was held while a statement ran, from when it was taken until its transaction ended."""

    relation: str
    lock: str
    blocks: str
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Executed:
    """A statement of the plan; with what the rehearsal measured of it, stretched to the target, where there was one."""

    sql: str
    alone: bool = False
    seconds: float | None = None
    rows: int | None = None
    rewrites: tuple[str, ...] = ()
    waits: tuple[Wait, ...] = ()

    @property
    def measured(self) -> bool:
        return self.seconds is not None


@dataclass(frozen=True, kw_only=True)
class Finding:
    """`seconds` that what is blocked waits, by `known`: measured, estimated, or unknown. `safe` is ready to paste."""

    rule: str
    severity: Severity
    statement: str
    table: str
    lock: str
    blocks: str
    why: str
    safe: str
    seconds: float | None = None
    known: Literal["measured", "estimated", "unknown"] = "unknown"
    revision: str = ""
    waived: str = ""

    def reaches(self, threshold: Severity) -> bool:
        """Whether it counts at this threshold: as severe, and not waived."""
        return not self.waived and SEVERITIES.index(self.severity) >= SEVERITIES.index(threshold)

    def row(self) -> dict[str, Any]:
        return {"severity": self.severity, "rule": self.rule, "table": self.table, "lock": self.lock,
                "blocks": self.blocks, "seconds": self.seconds, "known": self.known, "statement": self.statement,
                "revision": self.revision, "waived": self.waived}  # fmt: skip

    def brief(self) -> dict[str, Any]:
        """The row for people: who waits, for how long, and how that is known, in one cell; a waiver: until when."""
        waits = self.blocks or "nobody"
        waits += "" if self.seconds is None else f", {self.seconds:.3f} s {self.known}"
        return {"severity": self.severity, "rule": self.rule, "table": self.table, "who waits": waits,
                "statement": self.statement, "waived": self.waived.partition(": ")[0]}  # fmt: skip


@dataclass(frozen=True, kw_only=True, repr=False)
class Findings(Report):
    """Not ok when a finding reaches the threshold."""

    findings: tuple[Finding, ...]

    def worst(self, threshold: Severity) -> tuple[Finding, ...]:
        return tuple(one for one in self.findings if one.reaches(threshold))


def weigh(seconds: float | None, table: Table | None, blocks: str) -> Severity:
    """How severe it is that something is blocked for so long on this table.

    A second is high, a fifth of one medium. One level more where a hundred statements arrive meanwhile, one less where
    a tenth of one does. What is neither measured nor estimated is medium.
    """
    if seconds is None:
        return "low" if table and table.small else "medium"
    if "write" not in blocks:
        return "low"
    level = 2 if seconds >= LONG else 1 if seconds >= NOTICED else 0
    if table and table.writes is not None and seconds > 0:
        coming = seconds * (table.writes + ((table.reads or 0.0) if "reads" in blocks else 0.0))
        level += (coming >= MANY and level > 0) - (coming < NOBODY)
    return SEVERITIES[max(0, min(2, level))]


def estimated(work: str, table: Table | None) -> float | None:
    """Seconds that a lock is held for `brief` work, or a `scan`, `rewrite` or `build` of a table of that size."""
    if work == "brief":
        return 0.05
    if table is None or table.bytes is None:
        return None
    return round(table.bytes / (_SCANNED if work == "scan" else _WRITTEN), 3)


def find(tables: Mapping[str, Table], name: str) -> Table | None:
    """The target's table of that name, which a statement may write without its schema."""
    return tables.get(name) or next((t for known, t in tables.items() if known.rpartition(".")[2] == name), None)
