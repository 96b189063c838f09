"""All records held against each other and the ledger, without a database: what was touched, and what cannot be told."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from afdb_helpers import ledger
from afdb_helpers.errors import AfdbError, ConfigError, Unavailable
from afdb_helpers.report import Aside, Report, count
from afdb_helpers.runbook import attestation, checking, records
from afdb_helpers.runbook.checking import Checked, Said
from afdb_helpers.runbook.record import LEDGER

_HEAD = re.compile(r"(?:(\d+):)?([0-9a-f]{64})")
Row = dict[str, Any]
UNSIGNED = "is not there, as in records before it: the run had no key, or the ledger was written anew with it"


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
    approvers: Mapping[str, str] | None = None, mark: Mapping[str, Any] | None = None,
) -> Report:  # fmt: skip
    """Check every record under `where`, or the one in `folder`, with the ledger that they are chained by.

    `head` is the ledger's head as it was kept elsewhere, `mark` what the last migration left in the database, `keys`
    whose signatures are believed, `approvers` whose on approvals. Reads only files; the report is ok when nothing was
    found touched. A record in `folder` that stands alone, as it was exported, is checked without a ledger.
    """
    held = _alone(where, folder) or read(where)
    found = [_checked(one, held, keys) for one in ([folder] if folder else _folders(where))]
    for one in found:
        _approval(where / one.id, one, approvers)
    rows: list[Row] = [{"record": LEDGER, "file": LEDGER, "what": what} for what in held.wrong]
    rows += [{"record": one.id, "file": file, "what": what} for one in found for file, what in one.wrong]
    if folder is None:
        rows += [*_deleted(held, found), *_unsigned(held, found, head), *_evidence(found)]
    rows += _cut(held, head, mark)
    unknown = [*held.unknown, *_unknown_head(held, head, mark)]
    unknown += _grouped(found)
    return _report(where, held, found, rows, unknown)


def read(where: Path) -> Ledger:
    """The ledger of a folder of records; one that is not there is said to be missing where there are records."""
    try:
        lines = ledger.lines(where / LEDGER)
    except Unavailable as error:
        return Ledger(wrong=[f"cannot be read: {error.why}"], there=False)
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


def _alone(where: Path, folder: Path | None) -> Ledger | None:
    """What is known where one record is asked about that was handed on without the others and their ledger."""
    if folder is None or os.path.lexists(where / LEDGER) or records.names(where) != [folder.name]:
        return None
    return Ledger(unknown=["whether it is in the ledger: none is beside it, as where it was exported"], there=False)


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


def _approval(folder: Path, found: Checked, keys: Mapping[str, str] | None) -> None:
    """The approval that the record says was signed: by whom it says, of what it says."""
    if found.wrong or not found.sums or not (found.run.get("approval") or {}).get("signed"):
        return
    from afdb_helpers.migrate import approvals

    if approvals.NAME not in found.sums:
        found.unknown.append("who signed its approval: it was made before records kept that")
    elif keys is None:
        found.unknown.append(f"who signed its approval: no keys are listed ({approvals.APPROVERS})")
    else:
        try:
            approvals.check(folder / approvals.NAME, keys, found.run)
        except AfdbError as error:
            found.wrong.append((approvals.NAME, f"is not by whom, or of what, run.json says: {error.why}"))
        except (LookupError, TypeError, ValueError) as error:  # whoever made the record chose what it holds
            found.wrong.append((approvals.NAME, f"cannot be held against run.json: {type(error).__name__}"))


def _deleted(held: Ledger, found: list[Checked]) -> list[Row]:
    there = {one.id for one in found}
    what = "the record is gone: the ledger says that it was there"
    return [{"record": run, "file": "", "what": what} for run in held.runs if run not in there]


def _unsigned(held: Ledger, found: list[Checked], head: str) -> Iterator[Row]:
    """Records without a signature, by the ledger too, after one that has one: no key, or both were written anew.

    What stood in the ledger up to the head that was kept elsewhere was not written anew since, and is only told of.
    """
    numbers = {run: said.intent[0]["seq"] for run, said in held.runs.items() if said.intent}
    first = min((numbers.get(one.id, 0) for one in found if one.signed_by), default=None)
    kept = next((number for number, digest in held.hashes.items() if head.endswith(digest)), 0)
    for one in found:
        said = held.runs.get(one.id, Said())
        if first is None or one.wrong or not one.sums or one.signed or numbers.get(one.id, 0) < first or not said.end:
            continue
        if said.end[0]["seq"] <= kept:
            one.unknown.append("it is not signed, as others before it are: its run had no key")
        else:
            yield {"record": one.id, "file": attestation.NAME, "what": UNSIGNED}


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
        return ["whether records after the database's last migration are gone with the ledger's tail: give --head"]
    return ["whether the newest are gone with the ledger's tail: give --target NAME, or --head"]


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
        headline = f"{about}: {count(len(rows), 'thing is', 'things are')} not as the runs left them"
    else:
        headline = f"{about}: those present are as they were sealed; {signed} signed by a believed key"
    parts = [Aside(headline="could not be checked", rows=tuple({"what": what} for what in unknown))] if unknown else []
    remedy = _remedy(held, rows) if rows else f"keep the head elsewhere: {held.head}" if held.head else ""
    return Report(headline=headline, ok=not rows, rows=tuple(rows), remedy=remedy, parts=tuple(parts))


def _remedy(held: Ledger, rows: list[Row]) -> str:
    if all(row["what"] == UNSIGNED for row in rows):
        return f"{checking.COPY}; where their runs had no key, set it, and from then on: --head {held.head}"
    if not held.there:
        return "put the ledger back from its copy; a record handed on without it is verified by its path"
    return checking.COPY
