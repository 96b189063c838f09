"""Which rows differ, where both sides can be reached: their keys and the columns, never a value.

Both sides cut a table into slices by the hash of its key and sum each slice. Only slices whose sums differ are read row
by row, so two tables of any size cost two scans each and little memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from afdb_helpers.fingerprint import client, lookup3, reading, server, statements
from afdb_helpers.fingerprint.mapping import Mapped, match
from afdb_helpers.fingerprint.prints import Column
from afdb_helpers.fingerprint.reading import Source, Wanted
from afdb_helpers.report import Report, count

if TYPE_CHECKING:
    from sqlalchemy import Connection

LIMIT = 20

Sliced = dict[int, tuple[int, int]]  # slice → rows, sum of row hashes
Hashes = tuple[int | None, ...]


@dataclass(frozen=True)
class Side:
    """One of the two databases, and what is read of its table."""

    connection: Connection
    wanted: Wanted


def differing(
    before: Connection, after: Connection, tables: list[str], *, mapping: Mapped | None = None, limit: int = LIMIT
) -> Report:
    """The keys of up to `limit` rows of each table that are not the same on both sides, with the columns that differ.

    Reads each table up to twice on each side (ACCESS SHARE). A table without a key is named as one that has none.
    """
    old, new = reading.tables(before), reading.tables(after)
    rows: list[dict[str, Any]] = []
    for name in tables:
        sides = _sides(before, after, name, old, new, mapping or {})
        found = _differing(*sides, limit) if sides else [("", "no key, or not all columns, on both sides")]
        rows += [{"table": name, "key": key, "differs": what} for key, what in found]
    return Report(headline=f"rows that differ: {count(len(rows), 'key')} shown", ok=not rows, rows=tuple(rows))


def _sides(
    before: Connection,
    after: Connection,
    name: str,
    old: Mapping[str, reading.Table],
    new: Mapping[str, reading.Table],
    mapping: Mapped,
) -> tuple[Side, Side] | None:
    if name not in old:
        return None
    table, retired = old[name], mapping.get(name, {}).get("retired", ())
    columns = {c: Column(0, "0", source.kind, source.type) for c, source in table.columns.items() if c not in retired}
    found = match(name, columns, new, mapping, after)
    key = [found.wanted.columns.get(c) for c in table.key] if found.wanted else []
    if found.wanted is None or not key or None in key:
        return None
    first = Wanted(table, {c: table.columns[c] for c in columns}, key=tuple(table.columns[c] for c in table.key))
    return Side(before, first), Side(after, replace(found.wanted, key=tuple(filter(None, key))))


def _differing(before: Side, after: Side, limit: int) -> list[tuple[str, str]]:
    ours, theirs = _slices(before), _slices(after)
    wrong = sorted(s for s in {*ours, *theirs} if ours.get(s) != theirs.get(s))
    found: list[tuple[str, str]] = []
    names = list(before.wanted.columns)
    for slice_ in wrong:
        here, there = dict(_rows(before, slice_)), dict(_rows(after, slice_))
        for key in sorted({*here, *there}):
            if (what := _what(here.get(key), there.get(key), names)) and len(found) < limit:
                found.append((", ".join(key), what))
        if len(found) >= limit:
            break
    return found


def _what(here: Hashes | None, there: Hashes | None, names: list[str]) -> str:
    if here is None or there is None:
        return "the row is new" if here is None else "the row is gone"
    return ", ".join(name for name, a, b in zip(names, here, there, strict=True) if a != b)


def _slices(side: Side) -> Sliced:
    from psycopg2.sql import SQL

    if side.connection.dialect.name == "sqlite":
        return _slices_here(side)
    with server.settled(side.connection):
        facts = server.dialect(side.connection)
        hashes = [statements.hash_name(i) for i in range(len(side.wanted.columns))]
        cut = SQL("{} AS slice").format(statements.slice_of(side.wanted, facts))
        asked = SQL("SELECT slice, count(*), coalesce(sum({}), 0) FROM ({}) AS hashed GROUP BY slice").format(
            statements.chain(hashes), statements.hashed(side.wanted, facts, more=[cut])
        )
        found = server.execute(side.connection, asked, side.wanted.table.shown)
    return {int(s): (int(rows), int(total)) for s, rows, total in found}


def _rows(side: Side, slice_: int) -> Iterator[tuple[tuple[str, ...], Hashes]]:
    """Keys and hashes of the rows of one slice."""
    from psycopg2.sql import SQL, Identifier

    keys = len(side.wanted.key)
    if side.connection.dialect.name == "sqlite":
        yield from _rows_here(side, slice_)
        return
    with server.settled(side.connection):
        facts = server.dialect(side.connection)
        shown = [SQL("CAST({} AS text)").format(Identifier(source.name)) for source in side.wanted.key]
        asked = statements.hashed(side.wanted, facts, more=shown, slice_=slice_)
        found = server.execute(side.connection, asked, side.wanted.table.shown)
    for row in found:
        yield tuple(row[:keys]), tuple(row[keys:])


def _slices_here(side: Side) -> Sliced:
    found: Sliced = {}
    for keys, _, hashes in client.batches(side.connection, side.wanted):
        for slice_, value in zip(_cut(keys, side.wanted.key), hashes, strict=True):
            rows, total = found.get(slice_, (0, 0))
            found[slice_] = rows + 1, total + lookup3.signed(int(value))
    return found


def _rows_here(side: Side, slice_: int) -> Iterator[tuple[tuple[str, ...], Hashes]]:
    for keys, columns, _ in client.batches(side.connection, side.wanted):
        for i, cut in enumerate(_cut(keys, side.wanted.key)):
            if cut == slice_:
                values = tuple(lookup3.signed(int(h[i])) if there[i] else None for h, there in columns)
                yield tuple(map(str, keys[i])), values


def _cut(keys: list[Any], sources: tuple[Source, ...]) -> list[int]:
    hashed = [client.hashed([key[i] for key in keys], source) for i, source in enumerate(sources)]
    return [int(one) for one in client.slices(hashed, len(keys))]
