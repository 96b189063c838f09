"""What squawk's rules and ours are about, and the safe form of each, ready to paste.

In a form, {table} is the statement's table and {sql} the statement. `work` is what is done under the lock: nothing that
takes time, a scan, a rewrite, the build of an index; `application` is what an application stumbles over, however short.
"""

from __future__ import annotations

from typing import NamedTuple


class Known(NamedTuple):
    lock: str
    blocks: str
    work: str
    why: str
    safe: str


_ALL, _WRITES = "reads and writes", "writes"
_EXCLUSIVE, _SHARE, _ROW = "AccessExclusiveLock", "ShareLock", "ShareRowExclusiveLock"
_PATIENT = "SET LOCAL lock_timeout = '300ms';  -- and try again: nothing queues behind it for longer\n{sql};"
_NOT_NULL = (
    "ALTER TABLE {table} ADD CONSTRAINT {table}_COLUMN_check CHECK (COLUMN IS NOT NULL) NOT VALID;\n"
    "ALTER TABLE {table} VALIDATE CONSTRAINT {table}_COLUMN_check;  -- a transaction of its own\n"
    "ALTER TABLE {table} ALTER COLUMN COLUMN SET NOT NULL;\n"
    "ALTER TABLE {table} DROP CONSTRAINT {table}_COLUMN_check;"
)
_TWO_STEPS = "{sql} NOT VALID;\nALTER TABLE {table} VALIDATE CONSTRAINT NAME;  -- a transaction of its own"
_NEW_COLUMN = (
    "ALTER TABLE {table} ADD COLUMN COLUMN_new TYPE;\n-- a trigger that writes both, then in batches, each committed:\n"
    "UPDATE {table} SET COLUMN_new = COLUMN WHERE ctid = ANY (ARRAY(\n"
    "    SELECT ctid FROM {table} WHERE COLUMN_new IS NULL LIMIT 1000));\n-- then rename both in one short transaction"
)
_RELEASES = (
    "-- release 1: add the new one beside it, write both\n-- release 2: read the new one\n"
    "-- release 3, when nobody reads the old one:\n{sql};"
)
_CONCURRENT = "-- in autocommit_block(); a rerun drops an invalid one first\n{concurrent};"

SQUAWK = {
    "require-concurrent-index-creation": Known(
        _SHARE, _WRITES, "build", "the index is built under a lock that writers wait for", _CONCURRENT
    ),
    "require-concurrent-index-deletion": Known(
        _EXCLUSIVE, _ALL, "brief", "dropping an index waits for, and blocks, every reader", _CONCURRENT
    ),
    "require-concurrent-reindex": Known(_SHARE, _WRITES, "build", "the index is built under a lock", _CONCURRENT),
    "disallowed-unique-constraint": Known(
        _EXCLUSIVE, _ALL, "build", "its index is built under the lock",
        "CREATE UNIQUE INDEX CONCURRENTLY {table}_COLUMN_key ON {table} (COLUMN);  -- in autocommit_block()\n"
        "ALTER TABLE {table} ADD CONSTRAINT {table}_COLUMN_key UNIQUE USING INDEX {table}_COLUMN_key;",
    ),
    "adding-foreign-key-constraint": Known(
        _ROW, _WRITES, "scan", "every row is checked while writers of both tables wait", _TWO_STEPS
    ),
    "constraint-missing-not-valid": Known(
        _EXCLUSIVE, _ALL, "scan", "every row is checked under the lock", _TWO_STEPS
    ),
    "adding-not-nullable-field": Known(
        _EXCLUSIVE, _ALL, "scan", "every row is looked at under the lock, unless a valid CHECK says the same", _NOT_NULL
    ),
    "changing-column-type": Known(_EXCLUSIVE, _ALL, "rewrite", "the table may be rewritten under it", _NEW_COLUMN),
    "adding-field-with-default": Known(
        _EXCLUSIVE, _ALL, "rewrite", "a default that is no constant rewrites the table under the lock",
        "ALTER TABLE {table} ADD COLUMN COLUMN TYPE;\nALTER TABLE {table} ALTER COLUMN COLUMN SET DEFAULT VALUE;\n"
        "-- then fill the old rows in batches, each committed",
    ),
    "adding-serial-primary-key-field": Known(
        _EXCLUSIVE, _ALL, "rewrite", "numbering the rows rewrites the table under the lock", _NEW_COLUMN
    ),
    "adding-required-field": Known(
        "", "", "application", "an application that does not know the column cannot insert any more",
        "ALTER TABLE {table} ADD COLUMN COLUMN TYPE DEFAULT VALUE NOT NULL;",
    ),
    "renaming-object": Known(_EXCLUSIVE, _ALL, "brief", "the lock lasts as long as the transaction", _PATIENT),
    "ban-drop-constraint": Known(_EXCLUSIVE, _ALL, "brief", "what it forbade is allowed from now on", _PATIENT),
    "renaming-column": Known("", "", "application", "an application that uses the old name fails", _RELEASES),
    "renaming-table": Known("", "", "application", "an application that uses the old name fails", _RELEASES),
    "ban-drop-column": Known("", "", "application", "who uses it fails, and its values are gone", _RELEASES),
    "ban-drop-table": Known("", "", "application", "who uses it fails, and its rows are gone", _RELEASES),
    "ban-drop-not-null": Known(
        "", "", "application", "an application may not expect NULL",
        "-- when every reader copes with NULL:\n{sql};",
    ),
}  # fmt: skip

OTHER = Known("", "", "application", "", "-- see https://squawkhq.com/docs/{rule}\n{sql};")

BATCHES = (
    "-- in autocommit_block(), again until it changes no row; add a condition that is false once a row is done\n"
    "{head} WHERE ctid = ANY (ARRAY(\n    SELECT ctid FROM {table} WHERE CONDITION LIMIT 1000 FOR UPDATE SKIP LOCKED));"
)
DROP_TRIGGER = _PATIENT
TRUNCATE = (
    "ALTER TABLE {table} RENAME TO {table}_old;  -- the rows stay until somebody is sure\n"
    "CREATE TABLE {table} (LIKE {table}_old INCLUDING ALL);\n-- DROP TABLE {table}_old; in a later release"
)
ROW_SECURITY = (
    "-- leave it on, and give the role that has to see the rows a policy\n"
    "CREATE POLICY {table}_ROLE ON {table} TO ROLE USING (true);"
)
POLICY = (
    "-- in one transaction, so that nobody meets the table without a policy; and a waiver that says who decided it\n"
    "{sql};\nCREATE POLICY NAME ON {table} TO ROLE USING (CONDITION);"
)
GRANTS = (
    "-- to the one role that needs it, or from the one that does not; then a waiver that says who decided it\n{sql};"
)
IF_NOT_EXISTS = (
    "-- in autocommit_block(): an index that a died run left invalid counts as existing\n"
    "DROP INDEX CONCURRENTLY IF EXISTS {index};\n{without};"
)
SCAN = (
    "-- let the scan run before the lock: NOT VALID then VALIDATE, an index CONCURRENTLY, rows in batches;\n"
    "-- then, in a transaction of its own that does nothing else:\n"
    "SET LOCAL lock_timeout = '300ms';\n-- the short statements that need the lock"
)
REWRITE = _NEW_COLUMN
RESERVED = "-- leave it to the provider; for what the provider documents, a waiver with its reason:\n{sql};"
