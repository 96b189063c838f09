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

from afdb_helpers.online.abandoned import abandon, prepared
from afdb_helpers.online.arrival import missing
from afdb_helpers.online.change import Change, begin
from afdb_helpers.online.concurrently import foreign_key, index, not_null, validate
from afdb_helpers.online.loss import refuse_loss
from afdb_helpers.online.patience import patiently
from afdb_helpers.online.revise import downgrade, upgrade
from afdb_helpers.online.steps import create_indexes, create_table, drop_table
from afdb_helpers.online.transactions import apart, shortly

__all__ = [
    "Change",
    "abandon",
    "apart",
    "begin",
    "create_indexes",
    "create_table",
    "downgrade",
    "drop_table",
    "foreign_key",
    "index",
    "missing",
    "not_null",
    "patiently",
    "prepared",
    "refuse_loss",
    "shortly",
    "upgrade",
    "validate",
]
