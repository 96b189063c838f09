"""An order-free hash of every column's data, so that "nothing was lost" can be shown, not claimed.

Per table, in one pass: the rows; per column the non-null values and the sum of a 64-bit hash of each; and the sum of a
hash of each whole row, so that values cannot change places between rows. Sums are exact, and adding is order-free. The
same value has the same hash on every PostgreSQL since 14 and on SQLite. docs/verification.md says how it works,
what the odds are, and what it cannot see.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from afdb_helpers.errors import Unavailable
from afdb_helpers.fingerprint import reading, server, taking
from afdb_helpers.fingerprint.comparing import compare, compare_prints
from afdb_helpers.fingerprint.keeping import Kept
from afdb_helpers.fingerprint.prints import Column, Fingerprint, Print
from afdb_helpers.fingerprint.rows import differing

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = ["Column", "Fingerprint", "Print", "compare", "compare_prints", "differing", "take"]


def take(
    connection: Connection,
    *,
    tables: Iterable[str] | None = None,
    jobs: int = 1,
    sample: float = 1.0,
    timeout: float = 0,
    resume: Path | None = None,
    note: server.Note = lambda event, **facts: None,
) -> Fingerprint:
    """The fingerprint of every table, or of the named ones, of every column. Reads each table once (ACCESS SHARE).

    With `jobs` above 1 that many connections read, all at one moment; for one moment with one, pass a connection opened
    with `snapshot=True`. `sample`: only that part of the rows, chosen by their keys, so that a later one has the
    same. `timeout`: seconds a statement may take. `resume`: a file that keeps finished ranges. Raises `Unavailable`
    naming the table that cannot be read; none is passed over.
    """
    here = reading.tables(connection)
    names = sorted(here) if tables is None else list(tables)
    if missing := [name for name in names if name not in here]:
        raise Unavailable(
            f"table {missing[0]} cannot be read, so nothing can be said of its data",
            why="there is no such table, or the role may not see it",
            do="correct the name; `afdb run discovery` lists the tables",
        )
    moment = server.moment(connection) if connection.dialect.name == "postgresql" else ""
    plan = [reading.sampled(reading.everything(here[name]), sample) for name in names]
    with contextlib.ExitStack() as open_:
        kept = open_.enter_context(contextlib.closing(Kept(resume))) if resume else None
        prints = taking.read(connection, plan, jobs=jobs, timeout=timeout, kept=kept, note=note)
    return Fingerprint(connection.dialect.name, dict(zip(names, prints, strict=True)), moment, sample)
