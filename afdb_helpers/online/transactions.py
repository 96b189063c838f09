"""Work outside the migration's transaction: every statement, or every few, commits on its own. Changes the target.

What dies here leaves complete steps and none half done; only a concurrent index may be left invalid, which is seen.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator

import sqlalchemy as sa

from afdb_helpers.errors import Refused
from afdb_helpers.online import sessions
from afdb_helpers.online.catalogue import ask
from afdb_helpers.online.change import Here
from afdb_helpers.online.patience import BRIEF, QUIET, patiently
from afdb_helpers.online.statements import Setting, Statement

log = logging.getLogger("alembic.runtime.migration")
KEY = int.from_bytes(b"AFD2")
_SESSION: dict[str, str | int] = {
    "lock_timeout": QUIET,
    "statement_timeout": 0,
    "work_mem": "64MB",
    "maintenance_work_mem": "256MB",
    "backend_flush_after": "512kB",
}


@contextlib.contextmanager
def apart(here: Here) -> Iterator[sa.Connection]:
    """Commit what the migration's transaction holds, then let each statement of the block be its own transaction.

    The session takes a lock that names it as the one that changes tables: if one whose client died still has it, the
    server has not noticed yet, and it is ended. The caller holds the migration lock, so it cannot be somebody else's.
    """
    with here.op.get_context().autocommit_block():
        connection = here.connection
        assert connection is not None
        sessions.settle(connection)
        _end_orphan(connection)
        for name, value in _SESSION.items():
            connection.execute(Setting(name, value))
        try:
            yield connection
        finally:
            with contextlib.suppress(sa.exc.SQLAlchemyError):  # a connection that is gone needs no resetting
                for name in _SESSION:
                    connection.execute(Setting(name))


def shortly(here: Here, work: Callable[[], object], *tables: str) -> None:
    """Do `work` in a short transaction, patiently: nothing of it stays where a lock was not to be had.

    First SHARE UPDATE EXCLUSIVE, which no application waits behind and autovacuum gives way to; then what `work` takes,
    for `BRIEF` at most.
    """
    connection = here.connection
    assert connection is not None

    def attempt() -> None:
        with _transaction(connection):
            quiet_lock(connection, *tables)
            work()

    patiently(connection, attempt, tables=tables)


def quiet_lock(connection: sa.Connection, *tables: str) -> None:
    """Keep autovacuum and other schema changes off the tables until the transaction ends, then wait briefly only."""
    connection.execute(Setting("lock_timeout", QUIET, local=True))
    for table in tables:
        connection.execute(Statement("LOCK TABLE {} IN SHARE UPDATE EXCLUSIVE MODE", table))
    connection.execute(Setting("lock_timeout", BRIEF, local=True))


def lock_all(here: Here, tables: list[str]) -> None:
    """Take ACCESS EXCLUSIVE on all the tables within `BRIEF`, or on none, patiently. They are held to the end of the
    transaction, which has nothing slow left to do."""
    connection = here.connection
    if connection is None or not tables:
        return
    quiet_lock(connection, *tables)
    together = Statement("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", tables)

    def attempt() -> None:
        assert connection is not None
        with connection.begin_nested():
            connection.execute(Setting("statement_timeout", BRIEF, local=True))  # for all of them together
            connection.execute(together)
            connection.execute(Setting("statement_timeout", 0, local=True))

    patiently(connection, attempt, tables=tables)


@contextlib.contextmanager
def _transaction(connection: sa.Connection) -> Iterator[None]:
    connection.exec_driver_sql("BEGIN")
    try:
        yield
        connection.exec_driver_sql("COMMIT")
    except BaseException:
        with contextlib.suppress(sa.exc.SQLAlchemyError):
            connection.exec_driver_sql("ROLLBACK")
        raise


def _end_orphan(connection: sa.Connection) -> None:
    asking = sa.select(sa.func.pg_try_advisory_lock(KEY))
    for _ in range(3):
        if connection.execute(asking).scalar_one():
            return
        for pid, application, query, _ended in ask(connection, "migrating_session"):
            log.warning("ended process %s (%s), which a dead migration left at work: %s", pid, application, query)
    raise Refused(
        "a migration that lost its client is still at work on the server",
        why="its session could not be ended within 15 s",
        do="wait for it to end, or end it; then run the same command again",
    )
