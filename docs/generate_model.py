"""The generated parts of the pages on the data model, from the models and from what 002 declares."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from docs import generate

if TYPE_CHECKING:
    from sqlalchemy import Column, ForeignKey, Table


def summary() -> str:
    """One row a table: where it comes from and what it is for."""
    rows = [[f"[`{t.name}`](#{t.name})", _since(t), str(len(t.columns)), t.info["purpose"]] for t in _tables()]
    return generate.table(["Table", "Since", "Columns", "Purpose"], rows)


def tables() -> str:
    """One section a table: columns, what they refer to, what refers to them, indexes."""
    return "\n".join(_section(one) for one in _tables())


def diagram() -> str:
    """The entities with their keys, and a line for each foreign key."""
    lines = ["erDiagram"]
    for one in _tables():
        lines += [f"    {one.name} {{", *(f"        {_kind(c)} {c.name} {_keys(c)}" for c in _marked(one)), "    }"]
    for key in _foreign_keys():
        many = "o{"
        one_side = "|o" if key.parent.nullable else "||"
        lines.append(f"    {key.column.table.name} {one_side}--{many} {key.parent.table.name} : {key.parent.name}")
    return f"```mermaid\n{chr(10).join(lines)}\n```\n"


def changes() -> str:
    """What 002 makes of each table, as the revision itself declares it."""
    from afdb_helpers import revisions as chain

    declared = chain.find(generate.ROOT / "alembic.ini").graph().get("002").mapping or {}
    rows = []
    for one in _tables():
        said = declared.get(one.name, {})
        renamed = [f"`{old}` → `{new}`" for old, new in said.get("renamed", {}).items()]
        lists = [[f"`{name}`" for name in said.get(kind, [])] for kind in ("added", "indexes")]
        first = "new table" if said.get("created") else ", ".join(renamed) or ("" if said else "unchanged")
        rows.append([f"`{one.name}`", first, *map(", ".join, lists)])
    return generate.table(["Table", "Renamed", "Columns added", "Indexes added"], rows)


def counts() -> str:
    """The size of the schema in one sentence."""
    every = _tables()
    old = [one for one in every if _since(one) == "001"]
    columns = sum(len(one.columns) for one in every)
    indexes = sum(len(one.indexes) for one in every)
    return (
        f"{len(every)} tables ({len(old)} from 001, {len(every) - len(old)} new in 002), {columns} columns,"
        f" {len(list(_foreign_keys()))} foreign keys, {indexes} indexes beside the primary keys.\n"
    )


def _tables() -> list[Table]:
    """In the order of the models, which is that of schema and docs."""
    from afdb_helpers.models import metadata

    return list(metadata.tables.values())


def _since(one: Table) -> str:
    return "002" if all(column.info["origin"] == "added" for column in one.columns) else "001"


def _section(one: Table) -> str:
    heads = ["Column", "Type", "Null", "Default", "Origin", "Note"]
    own = [f"`{key.parent.name}` → `{key.target_fullname}`" for key in _foreign_keys() if key.parent.table is one]
    others = [f"`{key.parent.table.name}.{key.parent.name}`" for key in _foreign_keys() if key.column.table is one]
    indexes = [
        f"{'unique ' if index.unique else ''}`{index.name}` ({', '.join(f'`{c.name}`' for c in index.columns)})"
        for index in sorted(one.indexes, key=lambda index: str(index.name))
    ]
    out = [
        f"### {one.name}",
        "",
        f"{one.info['purpose']} {_origin(one)}",
        "",
        generate.table(heads, map(_row, one.columns)),
    ]
    for title, items in (("Refers to", own), ("Referred to by", others), ("Indexes", indexes)):
        out += [f"{title}: {', '.join(items) or 'none'}.", ""]
    return "\n".join(out)


def _origin(one: Table) -> str:
    return "New in 002." if _since(one) == "002" else "Since 001."


def _row(column: Column[object]) -> list[str]:
    key = " **PK**" if column.primary_key else " FK" if column.foreign_keys else ""
    null = "yes" if column.nullable else "no"
    if column.info.get("stricter"):
        null += " ¹"
    origin = "added in 002" if column.info["origin"] == "added" else column.info["origin"]
    return [f"`{column.name}`{key}", _kind(column), null, _default(column), origin, column.info["note"]]


def _default(column: Column[object]) -> str:
    if column.server_default is None:
        counts = column.table.autoincrement_column is column
        return "the next number" if counts else ""
    text = str(getattr(column.server_default, "arg", ""))
    return f"`{text}`"


def _kind(column: Column[object]) -> str:
    return type(column.type).__name__.lower()


def _marked(one: Table) -> list[Column[object]]:
    return [column for column in one.columns if _keys(column)]


def _keys(column: Column[object]) -> str:
    unique = any(i.unique and [c.name for c in i.columns] == [column.name] for i in column.table.indexes)
    marks = {"PK": column.primary_key, "FK": bool(column.foreign_keys), "UK": unique}
    return ", ".join(mark for mark, holds in marks.items() if holds)


def _foreign_keys() -> Iterator[ForeignKey]:
    for one in _tables():
        for column in one.columns:
            yield from column.foreign_keys
