"""The usual order of a revision's steps: it is then its tables, its mapping and two calls. They change the target.

First what only looks and refuses, then what takes long, in short transactions of its own; last, in the migration's own
transaction together with the stamp, what renames and swaps. A revision that needs another order calls the steps itself.
"""

from __future__ import annotations

from collections.abc import Mapping

from alembic.operations import Operations

from afdb_helpers.online.abandoned import abandon_back
from afdb_helpers.online.arrival import finish
from afdb_helpers.online.change import Change, Here, begin
from afdb_helpers.online.contents import contents
from afdb_helpers.online.lettering import prepare_back
from afdb_helpers.online.loss import refuse_loss
from afdb_helpers.online.preflight import refuse_unless_possible
from afdb_helpers.online.prepare import prepare
from afdb_helpers.online.rekey import integer_key, text_key
from afdb_helpers.online.steps import (
    add_columns,
    adopt_copy,
    create_indexes,
    create_table,
    drop_columns,
    drop_indexes,
    drop_table,
    rename_columns,
    settle_columns,
    standard_names,
)
from afdb_helpers.online.surroundings import refuse_surroundings


def upgrade(op: Operations, change: Change, *, copies: Mapping[str, tuple[str, list[str]]] | None = None) -> None:
    """Do what is left to do to arrive at the tables of `change`; refuse what cannot end well before anything changes.

    `copies`: a table that a dead run of an older revision may have left → (the table it copies, columns copied as they
    were). PostgreSQL: ACCESS EXCLUSIVE on the changed tables at the end, for milliseconds.
    """
    here = begin(op, change, leftovers=tuple(copies or ()))
    refuse_surroundings(here)
    refuse_unless_possible(here, copies=copies)
    abandon_back(here)
    before = contents(here)
    for copy, (table, _) in (copies or {}).items():
        adopt_copy(here, copy, of=table)
    prepare(here)
    _swap(here)
    finish(here, change.tables, keeping=before)


def downgrade(op: Operations, change: Change) -> None:
    """Go back to the tables before `change`. Refused with counts where they cannot hold what is there, unless
    `-x allow_data_loss` names it."""
    here, before = begin(op, change, down=True), change.before()
    refuse_surroundings(here, down=True)
    refuse_loss(here, locked=not here.postgresql)
    held = contents(here, down=True)
    prepare_back(here)
    _swap_back(here)
    finish(here, before, keeping=held)


def _swap(here: Here) -> None:
    change = here.change
    for each in filter(lambda table: change.key(table.name), change.tables.sorted_tables):
        rename_columns(here, each, change.renamed(each.name))
        integer_key(here, each.name)
    for each in change.tables.sorted_tables:
        create_table(here, each)
        rename_columns(here, each, change.renamed(each.name))
        add_columns(here, each)
        settle_columns(here, each)
        create_indexes(here, each)
        standard_names(here, each)


def _swap_back(here: Here) -> None:
    change = here.change
    for created in reversed(change.created()):
        drop_table(here, created.name)
    for name in filter(change.key, sorted(here.tables)):
        text_key(here, name)
    for each in change.before().sorted_tables:
        drop_indexes(here, each.name, change.mapping.get(each.name, {}).get("indexes", []))
        drop_columns(here, each.name, change.dropped(each.name))
        rename_columns(here, each, {new: old for old, new in change.renamed(each.name).items()})
        standard_names(here, each)
