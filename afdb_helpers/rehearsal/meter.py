"""What the private server says of the work done on it, asked on a session of its own, as superuser.

Changes the private server's settings, never what stands in it: every page is written to the WAL in full after a
checkpoint, as on a target; temporary files are logged; autovacuum rests, so that what is measured is the migration's.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from afdb_helpers import catalog
from afdb_helpers.backup import Copy

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor  # noqa: N812

NAME = "afdb watch"  # sql/other_sessions.sql does not count it
_SETTINGS = ("autovacuum = off", "full_page_writes = on", "log_temp_files = 0")
_TEMPORARY = re.compile(rb'temporary file: path "[^"\n]*", size (\d+)')
Lock = tuple[int, int, str]  # the session's process, the relation, the mode


@dataclass(frozen=True)
class Relation:
    """A relation as it was before the migration; `bytes` with indexes and TOAST, `index_of` an index's table."""

    oid: int
    name: str
    kind: str
    index_of: int | None
    file: int
    bytes: int


@dataclass(frozen=True)
class Work:
    """Since the server began: bytes of WAL; now: bytes of the database, length of the server's log."""

    wal: int
    bytes: int
    log: int


class Meter:
    """Asks the private server. Not for two threads at once."""

    def __init__(self, cursor: Cursor) -> None:
        self.cursor = cursor
        self.relations = {relation.oid: relation for relation in self._relations()}
        self.log = self.work().log

    def locks(self) -> set[Lock]:
        """The locks that other sessions hold now on relations that were there before, indexes aside."""
        self.cursor.execute(catalog.question("locks_of_clients"))
        found = {(pid, oid, mode) for pid, oid, mode in self.cursor.fetchall()}
        known = {oid for oid, relation in self.relations.items() if relation.kind != "i"}
        return {lock for lock in found if lock[1] in known}

    def visited(self) -> bool:
        """Whether a session of somebody else stands on the private server now."""
        self.cursor.execute(catalog.question("other_sessions"))
        return bool(self.cursor.fetchall())

    def work(self) -> Work:
        self.cursor.execute(catalog.question("server_work"))
        return Work(*map(int, self.cursor.fetchone() or ()))

    def files(self) -> dict[int, int]:
        """Relation → its file, as committed."""
        self.cursor.execute(catalog.question("relation_files"))
        return {oid: file for oid, file in self.cursor.fetchall() if oid in self.relations}

    def temporary(self, upto: int) -> int:
        """Bytes of the temporary files that ended since the last call, from the server's log up to `upto`."""
        self.cursor.execute("SELECT pg_read_binary_file('log', %s, %s)", (self.log, upto - self.log))
        said = bytes((self.cursor.fetchone() or (b"",))[0])
        self.log = upto
        return sum(int(size) for size in _TEMPORARY.findall(said))

    def _relations(self) -> list[Relation]:
        self.cursor.execute(catalog.question("relations"))
        return [Relation(*row) for row in self.cursor.fetchall()]


@contextlib.contextmanager
def opened(copy: Copy) -> Iterator[Meter]:
    """A meter on the copy's server, made ready: settings, statistics as a database in use has them, a checkpoint."""
    import psycopg2
    from sqlalchemy import make_url

    parts = make_url(copy.url)
    place: dict[str, Any] = {"host": str(parts.query["host"]), "dbname": parts.database, "user": "postgres"}
    if "port" in parts.query:
        place["port"] = parts.query["port"]
    with contextlib.closing(psycopg2.connect(**place, application_name=NAME)) as session:
        session.autocommit = True
        with session.cursor() as cursor:
            for setting in _SETTINGS:
                cursor.execute(" ".join(["ALTER SYSTEM SET", setting]))
            for statement in ("SELECT pg_reload_conf()", "ANALYZE", "CHECKPOINT", "SET client_min_messages = error"):
                cursor.execute(statement)
            yield Meter(cursor)
