"""Keys and indexes of a table, read out of the server's own text of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from afdb_helpers.catalog.asking import question
from afdb_helpers.catalog.schema import Facts

if TYPE_CHECKING:
    from sqlalchemy import Connection

_FOREIGN = re.compile(r"FOREIGN KEY \((?P<columns>.+?)\) REFERENCES (?P<table>.+?)\((?P<refers>.+?)\)(?P<rules>.*)$")
_LISTED = re.compile(r"^(?:PRIMARY KEY|UNIQUE(?: NULLS NOT DISTINCT)?) \((?P<columns>[^()]+)\)")
_INDEX = re.compile(r"^CREATE (?P<unique>UNIQUE )?INDEX .+? ON (?:ONLY )?\S+ (?:USING \w+ )?\((?P<columns>.+?)\)"
                    r"(?P<more> INCLUDE .*| WITH .*| WHERE .*)?$")  # fmt: skip


@dataclass(frozen=True)
class ForeignKey:
    """Columns, the table that they refer to, its columns, and what happens to them."""

    columns: tuple[str, ...]
    table: str
    refers: tuple[str, ...]
    rules: str

    def __str__(self) -> str:
        return f"({', '.join(self.columns)}) → {self.table}({', '.join(self.refers)}){self.rules}"


def primary_key(table: Facts) -> list[str]:
    return next((_listed(text) for text in table["constraints"] if text.startswith("PRIMARY KEY")), [])


def uniques(table: Facts) -> list[list[str]]:
    return [_listed(text) for text in table["constraints"] if text.startswith("UNIQUE")]


def foreign_keys(table: Facts) -> list[ForeignKey]:
    found = [match for text in table["constraints"] if (match := _FOREIGN.match(text))]
    return [ForeignKey(_split(m["columns"]), _bare(m["table"]), _split(m["refers"]), m["rules"]) for m in found]


def index(facts: Facts) -> tuple[bool, tuple[str, ...]]:
    """Whether it is unique, and its columns or expressions."""
    match = _INDEX.match(facts["definition"])
    return (bool(match["unique"]), _split(match["columns"])) if match else (False, (facts["definition"],))


def _listed(text: str) -> list[str]:
    match = _LISTED.match(text)
    return list(_split(match["columns"])) if match else []


def _split(columns: str) -> tuple[str, ...]:
    """At commas outside of brackets and quotes."""
    parts = re.findall(r'(?:"(?:[^"]|"")*"|\((?:[^()]|\([^()]*\))*\)|[^,"()])+', columns)
    return tuple(_bare(part.strip()) for part in parts)


def _bare(name: str) -> str:
    """A name without the quotes that the server put around it."""
    return name[1:-1].replace('""', '"') if re.fullmatch(r'"(?:[^"]|"")*"', name) else name


def invalid(connection: Connection) -> tuple[str, ...]:
    """Indexes that the server itself does not vouch for, by the name that a statement can use."""
    if connection.dialect.name == "sqlite":
        return ()
    return tuple(connection.exec_driver_sql(question("invalid_names")).scalars())
