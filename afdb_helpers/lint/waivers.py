"""Findings that somebody accepts, in a file beside alembic.ini: which, why, and until when."""

from __future__ import annotations

import datetime as dt
import fnmatch
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from afdb_helpers.errors import ConfigError
from afdb_helpers.lint.findings import Finding
from afdb_helpers.report import Report, count

FILE = "lint-waivers.toml"
_KEYS = {"rule": str, "reason": str, "until": dt.date, "revision": str, "statement": str}


@dataclass(frozen=True)
class Waiver:
    """For the findings of a rule: in a revision, or where a statement on one line fits a pattern with `*`, or both."""

    rule: str
    reason: str
    until: dt.date
    revision: str = ""
    statement: str = ""

    def covers(self, finding: Finding) -> bool:
        return (
            finding.rule == self.rule
            and self.revision in ("", finding.revision)
            and (not self.statement or fnmatch.fnmatchcase(finding.statement, self.statement))
        )


def read(path: Path) -> tuple[Waiver, ...]:
    """The waivers of a file; none where there is no file. Raises `ConfigError` where one is not whole."""
    if not path.is_file():
        return ()
    try:
        data = tomllib.loads(path.read_text())
    except tomllib.TOMLDecodeError as error:
        raise _wrong(path, str(error)) from None
    listed = data.get("waiver", [])
    if set(data) - {"waiver"} or not isinstance(listed, list):
        raise _wrong(path, "it holds something else than [[waiver]] tables")
    return tuple(_waiver(path, number, entry) for number, entry in enumerate(listed, 1))


def apply(findings: Sequence[Finding], waivers: Sequence[Waiver], on: dt.date) -> tuple[list[Finding], Report]:
    """The findings, those that are waived marked so; and the waivers with what became of each.

    One whose day has passed does not count, and is said.
    """
    valid = [waiver for waiver in waivers if waiver.until >= on]
    marked = []
    for finding in findings:
        by = next((waiver for waiver in valid if waiver.covers(finding)), None)
        marked.append(replace(finding, waived=f"until {by.until}: {by.reason}") if by else finding)
    rows = tuple(_row(waiver, findings, on) for waiver in waivers)
    expired = sum(row["state"] == "expired" for row in rows)
    said = f", {expired} expired" if expired else ""
    return marked, Report(headline=f"{count(len(rows), 'waiver')}{said}", rows=rows)


def _row(waiver: Waiver, findings: Sequence[Finding], on: dt.date) -> dict[str, Any]:
    covered = sum(map(waiver.covers, findings))
    state = "expired" if waiver.until < on else "counts" if covered else "covers nothing"
    return {"rule": waiver.rule, "for": waiver.statement or f"revision {waiver.revision}", "findings": covered,
            "state": state, "until": str(waiver.until), "reason": waiver.reason}  # fmt: skip


def _waiver(path: Path, number: int, entry: Any) -> Waiver:
    where = f"waiver {number}"
    if not isinstance(entry, dict) or (unknown := sorted(set(entry) - set(_KEYS))):
        raise _wrong(path, f"{where} has a key that is none of {', '.join(_KEYS)}: {', '.join(unknown)}")
    for key, kind in _KEYS.items():
        fits = isinstance(entry.get(key), kind) and entry[key] and not isinstance(entry[key], dt.datetime)
        if not fits and (key in entry or key in ("rule", "reason", "until")):
            raise _wrong(path, f"{where}: {key} is to be a {'day' if kind is dt.date else 'text'}, and not empty")
    if not ("revision" in entry or "statement" in entry):
        raise _wrong(path, f"{where} names neither a revision nor a statement")
    return Waiver(**entry)


def _wrong(path: Path, why: str) -> ConfigError:
    return ConfigError(
        f"the waivers of {path.name} cannot be read",
        why=why,
        do='write [[waiver]] with rule, reason, until = 2027-06-30 and statement = "ALTER TABLE …" or revision = "002"',
    )
