"""A table's own triggers, kept silent while a revision rewrites rows without changing what they say."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from afdb_helpers.online.catalogue import ask
from afdb_helpers.online.change import Here
from afdb_helpers.online.statements import Statement

_AGAIN = {
    "O": "ALTER TABLE {} ENABLE TRIGGER {}",
    "R": "ALTER TABLE {} ENABLE REPLICA TRIGGER {}",
    "A": "ALTER TABLE {} ENABLE ALWAYS TRIGGER {}",
}


@contextlib.contextmanager
def silenced(here: Here, table: str) -> Iterator[None]:
    """PostgreSQL: the table's enabled triggers are off within the block, afterwards as they were. An audit trail often
    has one that forbids every UPDATE. Takes SHARE ROW EXCLUSIVE, and the transaction holds ACCESS EXCLUSIVE anyway."""
    found = ask(here.connection, "enabled_triggers", table=table) if here.connection is not None else []
    for name, _ in found:
        here.op.execute(Statement("ALTER TABLE {} DISABLE TRIGGER {}", table, name))
    yield
    for name, state in found:
        here.op.execute(Statement(_AGAIN[state], table, name))
