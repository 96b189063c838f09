"""All records held against each other and the ledger, without a database: what was touched, and what cannot be told."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from afdb_helpers import ledger
from afdb_helpers.errors import ConfigError, Unavailable
from afdb_helpers.report import Report, count
from afdb_helpers.runbook import checking, records
from afdb_helpers.runbook.checking import Checked, Said
from afdb_helpers.runbook.record import LEDGER

_HEAD = re.compile(r"(?:(\d+):)?([0-9a-f]{64})")
Row = dict[str, Any]


@dataclass
class Ledger:
    """What the ledger says, read once: every run's entries, every line's hash, and what is wrong with it."""

    runs: dict[str, Said] = field(default_factory=dict)
    hashes: dict[int, str] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    there: bool = True

    @property
    def head(self) -> str:
        """The last entry's number and hash: what has to be kept elsewhere, so that a cut tail is seen."""
        return f"{len(self.hashes)}:{self.hashes[len(self.hashes)]}" if self.hashes else ""


def verify(
    where: Path, folder: Path | None = None, *, head: str = "", keys: Mapping[str, str] | None = None,
    mark: Mapping[str, Any] | None = None,
) -> Report:  # fmt: skip
    """Check every record under `where`, or the one in `folder`, with the ledger that they are chained by.

    `head` is the ledger's head as it was kept elsewhere, `mark` what the last migration left in the database, `keys`
    whose signatures are believed. Reads only files; the report is ok when nothing was found touched.
    """
    held = read(where)
    found = [_checked(one, held, keys) for one in ([folder] if folder else _folders(where))]
    rows: list[Row] = [{"record": LEDGER, "file": LEDGER, "what": what} for what in held.wrong]
    rows += [{"record": one.id, "file": file, "what": what} for one in found for file, what in one.wrong]
    if folder is None:
        rows += _deleted(held, found) + _unsigned(held, found, keys) + _evidence(found)
    rows += _cut(held, head, mark)
    unknown = [*held.unknown, *_unknown_head(held, head, mark)]
    unknown += _grouped(found)
    return _report(where, held, found, rows, unknown)


def read(where: Path) -> Ledger:
    """The ledger of a folder of records; one that is not there is said to be missing where there are records."""
    try:
        lines = ledger.lines(where / LEDGER)
    except Unavailable as error:
        return Ledger(wrong=[f"{error.what}: {error.why}"], there=False)
    entries, broken = ledger.walk(lines)
    found = Ledger(hashes={number: digest for number, (_, digest) in enumerate(entries, 1)})
    if broken:
        found.wrong.append(f"line {len(entries) + 1} is broken: {broken}")
    before = ""
    for entry, digest in entries:
        _take(found, entry, digest)
        if str(entry.get("at")) < before:
            found.unknown.append(f"the clock went back before entry {entry['seq']}: go by the numbers, not the times")
        before = str(entry.get("at"))
    return found


def _take(found: Ledger, entry: dict[str, Any], digest: str) -> None:
    run, event, number = str(entry.get("run")), entry.get("event"), entry["seq"]
    known = found.runs.get(run, Said())
    if event == "intent":
        if known.intent:
            found.wrong.append(f"entry {number} begins run {run} a second time")
        found.runs[run] = Said((entry, digest), known.end)
    elif event == "end":
        if known.end or not known.intent:
            found.wrong.append(
                f"entry {number} ends run {run}, {'a second time' if known.end else 'which never began'}"
            )
        found.runs[run] = Said(known.intent, (entry, digest))
    elif event == "ledger.recovered":
        found.unknown.append(f"entry {number}: a line cut short by a crash was taken off; it was never acknowledged")


def _folders(where: Path) -> Iterator[Path]:
    return (where / name for name in sorted(records.names(where)))


def _checked(folder: Path, held: Ledger, keys: Mapping[str, str] | None) -> Checked:
    said = held.runs.get(folder.name, Said()) if held.there else None
    return checking.record(folder, said, held.hashes, keys)


def _deleted(held: Ledger, found: list[Checked]) -> list[Row]:
    there = {one.id for one in found}
    what = "the record is gone: the ledger says that it was there"
    return [{"record": run, "file": "", "what": what} for run in held.runs if run not in there]


def _unsigned(held: Ledger, found: list[Checked], keys: Mapping[str, str] | None) -> list[Row]:
    """Records without a signature that came after one that has one: theirs was taken away."""
    if keys is None:
        return []
    numbers = {run: said.intent[0]["seq"] for run, said in held.runs.items() if said.intent}
    first = min((numbers.get(one.id, 0) for one in found if one.signed_by), default=None)
    what = "is missing: records before it are signed, and this one is not"
    return [
        {"record": one.id, "file": "attestation.json", "what": what}
        for one in found
        if first is not None and one.sums and not one.signed and numbers.get(one.id, 0) > first
    ]


def _evidence(found: list[Checked]) -> list[Row]:
    """Evidence that a record went by and that is not what the record it came from holds now."""
    sums = {one.id: one.sums for one in found if one.sums}
    rows = []
    for one in found:
        for cited in one.run.get("evidence") or () if one.sums else ():
            held, name = sums.get(cited.get("id")), cited.get("file")
            if held is not None and name and held.get(name) != cited.get("sha256"):
                what = f"went by {name} of {cited['id']}, which is another file now"
                rows.append({"record": one.id, "file": "run.json", "what": what})
    return rows


def _cut(held: Ledger, head: str, mark: Mapping[str, Any] | None) -> list[Row]:
    """A ledger that lacks what was seen of it elsewhere."""
    rows = []
    if head and not _stands(held, head):
        what = f"does not hold the head {head[:20]}…: its tail was cut, or it is another ledger"
        rows.append({"record": LEDGER, "file": LEDGER, "what": what})
    run = str((mark or {}).get("run", ""))
    if mark and not records.is_id(run):
        return rows
    at = str((mark or {}).get("ledger", ""))
    if mark and ((at and not _stands(held, at)) or run not in held.runs):
        what = f"does not hold run {run}, which the database names as its last: its tail was cut"
        rows.append({"record": LEDGER, "file": LEDGER, "what": what})
    elif mark and held.runs[run].end is None:
        rows.append({"record": run, "file": LEDGER, "what": "changed the database, and the ledger has no end of it"})
    return rows


def _stands(held: Ledger, position: str) -> bool:
    match = _HEAD.fullmatch(position)
    if match is None:
        raise ConfigError(
            f"{position!r} is no head", why="it is a number, a colon and 64 hexadecimal digits",
            do="give the head as an earlier `afdb records verify` printed it",
        )  # fmt: skip
    if match[1] is None:
        return match[2] in held.hashes.values()
    return held.hashes.get(int(match[1])) == match[2]


def _unknown_head(held: Ledger, head: str, mark: Mapping[str, Any] | None) -> list[str]:
    if head or not held.there:
        return []
    if mark and not records.is_id(str(mark.get("run"))):
        return ["whether the ledger's tail was cut: the database was last changed by a command that leaves no record"]
    if mark:
        return ["whether anything after the database's last migration was cut off the ledger's tail: give --head"]
    return ["whether the ledger's tail was cut: give --head, or --target to ask a database for its last migration"]


def _grouped(found: list[Checked]) -> list[str]:
    """What could not be checked, each thing once with the records concerned."""
    by: dict[str, list[str]] = {}
    for one in found:
        for what in one.unknown:
            by.setdefault(what, []).append(one.id)
    few = 3
    said = []
    for what, ids in by.items():
        more = f" and {len(ids) - few} more" if len(ids) > few else ""
        said.append(f"{what} ({', '.join(ids[:few])}{more})")
    return said


def _report(where: Path, held: Ledger, found: list[Checked], rows: list[Row], unknown: list[str]) -> Report:
    signed = sum(one.signed_by is not None for one in found)
    about = f"{count(len(found), 'record')} in {where}"
    if rows:
        first = rows[0]
        headline = f"{about}: {first['record']}: {first['file']} {first['what']}".replace(":  ", ": ")
    else:
        headline = f"{about}: none was touched; {signed} signed by a believed key"
    parts = [Report(headline="could not be checked", rows=tuple({"what": what} for what in unknown))] if unknown else []
    remedy = "compare them with their copy" if rows else f"keep the head elsewhere: {held.head}" if held.head else ""
    return Report(headline=headline, ok=not rows, rows=tuple(rows), remedy=remedy, parts=tuple(parts))
