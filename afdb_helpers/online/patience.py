"""A lock is asked for briefly, again and again, within a budget; then its holder is named. Changes nothing itself.

A statement that waits for a lock makes every later one of the application wait behind it, so it waits `BRIEF` at most
and is never sent without a timeout, the last time neither.
"""

from __future__ import annotations

import logging
import os
import random
import time
from collections.abc import Callable, Iterable
from typing import TypeVar

import sqlalchemy as sa

from afdb_helpers.errors import ConfigError, Refused
from afdb_helpers.online.catalogue import ask

log = logging.getLogger("alembic.runtime.migration")
BRIEF = 300  # ms that a statement waits for a lock, and the application behind it
QUIET = 30_000  # ms for locks behind which no application waits
BUDGET = "AFDB_LOCK_BUDGET"
_NO_LOCK = {"55P03", "40P01", "57014"}  # lock timeout, deadlock, cancelled by the statement timeout
_FIRST, _LONGEST = 0.05, 3.0  # seconds between two attempts
T = TypeVar("T")


def patiently(connection: sa.Connection, work: Callable[[], T], *, tables: Iterable[str], anyone: bool = False) -> T:
    """Do `work`; again after a pause that grows, by chance more or less, when a lock was not to be had.

    `work` leaves nothing behind when it fails so. Raises `Refused` naming the holders when the budget is spent; with
    `anyone`, whoever has a transaction open, since a concurrent index waits for all of them.
    """
    names, pause = sorted(tables), _FIRST
    until = time.monotonic() + budget()
    while True:
        try:
            return work()
        except sa.exc.DBAPIError as error:
            if getattr(error.orig, "pgcode", None) not in _NO_LOCK:
                raise
            holders = blockers(connection, names, anyone=anyone)
            log.info("no lock on %s; held by %s", ", ".join(names), holders)
            if time.monotonic() + pause > until:
                raise _given_up(names, holders) from None
        time.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 — jitter, not a secret
        pause = min(2 * pause, _LONGEST)


def budget() -> float:
    """Seconds that one lock is tried for, from the environment."""
    said = os.environ.get(BUDGET, "") or "60"
    try:
        return float(said)
    except ValueError:
        raise ConfigError(f"{BUDGET} is {said!r}", why="it is a number of seconds", do=f"set {BUDGET}=60") from None


def blockers(connection: sa.Connection, names: list[str], *, anyone: bool = False) -> str:
    """The sessions that hold a lock on the tables, oldest first, with what they are at."""
    rows = ask(connection, "blockers", names=names, anyone=anyone)
    return (
        "; ".join(
            f"process {pid} of role {role} ({application or 'no name'}, {state}, {seconds} s): {query}"
            for pid, role, application, state, seconds, query in rows
        )
        or "sessions that come and go"
    )


def _given_up(names: list[str], holders: str) -> Refused:
    return Refused(
        f"no lock on {', '.join(names)} was to be had in {budget():.0f} s; what is done so far harms nothing",
        why=holders,
        do="end that transaction, or wait for it; then run the same command again: it goes on where this one stopped",
    )
