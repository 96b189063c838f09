"""One record held against its own sums, its journal, its signature and the ledger: what is wrong, what cannot be told.

Needs no database and believes nothing that the record says of itself. Fast, since it is done for thousands: what a
hash has shown to be as it was sealed is not parsed again.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from afdb_helpers import ledger
from afdb_helpers.errors import Refused
from afdb_helpers.runbook import attestation, shape, steps
from afdb_helpers.runbook.record import SUMS, listed

_TELLING = (b"cell.", b"kept", b"run.")  # events that steps are read from
_MARK = re.compile(rb'^\{"seq": \d+, "at": "[^"]*", "event": "([^"]+)"')
_JOURNAL, _BLOCK, _NOTHING = "journal.jsonl", 65536, MappingProxyType[str, bytes]({})
COPY = "compare with a copy: of this folder, of its object store, or the zip of `afdb records export`"
SEALED_BESIDES = (SUMS, attestation.NAME)  # sealed by the ledger, not by the sums


@dataclass(frozen=True)
class Said:
    """What the ledger says of one run: its intent and its end, each entry with its line's hash, or None."""

    intent: tuple[dict[str, Any], str] | None = None
    end: tuple[dict[str, Any], str] | None = None


@dataclass
class Checked:
    """What was found of a record: wrong things as (file, what), and what could not be checked."""

    id: str
    wrong: list[tuple[str, str]] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    run: dict[str, Any] = field(default_factory=dict)
    sums: dict[str, str] = field(default_factory=dict)
    signed_by: str | None = None
    signed: bool = False


def record(folder: Path, said: Said | None, hashes: Mapping[int, str], keys: Mapping[str, str] | None) -> Checked:
    """Check one record. `said` is None where there is no ledger to ask, `keys` None where nobody's key is listed."""
    found = Checked(folder.name)
    try:
        paths = {name: f"{folder}/{name}" for name in ("run.json", SUMS, _JOURNAL)}
        raw = {name: _content(path) for name, path in paths.items() if name == "run.json" or os.path.exists(path)}
        found.run = json.loads(raw["run.json"])
    except (OSError, ValueError, RecursionError) as error:
        found.wrong.append(("run.json", f"cannot be read: {str(error)[:80]}"))
        return found
    if not isinstance(found.run, dict) or found.run.get("id") != folder.name:
        found.wrong.append(("run.json", f"it is the record of {_id(found.run)}: another run's, replayed"))
        return found
    if (sealed := raw.get(SUMS)) is None:
        _unsealed(found, said)
        return found
    found.sums = listed(sealed)
    touched = changed(folder, found.sums, raw)
    found.wrong += [(name, f"is {state} since the record was sealed") for name, state in touched]
    _journal(raw.get(_JOURNAL), found)
    if found.wrong:  # what it says is of no use: it is not what the run left
        return found
    _consistent(found)
    if found.run.get("mode") == "interactive":
        found.unknown.append("it is an interactive run, not an audit record: the ledger does not know it")
        return found
    _against_ledger(found, said, sealed)
    _signature(folder, found, said, hashes, sealed, keys)
    return found


def changed(folder: Path, sums: Mapping[str, str], read: Mapping[str, bytes] = _NOTHING) -> list[tuple[str, str]]:
    """Every file that is not as it was sealed, with what became of it: changed, missing, not sealed.

    `read` holds the content of files that were read before: what is hashed then is what was parsed.
    """
    there = dict(_files(str(folder), ""))
    wrong = [(name, "missing") for name in sums if name not in there]
    for name, path in there.items():
        if name not in sums:
            if name not in SEALED_BESIDES:
                wrong.append((name, "not sealed"))
        elif (hashlib.sha256(read[name]).hexdigest() if name in read else _sha256(path)) != sums[name]:
            wrong.append((name, "changed"))
    return wrong


def _files(folder: str, prefix: str) -> Iterator[tuple[str, str]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _files(entry.path, f"{prefix}{entry.name}/")
            else:
                yield prefix + entry.name, entry.path


def _blocks(path: str) -> Iterator[bytes]:
    """A file's content by one open and, mostly, one read: as a file object it would take three times as long."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        while data := os.read(descriptor, _BLOCK):
            yield data
            if len(data) < _BLOCK:
                return
    finally:
        os.close(descriptor)


def _content(path: str) -> bytes:
    return b"".join(_blocks(path))


def _sha256(path: str) -> str:
    whole = hashlib.sha256()
    try:
        for data in _blocks(path):
            whole.update(data)
    except OSError:
        return "cannot be read"
    return whole.hexdigest()


def _unsealed(found: Checked, said: Said | None) -> None:
    if said is not None and said.end is not None:
        found.wrong.append((SUMS, "is missing, and the ledger says that the run has ended"))
    elif found.run.get("ended") is not None:
        found.wrong.append((SUMS, "is missing, and run.json says that the run has ended"))
    else:
        found.unknown.append("it has no end: the run goes on, or was killed")


def _journal(raw: bytes | None, found: Checked) -> None:
    """The chain of the journal, and what of it decides whether the run may be called a success."""
    name = _JOURNAL
    if raw is None or name not in found.sums or any(file == name for file, _ in found.wrong):
        return
    lines = raw.split(b"\n")
    torn = lines.pop()
    previous = ledger.FIRST
    for number, line in enumerate(lines, 1):
        as_written = line.startswith(b'{"seq": %d, ' % number) and line.endswith(b'"prev": "%s"}' % previous.encode())
        if not as_written and (broken := ledger.walk(lines)[1]):
            found.wrong.append((name, f"the chain is broken: {broken}"))
            return
        previous = hashlib.sha256(line).hexdigest()
    if torn:
        found.unknown.append("the last line of its journal was cut short by a crash")
    required = (found.run.get("runbook") or {}).get("steps") or ()
    success = found.run.get("outcome") == "succeeded" and found.run.get("mode") != "interactive"
    if success and (lack := steps.missing(required, [_event(line) for line in lines])):
        found.wrong.append((name, f"is not that of a success: {lack}"))


def _event(line: bytes) -> dict[str, Any]:
    """An entry of the journal; of most only the event's name is wanted."""
    mark = _MARK.match(line)
    return {"event": mark[1].decode()} if mark and not mark[1].startswith(_TELLING) else dict(json.loads(line))


def _consistent(found: Checked) -> None:
    """What run.json says, where it was sealed as it is."""
    try:
        shape.check(found.run)
    except ValueError as error:
        found.wrong.append(("run.json", str(error)))
    book = found.run.get("runbook") or {}
    if found.run.get("mode") == "engine" and book.get("committed") is False:
        found.wrong.append(("notebook.ipynb", "is not the committed one, and the record says that it is for an audit"))
    elif found.run.get("mode") == "engine" and book.get("committed") is None:
        found.unknown.append("whether its notebook is the committed one: it was in no repository")
    elif found.run.get("mode") == "trial":
        found.unknown.append("it is a trial of a notebook that was not committed, not an audit record")


def _against_ledger(found: Checked, said: Said | None, sealed: bytes) -> None:
    if said is None:
        return
    if said.intent is None:
        found.wrong.append((SUMS, "the ledger does not know this run: it was added, or the ledger lost it"))
    if said.end is None:
        found.wrong.append((SUMS, "the record is sealed, and the ledger has no end of the run: its tail was cut"))
        return
    end = said.end[0]
    if end.get("sha256sums") != hashlib.sha256(sealed).hexdigest():
        found.wrong.append((SUMS, "is not what the ledger holds of this run: it was written anew"))
    for key in ("outcome", "exit_code"):
        if end.get(key) != found.run.get(key):
            found.wrong.append(("run.json", f"says {key} {found.run.get(key)}, the ledger {end.get(key)}"))


def _signature(
    folder: Path, found: Checked, said: Said | None, hashes: Mapping[int, str], sealed: bytes,
    keys: Mapping[str, str] | None,
) -> None:  # fmt: skip
    """The attestation: sealed by the ledger, by a believed key, about these files, this run and this ledger."""
    name = attestation.NAME
    held = said.end[0].get("attestation") if said and said.end else None
    try:
        raw = (folder / name).read_bytes()
    except FileNotFoundError:
        if held:
            found.wrong.append((name, "is missing, and the ledger says that the record was signed"))
        return
    found.signed = True
    if said and said.end and held != hashlib.sha256(raw).hexdigest():
        found.wrong.append((name, "is not what the ledger holds of this run: it was signed anew"))
    if keys is None:
        found.unknown.append("who signed it: no keys are listed")
        return
    try:
        files, predicate, found.signed_by = attestation.read(raw, keys)
    except Refused as error:
        found.wrong.append((name, f"{error.what}: {error.why}"))
        return
    if files != {**found.sums, SUMS: hashlib.sha256(sealed).hexdigest()} or predicate.get("id") != found.id:
        found.wrong.append((name, "was signed for another run or other files"))
    number, _, digest = str(predicate.get("ledger")).partition(":")
    if hashes and hashes.get(int(number) if number.isdigit() else 0) != digest:
        found.wrong.append((name, "was signed for another ledger: the entry it names is not in this one"))


def _id(run: Any) -> str:
    return str(run.get("id")) if isinstance(run, dict) else "nothing"
