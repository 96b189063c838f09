"""What revisions call to change tables. It changes the target.

Each step looks at what is there first, so that a run that died is gone on with, and a second run changes nothing.

    revise          the usual order of the steps, up and down
    change          a revision as data: the tables it ends at, and how they come from the ones before
    catalogue       what is there
    differences     how that differs from what is declared
    surroundings    what is refused because of what stands around the tables, or at this moment
    preflight, loss what is refused before anything changes, upwards and downwards
    prepare         what takes long, before the transaction, while the application reads and writes
    patience        a lock asked for briefly, again and again; whoever holds it is named
    transactions    short ones beside the migration's own
    concurrently    indexes and constraints on tables in use
    batches         rows changed a few at a time
    numbering       a text key gets its number meanwhile
    lettering       a number key gets its text key back
    abandoned       a preparation that nobody goes on with is taken back
    steps           tables, columns, defaults, keys, indexes, names
    rekey           a text key that becomes a number, and back
    triggers        a table's own triggers, silent meanwhile
    contents        SQLite: every value, before and after
    sqlite          what SQLite needs instead: rebuilds, real transactions, proof that no row was lost
"""

from __future__ import annotations

from afdb_helpers.online.abandoned import abandon, abandon_back, prepared
from afdb_helpers.online.arrival import finish, missing
from afdb_helpers.online.change import Change, Here, begin
from afdb_helpers.online.concurrently import foreign_key, index, not_null, validate
from afdb_helpers.online.contents import contents
from afdb_helpers.online.lettering import prepare_back
from afdb_helpers.online.loss import refuse_loss
from afdb_helpers.online.patience import patiently
from afdb_helpers.online.preflight import refuse_unless_possible
from afdb_helpers.online.prepare import prepare
from afdb_helpers.online.rekey import integer_key, text_key
from afdb_helpers.online.revise import downgrade, upgrade
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
from afdb_helpers.online.transactions import apart, shortly

__all__ = [
    "Change",
    "Here",
    "abandon",
    "abandon_back",
    "add_columns",
    "adopt_copy",
    "apart",
    "begin",
    "contents",
    "create_indexes",
    "create_table",
    "downgrade",
    "drop_columns",
    "drop_indexes",
    "drop_table",
    "finish",
    "foreign_key",
    "index",
    "integer_key",
    "missing",
    "not_null",
    "patiently",
    "prepare",
    "prepare_back",
    "prepared",
    "refuse_loss",
    "refuse_surroundings",
    "refuse_unless_possible",
    "rename_columns",
    "settle_columns",
    "shortly",
    "standard_names",
    "text_key",
    "upgrade",
    "validate",
]
