"""What somebody accepts, in a file beside alembic.ini: what it is, why, and until when."""

from __future__ import annotations

import datetime as dt
import tomllib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from afdb_helpers.errors import ConfigError
from afdb_helpers.report import Report, count


@dataclass(frozen=True, kw_only=True)
class Waiver(ABC):
    """One entry. Its fields are the keys that the file may have; those without a default it must have."""

    reason: str
    until: dt.date
    EXAMPLE: ClassVar[str] = ""

    @abstractmethod
    def covers(self, subject: Any) -> bool:
        """Whether it is about this finding, or difference."""

    @abstractmethod
    def about(self) -> dict[str, str]:
        """What it is about, for people."""

    def lacks(self) -> str:
        """What it has to name and does not; empty when it is whole."""
        return ""


Kind = TypeVar("Kind", bound=Waiver)


def today() -> dt.date:
    return dt.datetime.now(dt.UTC).date()


def read(path: Path, kind: type[Kind]) -> tuple[Kind, ...]:
    """The waivers of a file; none where there is no file. Raises `ConfigError` where one is not whole."""
    if not path.is_file():
        return ()
    try:
        data = tomllib.loads(path.read_text())
    except tomllib.TOMLDecodeError as error:
        raise _wrong(path, kind, str(error)) from None
    listed = data.get("waiver", [])
    if set(data) - {"waiver"} or not isinstance(listed, list):
        raise _wrong(path, kind, "it holds something else than [[waiver]] tables")
    return tuple(_waiver(path, kind, number, entry) for number, entry in enumerate(listed, 1))


def waived(subject: Any, waivers: Sequence[Waiver], on: dt.date) -> str:
    """Until when and why a subject is accepted; empty where it is not. On its last day a waiver counts."""
    by = next((waiver for waiver in waivers if waiver.until >= on and waiver.covers(subject)), None)
    return f"until {by.until}: {by.reason}" if by else ""


def report(waivers: Sequence[Waiver], subjects: Sequence[Any], on: dt.date, *, of: str) -> Report:
    """The waivers with what became of each: counts, covers nothing, or expired. `of` is what they cover."""
    rows = tuple(_row(waiver, subjects, on, of) for waiver in waivers)
    expired = sum(row["state"] == "expired" for row in rows)
    said = f", {expired} expired" if expired else ""
    return Report(headline=f"{count(len(rows), 'waiver')}{said}", rows=rows)


def _row(waiver: Waiver, subjects: Sequence[Any], on: dt.date, of: str) -> dict[str, Any]:
    covered = sum(map(waiver.covers, subjects))
    state = "expired" if waiver.until < on else "counts" if covered else "covers nothing"
    return {**waiver.about(), of: covered, "state": state, "until": str(waiver.until), "reason": waiver.reason}


def _waiver(path: Path, kind: type[Kind], number: int, entry: Any) -> Kind:
    where, keys = f"waiver {number}", {field.name: field for field in fields(kind)}
    if not isinstance(entry, dict) or (unknown := sorted(set(entry) - set(keys))):
        raise _wrong(path, kind, f"{where} has a key that is none of {', '.join(keys)}: {', '.join(unknown)}")
    for key, field in keys.items():
        is_day, value = key == "until", entry.get(key)
        fits = isinstance(value, dt.date if is_day else str) and value and not isinstance(value, dt.datetime)
        if not fits and (key in entry or field.default is MISSING):
            raise _wrong(path, kind, f"{where}: {key} is to be a {'day' if is_day else 'text'}, and not empty")
    made = kind(**entry)
    if lacking := made.lacks():
        raise _wrong(path, kind, f"{where} {lacking}")
    return made


def _wrong(path: Path, kind: type[Waiver], why: str) -> ConfigError:
    return ConfigError(
        f"the waivers of {path.name} cannot be read", why=why, do=f"write [[waiver]] with {kind.EXAMPLE}"
    )
