"""Which column of before answers to which one now, as revisions declare it: data, not code.

mapping = {"orders": {
    "to": "purchases",                  the table's new name
    "renamed": {"sum": "amount"},       old column → new one
    "cast": {"amount": "text"},         old column → the type its values had; lossless, or it shows
    "retired": ["note"],                old columns that are meant to be gone; True: the table is
    "added": ["id"],                    new columns: an old one of the same name is not them
    "key": {"column": "id", "kept": "legacy_id"},   a new key; the old one's values are kept in another column
}}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from afdb_helpers.errors import ConfigError
from afdb_helpers.fingerprint.prints import Column
from afdb_helpers.fingerprint.reading import Source, Table, Wanted, kind_of

if TYPE_CHECKING:
    from sqlalchemy import Connection

Mapped = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Match:
    """What answers for a table of before. `wanted` None: the table, or the columns `gone`, are not there."""

    wanted: Wanted | None
    gone: tuple[str, ...] = ()
    retired: tuple[str, ...] = ()
    recast: tuple[str, ...] = ()  # columns of another kind now, without a declared cast


def match(
    name: str,
    columns: Mapping[str, Column],
    here: Mapping[str, Table],
    mapping: Mapped,
    connection: Connection,
    *,
    stayed: frozenset[str] = frozenset(),
) -> Match:
    """The columns of now for those of before, in their order. `stayed`: old columns that were not renamed after all."""
    said = mapping.get(name, {})
    if said.get("retired") is True:
        return Match(None, retired=tuple(columns))
    table = here.get(said.get("to", name)) or here.get(name)
    if table is None:
        return Match(None)
    retired = tuple(c for c in columns if c in said.get("retired", ()))
    renamed = {old: new for old, new in said.get("renamed", {}).items() if old not in stayed}
    now = {c: current(c, renamed, table) for c in columns if c not in retired}
    gone = tuple(c for c, source in now.items() if source is None)
    found = {c: source for c, source in now.items() if source is not None}
    recast, casts = [], said.get("cast", {})
    for c, source in found.items():
        if c in casts:
            found[c] = cast_back(connection, source, casts[c], columns[c])
        elif source.kind != columns[c].kind:
            recast.append(c)
            if connection.dialect.name == "sqlite":  # a value of another class is hashed with its class there
                found[c] = replace(source, kind=columns[c].kind)
    return Match(None if gone else Wanted(table, found), gone, retired, tuple(recast))


def current(column: str, renamed: Mapping[str, str], table: Table) -> Source | None:
    """An old column where it stands now: under its new name where that exists, else under its own."""
    names = (renamed.get(column), column)
    return next((table.columns[name] for name in names if name and name in table.columns), None)


def cast_back(connection: Connection, source: Source, type_: str, old: Column) -> Source:
    """The column, its values to be cast back to the type they had. The server says what that type's name is."""
    if connection.dialect.name == "sqlite":
        return replace(source, kind=old.kind, was=type_)
    from sqlalchemy import text

    asked = "SELECT format_type(t.oid, NULL), t.typname::text FROM pg_type t WHERE t.oid = to_regtype(:type)"
    row = connection.execute(text(asked), {"type": type_}).one_or_none()
    if row is None:
        raise ConfigError(
            f"the mapping casts column {source.name} back to {type_!r}, which is no type of this server",
            why="a cast names the type that the old values had",
            do="correct the revision's mapping",
        )
    kind = kind_of(row[1], 0 if old.kind == "numeric" else -1)
    return replace(source, kind=kind, base=row[1], was=row[0])
