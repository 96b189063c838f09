"""What is to be read: tables as they are now, and for each print its columns, in an order, with a way to hash each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from afdb_helpers import catalog
from afdb_helpers.errors import Unavailable

if TYPE_CHECKING:
    from sqlalchemy import Connection

BUILT_IN = {
    "int2": "integer", "int4": "integer", "int8": "integer", "bool": "integer", "float4": "float", "float8": "float",
    "timestamp": "timestamp", "timestamptz": "timestamp", "date": "timestamp", "uuid": "uuid", "bytea": "bytes",
}  # fmt: skip


@dataclass(frozen=True)
class Source:
    """A column where it stands now. `kind`: integer, float, numeric, timestamp, uuid, bytes, or text for all others.

    `base`: the server's name for the type that is hashed. `was`: a declared cast, the type its values had, to which
    they are cast back; `kind` and `base` are that type's then.
    """

    name: str
    type: str
    kind: str
    base: str = ""
    known: bool = True
    key: bool = False
    was: str = ""


@dataclass(frozen=True)
class Table:
    """A table where it stands now; `bytes` and `file` decide how it is read in ranges."""

    shown: str
    schema: str
    name: str
    columns: Mapping[str, Source]
    plain: bool = True
    bytes: int = 0
    file: int = 0

    @property
    def key(self) -> tuple[str, ...]:
        return tuple(name for name, column in self.columns.items() if column.key)


@dataclass(frozen=True)
class Wanted:
    """One print to take: a table and, under the names to report and in their order, its columns.

    `unwritten_since`: only rows that no transaction has written since that snapshot. `part`: of all rows, by their key.
    """

    table: Table
    columns: Mapping[str, Source]
    unwritten_since: str = ""
    part: float = 1.0
    key: tuple[Source, ...] = field(default=())


def tables(connection: Connection) -> dict[str, Table]:
    """Every table by the name it is shown under, with all columns sorted by name. Reads the catalogue alone."""
    from sqlalchemy.exc import DBAPIError

    try:
        found = _sqlite(connection) if connection.dialect.name == "sqlite" else _postgresql(connection)
    except DBAPIError as error:
        raise Unavailable(
            "the tables cannot be listed",
            why=str(error.orig).strip().splitlines()[0],
            do="grant the role USAGE on the schemas, or see the server's log",
        ) from None
    return {name: table for name, table in sorted(found.items()) if name != catalog.VERSION_TABLE}


def shown(schema: str, name: str, usual: bool) -> str:
    """`table` in the usual schema, else `schema.table`; a name with a dot or a quote in it is quoted."""
    parts = [name] if usual else [schema, name]
    return ".".join('"' + part.replace('"', '""') + '"' if set(part) & {".", '"'} else part for part in parts)


def _postgresql(connection: Connection) -> dict[str, Table]:
    rows = connection.exec_driver_sql(
        catalog.question("fingerprint_columns"), execution_options={"no_parameters": True}
    )
    found: dict[str, Table] = {}
    for row in rows.mappings():
        name = shown(row["schema"], row["name"], row["usual"])
        table = found.setdefault(
            name, Table(name, row["schema"], row["name"], {}, row["relkind"] == "r", row["bytes"], row["file"] or 0)
        )
        if row["column"] is not None:
            assert isinstance(table.columns, dict)
            kind = kind_of(row["base"], row["modifier"])
            table.columns[row["column"]] = Source(
                row["column"], row["type"], kind, row["base"], row["known"], row["key"]
            )
    return found


def kind_of(base: str, modifier: int) -> str:
    """Numerics without a declared scale carry one in each value: 1.0 and 1.00 are two values then, and two texts."""
    if base == "numeric":
        return "numeric" if modifier >= 0 else "text"
    return BUILT_IN.get(base, "text")


def _sqlite(connection: Connection) -> dict[str, Table]:
    listed = connection.exec_driver_sql(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    ).scalars()
    found = {}
    for name in listed.all():
        columns = {}
        for row in connection.exec_driver_sql("SELECT * FROM pragma_table_xinfo(?) ORDER BY name", (name,)).mappings():
            if row["hidden"] != 1:
                columns[row["name"]] = Source(row["name"], row["type"], declared(row["type"]), key=row["pk"] > 0)
        found[shown("", name, True)] = Table(shown("", name, True), "", name, columns)
    return found


def declared(type_: str) -> str:
    """The kind of a SQLite column by its declared type; the first word that fits, as SQLite itself goes by words."""
    upper = type_.upper()
    for words, kind in _WORDS.items():
        if any(word in upper for word in words):
            return kind
    return "" if not upper else "text"


_WORDS: dict[tuple[str, ...], str] = {
    ("INTERVAL", "JSON", "UUID"): "text",
    ("DATE", "TIMESTAMP"): "timestamp",
    ("INT", "BOOL"): "integer",
    ("CHAR", "CLOB", "TEXT", "ENUM", "TIME"): "text",
    ("BLOB", "BYTEA", "BINARY"): "bytes",
    ("REAL", "FLOA", "DOUB"): "float",
    ("NUMERIC", "DECIMAL"): "numeric",
}


def everything(table: Table) -> Wanted:
    """All columns under their own names."""
    return Wanted(table, table.columns, key=tuple(table.columns[name] for name in table.key))


def sampled(wanted: Wanted, part: float) -> Wanted:
    """A part of the rows, chosen by the hash of their key; a table without a key is read whole."""
    return replace(wanted, part=part) if wanted.key else wanted
