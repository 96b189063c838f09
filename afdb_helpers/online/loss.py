"""What the schema before a revision cannot hold: counted, and refused unless it is named as what may go. Only reads."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from afdb_helpers.errors import Refused
from afdb_helpers.online.catalogue import declared_default
from afdb_helpers.online.change import Here
from afdb_helpers.online.rekey import numbers, old_key, place, rows_of
from afdb_helpers.online.statements import Statement
from afdb_helpers.report import count

OPTION = "allow_data_loss"


def refuse_loss(here: Here, *, locked: bool = True) -> None:
    """Refuse when going back would lose rows or values that are not allowed to go; the counts are in the message.

    Takes ACCESS EXCLUSIVE on the tables first, so that nothing is written between counting and dropping; without
    `locked` it reads only, and whoever calls sees to what is written afterwards.
    """
    allowed = allowed_loss(here)
    if here.connection is None:
        if "true" in allowed:
            return
        raise Refused(
            "a script cannot tell whether it would lose data",
            why="--sql looks at no database, and the schema before this revision cannot hold all that this one can",
            do=f"run the downgrade without --sql, or accept the loss of whatever is there with -x {OPTION}=true",
        )
    if here.postgresql and locked:
        for name in sorted(set(here.tables) & set(here.change.mapping)):
            here.op.execute(Statement("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", name))
    if doubled := _doubled(here):
        raise Refused(
            "two rows would get the same text key; nothing was changed",
            why="; ".join(f"{name} has {n} of them" for name, n in doubled.items()),
            do="tell the rows apart in the column that keeps the old key, then run again",
        )
    lost = losses(here)
    refused = {name: n for name, n in lost.items() if not _may_go(name, allowed)}
    if refused:
        raise Refused(
            "the schema before this revision cannot hold all that is there; nothing was changed",
            why="; ".join(f"{name}: {count(n, 'value' if '.' in name else 'row')}" for name, n in refused.items()),
            do=f"stay at this revision, or name what may go with -x {OPTION}={','.join(refused)} (=true: all)",
        )


def losses(here: Here) -> dict[str, int]:
    """Table → rows, table.column → values that going back loses; what is zero is left out.

    A value counts when it is neither NULL nor the column's default. A number key counts where the row would come back
    under another number.
    """
    found: dict[str, int] = {}
    for table in here.change.created():
        if table.name in here.tables:
            found[table.name] = _count(here, sa.select(sa.func.count()).select_from(sa.table(table.name)))
    for name, live in here.tables.items():
        for column in here.change.dropped(name):
            if column in live.columns:
                found[f"{name}.{column}"] = _values(here, name, here.change.table(name).c[column])
        key = here.change.key(name)
        if key and {key["column"], key["kept"]} <= set(live.columns):
            found[f"{name}.{key['column']}"] = _other_numbers(here, name, key)
    return {name: n for name, n in found.items() if n}


def allowed_loss(here: Here) -> set[str]:
    """What may be lost: tables and table.column, or `true` for all; from -x and from the caller's config.attributes."""
    context = here.op.get_context()
    environment, config = context.environment_context, context.config
    said: Any = config.attributes.get(OPTION) if config else None
    said = said if said is not None else environment and environment.get_x_argument(as_dictionary=True).get(OPTION)
    if isinstance(said, bool):
        return {"true"} if said else set()
    parts = said.split(",") if isinstance(said, str) else list(said or ())
    return {str(part).strip() for part in parts if str(part).strip()}


def guarded(here: Here) -> list[tuple[str, sa.Column[Any]]]:
    """The columns that going back drops and whose values may not go."""
    allowed = allowed_loss(here)
    return [
        (name, here.change.table(name).c[column])
        for name, live in sorted(here.tables.items())
        for column in here.change.dropped(name)
        if column in live.columns and not _may_go(f"{name}.{column}", allowed)
    ]


def dropped_tables(here: Here) -> list[sa.Table]:
    """The tables that going back drops and whose rows may not go."""
    allowed = allowed_loss(here)
    return [t for t in here.change.created() if t.name in here.tables and not _may_go(t.name, allowed)]


def lossy(here: Here, column: sa.Column[Any]) -> sa.ColumnElement[bool]:
    """Whether a row's value is neither NULL nor the column's default."""
    value: Any = sa.column(column.name)
    default = declared_default(column, here.op.get_context().dialect)
    there: sa.ColumnElement[bool] = value.is_not(None)
    if default is None:
        return there
    compared = sa.cast(value, sa.Text) if isinstance(column.type, sa.JSON) else value
    differs: sa.ColumnElement[bool] = compared != sa.literal_column(default)
    return sa.and_(there, differs)


def _may_go(name: str, allowed: set[str]) -> bool:
    return "true" in allowed or bool({name, name.split(".", maxsplit=1)[0]} & allowed)


def _values(here: Here, table: str, column: sa.Column[Any]) -> int:
    query = sa.select(sa.func.count()).select_from(sa.table(table)).where(lossy(here, column))
    return _count(here, query)


def _other_numbers(here: Here, table: str, key: dict[str, str]) -> int:
    own, old = _keyed(here, table, key)
    found = numbers(rows_of(own, key, old), here.dialect)
    where = own.c.ctid if here.postgresql else own.c.rowid
    joined = sa.select(sa.func.count()).select_from(own.join(found, where == found.c.place))
    return _count(here, joined.where(own.c[key["column"]] != found.c.number))


def _doubled(here: Here) -> dict[str, int]:
    found = {}
    for name, live in here.tables.items():
        key = here.change.key(name)
        if key and {key["column"], key["kept"]} <= set(live.columns):
            own, old = _keyed(here, name, key)
            n = sa.func.count()
            twice = sa.select(n.label("n")).select_from(own).group_by(old).having(n > 1).subquery()
            found[name] = _count(here, sa.select(sa.func.coalesce(sa.func.sum(twice.c.n), 0)))
    return {name: n for name, n in found.items() if n}


def _keyed(here: Here, table: str, key: dict[str, str]) -> tuple[sa.TableClause, Any]:
    own = sa.table(table, place(here.dialect), *map(sa.column, (key["column"], key["kept"], key["order_by"])))
    return own, old_key(own.c[key["column"]], own.c[key["kept"]], here.dialect)


def _count(here: Here, query: sa.Select[Any]) -> int:
    assert here.connection is not None
    return int(here.connection.execute(query).scalar_one())
