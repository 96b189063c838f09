"""Findings that somebody accepts: by rule, in a revision or where a statement fits a pattern."""

from __future__ import annotations

import datetime as dt
import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from afdb_helpers import waivers
from afdb_helpers.lint.findings import Finding
from afdb_helpers.report import Report

FILE = "lint-waivers.toml"


@dataclass(frozen=True, kw_only=True)
class Waiver(waivers.Waiver):
    """For the findings of a rule: in a revision, or where a statement on one line fits a pattern with `*`, or both."""

    rule: str
    revision: str = ""
    statement: str = ""
    EXAMPLE: ClassVar[str] = 'rule, reason, until = 2027-06-30 and statement = "ALTER TABLE …" or revision = "002"'

    def covers(self, subject: Finding) -> bool:
        return (
            subject.rule == self.rule
            and self.revision in ("", subject.revision)
            and (not self.statement or fnmatch.fnmatchcase(subject.statement, self.statement))
        )

    def about(self) -> dict[str, str]:
        return {"rule": self.rule, "for": self.statement or f"revision {self.revision}"}

    def lacks(self) -> str:
        return "" if self.revision or self.statement else "names neither a revision nor a statement"


def read(path: Path) -> tuple[Waiver, ...]:
    """The waivers of a file; none where there is no file. Raises `ConfigError` where one is not whole."""
    return waivers.read(path, Waiver)


def apply(findings: Sequence[Finding], given: Sequence[Waiver], on: dt.date) -> tuple[list[Finding], Report]:
    """The findings, those that are waived marked so; and the waivers with what became of each."""
    marked = [replace(finding, waived=waivers.waived(finding, given, on)) for finding in findings]
    return marked, waivers.report(given, findings, on, of="findings")
