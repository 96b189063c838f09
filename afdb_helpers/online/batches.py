"""Rows changed a few at a time, while others read and write the table. Changes the target.

A batch locks its rows only, for some 50 ms, and waits 100 ms at most for a row that somebody else has: less than the
server's deadlock_timeout, so that the application is never the victim. Its commit does not wait for the disk: what a
crash of the server loses of it, the next run does again.

Pages are gone over in passes. The first changes one row in `PASSES` of each page: its new version goes elsewhere, which
costs an entry in every index, and leaves a hole. The next pass finds the hole cleared, and the new versions of its rows
fit in: no index hears of them, little is logged, and the table hardly grows.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

import sqlalchemy as sa

from afdb_helpers.online.catalogue import ask
from afdb_helpers.online.change import Here
from afdb_helpers.online.patience import QUIET, patiently
from afdb_helpers.online.statements import Setting
from afdb_helpers.online.transactions import shortly
from afdb_helpers.online.triggers import silenced

AIM = 0.05  # seconds a batch is to take
ROW_LOCK = 100  # ms
LAG = 10.0  # seconds that a standby may be behind
PASSES = 4
_SMALLEST, _LARGEST = 1, 2_000
_SESSION: dict[str, str | int] = {"synchronous_commit": "off", "lock_timeout": ROW_LOCK}
# What is left is two TID range scans and a hash join, whose time depends on the pages only, not on statistics.
_BY_PAGES: dict[str, str | int] = dict.fromkeys(
    ("enable_nestloop", "enable_mergejoin", "enable_indexscan", "enable_indexonlyscan", "enable_bitmapscan"), "off"
)
Batch = Callable[[sa.Connection], int]


@contextlib.contextmanager
def in_batches(here: Here, table: str) -> Iterator[Callable[[Batch], int]]:
    """Yields what runs one batch and returns its rows. The table's own triggers stay silent: for this session where the
    role may, else they are off within each batch's transaction, which then holds SHARE ROW EXCLUSIVE."""
    connection = here.connection
    assert connection is not None
    triggers = ask(connection, "enabled_triggers", table=table)
    quiet = all(state == "O" for _, state in triggers) and _may_silence(connection)  # foreign keys rest as well

    def run(batch: Batch) -> int:
        if quiet or not triggers:
            return patiently(connection, lambda: batch(connection), tables=[table])
        done = 0

        def alone() -> None:
            nonlocal done
            with silenced(here, table):
                done = batch(connection)

        shortly(here, alone, table)
        return done

    settings = {**_SESSION, **({"session_replication_role": "replica"} if quiet else {})}
    with _set(connection, settings):
        yield run
    connection.execute(Setting("lock_timeout", QUIET))


def over_pages(
    connection: sa.Connection, run: Callable[[Batch], int], pages: int, span: sa.TextClause, batch: sa.TextClause
) -> None:
    """Run `batch` over the pages [:low, :high) of a list of rows, as many at a time as take `AIM`: once for each :part
    of :parts, over the rows between :first and :last, which `span` finds for those pages."""
    low, step = 0, 20
    with _set(connection, _BY_PAGES):
        while low < pages:
            bounds: dict[str, str | int] = {"low": f"({low},0)", "high": f"({low + step},0)"}
            bounds |= connection.execute(span, bounds).mappings().one()
            longest = 0.001
            for part in range(PASSES):
                started, values = time.monotonic(), {**bounds, "part": part, "parts": PASSES}
                run(lambda c, v=values: c.execute(batch, v).rowcount)  # type: ignore[misc]
                longest = max(longest, time.monotonic() - started)
            low += step
            step = max(_SMALLEST, min(_LARGEST, 2 * step, int(step * AIM / longest) + 1))
            _wait_for_standbys(connection)


@contextlib.contextmanager
def _set(connection: sa.Connection, settings: dict[str, str | int]) -> Iterator[None]:
    for name, value in settings.items():
        connection.execute(Setting(name, value))
    try:
        yield
    finally:
        with contextlib.suppress(sa.exc.SQLAlchemyError):  # a connection that is gone needs no resetting
            for name in settings:
                connection.execute(Setting(name))


def _wait_for_standbys(connection: sa.Connection) -> None:
    """Let standbys catch up, half a minute at most: one that is cut off would stop the migration for ever."""
    lag = sa.text("SELECT max(extract(epoch FROM replay_lag)) FROM pg_stat_replication")
    for _ in range(30):
        if float(connection.execute(lag).scalar() or 0) < LAG:
            return
        time.sleep(1)


def _may_silence(connection: sa.Connection) -> bool:
    return bool(
        connection.execute(sa.text("SELECT has_parameter_privilege('session_replication_role', 'SET')")).scalar_one()
    )
