"""An order-free hash of every column's data, so that "nothing was lost" can be shown, not claimed.

Per table, in one pass on the server: the rows; per column the non-null values and the sum of a 64-bit hash of each
value's text; and the sum of a hash of each whole row, so that values cannot change places between rows. Sums are taken
without overflow, and adding is order-free. Two different columns of n values have equal sums with odds of about 2⁻⁶⁴.
The text of a value is the server's own under fixed session settings. Hashes of PostgreSQL and of SQLite differ.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from afdb_helpers import catalog
from afdb_helpers.errors import Unavailable
from afdb_helpers.report import Report, count

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection
    from sqlalchemy.sql.expression import TableClause

Mapped = Mapping[str, Mapping[str, Any]]
Plan = dict[str, tuple[str, dict[str, str]]]  # print → its table and, under the names to report, its columns
_SESSION = {"DateStyle": "ISO, YMD", "IntervalStyle": "postgres", "TimeZone": "UTC", "extra_float_digits": "3",
            "bytea_output": "hex", "xmloption": "content", "row_security": "off"}  # fmt: skip


@dataclass(frozen=True)
class Print:
    """One table's: rows, sum of row hashes, and per column (non-null values, sum of hashes). Sums are decimal text."""

    rows: int
    row_sum: str
    columns: Mapping[str, tuple[int, str]]


@dataclass(frozen=True)
class Fingerprint:
    """Every table's print, at one moment."""

    dialect: str
    tables: Mapping[str, Print]

    def as_dict(self) -> dict[str, Any]:
        tables = {
            name: {"rows": p.rows, "row_sum": p.row_sum, "columns": {k: list(v) for k, v in p.columns.items()}}
            for name, p in self.tables.items()
        }
        return {"dialect": self.dialect, "tables": tables}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Fingerprint:
        tables = {
            name: Print(p["rows"], p["row_sum"], {k: (v[0], v[1]) for k, v in p["columns"].items()})
            for name, p in data["tables"].items()
        }
        return cls(data["dialect"], tables)

    def counts(self) -> dict[str, int]:
        """Rows per table."""
        return {name: p.rows for name, p in self.tables.items()}


def take(connection: Connection, *, tables: Iterable[str] | None = None) -> Fingerprint:
    """The fingerprint of every table, or of the named ones, of every column. Reads each table once (ACCESS SHARE).

    For one moment over all tables, pass a connection opened with `snapshot=True`. Raises `Unavailable` naming the table
    that cannot be read; none is passed over.
    """
    schema = catalog.snapshot(connection).tables
    wanted = {name: {c: c for c in sorted(schema[name]["columns"])} for name in (tables or schema)}
    return _take(connection, {name: (name, columns) for name, columns in wanted.items()})


def compare(before: Fingerprint, connection: Connection, *, mapping: Mapped | None = None) -> Report:
    """Whether every value of `before` is still there. `mapping` says, per table, which column was renamed to which.

    Its form is `{table: {"renamed": {old: new}}}`. Columns and tables that are new are no difference; a column that is
    gone is. One row a table: rows before and now, columns compared, what differs.
    """
    schema = catalog.snapshot(connection).tables
    plan: Plan = {}
    rows: list[dict[str, Any]] = []
    gone: dict[str, list[str]] = {}
    for name, old in before.tables.items():
        renamed = (mapping or {}).get(name, {}).get("renamed", {})
        here = schema.get(name, {"columns": {}})["columns"]
        gone[name] = [c for c in old.columns if _now(c, renamed, here) is None]
        if name in schema and not gone[name]:
            plan[name] = (name, {c: str(_now(c, renamed, here)) for c in old.columns})
    after = dict(_take(connection, plan).tables)
    after |= _take(connection, _stayed(before, after, plan, schema)).tables
    for name, old in before.tables.items():
        rows.append(_row(name, old, after.get(name), gone[name], name in schema))
    different = sum(row["differs"] != "" for row in rows)
    verdict = "every value preserved" if not different else f"{count(different, 'table')} changed"
    return Report(
        headline=f"data: {verdict} ({sum(r['rows before'] for r in rows):,} rows in {count(len(rows), 'table')})",
        ok=not different,
        rows=tuple(rows),
        remedy="" if not different else "do not drop the backup; compare the named columns with a restored copy",
    )


def _now(column: str, renamed: Mapping[str, str], here: Mapping[str, Any]) -> str | None:
    """What an old column is called now: its new name where that exists, else its own, else None."""
    return next((name for name in (renamed.get(column), column) if name and name in here), None)


def _stayed(before: Fingerprint, after: Mapping[str, Print], plan: Plan, schema: Mapping[str, Any]) -> Plan:
    """The tables to read once more: a column that differs under its new name, and is there under its old one too, may
    never have been renamed. (A database can have been half-way before it was migrated.)"""
    again: Plan = {}
    for name, (table, columns) in plan.items():
        old, new = before.tables[name].columns, after[name].columns
        stayed = {c for c, now in columns.items() if now != c and c in schema[table]["columns"] and old[c] != new[c]}
        if stayed:
            again[name] = (table, {c: c if c in stayed else now for c, now in columns.items()})
    return again


def _row(name: str, old: Print, new: Print | None, gone: list[str], there: bool) -> dict[str, Any]:
    if not there:
        differs = "the table is gone"
    elif gone or new is None:
        differs = f"gone: {', '.join(gone)}"
    else:
        changed = [c for c in old.columns if old.columns[c] != new.columns[c]]
        swapped = "values changed places between rows" if new.row_sum != old.row_sum and not changed else ""
        differs = ", ".join(changed) or swapped
        if new.rows != old.rows:
            differs = f"rows; {differs}".rstrip("; ")
    return {
        "table": name,
        "rows before": old.rows,
        "rows now": new.rows if new else None,
        "columns": len(old.columns),
        "differs": differs,
    }


def _take(connection: Connection, plan: Plan) -> Fingerprint:
    """`plan`: for each print its table and, under the names to report, its columns."""
    postgresql = connection.dialect.name == "postgresql"
    if postgresql:
        _settle(connection)
    reader = _on_server if postgresql else _in_client
    prints = {}
    for name, (table, columns) in plan.items():
        prints[name] = _guarded(connection, reader, table, columns)
    return Fingerprint(connection.dialect.name, prints)


def _guarded(connection: Connection, reader: Any, table: str, columns: Mapping[str, str]) -> Print:
    from sqlalchemy.exc import DBAPIError

    try:
        result: Print = reader(connection, table, columns)
    except DBAPIError as error:
        said = str(error.orig).strip().splitlines()[0]
        raise Unavailable(
            f"table {table} cannot be read, so nothing can be said of its data",
            why=said,
            do=f"grant the role SELECT on {table}, then run again",
        ) from None
    return result


def _settle(connection: Connection) -> None:
    """Fix the session settings that the text of a value depends on; a policy that hides rows is an error then."""
    from sqlalchemy import text

    for name, value in _SESSION.items():
        connection.execute(text("SELECT set_config(:name, :value, false)"), {"name": name, "value": value})


def _named(name: str, columns: Iterable[str]) -> TableClause:
    from sqlalchemy import column, table

    schema, _, bare = name.rpartition(".")
    return table(bare, *(column(c) for c in columns), schema=schema or None)


def _on_server(connection: Connection, name: str, columns: Mapping[str, str]) -> Print:
    """One SELECT: sums of hashtextextended over each column's text, and over the row's texts with their lengths."""
    from sqlalchemy import Numeric, Text, cast, collate, func, literal, select

    source = _named(name, columns.values())

    def hashed(value: ColumnElement[Any]) -> ColumnElement[Any]:
        exact = collate(value, "C")  # under others, "a" may equal "A"
        return func.coalesce(func.sum(cast(func.hashtextextended(exact, 0), Numeric)), 0)

    texts = [cast(source.c[c], Text) for c in columns.values()]
    parts = [func.coalesce(cast(func.length(t), Text) + ":" + t, literal("-")) for t in texts]
    picked: list[ColumnElement[Any]] = [func.count(), hashed(func.concat_ws("|", *parts) if parts else literal(""))]
    for value in texts:
        picked += [func.count(value), hashed(value)]
    found = connection.execute(select(*picked).select_from(source)).one()
    pairs = {c: (int(found[2 + 2 * i]), str(found[3 + 2 * i])) for i, c in enumerate(columns)}
    return Print(int(found[0]), str(found[1]), pairs)


def _in_client(connection: Connection, name: str, columns: Mapping[str, str]) -> Print:
    """SQLite: rows streamed through a 64-bit BLAKE2b; the storage class of a value belongs to the value."""
    from sqlalchemy import select

    source = _named(name, columns.values())
    total, row_sum = 0, 0
    nonnull, sums = [0] * len(columns), [0] * len(columns)
    chosen = [source.c[c] for c in columns.values()]
    for row in connection.execute(select(*chosen), execution_options={"yield_per": 1000}):
        total += 1
        hashes = [_hash(value) for value in row]
        row_sum += _hash(repr(hashes))
        for i, value in enumerate(row):
            if value is not None:
                nonnull[i] += 1
                sums[i] += hashes[i]
    return Print(total, str(row_sum), {c: (nonnull[i], str(sums[i])) for i, c in enumerate(columns)})


def _hash(value: Any) -> int:
    said = f"{type(value).__name__}:{value!r}".encode()
    return int.from_bytes(hashlib.blake2b(said, digest_size=8).digest())
