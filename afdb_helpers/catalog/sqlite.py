"""The schema of a SQLite database, by reflection; views and triggers as they were written."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from afdb_helpers.catalog.database import VERSION_TABLE
from afdb_helpers.catalog.schema import Catalog, Facts

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.engine.interfaces import ReflectedForeignKeyConstraint
    from sqlalchemy.engine.reflection import Inspector

_AUTOMATIC = "sqlite_autoindex_"
_MORE = "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE type IN ('view', 'trigger') ORDER BY name"


def read(connection: Connection) -> Catalog:
    from sqlalchemy import inspect

    with warnings.catch_warnings(action="ignore"):  # of types and defaults that SQLAlchemy does not know
        tables = dict(_tables(inspect(connection)))
    views: dict[str, Facts] = {}
    for kind, name, table, sql in connection.exec_driver_sql(_MORE).all():
        if kind == "view":
            views[name] = {"definition": sql}
        elif table in tables:
            tables[table]["triggers"][name] = {"definition": sql}
    tables.pop(VERSION_TABLE, None)
    return Catalog("sqlite", dict(sorted(tables.items())), {"view": views} if views else {})


def _tables(inspector: Inspector) -> Iterator[tuple[str, Facts]]:
    """Every table with its parts. SQLite keeps a unique constraint as an index of its own naming."""
    primary, foreign = inspector.get_multi_pk_constraint(), inspector.get_multi_foreign_keys()
    checks, indexes = inspector.get_multi_check_constraints(), inspector.get_multi_indexes(include_auto_indexes=True)
    for key, columns in inspector.get_multi_columns().items():
        made = sorted((dict(index) for index in indexes.get(key, ())), key=lambda index: str(index["name"]))
        unique = [index["column_names"] for index in made if str(index["name"]).startswith(_AUTOMATIC)]
        facts: Facts = {
            "columns": {column["name"]: _column(inspector, column) for column in columns},
            "constraints": dict(_constraints(primary.get(key), foreign.get(key, ()), unique, checks.get(key, ()))),
            "indexes": {i["name"]: _index(key[1], i) for i in made if not str(i["name"]).startswith(_AUTOMATIC)},
            "triggers": {},
        }
        yield key[1], facts


def _column(inspector: Inspector, column: Mapping[str, Any]) -> Facts:
    """Type as the dialect writes it, whether NULL is allowed, the default as it was written."""
    from sqlalchemy.types import NullType

    kind = "" if isinstance(column["type"], NullType) else column["type"].compile(dialect=inspector.dialect)
    facts = {"type": kind, "nullable": bool(column["nullable"]), "default": column.get("default")}
    if computed := column.get("computed"):
        facts["generated"] = f"{'stored' if computed.get('persisted') else 'virtual'} {computed['sqltext']}"
    return facts


def _constraints(primary: Any, foreign: Any, unique: Any, checks: Any) -> Iterator[tuple[str, Facts]]:
    keys = list(primary["constrained_columns"]) if primary else []
    if keys:
        yield f"PRIMARY KEY ({', '.join(keys)})", _named(primary)
    for columns in sorted(columns for columns in unique if columns != keys):
        yield f"UNIQUE ({', '.join(columns)})", {}
    for key in sorted(foreign, key=_foreign_key):
        yield _foreign_key(key), _named(key)
    for check in sorted(checks, key=lambda check: str(check["sqltext"])):
        yield f"CHECK ({check['sqltext']})", _named(check)


def _named(constraint: Mapping[str, Any]) -> Facts:
    return {"name": constraint["name"]} if constraint.get("name") else {}


def _foreign_key(key: ReflectedForeignKeyConstraint) -> str:
    rules = {name: rule for name, rule in sorted(key.get("options", {}).items()) if rule and rule != "NO ACTION"}
    words = "".join(f" {_RULES.get(name, name.upper())} {rule}" for name, rule in rules.items())
    columns, referred = ", ".join(key["constrained_columns"]), ", ".join(key["referred_columns"])
    return f"FOREIGN KEY ({columns}) REFERENCES {key['referred_table']}({referred}){words}"


_RULES = {"ondelete": "ON DELETE", "onupdate": "ON UPDATE"}


def _index(table: str, index: Mapping[str, Any]) -> Facts:
    """As it would be written: whether it is unique, its columns or expressions, its condition."""
    columns = ", ".join(map(str, index.get("expressions") or index["column_names"]))
    where = index.get("dialect_options", {}).get("sqlite_where")
    condition = f" WHERE {where}" if where is not None else ""
    words = [
        "CREATE",
        *(["UNIQUE"] if index["unique"] else []),
        "INDEX",
        str(index["name"]),
        "ON",
        table,
        f"({columns})",
    ]
    return {"definition": " ".join(words) + condition}
