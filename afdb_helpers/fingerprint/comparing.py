"""Two fingerprints, or one and what stands now: is every value still there, through the declared mapping?"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from afdb_helpers.fingerprint import reading, taking
from afdb_helpers.fingerprint.mapping import Mapped, Match, match
from afdb_helpers.fingerprint.prints import Column, Fingerprint, Print
from afdb_helpers.fingerprint.server import Note
from afdb_helpers.report import Report, count

if TYPE_CHECKING:
    from sqlalchemy import Connection

CONFIDENCE = 0.95
KEEP = "do not drop the backup; compare the named columns with a restored copy"


def compare(
    before: Fingerprint,
    connection: Connection,
    *,
    mapping: Mapped | None = None,
    live: bool = False,
    jobs: int = 1,
    timeout: float = 0,
    note: Note = lambda event, **facts: None,
) -> Report:
    """Whether every value of `before` is still there. `mapping` says which column is which, see `mapping`.

    Columns and tables that are new are no difference; a column that is gone is, unless it is declared as retired or its
    table had no row. With `live`, for the database that `before` was taken of: where a table differs, rows written
    since are left out and counted. One row a table: rows before and now, columns compared, what differs, what was not
    compared.
    """
    said, here = mapping or {}, reading.tables(connection)
    found = {name: match(name, old.columns, here, said, connection) for name, old in before.tables.items()}
    options = {"jobs": jobs, "timeout": timeout, "note": note}
    after = _read(connection, before, found, options)
    for name, again in _stayed(before, after, found, here, said, connection).items():
        found[name] = again
        after |= _read(connection, before, {name: again}, options)
    notes: dict[str, str] = {}
    if live and before.moment:
        notes = _unwritten(connection, before, found, after, options)
    rows = [_row(n, old, after.get(n), found[n], notes.get(n, "")) for n, old in before.tables.items()]
    new = {n: sorted(set(here[n].columns) - set(old.columns)) for n, old in before.tables.items() if n in here}
    return report(rows, before.sample, gone={n: one.gone for n, one in found.items() if one.gone}, new=new)


def compare_prints(before: Fingerprint, after: Fingerprint, *, mapping: Mapped | None = None) -> Report:
    """Two fingerprints that were taken, without a database. A declared cast cannot be followed; that is said."""
    rows = []
    for name, old in before.tables.items():
        said = (mapping or {}).get(name, {})
        new = after.tables.get(said.get("to", name)) or after.tables.get(name)
        retired = tuple(old.columns) if said.get("retired") is True else tuple(said.get("retired", ()))
        now = {c: next((n for n in (said.get("renamed", {}).get(c), c) if new and n in new.columns), None)
               for c in old.columns if c not in retired}  # fmt: skip
        gone = tuple(c for c, n in now.items() if n is None)
        notes = ""
        if new is not None and not gone:
            order = [n for n in now.values() if n]
            whole = order == list(new.columns) and len(order) == len(old.columns)
            notes = (
                "" if whole else "whether values changed places between rows: columns were renamed, added or retired"
            )
            picked = {c: new.columns[str(n)] for c, n in now.items()}
            new = Print(new.rows, new.row_sum if whole else old.row_sum, picked, new.unknown)
        recast = tuple(c for c in now if new and not gone and new.columns[c].kind != old.columns[c].kind)
        found = Match(None, gone, retired, recast)
        rows.append(_row(name, old, None if gone else new, found, notes))
    return report(rows, min(before.sample, after.sample), comparable=before.sample == after.sample)


def report(
    rows: list[dict[str, Any]],
    sample: float,
    *,
    comparable: bool = True,
    gone: Mapping[str, Sequence[str]] | None = None,
    new: Mapping[str, Sequence[str]] | None = None,
) -> Report:
    """The rows under one headline. `gone`, `new`: the columns of each table that are, for the remedy."""
    lost = {row["table"]: tuple((gone or {}).get(row["table"], ())) for row in rows if row["differs"]}
    named = [f"{table}.{column}" for table, columns in lost.items() for column in columns]
    different = sum(row["differs"] != "" for row in rows)
    verdict = "every value preserved" if not different else f"{count(different, 'table')} changed"
    verdict += (
        f", {', '.join(named[:8])}{', …' if named[8:] else ''} {'is' if len(named) == 1 else 'are'} gone"
        if named
        else ""
    )
    read = f"{count(sum(r['rows before'] for r in rows), 'row')} in {count(len(rows), 'table')}"
    if sample < 1:
        unseen = math.ceil(math.log(1 - CONFIDENCE) / math.log(1 - sample))
        read += f", a sample of {sample:.2%}: with {CONFIDENCE:.0%} confidence fewer than {unseen:,} rows changed"
    if not comparable:
        different, verdict = 1, "not comparable: one of the two is of a sample"
    return Report(
        headline=f"data: {verdict} ({read})",
        ok=not different,
        rows=tuple(rows),
        remedy="" if not different else _declare(lost, new or {}) or KEEP,
    )


def _declare(lost: Mapping[str, Sequence[str]], new: Mapping[str, Sequence[str]]) -> str:
    """What a revision would have to say of the first table whose columns are gone; nothing where none is."""
    table, columns = next(((table, columns) for table, columns in lost.items() if columns), ("", ()))
    if not table:
        return ""
    names = new.get(table, ())
    renamed = {c: names[0] if len(names) == len(columns) == 1 else "NEW NAME" for c in columns}
    said = [json.dumps({table: one}, ensure_ascii=False) for one in ({"renamed": renamed}, {"retired": list(columns)})]
    return f"if renamed, declare mapping = {said[0]} in the revision, if meant to go, {said[1]} (docs/verification.md)"


def _read(
    connection: Connection, before: Fingerprint, found: Mapping[str, Match], options: Mapping[str, Any]
) -> dict[str, Print]:
    plan = {name: _sampled(before, name, one) for name, one in found.items() if one.wanted}
    prints = taking.read(connection, list(plan.values()), **options)
    return dict(zip(plan, prints, strict=True))


def _sampled(before: Fingerprint, name: str, found: Match) -> reading.Wanted:
    assert found.wanted is not None
    key = tuple(found.wanted.columns[c] for c in before.tables[name].key if c in found.wanted.columns)
    return reading.sampled(replace(found.wanted, key=key), before.sample)


def _stayed(
    before: Fingerprint,
    after: Mapping[str, Print],
    found: Mapping[str, Match],
    here: Mapping[str, reading.Table],
    mapping: Mapped,
    connection: Connection,
) -> dict[str, Match]:
    """The tables to read once more: a column that differs under its new name, and is there under its old one too, may
    never have been renamed. (A database can have been half-way before it was migrated.)"""
    again = {}
    for name, one in found.items():
        if one.wanted is None:
            continue
        old, new = before.tables[name].columns, after[name].columns
        moved = {c for c, source in one.wanted.columns.items() if source.name != c}
        stayed = frozenset(c for c in moved if c in one.wanted.table.columns and not _same(old[c], new[c]))
        if stayed:
            again[name] = match(name, old, here, mapping, connection, stayed=stayed)
    return again


def _unwritten(
    connection: Connection,
    before: Fingerprint,
    found: Mapping[str, Match],
    after: dict[str, Print],
    options: Mapping[str, Any],
) -> dict[str, str]:
    """Under live traffic: read tables that differ once more, without the rows written since. What was left out."""
    notes = {}
    for name, one in found.items():
        old = before.tables[name]
        if one.wanted is None or not one.wanted.table.plain or not _differs(old, after[name], one):
            continue
        rest = replace(_sampled(before, name, one), unwritten_since=before.moment)
        kept = taking.read(connection, [rest], **options)[0]
        written = after[name].rows - kept.rows
        if not _differs(old, kept, one):
            notes[name] = f"{count(written, 'row')} written since"
            after[name] = replace(kept, rows=after[name].rows)
        elif written:
            lost = old.rows - kept.rows
            notes[name] = f"{count(written, 'row')} written since; of before, {lost:,} were written again or are gone"
    return notes


def _row(name: str, old: Print, new: Print | None, found: Match, notes: str) -> dict[str, Any]:
    if found.retired and new is None and not found.gone:
        differs, notes = "", "the table is retired, as declared"
    elif new is None and not old.rows:
        differs, notes = "", f"it had no row, so no value was lost; gone: {', '.join(found.gone) or 'the table'}"
    elif found.gone:
        differs = f"gone: {', '.join(found.gone)}"
    elif new is None:
        differs = "the table is gone"
    else:
        differs = _differs(old, new, found, grown="written since" in notes and "again" not in notes)
        notes = "; ".join(filter(None, [notes, *_unseen(found, new)]))
    return {
        "table": name,
        "rows before": old.rows,
        "rows now": new.rows if new else None,
        "columns": len(old.columns) - len(found.retired),
        "differs": differs,
        "not compared": notes,
    }


def _unseen(found: Match, new: Print) -> list[str]:
    """What is to be said of columns that were not compared, or by a text that nobody vouches for."""
    rest = f"retired: {', '.join(found.retired)}; so whether values changed places between rows"
    said = [rest] if found.retired else []
    return said + ([f"by their text alone, of a type unknown here: {', '.join(new.unknown)}"] if new.unknown else [])


def _differs(old: Print, new: Print, found: Match, *, grown: bool = False) -> str:
    """What of a table is not as it was, empty when all of it is."""
    compared = [c for c in old.columns if c not in found.retired]
    changed = [c for c in compared if not _same(old.columns[c], new.columns[c])]
    said = [
        f"{c} (was {old.columns[c].type}, is {new.columns[c].type}: no cast declared)" if c in found.recast else c
        for c in changed
    ]
    swapped = old.row_sum != new.row_sum and not changed and not found.retired
    differs = ", ".join(said) or ("values changed places between rows" if swapped else "")
    return f"rows; {differs}".rstrip("; ") if new.rows != old.rows and not grown else differs


def _same(old: Column, new: Column) -> bool:
    return (old.nonnull, old.total) == (new.nonnull, new.total)
