"""A backup restored where nobody else is: to prove it, and to rehearse on it."""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from afdb_helpers import embedded_postgres, targets
from afdb_helpers.backup import client, meter, reserved, room
from afdb_helpers.backup import store as stores
from afdb_helpers.backup.dumping import DATABASE, DUMP
from afdb_helpers.backup.states import Backup
from afdb_helpers.errors import Refused, Unavailable
from afdb_helpers.targets import Target

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor  # noqa: N812
    from sqlalchemy import Connection

    from afdb_helpers.embedded_postgres import Server

FASTEST = {"wal_level": "minimal", "max_wal_senders": "0", "autovacuum": "off", "maintenance_work_mem": "256MB",
           "max_wal_size": "16GB", "checkpoint_timeout": "1h", "jit": "off"}  # fmt: skip
SMALL = 1 << 30  # bytes that a database may have had for its copy to lie in memory
_OURS = re.compile(
    "not support compression|No space left|could not write|server closed the connection|Connection refused|signal"
)


class NotRestorable(Refused):
    """The backup itself is at fault: files are not as the manifest says, or a statement of the dump fails."""

    rows: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class Copy:
    """A restored backup, for as long as it is open. `url` is for the role that made the backup; it holds no secret."""

    url: str
    version: str
    seconds: float

    @contextlib.contextmanager
    def connect(self) -> Iterator[Connection]:
        """A read-only connection to the copy."""
        with targets.parse("copy", self.url, {}).connect() as connection:
            yield connection


@contextlib.contextmanager
def open_copy(backup: Backup, *, jobs: int = 2, only_read: bool = False) -> Iterator[Copy]:
    """The backup restored into a private server (SQLite: a temporary file), gone when the block ends.

    Every file is hashed first. A copy that is `only_read` is restored as fast as can be: with the settings `FASTEST`,
    and in memory where the database had `SMALL` bytes at most and the machine has room to spare.
    Raises `NotRestorable` (a `Refused`) when a file is not as the manifest says or the dump does not restore;
    `Unavailable` when it cannot be tried on this machine, which says nothing about the backup.
    """
    stores.fetch(backup)
    wrong = stores.differences(backup)
    if wrong:
        raise not_restorable(backup, wrong)
    opener = _sqlite if backup.manifest["dialect"] == "sqlite" else _postgresql
    with opener(backup, jobs, only_read) as copy:
        yield copy


def not_restorable(backup: Backup, rows: list[dict[str, Any]]) -> NotRestorable:
    first = f"{rows[0]['object']}: {rows[0]['differs']}"
    do = "use another backup: afdb run backup makes one"
    error = NotRestorable(f"backup {backup.id} cannot be restored", why=first, do=do)
    error.rows = tuple(rows)
    return error


@contextlib.contextmanager
def _sqlite(backup: Backup, jobs: int, only_read: bool) -> Iterator[Copy]:
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="afdb-") as folder:
        shutil.copyfile(backup.path / DATABASE, Path(folder, DATABASE))
        url = f"sqlite:///{folder}/{DATABASE}"
        yield Copy(url, backup.manifest["server"]["version"], time.monotonic() - started)


@contextlib.contextmanager
def _postgresql(backup: Backup, jobs: int, only_read: bool) -> Iterator[Copy]:
    started = time.monotonic()
    version, programs = _installation(backup.manifest)
    small = backup.manifest["database"].get("bytes", SMALL + 1) <= SMALL
    fast: dict[str, Any] = {"settings": FASTEST, "in_memory": small} if only_read else {}
    with embedded_postgres.start(version, programs=programs, alike=True, **fast) as server:
        room.for_copy(backup.id, backup.manifest["database"], server.data)
        url = _restore(backup, server, jobs)
        yield Copy(url, str(server.version), time.monotonic() - started)


def _installation(facts: Mapping[str, Any]) -> tuple[int, Path]:
    """Of the client's major or the oldest newer one that has all extensions: an older server may not understand it."""
    needed, have = facts["client"]["major"], embedded_postgres.installations()
    left_out = {row["name"] for row in facts["excluded"] if row["kind"] == "extension"}
    names = {extension["name"] for extension in facts["extensions"]} - left_out
    fitting = [one for one in have if one[0] >= needed]
    lacking = {one: sorted(names - embedded_postgres.extensions(one[1])) for one in fitting}
    complete = [one for one in fitting if not lacking[one]]
    if complete:
        return min(complete, key=lambda one: one[0])
    what = f"backup {facts['id']} cannot be restored on this machine"
    if fitting:
        why = "; ".join(f"{version} in {at}: {', '.join(lacking[version, at])}" for version, at in fitting)
        raise Unavailable(
            what,
            why=f"no private PostgreSQL here has all of its extensions; lacking in {why}",
            do=f"apt-get install postgresql-{needed} with the extensions, or prove it where they are",
        )
    found = ", ".join(str(one[0]) for one in have) or "none"
    raise Unavailable(
        what,
        why=f"it needs a private PostgreSQL {needed} or newer; found: {found}",
        do=f"pip install 'afdb-helpers[demo]' for 16 and 18, or apt-get install postgresql-{needed}",
    )


def _restore(backup: Backup, server: Server, jobs: int) -> str:
    """Restore into an empty database of the same name, as superuser; the URL for the role that made the backup."""
    import psycopg2
    from sqlalchemy import make_url

    facts = backup.manifest
    name = facts["identity"]["database"]
    url = server.take_database(name)
    with contextlib.closing(psycopg2.connect(host=str(server.socket), user="postgres", dbname=name)) as session:
        session.autocommit = True
        _create_roles(session.cursor(), facts["roles"])
        _set_up(session.cursor(), facts)
    tools = client.Client(server.version, str(server.version), server.programs)
    program, copy = tools.program("pg_restore"), targets.parse("copy", url, {})
    reserved.stand_in(program, backup.path, copy)
    with arguments(backup, program, jobs) as words, growing(backup, copy), client.running(program, words, copy) as run:
        try:
            run.finish()
        except Unavailable as error:
            if _OURS.search(str(error)):
                raise
            raise not_restorable(backup, [{"object": DUMP, "differs": error.why}]) from None
    return make_url(url).set(username=facts["server"]["role"]).render_as_string(hide_password=False)


@contextlib.contextmanager
def arguments(backup: Backup, program: Path, jobs: int) -> Iterator[list[str]]:
    """What pg_restore is called with: everything of the archive but what the manifest says is left out."""
    with reserved.chosen(program, backup.path / DUMP, backup.manifest["excluded"]) as those:
        yield ["--exit-on-error", "--no-tablespaces", f"--jobs={jobs}", *those, str(backup.path / DUMP)]


@contextlib.contextmanager
def growing(backup: Backup, target: Target) -> Iterator[None]:
    """Show the database's bytes while it grows towards those that the backup's had."""
    total = backup.manifest["database"].get("bytes")
    with target.connect() as connection:

        def grown() -> int:
            return int(connection.exec_driver_sql("SELECT pg_database_size(current_database())").scalar_one())

        with meter.shown(f"restore of {backup.id}", total, grown):
            yield


def _create_roles(cursor: Cursor, roles: list[dict[str, Any]]) -> None:
    """The roles that owners and grants name, without passwords. The private server's own superuser stays what it is."""
    from psycopg2 import sql

    cursor.execute("SELECT current_user")
    here = cursor.fetchone()
    missing = [role for role in roles if (role["name"],) != here]
    attributes = ("superuser", "inherit", "createrole", "createdb", "replication", "bypassrls")
    for role in missing:
        words = sql.SQL(" ".join(f"{'' if role[name] else 'NO'}{name.upper()}" for name in attributes))
        cursor.execute(sql.SQL("CREATE ROLE {} LOGIN {}").format(sql.Identifier(role["name"]), words))
    for role in missing:
        for group in role["member_of"]:
            cursor.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(group), sql.Identifier(role["name"])))


def _set_up(cursor: Cursor, facts: Mapping[str, Any]) -> None:
    """What a dump of a database's content leaves out: its owner, and where unqualified names are looked up."""
    from psycopg2 import sql

    name, owner = sql.Identifier(facts["identity"]["database"]), sql.Identifier(facts["database"]["owner"])
    cursor.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(name, owner))
    path = facts["snapshot"]["search_path"]
    if path:
        names = sql.SQL(", ").join(map(sql.Identifier, path))
        cursor.execute(sql.SQL("ALTER DATABASE {} SET search_path = {}").format(name, names))
