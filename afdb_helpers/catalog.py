"""What the server says of itself: its identity, the stamped revisions, the schema as plain data, the tables' sizes."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from afdb_helpers import revisions
from afdb_helpers.errors import Unavailable
from afdb_helpers.report import Report, count

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.engine.interfaces import ReflectedForeignKeyConstraint
    from sqlalchemy.engine.reflection import Inspector

VERSION_TABLE = revisions.VERSION_TABLE
SHAPE = 2  # of a snapshot: a cached one of another shape is none
Table = dict[str, Any]


@dataclass(frozen=True)
class Identity:
    """Which database this is. `system_identifier` is None where the role may not read it; SQLite has a file instead."""

    dialect: str
    system_identifier: str | None
    database: str
    oid: int | None
    version: str
    role: str | None
    replica: bool
    clock: str

    def key(self) -> dict[str, Any]:
        """The part that stays the same as long as it is the same database: what approvals and backups are bound to."""
        names = ("dialect", "system_identifier", "database", "oid")
        return {name: getattr(self, name) for name in names}

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Catalog:
    """A schema as plain data: table name → columns, keys, constraints, indexes. The version table is left out."""

    dialect: str
    tables: Mapping[str, Table]

    @property
    def digest(self) -> str:
        """SHA-256 over canonical JSON: the same for the same schema on every machine and in every run."""
        return digest(self.as_dict())

    def as_dict(self) -> dict[str, Any]:
        return {"dialect": self.dialect, "tables": dict(self.tables)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Catalog:
        return cls(data["dialect"], data["tables"])


def digest(data: Any) -> str:
    """`sha256:…` over JSON with sorted keys and no space."""
    canonical = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return f"sha256:{hashlib.sha256(canonical.encode()).hexdigest()}"


@cache
def question(name: str) -> str:
    """A catalogue question, as it stands in sql/<name>.sql."""
    return (Path(__file__).parent / "sql" / f"{name}.sql").read_text()


def identity(connection: Connection) -> Identity:
    """Which database the connection is on. Takes no lock on a table."""
    if connection.dialect.name == "sqlite":
        from datetime import UTC, datetime

        attached = connection.exec_driver_sql("PRAGMA database_list").mappings()  # reflection attaches `temp` too
        file = next(str(one["file"]) for one in attached if one["name"] == "main")
        version = connection.exec_driver_sql("SELECT sqlite_version()").scalar_one()
        clock = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
        return Identity("sqlite", None, file, None, version, None, False, clock)
    from sqlalchemy.exc import ProgrammingError

    try:
        row = connection.exec_driver_sql(question("identity")).mappings().one()
    except ProgrammingError:  # hosted servers keep pg_control_system() to themselves
        withheld = question("identity").replace("(SELECT system_identifier::text FROM pg_control_system())", "NULL")
        row = connection.exec_driver_sql(withheld).mappings().one()
    return Identity(dialect="postgresql", **row)


def is_same(ours: Mapping[str, Any], said: Mapping[str, Any]) -> bool:
    """Whether a session of the Alembic process stands on the database of these facts, by what it said of itself."""
    if ours["dialect"] == "sqlite":
        return said.get("dialect") == "sqlite" and Path(said["database"]).resolve() == Path(ours["database"]).resolve()
    known = [key for key in ("system_identifier", "oid", "database") if ours[key] is not None and said.get(key)]
    return "oid" in known and all(str(said[key]) == str(ours[key]) for key in known)


def heads(connection: Connection) -> tuple[str, ...]:
    """The stamped revisions, sorted; empty where there is no version table or no row in it."""
    from sqlalchemy import inspect

    if not inspect(connection).has_table(VERSION_TABLE):
        return ()
    rows = connection.exec_driver_sql("SELECT version_num FROM alembic_version ORDER BY version_num")
    return tuple(row[0] for row in rows)


def mark(connection: Connection) -> dict[str, Any] | None:
    """Which run last stamped this PostgreSQL database: run, plan, place in the ledger; None where none has said so."""
    import json

    from sqlalchemy import inspect

    inspector = inspect(connection)
    if connection.dialect.name != "postgresql" or not inspector.has_table(VERSION_TABLE):
        return None
    said = inspector.get_table_comment(VERSION_TABLE)["text"]
    try:
        found = json.loads(said or "null")
    except ValueError:
        return None
    return found if isinstance(found, dict) and "run" in found else None


def snapshot(connection: Connection) -> Catalog:
    """The schema as it is now, by a number of queries that does not grow with the tables. Takes ACCESS SHARE."""
    from sqlalchemy import inspect
    from sqlalchemy.exc import DBAPIError

    inspector = inspect(connection)
    tables: dict[str, Table] = {}
    try:
        with warnings.catch_warnings(action="ignore"):  # of types that SQLAlchemy does not know: the server names them
            for schema in _schemas(inspector):
                tables |= _reflect(inspector, schema)
        _name_types(connection, tables)
    except DBAPIError as error:
        raise Unavailable(
            "the schema cannot be read",
            why=str(error.orig).strip().splitlines()[0],
            do="grant the role USAGE and SELECT",
        ) from None
    tables.pop(VERSION_TABLE, None)
    return Catalog(connection.dialect.name, dict(sorted(tables.items())))


def sizes(connection: Connection) -> Report:
    """Rows as estimated by the server and bytes per table, the largest first; on SQLite rows are counted."""
    if connection.dialect.name == "sqlite":
        rows = [_sqlite_size(connection, table) for table in snapshot(connection).tables]
    else:
        rows = [dict(row) for row in connection.exec_driver_sql(question("table_sizes")).mappings()]
    total = sum(row["bytes"] or 0 for row in rows)
    return Report(headline=f"{count(len(rows), 'table')}, {human(total)}", rows=tuple(rows))


def activity(connection: Connection) -> dict[str, dict[str, Any]]:
    """Table → rows and bytes, and writes and reads a second where the server counted for long enough. Only looks."""
    if connection.dialect.name == "sqlite":
        return {row["table"]: {"rows": row["estimated_rows"], "bytes": row["bytes"]} for row in sizes(connection).rows}
    rows = [dict(row) for row in connection.exec_driver_sql(question("table_activity")).mappings()]
    return {row.pop("table"): row for row in rows}


def human(size: float) -> str:
    """Bytes for people: 1 kB is 1,000 bytes."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if abs(size) < 1000 or unit == "TB":
            return f"{size:,.0f} {unit}" if unit == "B" else f"{size:,.1f} {unit}"
        size /= 1000
    raise AssertionError("unreachable")


def _schemas(inspector: Inspector) -> list[str | None]:
    """The default schema as None, then the user's others; the server's own are left out."""
    if inspector.dialect.name == "sqlite":
        return [None]
    own = {"information_schema", inspector.default_schema_name}
    return [None, *sorted(s for s in inspector.get_schema_names() if s not in own and not s.startswith("pg_"))]


def _reflect(inspector: Inspector, schema: str | None) -> dict[str, Table]:
    columns = inspector.get_multi_columns(schema=schema)
    primary = inspector.get_multi_pk_constraint(schema=schema)
    foreign = inspector.get_multi_foreign_keys(schema=schema)
    unique = inspector.get_multi_unique_constraints(schema=schema)
    indexes = inspector.get_multi_indexes(schema=schema)
    checks = inspector.get_multi_check_constraints(schema=schema)
    tables = {}
    for key, found in columns.items():
        key_columns = primary[key]["constrained_columns"] if key in primary else []
        backed = {index["name"] for index in indexes.get(key, ()) if index.get("duplicates_constraint")}
        tables[f"{schema}.{key[1]}" if schema else key[1]] = {
            "columns": {column["name"]: _column(inspector, column) for column in found},
            "primary_key": list(key_columns),
            "foreign_keys": sorted(map(_foreign_key, foreign.get(key, ()))),
            "uniques": sorted(sorted(u["column_names"]) for u in unique.get(key, ())),
            "indexes": {
                str(i["name"]): _index(i)
                for i in sorted(indexes.get(key, ()), key=lambda i: str(i["name"]))
                if i["name"] not in backed
            },
            "checks": sorted(str(check["sqltext"]) for check in checks.get(key, ())),
        }
    return tables


def _name_types(connection: Connection, tables: dict[str, Table]) -> None:
    """Ask the server for the types that reflection left open."""
    unnamed = {(t, c) for t, found in tables.items() for c, facts in found["columns"].items() if not facts["type"]}
    if unnamed and connection.dialect.name == "postgresql":
        for row in connection.exec_driver_sql(question("column_types")).mappings():
            if (row["table"], row["column"]) in unnamed:
                tables[row["table"]]["columns"][row["column"]]["type"] = row["type"]


def _column(inspector: Inspector, column: Mapping[str, Any]) -> dict[str, Any]:
    """Type as the dialect writes it, whether NULL is allowed, the default as the server prints it."""
    from sqlalchemy.types import NullType

    kind = "" if isinstance(column["type"], NullType) else column["type"].compile(dialect=inspector.dialect)
    default = column.get("default")
    facts = {"type": kind, "nullable": bool(column["nullable"]), "default": default}
    if labels := getattr(getattr(column["type"], "item_type", column["type"]), "enums", None):
        facts["values"] = list(labels)
    for extra in ("identity", "computed"):
        if column.get(extra):
            facts[extra] = {
                key: value for key, value in column[extra].items() if key in ("always", "sqltext", "persisted")
            }
    return facts


def _foreign_key(key: ReflectedForeignKeyConstraint) -> str:
    referred = f"{key['referred_schema']}.{key['referred_table']}" if key["referred_schema"] else key["referred_table"]
    rules = {k: v for k, v in sorted(key.get("options", {}).items()) if v and v != "NO ACTION"}
    suffix = "".join(f" {name} {value}" for name, value in rules.items())
    return f"({', '.join(key['constrained_columns'])}) → {referred}({', '.join(key['referred_columns'])}){suffix}"


def _index(index: Mapping[str, Any]) -> dict[str, Any]:
    """Columns or expressions, whether it is unique, and what else was asked for: using, include, where, order."""
    columns = index.get("expressions") or index["column_names"]
    asked = {key.partition("_")[2]: value for key, value in sorted(index.get("dialect_options", {}).items()) if value}
    if sorting := index.get("column_sorting"):
        asked["order"] = ", ".join(f"{column} {' '.join(how)}" for column, how in sorting.items())
    return {"columns": list(columns), "unique": bool(index["unique"]), **asked}


def _sqlite_size(connection: Connection, table: str) -> dict[str, Any]:
    from sqlalchemy import func, select, text
    from sqlalchemy.exc import OperationalError
    from sqlalchemy.sql.expression import table as named

    rows = connection.execute(select(func.count()).select_from(named(table))).scalar_one()
    try:
        used = text("SELECT sum(pgsize) FROM dbstat WHERE name = :table")
        size = connection.execute(used, {"table": table}).scalar_one()
    except OperationalError:  # SQLite may be built without dbstat
        size = None
    return {"table": table, "estimated_rows": rows, "bytes": size}
