"""A text key gets its number while the application goes on writing. Changes the target.

The numbers grow in a column of a name of their own. In this order, each step looking whether it is done:

    column      nobody knows of it                              ACCESS EXCLUSIVE, milliseconds
    sequence    starts above every number that rows will get, with a margin
    trigger     from here on new rows are numbered              SHARE ROW EXCLUSIVE, milliseconds
    map         row → number for all rows without one, in the order in which the rows lie, in one statement: it is there
                and complete, or not there
    batches     the numbers are written, page by page; what is NULL is left to do
    sweep       rows that were moved by an UPDATE meanwhile are found by their key
    index, check    unique, and not NULL                        SHARE UPDATE EXCLUSIVE

The process dead at any line: the next run goes on there; until then new rows are numbered and nothing else is felt.
A crash of the server empties the map, which is not logged: numbering then starts over, unless the check stands, which
came after every number was written and seen to be right.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

import sqlalchemy as sa

from afdb_helpers.errors import Incomplete
from afdb_helpers.online import concurrently, rekey
from afdb_helpers.online.batches import in_batches, over_pages
from afdb_helpers.online.catalogue import Live, ask, kind
from afdb_helpers.online.change import Here
from afdb_helpers.online.statements import Statement
from afdb_helpers.online.transactions import shortly
from afdb_helpers.report import count

log = logging.getLogger("alembic.runtime.migration")

_BODY = "BEGIN IF NEW.{column} IS NULL THEN NEW.{column} := nextval('{sequence}'); END IF; RETURN NEW; END"
_SPAN = (
    "SELECT min(m.place) AS first, max(m.place) AS last FROM {} AS m"
    " WHERE m.ctid >= CAST(:low AS tid) AND m.ctid < CAST(:high AS tid)"
)
_BATCH = (
    "UPDATE {} AS a SET {} = m.number FROM {} AS m WHERE m.ctid >= CAST(:low AS tid) AND m.ctid < CAST(:high AS tid)"
    " AND a.ctid >= CAST(:first AS tid) AND a.ctid <= CAST(:last AS tid) AND a.ctid = m.place"
    " AND abs(hashtid(m.place) % :parts) = :part AND abs(hashtid(a.ctid) % :parts) = :part"
    " AND a.{} = m.old AND a.{} IS NULL"
)
_SWEEP = "UPDATE {} AS a SET {} = m.number FROM {} AS m WHERE a.{} = m.old AND a.{} IS NULL"
_REST = "UPDATE {} SET {} = nextval(CAST(:sequence AS regclass)) WHERE {} IS NULL"
_WRONG = "SELECT count(*) FROM {} AS a JOIN {} AS m ON a.{} = m.old WHERE a.{} IS DISTINCT FROM m.number"
_CLEAR = "UPDATE {} AS a SET {} = NULL FROM {} AS m WHERE a.{} = m.old AND a.{} IS DISTINCT FROM m.number"
_PAGES = "SELECT pg_relation_size(to_regclass(quote_ident(:name))) / current_setting('block_size')::int"


def number(here: Here, table: str) -> None:
    """Number every row of the table's text key in the column `rekey.next_column`; nothing where it is a number."""
    live, key = here.tables.get(table), here.change.key(table)
    if live is None or key is None or here.connection is None or _numbered(here, live, table, key):
        return
    connection, names = here.connection, rekey.names(table)
    old = key["kept"] if key["kept"] in live.columns else key["column"]
    sequence = here.op.get_context().dialect.identifier_preparer.quote(f"{table}_{key['column']}_seq")
    if names.column not in live.columns:
        added = Statement("ALTER TABLE {} ADD COLUMN {} INTEGER", table, names.column)
        shortly(here, lambda: here.op.execute(added), table)
    if not triggered(connection, table, names.trigger):
        _sequence(here, table, key, old, sequence)
        shortly(here, lambda: _trigger(here, table, names, sequence), table)
    if not concurrently.checked(connection, table, names.check):
        _map(here, table, names, key, old, sequence)
        _fill(here, table, names, old, sequence)
    concurrently.index(here, table, names.unique, [names.column], unique=True)
    concurrently.check_not_null(here, table, names.column, names.check)
    here.op.execute(Statement("ANALYZE {} ({})", table, names.column))


def _numbered(here: Here, live: Live, table: str, key: Mapping[str, str]) -> bool:
    """Whether the number is there already, or an older run's beginning of it, which the transaction goes on with."""
    there = live.columns.get(key["column"])
    return there is not None and kind(there.type, here.dialect) == kind(
        here.change.table(table).c[key["column"]].type, here.dialect
    )


def _sequence(here: Here, table: str, key: Mapping[str, str], old: str, sequence: str) -> None:
    """A sequence above all numbers that the rows there will get; whoever may insert may use it."""
    connection, name = here.connection, f"{table}_{key['column']}_seq"
    assert connection is not None
    if connection.execute(sa.select(sa.func.to_regclass(sequence).is_(None))).scalar_one():
        here.op.execute(sa.schema.CreateSequence(sa.Sequence(name, data_type=sa.Integer())))
    for (role,) in ask(connection, "writers", table=table):
        granted = Statement("GRANT USAGE ON SEQUENCE {} TO {}", name, role) if role else Statement(
            "GRANT USAGE ON SEQUENCE {} TO PUBLIC", name)  # fmt: skip
        here.op.execute(granted)
    rows, stamped = connection.execute(_largest(table, old)).one()
    here.op.execute(sa.select(sa.func.setval(sequence, max(rows, stamped or 0) + rekey.MARGIN)))


def _largest(table: str, old: str) -> sa.Select[int, int | None]:
    own = sa.table(table, sa.column(old))
    held = rekey.stamped(own.c[old], "postgresql")
    largest = sa.func.max(held).filter(held <= rekey.LARGEST)  # a key that says more was not made by us
    return sa.select(sa.func.count(), largest).select_from(own)


def _trigger(here: Here, table: str, names: rekey.Names, sequence: str) -> None:
    follow(here, table, names, _BODY.format(column=names.column, sequence=sequence))


def follow(here: Here, table: str, names: rekey.Names, body: str) -> None:
    """Let a function of this body see every new row before it is stored, replicated ones too."""
    made = "CREATE OR REPLACE FUNCTION {}() RETURNS trigger LANGUAGE plpgsql AS {}"
    here.op.execute(Statement(made, names.function, sa.literal(body)))
    fired = "CREATE TRIGGER {} BEFORE INSERT ON {} FOR EACH ROW EXECUTE FUNCTION {}()"
    here.op.execute(Statement(fired, names.trigger, table, names.function))
    here.op.execute(Statement("ALTER TABLE {} ENABLE ALWAYS TRIGGER {}", table, names.trigger))


def triggered(connection: sa.Connection, table: str, trigger: str) -> bool:
    asked = sa.text("SELECT count(*) FROM pg_trigger WHERE tgrelid = to_regclass(quote_ident(:t)) AND tgname = :g")
    return bool(connection.execute(asked, {"t": table, "g": trigger}).scalar_one())


def _map(here: Here, table: str, names: rekey.Names, key: Mapping[str, str], old: str, sequence: str) -> None:
    """Make the map, unless it is there; again where so many rows came before the trigger that the margin was used up:
    the rows that the trigger has numbered since are then numbered with the others."""
    connection = here.connection
    assert connection is not None
    own = sa.table(table, rekey.place("postgresql"), *map(sa.column, (old, names.column, key["order_by"])))
    free = own.c[names.column].is_(None)
    lost = _there(connection, names.map) and not _filled(connection, names.map)
    if lost:
        log.warning("%s: a crash of the server emptied the list of numbers; numbering starts over", table)
        here.op.execute(Statement("DROP TABLE {}", names.map))
    while not _there(connection, names.map):
        taken = connection.execute(sa.select(sa.func.min(own.c[names.column]))).scalar()
        _, held = connection.execute(_largest(table, old)).one()
        rows = sa.select(sa.func.count()).select_from(own).where(free)
        most = max(connection.execute(rows).scalar_one(), held or 0)
        if taken is not None and (lost or taken <= most):
            log.info("%s: numbering starts over", table)
            lost, most = False, max(most, _rows(connection, table))
            here.op.execute(sa.select(sa.func.setval(sequence, most + 10 * rekey.MARGIN)))
            with in_batches(here, table) as run:
                run(lambda c: c.execute(sa.update(own).values({names.column: None}).where(~free)).rowcount)
            continue
        here.op.execute(
            Statement(
                "CREATE UNLOGGED TABLE {} AS {}", names.map, rekey.mapped(own, key, old, free, stamped=held is not None)
            )
        )


def _fill(here: Here, table: str, names: rekey.Names, old: str, sequence: str) -> None:
    """Write the numbers, then see that every row has the one of the map."""
    connection = here.connection
    assert connection is not None
    pages = connection.execute(sa.text(_PAGES), {"name": names.map}).scalar_one()
    batch = _text(here, _BATCH, table, names.column, names.map, old, names.column)
    span = _text(here, _SPAN, names.map)
    sweep = _text(here, _SWEEP, table, names.column, names.map, old, names.column)
    rest = _text(here, _REST, table, names.column, names.column)
    with in_batches(here, table) as run:
        over_pages(connection, run, pages, span, batch)
        run(lambda c: c.execute(sweep).rowcount)
        run(lambda c: c.execute(rest, {"sequence": sequence}).rowcount)
    wrong = connection.execute(_text(here, _WRONG, table, names.map, old, names.column)).scalar_one()
    if wrong:  # dead before they are cleared, the next run finds them again
        connection.execute(_text(here, _CLEAR, table, names.column, names.map, old, names.column))
        raise Incomplete(
            f"{count(wrong, 'row')} of {table} and the list of numbers disagree; the old names stand",
            why=f"something else wrote to {names.column}, which this revision numbers them in; those are cleared",
            do="find out what does, then run the same command again",
        )


def _filled(connection: sa.Connection, table: str) -> bool:
    return bool(connection.execute(sa.select(sa.exists(sa.text("1")).select_from(sa.table(table)))).scalar_one())


def _rows(connection: sa.Connection, table: str) -> int:
    return int(connection.execute(sa.select(sa.func.count()).select_from(sa.table(table))).scalar_one())


def _there(connection: sa.Connection, table: str) -> bool:
    asked = sa.text("SELECT to_regclass(quote_ident(:name)) IS NOT NULL")
    return bool(connection.execute(asked, {"name": table}).scalar_one())


def _text(here: Here, template: str, *identifiers: str) -> sa.TextClause:
    quote = here.op.get_context().dialect.identifier_preparer.quote
    return sa.text(template.format(*map(quote, identifiers)))
