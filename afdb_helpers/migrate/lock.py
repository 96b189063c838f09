"""One migration at a time: a lock on a connection of its own, freed by the server when its holder dies."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from afdb_helpers import catalog
from afdb_helpers.errors import ConfigError, Refused, Unavailable
from afdb_helpers.targets import Target

if TYPE_CHECKING:
    from sqlalchemy import Connection

KEY = int.from_bytes(b"AFDB")
HELD = "afdb.locked"  # attribute of Alembic's configuration: the caller holds the lock
WAIT = 5.0  # seconds to wait for another migration to end


@contextlib.contextmanager
def held(target: Target, *, run_id: str, wait: float = WAIT) -> Iterator[Connection | None]:
    """Hold the target's migration lock; yields the lock's own connection (None on SQLite).

    PostgreSQL: a session-level advisory lock, on a connection that can only read; it blocks nothing but another
    migration. SQLite: `flock` on a file beside the database, removed at the end. Raises `Refused` naming the holder
    when it is not had within `wait` seconds.
    """
    if target.dialect == "sqlite":
        with _file_lock(target, run_id, wait):
            yield None
        return
    from sqlalchemy import text

    asking = text("SELECT pg_try_advisory_lock(:key)")
    with target.connect(application_name=f"afdb lock {run_id} on {socket.gethostname()}"[:63]) as connection:
        deadline = time.monotonic() + wait
        while not connection.execute(asking, {"key": KEY}).scalar_one():
            if time.monotonic() > deadline:
                raise _taken(target, _holder(connection))
            time.sleep(0.2)
        yield connection


def _holder(connection: Connection) -> str:
    row = connection.exec_driver_sql(catalog.question("lock_holder")).mappings().first()
    if row is None:
        return "its holder left a moment ago"
    where = row["host"] or "this machine"
    return (
        f"process {row['pid']} of role {row['role']} from {where} ({row['application']}) has held it for {row['since']}"
    )


def _taken(target: Target, holder: str) -> Refused:
    return Refused(
        f"another migration of target {target.name} is running",
        why=holder,
        do="wait for it to end, then run again; if its client is gone, the server frees the lock within seconds",
    )


@contextlib.contextmanager
def _file_lock(target: Target, run_id: str, wait: float) -> Iterator[None]:
    path = target.file().with_name(f".{target.file().name}.afdb-lock")
    if not path.parent.is_dir():
        raise ConfigError(
            f"there is no folder {path.parent}", why="the database is to stand in it", do="create it first"
        )
    deadline = time.monotonic() + wait
    while (descriptor := _try_file(path)) is None:
        if time.monotonic() > deadline:
            with contextlib.suppress(OSError):
                raise _taken(target, f"held by {path.read_text()}")
            raise _taken(target, "its holder left a moment ago")
        time.sleep(0.1)
    try:
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}, run {run_id}".encode(), 0)
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _try_file(path: Path) -> int | None:
    """The locked file, or None while somebody else has it; a file removed before it was locked does not count."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise Unavailable(
            f"no lock file can be made in {path.parent}",
            why=f"{error.strerror}, and without one two migrations could meet",
            do="make the folder writable, or correct the path in the URL",
        ) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.stat(path).st_ino == os.fstat(descriptor).st_ino:
            return descriptor
    except OSError:
        pass
    os.close(descriptor)
    return None
