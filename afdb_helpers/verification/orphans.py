"""No row points nowhere: under the foreign keys that the database declares, and under those that it should declare.

A declared key proves nothing by itself: it may be NOT VALID, and whoever loads with triggers disabled passes by it. One
is intended where the chain makes it and the live database lacks it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from afdb_helpers import catalog
from afdb_helpers.catalog import Catalog
from afdb_helpers.errors import Unavailable
from afdb_helpers.report import count

if TYPE_CHECKING:
    from sqlalchemy import Connection

SHOWN = 20  # keys of rows
MEND = "-- no statement knows what they pointed to: restore those rows from a backup, or delete these"
Place = tuple[str | None, str]  # schema, name


@dataclass(frozen=True)
class Key:
    """A foreign key by its columns; `key`: those of the table's primary key; `alike`: whether both sides' types are."""

    table: Place
    columns: tuple[str, ...]
    refers_table: Place
    refers: tuple[str, ...]
    key: tuple[str, ...]
    name: str = ""
    alike: bool = True

    def __str__(self) -> str:
        target = f"({', '.join(self.columns)}) → {'.'.join(filter(None, self.refers_table))}({', '.join(self.refers)})"
        return f"foreign key {self.name} {target}" if self.name else f"intended foreign key {target}"


def declared(connection: Connection) -> list[Key]:
    """Every foreign key of a PostgreSQL database."""
    return [
        Key((row["schema"], row["table"]), tuple(row["columns"]), (row["refers_schema"], row["refers_table"]),
            tuple(row["refers"]), tuple(row["key"] or ()), row["name"])
        for row in catalog.rows(connection, "foreign_keys")
    ]  # fmt: skip


def intended(live: Catalog, chain: Catalog) -> list[Key]:
    """The foreign keys that the chain makes and the live database lacks, where their tables and columns are there."""
    found = []
    for name in chain.tables.keys() & live.tables.keys():
        table = live.tables[name]
        have = {(key.columns, key.table, key.refers) for key in catalog.keys.foreign_keys(table)}
        for key in catalog.keys.foreign_keys(chain.tables[name]):
            other = re.sub(r'"((?:[^"]|"")*)"', r"\1", key.table)
            refers = live.tables.get(other, {"columns": {}})["columns"]
            there = set(key.columns) <= set(table["columns"]) and set(key.refers) <= set(refers)
            if there and (key.columns, key.table, key.refers) not in have:
                types = zip(key.columns, key.refers, strict=True)
                alike = all(table["columns"][one]["type"] == refers[two]["type"] for one, two in types)
                primary = tuple(catalog.keys.primary_key(table))
                found.append(Key(_place(name, live), key.columns, _place(other, live), key.refers, primary, "", alike))
    return sorted(found, key=str)


def orphans(connection: Connection, keys: list[Key]) -> Iterator[dict[str, Any]]:
    """One row a foreign key under which rows point nowhere: how many, and the primary keys of the first of them.

    Counted on the server, one statement a key (ACCESS SHARE). Raises `Unavailable` naming a table that may not be read.
    """
    from sqlalchemy.exc import DBAPIError

    for key in keys:
        try:
            number, shown = _count(connection, key)
        except DBAPIError as error:
            raise Unavailable(
                f"the rows of {'.'.join(filter(None, key.table))} cannot be held against {key}",
                why=str(error.orig).strip().splitlines()[0],
                do="grant the role SELECT on both tables; where one was dropped meanwhile, run again",
            ) from None
        if number:
            said = f"{count(number, 'orphan')}{': ' if shown else ''}{'; '.join(shown)}"
            more = ", …" if shown and number > len(shown) else ""
            yield {"table": ".".join(filter(None, key.table)), "object": str(key), "state": said + more, "mend": MEND}


def _count(connection: Connection, key: Key) -> tuple[int, list[str]]:
    import sqlalchemy as sa

    child = _table(key.table, {*key.columns, *key.key}).alias("child")
    parent = _table(key.refers_table, set(key.refers)).alias("parent")
    pairs = [(child.c[one], parent.c[two]) for one, two in zip(key.columns, key.refers, strict=True)]
    same = [one == two if key.alike else sa.cast(one, sa.Text) == sa.cast(two, sa.Text) for one, two in pairs]
    lost = [one.is_not(None) for one, _ in pairs] + [~sa.exists().select_from(parent).where(*same)]
    number = connection.execute(sa.select(sa.func.count()).select_from(child).where(*lost)).scalar_one()
    if not number or not key.key:
        return number, []
    own = [child.c[name] for name in key.key]
    asked = sa.select(*(sa.cast(one, sa.Text) for one in own)).where(*lost).order_by(*own).limit(SHOWN)
    return number, [", ".join(map(str, row)) for row in connection.execute(asked)]


def _table(place: Place, columns: set[str]) -> Any:
    import sqlalchemy as sa

    return sa.table(place[1], *(sa.column(name) for name in sorted(columns)), schema=place[0])


def _place(name: str, live: Catalog) -> Place:
    """A table's name as a snapshot has it, taken apart; in the usual schema it goes without one."""
    schema, _, rest = name.partition(".")
    return (schema, rest) if rest and schema in live.objects.get("schema", {}) else (None, name)
