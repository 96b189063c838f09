"""From a plan to prints, on whichever database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from afdb_helpers.fingerprint import client, server
from afdb_helpers.fingerprint.keeping import Kept
from afdb_helpers.fingerprint.prints import Column, Print, Sums
from afdb_helpers.fingerprint.reading import Wanted
from afdb_helpers.fingerprint.server import Note

if TYPE_CHECKING:
    from sqlalchemy import Connection


def read(
    connection: Connection,
    plan: Sequence[Wanted],
    *,
    jobs: int = 1,
    timeout: float = 0,
    kept: Kept | None = None,
    note: Note = lambda event, **facts: None,
) -> list[Print]:
    """The wanted prints, in order. Raises `Unavailable` naming the table that cannot be read."""
    if connection.dialect.name == "postgresql":
        sums = server.read(connection, plan, jobs=jobs, timeout=timeout, kept=kept, note=note)
    else:
        sums = client.read(connection, plan, note)
    return [_print(wanted, found) for wanted, found in zip(plan, sums, strict=True)]


def _print(wanted: Wanted, found: Sums) -> Print:
    columns = {
        name: Column(nonnull, str(total), source.kind, source.was or source.type)
        for (name, source), (nonnull, total) in zip(wanted.columns.items(), found.columns, strict=True)
    }
    unknown = tuple(f"{name} ({source.type})" for name, source in wanted.columns.items() if not source.known)
    return Print(found.rows, str(found.row_sum), columns, unknown, tuple(source.name for source in wanted.key))
