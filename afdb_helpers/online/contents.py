"""SQLite: every value a revision keeps, hashed before its first step and again after its last. Only reads.

Nobody else writes meanwhile, since the revision's transaction holds the write lock from its beginning, so whatever
differs is the revision's own doing, and its transaction is rolled back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import sqlalchemy as sa

from afdb_helpers.errors import Refused
from afdb_helpers.online.catalogue import Live
from afdb_helpers.online.change import Here
from afdb_helpers.online.prepare import names_now
from afdb_helpers.online.rekey import old_key
from afdb_helpers.report import count

Expressions = Mapping[str, sa.ColumnElement[Any]]


class Content(NamedTuple):
    """A table's rows, the sum of its rows' hashes, and per column the sum of its values' hashes. Sums are order-free;
    two different columns have the same with odds of about 2⁻⁶⁴."""

    rows: int
    together: int
    columns: dict[str, int]


def contents(here: Here, *, down: bool = False) -> dict[str, Content]:
    """What the tables hold that has to be there afterwards, under the names that it will have then. Reads each once."""
    if here.connection is None or here.postgresql:
        return {}
    found, gone = {}, {table.name for table in here.change.created()} if down else set()
    for name in (set(here.tables) & set(here.change.tables.tables)) - gone:
        own = sa.table(name, *map(sa.column, here.tables[name].columns))
        found[name] = _content(here.connection, own, (_down if down else _up)(here, here.tables[name], own))
    return found


def refuse_other(here: Here, before: Mapping[str, Content]) -> None:
    """Refuse where a table does not hold what it held."""
    connection, wrong = here.connection, []
    for name, content in before.items():
        assert connection is not None
        own = sa.table(name, *map(sa.column, content.columns))
        now = _content(connection, own, {column: own.c[column] for column in content.columns})
        if now.rows != content.rows:
            wrong.append(f"{name} had {count(content.rows, 'row')} and would have {now.rows:,}")
        elif changed := [column for column, said in content.columns.items() if now.columns[column] != said]:
            wrong.append(f"{name} would have other values in {', '.join(changed)}")
        elif now.together != content.together:
            wrong.append(f"{name} would have values that changed places between rows")
    if wrong:
        raise Refused(
            "the revision would change data that it is to keep; everything was rolled back",
            why="; ".join(wrong),
            do="mend the revision; the file is as it was",
        )


def _up(here: Here, live: Live, own: sa.TableClause) -> Expressions:
    return {new: own.c[old] for new, old in names_now(here, live, here.change.table(live.name)).items()}


def _down(here: Here, live: Live, own: sa.TableClause) -> Expressions:
    """The number of a key goes, and the text that it was before stands in its place."""
    key, gone = here.change.key(live.name), set(here.change.dropped(live.name))
    old = {new: old for old, new in here.change.renamed(live.name).items()}
    if key and {key["column"], key["kept"]} <= set(live.columns):
        gone.add(key["column"])
    kept: dict[str, sa.ColumnElement[Any]] = {
        old.get(name, name): own.c[name] for name in live.columns if name not in gone
    }
    if key and key["column"] in gone:
        kept[old[key["kept"]]] = old_key(own.c[key["column"]], own.c[key["kept"]], "sqlite")
    return kept


def _content(connection: sa.Connection, own: sa.TableClause, expressions: Expressions) -> Content:
    names = sorted(expressions)
    rows, together, sums = 0, 0, [0] * len(names)
    chosen = [sa.type_coerce(expressions[name], sa.types.NullType()).label(name) for name in names]
    for row in connection.execute(sa.select(*chosen).select_from(own), execution_options={"yield_per": 1000}):
        hashes = [_hash(value) for value in row]
        rows, together = rows + 1, together + _hash(hashes)
        sums = [total + one for total, one in zip(sums, hashes, strict=True)]
    return Content(rows, together, dict(zip(names, sums, strict=True)))


def _hash(value: object) -> int:
    """Of the value with its storage class: 1, 1.0 and '1' are three."""
    said = f"{type(value).__name__}:{value!r}".encode()
    return int.from_bytes(hashlib.blake2b(said, digest_size=8).digest())
