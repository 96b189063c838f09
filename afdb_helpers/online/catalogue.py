"""What is there: the tables of a database as the steps need to see them, and how they differ from what is wanted.

`look` reads the catalogue once; every step then keeps its own effect in the `Live` tables, so that online and offline
(`--sql`, where `assume` takes the place of `look`) follow the same path.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine.interfaces import Dialect

_COARSE = {"integer": "whole", "bigint": "whole", "boolean": "whole", "float": "number", "numeric": "number"}


@dataclass
class Column:
    """A column as it stands. `default` is the server's own text; `made` is `identity` or `computed`, else empty."""

    name: str
    type: sa.types.TypeEngine[Any]
    nullable: bool
    default: str | None = None
    made: str = ""


@dataclass
class ForeignKey:
    columns: tuple[str, ...]
    table: str
    referred: tuple[str, ...]
    name: str | None = None
    options: dict[str, Any] = field(default_factory=dict)


@dataclass
class Index:
    """`plain` is False for a partial, an expression and an invalid index: none of them does what its name says."""

    columns: tuple[str | None, ...]
    unique: bool
    plain: bool = True


@dataclass
class Live:
    """One table as it stands, or as the steps so far have left it."""

    name: str
    columns: dict[str, Column]
    key: tuple[str, ...] = ()
    key_name: str | None = None
    foreign_keys: list[ForeignKey] = field(default_factory=list)
    indexes: dict[str, Index] = field(default_factory=dict)
    uniques: list[tuple[str | None, tuple[str, ...]]] = field(default_factory=list)
    checks: list[tuple[str | None, str]] = field(default_factory=list)

    def rename_column(self, old: str, new: str) -> None:
        """Follow a rename everywhere the column is spoken of, as the server does."""

        def now(names: tuple[Any, ...]) -> tuple[Any, ...]:
            return tuple(new if name == old else name for name in names)

        self.columns = {(new if name == old else name): column for name, column in self.columns.items()}
        self.columns[new].name = new
        self.key = now(self.key)
        for key in self.foreign_keys:
            key.columns = now(key.columns)
        for index in self.indexes.values():
            index.columns = now(index.columns)
        self.uniques = [(name, now(columns)) for name, columns in self.uniques]

    def refers(self, columns: tuple[str, ...], table: str) -> ForeignKey | None:
        """The foreign key from these columns to that table."""
        return next((key for key in self.foreign_keys if (key.columns, key.table) == (columns, table)), None)


def look(connection: sa.Connection, names: Iterable[str]) -> dict[str, Live]:
    """Those of the named tables that are there, in the schema that unqualified names mean. Views are not tables."""
    inspector = sa.inspect(connection)
    wanted = sorted(set(names) & set(inspector.get_table_names()))
    if not wanted:
        return {}
    keys = inspector.get_multi_pk_constraint(filter_names=wanted)
    foreign = inspector.get_multi_foreign_keys(filter_names=wanted)
    indexes = inspector.get_multi_indexes(filter_names=wanted)
    uniques = inspector.get_multi_unique_constraints(filter_names=wanted)
    checks = inspector.get_multi_check_constraints(filter_names=wanted)
    found = {}
    for place, columns in inspector.get_multi_columns(filter_names=wanted).items():
        name = place[1]
        found[name] = Live(
            name,
            {c["name"]: _column(c) for c in columns},
            tuple(keys[place]["constrained_columns"]),
            keys[place]["name"],
            [_foreign_key(key) for key in foreign[place]],
            {index["name"]: _index(index) for index in indexes[place] if index["name"]},
            [(one["name"], tuple(one["column_names"])) for one in uniques[place]],
            [(one["name"], one["sqltext"]) for one in checks[place]],
        )
    if connection.dialect.name == "postgresql":
        for table, index in ask(connection, "invalid_indexes"):
            if table in found and index in found[table].indexes:
                found[table].indexes[index].plain = False
    return found


def assume(tables: sa.MetaData, dialect: Dialect) -> dict[str, Live]:
    """The same for tables that are declared, not looked at."""
    return {table.name: _assumed(table, dialect) for table in tables.sorted_tables}


def ask(connection: sa.Connection, question: str, **values: Any) -> list[Any]:
    """The rows that answer a question of afdb_helpers/sql/."""
    text = resources.files("afdb_helpers").joinpath("sql", f"{question}.sql").read_text()
    return list(connection.execute(sa.text(text), values))


def kind(type_: sa.types.TypeEngine[Any], dialect: str) -> str:
    """What sort of values a type holds; a column of another kind than declared is somebody else's.

    SQLite declares what it likes and stores by affinity, so there only numbers and the rest are told apart.
    """
    if isinstance(type_, sa.DateTime):
        found = "datetime with time zone" if type_.timezone else "datetime"
    else:
        order: list[tuple[type[Any], str]] = [(JSONB, "jsonb"), (sa.JSON, "json"), (sa.Boolean, "boolean"),
            (sa.BigInteger, "bigint"), (sa.Integer, "integer"), (sa.Float, "float"), (sa.Numeric, "numeric"),
            (sa.Enum, "enum"), (sa.String, "text")]  # fmt: skip
        found = next((name for cls, name in order if isinstance(type_, cls)), type(type_).__name__.lower())
    return _COARSE.get(found, "text") if dialect == "sqlite" else found


def plain_default(text: str | None) -> str | None:
    """A default without the server's way of writing it, so that two can be compared: `'0'::double precision` is 0.0."""
    if text is None:
        return None
    bare = re.sub(r"^\((.*)\)$", r"\1", text.strip(), flags=re.DOTALL).strip()
    bare = re.sub(r"::[\w \"]+(\[\])?(\(\d+\))?$", "", bare)
    if bare.upper() == "NULL":
        return None
    quoted = re.fullmatch(r"'(.*)'", bare, re.DOTALL)
    bare = quoted[1].replace("''", "'") if quoted else bare
    try:
        return repr(float(bare))
    except ValueError:
        return bare


def declared_default(column: sa.Column[Any], dialect: Dialect) -> str | None:
    """The default of a declared column as SQL text of that dialect; None where it has none."""
    if column.server_default is None:
        return None
    assert isinstance(column.server_default, sa.DefaultClause)
    if isinstance(column.server_default.arg, str):
        return str(
            sa.literal(column.server_default.arg).compile(dialect=dialect, compile_kwargs={"literal_binds": True})
        )
    return str(column.server_default.arg.compile(dialect=dialect))


def written_default(column: sa.Column[Any], dialect: Dialect) -> str | None:
    """The declared default as the catalogue of that dialect shows it."""
    declared, plain = declared_default(column, dialect), plain_default(declared_default(column, dialect))
    if dialect.name == "sqlite" or declared is None or plain is None:
        return declared
    if isinstance(column.type, sa.Boolean | sa.Integer):
        return plain.removesuffix(".0")
    if isinstance(column.type, sa.Float):
        return f"'{plain.removesuffix('.0')}'::double precision"
    cast = (
        "json"
        if isinstance(column.type, sa.JSON)
        else "text"
        if isinstance(column.type, sa.Text)
        else "character varying"
    )
    return f"{declared}::{cast}"


def counts_itself(column: sa.Column[Any]) -> bool:
    """Whether the server hands out the next number for this column."""
    return column.table is not None and column.table.autoincrement_column is column


def _column(found: Any) -> Column:
    made = "identity" if found.get("identity") else "computed" if found.get("computed") else ""
    return Column(found["name"], found["type"], found["nullable"], found.get("default"), made)


def _foreign_key(found: Any) -> ForeignKey:
    return ForeignKey(
        tuple(found["constrained_columns"]),
        found["referred_table"],
        tuple(found["referred_columns"]),
        found["name"],
        dict(found.get("options") or {}),
    )


def _index(found: Any) -> Index:
    options = found.get("dialect_options") or {}
    partial = any(value is not None for key, value in options.items() if key.endswith("_where"))
    return Index(tuple(found["column_names"]), bool(found["unique"]), not partial and not found.get("expressions"))


def _assumed(table: sa.Table, dialect: Dialect) -> Live:
    named = dialect.name == "postgresql"
    live = Live(
        table.name,
        {c.name: Column(c.name, c.type, bool(c.nullable), written_default(c, dialect)) for c in table.columns},
        tuple(c.name for c in table.primary_key.columns),
        f"{table.name}_pkey" if named else None,
        indexes={str(i.name): Index(tuple(c.name for c in i.columns), bool(i.unique)) for i in table.indexes},
    )
    for foreign in sorted(table.foreign_keys, key=lambda key: str(key.parent.name)):
        column, (referred, target) = str(foreign.parent.name), foreign.target_fullname.split(".")
        name = f"{table.name}_{column}_fkey" if named else None
        live.foreign_keys.append(ForeignKey((column,), referred, (target,), name))
    counting = table.autoincrement_column
    if named and counting is not None:
        live.columns[counting.name].default = f"nextval('{table.name}_{counting.name}_seq'::regclass)"
    return live
