"""A chain of entries, one JSON line each: gapless numbers, each entry holding the hash of the line before it.

A line cut short by a crash was never acknowledged: readers pass over it, the next append cuts it off and says so.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from afdb_helpers import durable
from afdb_helpers.errors import Unavailable
from afdb_helpers.report import Report

FIRST = "0" * 64
_BLOCK = 65536


def clock() -> datetime:
    """This machine's time, UTC: the one place where ledgers and records read it. Durations are measured by another."""
    return datetime.now(UTC)


def append(path: Path, entry: Mapping[str, Any]) -> dict[str, Any]:
    """Add an entry and return it with its `seq`, `at` (UTC) and `prev`; it is on the disk when this returns.

    Processes and threads may append at the same time: the file is locked meanwhile. Where the disk refuses, the
    file is left as it was and the OSError goes on to the caller.
    """
    with _locked(path) as file:
        size = file.seek(0, os.SEEK_END)
        last, torn = _tail(file, size)
        try:
            if torn:
                file.truncate(size - len(torn))
                lost = {"event": "ledger.recovered", "torn_bytes": len(torn), "torn_sha256": _sha256(torn)}
                last, _ = _write(file, lost, last)
            _, written = _write(file, entry, last)
        except OSError:
            with suppress(OSError):
                file.truncate(size - len(torn))
            raise
    return written


def position(entry: Mapping[str, Any]) -> str:
    """Where an entry stands: its number, a colon and the hash of its line, which is what the next one holds."""
    return f"{entry['seq']}:{_sha256(line(entry))}"


def read(path: Path) -> list[dict[str, Any]]:
    """Every acknowledged entry in order. Raises `Unavailable` where the file is missing or a line is not an entry."""
    entries = []
    for number, line in enumerate(lines(path), 1):
        entry = _entry(line)
        if entry is None:
            raise Unavailable(
                f"{path.name}: line {number} is not an entry",
                why="it is not a JSON object, so the file was damaged or edited by hand",
                do=f"restore {path} from its copy; `afdb records show` checks it",
            )
        entries.append(entry)
    return entries


def check(path: Path) -> Report:
    """Whether the chain holds; a broken one names its first broken line."""
    entries, broken = walk(lines(path))
    if broken:
        number, why = len(entries) + 1, broken
        return Report(
            headline=f"{path.name}: line {number} is broken: {why}",
            ok=False,
            rows=({"file": str(path), "line": number, "why": why},),
            remedy=f"compare {path.name} with its copy",
        )
    head = entries[-1][1] if entries else FIRST
    return Report(
        headline=f"{path.name}: {len(entries)} entries, the chain holds",
        rows=({"entries": len(entries), "head": head},),
    )


def walk(of: list[bytes]) -> tuple[list[tuple[dict[str, Any], str]], str]:
    """The entries of a chain, each with its line's hash, as far as it holds, and what is wrong with the next line."""
    previous, found = FIRST, list[tuple[dict[str, Any], str]]()
    for number, line in enumerate(of, 1):
        entry = _entry(line)
        if entry is None:
            return found, "it is not a JSON object"
        if entry.get("seq") != number:
            return found, f"its number is {entry.get('seq')}, not {number}: an entry was added or lost"
        if entry.get("prev") != previous:
            return found, "it does not hold the hash of the line before it: that line was changed"
        previous = _sha256(line)
        found.append((entry, previous))
    return found, ""


def lines(path: Path) -> list[bytes]:
    """Every acknowledged line; what a crash cut short is none. Raises `Unavailable` where the file cannot be read."""
    try:
        data = raw(path)
    except OSError as error:
        raise Unavailable(
            f"{path.name} cannot be read", why=error.strerror or str(error), do=f"check that {path} is there"
        ) from None
    return data.split(b"\n")[:-1]


def raw(path: Path) -> bytes:
    """The file as it stands. Raises OSError where it cannot be read, or is no file: a device may never end."""
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "it is not a regular file")
    return path.read_bytes()


@contextmanager
def _locked(path: Path) -> Iterator[Any]:
    new = not path.exists()
    with path.open("ab+", buffering=0) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if new:
            durable.sync(path.parent)
        yield file


def _tail(file: Any, size: int) -> tuple[bytes, bytes]:
    """The last whole line (empty where there is none) and what a crash left behind it."""
    tail, start = b"", size
    while start and tail.count(b"\n") < 2:
        step = min(_BLOCK, start)
        start -= step
        file.seek(start)
        tail = file.read(step) + tail
    whole, newline, torn = tail.rpartition(b"\n")
    return (whole.rpartition(b"\n")[2] if newline else b""), torn


def following(last: bytes, entry: Mapping[str, Any]) -> dict[str, Any]:
    """An entry as it stands after the line `last`, empty for the first. Raises `Unavailable` where that is no entry."""
    previous = _entry(last) if last else {"seq": 0}
    if previous is None or not isinstance(previous.get("seq"), int):
        raise Unavailable(
            "the last line is not an entry",
            why="nothing can be chained to it, so the file was damaged or edited by hand",
            do="restore the file from its copy before anything else is run",
        )
    own = {"seq": previous["seq"] + 1, "at": clock().isoformat(timespec="microseconds")}
    written = own | dict(entry) | own | {"prev": _sha256(last) if last else FIRST}
    return dict(json.loads(line(written)))


def copy(path: Path, lines: list[bytes]) -> None:
    """Append lines as they stand in another place, those that are not here yet."""
    with _locked(path) as file:
        last, torn = _tail(file, size := file.seek(0, os.SEEK_END))
        file.truncate(size - len(torn))
        have = (_entry(last) or {}).get("seq", 0) if last else 0
        data = b"".join(one + b"\n" for one in lines if (_entry(one) or {}).get("seq", 0) > have)
        while data:
            data = data[file.write(data) :]
        os.fsync(file.fileno())


def _write(file: Any, entry: Mapping[str, Any], last: bytes) -> tuple[bytes, dict[str, Any]]:
    try:
        written = following(last, entry)
    except Unavailable as error:
        raise Unavailable(
            f"{Path(file.name).name}: its last line is not an entry", why=error.why, do=error.do
        ) from None
    data = line(written) + b"\n"
    while data:
        data = data[file.write(data) :]
    os.fsync(file.fileno())
    return line(written), written


def line(entry: Mapping[str, Any]) -> bytes:
    """An entry as it is written."""
    return json.dumps(entry, ensure_ascii=False, allow_nan=False, default=str).encode()


def _entry(line: bytes) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
