"""The schema of a PostgreSQL database: one question for each kind of thing, put together by the names of the tables."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from afdb_helpers.catalog import grants
from afdb_helpers.catalog.asking import SETTINGS, rows, settled
from afdb_helpers.catalog.database import VERSION_TABLE
from afdb_helpers.catalog.schema import Catalog, Facts

if TYPE_CHECKING:
    from sqlalchemy import Connection

PARTS = ("columns", "constraints", "indexes", "triggers", "rules", "policies")
_KEYS = {"constraints": "definition", "indexes": "index"}  # what tells the parts of a table apart, if not the name
_NOT_TABLES = {"schema_types": "type", "schema_functions": "function"}  # question → what its grants are
_FROM = re.compile(r"\n *FROM (?:ONLY )?(?P<name>[^\s,;()]+)(?: (?P<alias>[^\s,;()]+))?(?=\n|$)")


def read(connection: Connection) -> Catalog:
    """Names in the usual schema, the first of search_path, go without it. No other setting of the session matters."""
    asked = "SELECT quote_ident(coalesce(current_schema(), 'public')), current_setting('server_version_num')::int"
    usual, version = connection.exec_driver_sql(asked).one()
    major = version // 10000
    with settled(connection, SETTINGS | {"search_path": usual}):
        tables = dict(_tables(connection))
        objects: dict[str, dict[str, Facts]] = {}
        for kind, name, facts in _objects(connection, major):
            objects.setdefault(kind, {})[name] = facts
        views = {name: facts for kind in ("view", "materialized view") for name, facts in objects.get(kind, {}).items()}
        _parts(connection, tables | views)
    tables.pop(VERSION_TABLE, None)
    return Catalog("postgresql", dict(sorted(tables.items())), dict(sorted(objects.items())), major)


def _tables(connection: Connection) -> Iterator[tuple[str, Facts]]:
    for row in rows(connection, "schema_tables"):
        yield row.pop("table"), _said(row, "table") | {part: {} for part in PARTS}


def _parts(connection: Connection, relations: Mapping[str, Facts]) -> None:
    """Put columns, constraints, indexes and all that into the relations that they belong to."""
    for row in rows(connection, "schema_columns"):
        table, name = row.pop("table"), row.pop("column")
        if table in relations:
            relations[table]["columns"][name] = _column(row, relations[table]["owner"])
    for part in ("constraints", "indexes", "policies"):
        for row in rows(connection, f"schema_{part}"):
            table, key = row.pop("table"), row.pop(_KEYS.get(part, "name"))
            if table in relations:
                relations[table].setdefault(part, {})[key] = _said(row)
    for row in rows(connection, "schema_triggers"):
        table, part, name = row.pop("table"), row.pop("kind"), row.pop("name")
        if table in relations:
            relations[table].setdefault(part, {})[name] = _said(row)


def _column(row: Facts, owner: str) -> Facts:
    facts = {key: row.pop(key) for key in ("type", "nullable", "default")}
    if row.pop("serial"):
        facts |= {"default": None, "identity": "serial"}
        row.pop("identity")
    return facts | _said(row, owner=owner)


def _objects(connection: Connection, major: int) -> Iterator[tuple[str, str, Facts]]:
    """Kind, name and facts of everything that is no table."""
    for row in rows(connection, "schema_sequences"):
        counts_for, name = row.pop("of"), row.pop("sequence")
        yield "sequence", counts_for or name, _said(row, "sequence")
    for row in rows(connection, "schema_views"):
        row["definition"] = row["definition"] if major >= 16 else unqualified(row["definition"])
        yield row.pop("kind"), row.pop("view"), _said(row, "table")
    for question, granted in _NOT_TABLES.items():
        for row in rows(connection, question):
            yield row.pop("kind"), row.pop("object"), _said(row, granted)
    for row in rows(connection, "schema_namespaces"):
        yield "schema", row.pop("name"), _said(row, "schema")
    for row in rows(connection, "extensions"):
        yield "extension", row.pop("name"), row


def _said(row: Facts, kind: str = "column", *, owner: str = "") -> Facts:
    """What the server says, without what it does not say; its short form of grants by role."""
    facts = {key: value for key, value in row.items() if value is not None and key != "acl"}
    if "acl" in row and (granted := grants.read(row["acl"], row.get("owner", owner), kind)) is not None:
        facts["grants"] = granted
    return facts


def unqualified(query: str) -> str:
    """A view's query over one relation as servers from 16 on write it: without its name before each column."""
    outside = re.split(r"('(?:[^']|'')*')", query)
    code = "".join(outside[::2])
    match = _FROM.search(code)
    if match is None or len(re.findall(r"\n *FROM\b", code)) != 1 or "JOIN" in code:
        return query
    before = re.escape(match["alias"] or match["name"].rpartition(".")[2])
    outside[::2] = [re.sub(rf'(?<![\w".]){before}\.(?=[\w"])', "", part) for part in outside[::2]]
    return "".join(outside)
