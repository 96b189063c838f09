"""One dump of one moment.

What stands in the store when this process dies (kill -9, power) at each step:

    1  make <id>.partial/                                   an empty .partial
    2  lock the tables (ACCESS SHARE), export the snapshot  an empty .partial; the server ends the transaction
    3  pg_dump, and meanwhile catalogue and fingerprints    a .partial with part of a dump; pg_dump ends with us (Linux)
    4  hash every file and have it on disk                  a .partial with a dump
    5  write manifest.json, have it on disk                 a .partial, complete but for its name
    6  rename to <id>/, have the store's folder on disk     the .partial or the backup, never a part of either

No step touches another backup. A .partial is never restored, never counted as a backup, and may be deleted.
"""

from __future__ import annotations

import contextlib
import getpass
import re
import socket
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from afdb_helpers import catalog, fingerprint, hazards, targets
from afdb_helpers.backup import beside, client, meter, reserved, room, sealed
from afdb_helpers.backup import store as stores
from afdb_helpers.backup.reserved import Rows
from afdb_helpers.backup.states import Backup
from afdb_helpers.errors import Unavailable
from afdb_helpers.report import count
from afdb_helpers.targets import Target

if TYPE_CHECKING:
    import sqlite3

    from sqlalchemy import Connection

DUMP, DATABASE, CATALOGUE, ROLES = "dump", "database.sqlite", "catalogue.json", "roles.sql"
LOCK_TIMEOUT = 30_000  # milliseconds that a dump waits for a table that somebody is altering
NOT_COVERED = {
    "postgresql": ["passwords of roles", "settings of the database and of roles", "tablespaces"],
    "sqlite": ["attached databases"],
}
Facts = dict[str, Any]
Note = Callable[..., object]


def dump(
    target: Target,
    *,
    store: Path | str | None = None,
    jobs: int = 2,
    lock_timeout: int = LOCK_TIMEOUT,
    run_id: str = "",
    note: Note = lambda event, **facts: None,
) -> Backup:
    """Dump the target into the store; the backup is not proven yet. Only reads the target (ACCESS SHARE on all tables).

    Raises `Refused` when no client program fits the server or a pooler stands before it, `Unavailable` when the target
    or a single table cannot be read, `ConfigError` when the store cannot be written. In each case nothing stands under
    a backup's name.
    """
    started = time.monotonic()
    with stores.draft(store, target.name) as (id_, folder):
        hazards.fit(target, note)
        note("backup.begin", id=id_, folder=str(folder))
        if target.dialect == "sqlite":
            taken = _sqlite(target, folder)
        else:
            taken = _postgresql(target, folder, jobs, lock_timeout)
        facts = {
            "format": 1,
            "id": id_,
            "target": target.name,
            "dialect": target.dialect,
            "run": run_id,
            "who": {"os_user": _user(), "host": socket.gethostname()},
            "made": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "seconds": round(time.monotonic() - started, 3),
            "excluded": [],
            "not_covered": NOT_COVERED[target.dialect],
        }
        made = stores.publish(folder, facts | taken, store=store, note=note)
    note("backup.end", id=id_, seal=made.seal)
    return made


def _postgresql(target: Target, folder: Path, jobs: int, lock_timeout: int) -> Facts:
    with target.connect() as connection, _looking(target):
        about = _about(connection)
        excluded = reserved.found(connection)
        theirs = set(reserved.schemas(excluded))
        tables = [table for table in _rows(connection, "dump_tables") if table["schema"] not in theirs]
    _refuse_filtered(target, tables)
    last = stores.last_size(folder.parent, about["identity"])
    room.for_dump(folder, about["database"], last)
    tools = client.find(int(re.match(r"\d+", about["server"]["version"])[0]))  # type: ignore[index]
    packed = client.compression(tools)
    with target.connect(snapshot=True, application_name="afdb backup") as connection, _looking(target):
        moment = _moment(connection, tables, lock_timeout)
        numbers = beside.sequences(connection, reserved.schemas(excluded))
        arguments = ["--format=directory", f"--file={folder / DUMP}", f"--jobs={jobs}",
                     f"--snapshot={moment['snapshot']}", f"--lock-wait-timeout={lock_timeout}",
                     *(["--compress=zstd"] if packed == "zstd" else []),
                     *reserved.words("exclude-schema", excluded)]  # fmt: skip
        shown = meter.shown(f"dump of {target.name}", last, lambda: sum(sealed.sizes(folder).values()))
        with shown, client.running(tools.program("pg_dump"), arguments, target) as run:
            lacking = _roles(target, folder, tools)
            lacking += reserved.dump_stand_ins(target, folder, tools, excluded, moment["snapshot"])
            content = _content(connection, folder, jobs, excluded)
            said = run.finish()
        after = beside.sequences(connection, reserved.schemas(excluded))
        beside.keep(folder, numbers, after, beside.objects(connection))
    used = {"program": "pg_dump", "version": tools.version, "major": tools.major, "said": said, "compression": packed}
    left_out = {"excluded": excluded, "not_covered": NOT_COVERED["postgresql"] + lacking}
    return about | {"snapshot": moment, "client": used} | left_out | content


def _roles(target: Target, folder: Path, tools: client.Client) -> list[str]:
    """The server's roles beside the dump, as SQL without passwords; else what is then not covered, and why."""
    program = tools.program("pg_dumpall")
    if not program.is_file():
        return [f"{ROLES}: this client has no pg_dumpall"]
    words = ["--roles-only", "--no-role-passwords", f"--file={folder / ROLES}", f"--database={target.database}"]
    try:
        with client.running(program, words, target) as run:
            run.finish()
    except Unavailable as error:  # hosted servers may keep their roles to themselves
        (folder / ROLES).unlink(missing_ok=True)
        return [f"{ROLES}: {error.why}"]
    return []


def _refuse_filtered(target: Target, tables: list[Facts]) -> None:
    filtered = ", ".join(f"{table['schema']}.{table['name']}" for table in tables if table["filtered"])
    if filtered:
        raise Unavailable(
            f"target {target.name} cannot be backed up as this role",
            why=f"row-level security would hide rows of {filtered} from it",
            do="back up as a role with BYPASSRLS, or as the tables' owner",
        )


def _about(connection: Connection) -> Facts:
    """What the server says of itself; asked before the snapshot, since a refused question would end its transaction."""
    who = catalog.identity(connection)
    return {
        "identity": who.key(),
        "server": {"version": who.version, "role": who.role, "replica": who.replica},
        "database": _rows(connection, "database_facts")[0],
        "roles": _rows(connection, "roles"),
        "extensions": _rows(connection, "extensions"),
    }


def _moment(connection: Connection, tables: list[Facts], lock_timeout: int) -> Facts:
    """Lock first, then take the snapshot: a TRUNCATE or ALTER in between would empty a table for the snapshot alone."""
    from psycopg2 import sql

    plain = {"no_parameters": True}
    names = sql.SQL(", ").join(sql.Identifier(table["schema"], table["name"]) for table in tables)
    raw: Any = connection.connection.driver_connection
    limit = sql.SQL("SET LOCAL lock_timeout = {}").format(sql.Literal(lock_timeout)).as_string(raw)
    connection.exec_driver_sql(limit, execution_options=plain)
    if tables:
        lock = (sql.SQL("LOCK TABLE ") + names + sql.SQL(" IN ACCESS SHARE MODE")).as_string(raw)
        connection.exec_driver_sql(lock, execution_options=plain)
    moment = _rows(connection, "dump_moment")[0]
    connection.exec_driver_sql(catalog.question("dump_settings"))
    return moment


def _content(connection: Connection, folder: Path, jobs: int = 1, excluded: Rows = ()) -> Facts:
    """Schema, revision and fingerprints as the connection sees them, but for what is left out."""
    schema = reserved.without(catalog.snapshot(connection), excluded)
    tables = reserved.tables(connection, excluded) if excluded else None
    sealed.write(folder / CATALOGUE, schema.as_dict())
    return {
        "catalogue": schema.digest,
        "revision": list(catalog.heads(connection)),
        "fingerprint": fingerprint.take(connection, tables=tables, jobs=jobs).as_dict(),
    }


def _sqlite(target: Target, folder: Path) -> Facts:
    """SQLite's online backup, then the copy itself is looked at: integrity, foreign keys, content."""
    import sqlite3

    file = folder / DATABASE
    with target.connect() as source, _looking(target):
        who = catalog.identity(source)
        mode = source.exec_driver_sql("PRAGMA journal_mode").scalar_one()
        with contextlib.closing(sqlite3.connect(file)) as copy:
            copy_over(source, copy)
            taken = datetime.now(UTC).isoformat()
            copy.execute("PRAGMA journal_mode = DELETE")  # a copy in WAL mode would not be one file
        with targets.parse("copy", f"sqlite:///{file}", {}).connect() as copied:
            integrity = [row[0] for row in copied.exec_driver_sql("PRAGMA integrity_check")]
            dangling = len(copied.exec_driver_sql("PRAGMA foreign_key_check").all())
            content = _content(copied, folder) if integrity == ["ok"] else {}
    if integrity != ["ok"]:
        raise Unavailable(
            f"target {target.name} is damaged, so a copy of it is no backup",
            why=f"integrity_check: {integrity[0]}",
            do="restore the last proven backup, or rescue what is left with sqlite3's .recover",
        )
    said = [f"warning: {count(dangling, 'row')} whose parent is not there"] if dangling else []
    used = {
        "program": "sqlite3",
        "version": sqlite3.sqlite_version,
        "major": sqlite3.sqlite_version_info[0],
        "said": said,
    }
    server = {"version": who.version, "role": None, "replica": False, "journal_mode": mode}
    return {"identity": who.key(), "server": server, "snapshot": {"taken": taken}, "client": used} | content


def copy_over(source: Connection, copy: sqlite3.Connection, *, limit: float = LOCK_TIMEOUT / 1000) -> None:
    """All pages in one step under one read lock. Raises `Unavailable` when writers keep the file locked for `limit`."""
    import sqlite3

    deadline = time.monotonic() + limit

    def give_up(status: int, remaining: int, total: int) -> None:
        locked = status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
        if locked and time.monotonic() > deadline:  # sqlite3 itself would try for ever
            raise TimeoutError

    raw: Any = source.connection.driver_connection
    try:
        raw.backup(copy, pages=-1, progress=give_up, sleep=0.05)
    except TimeoutError:
        raise Unavailable(
            "the database file stays locked",
            why=f"a writer held it for {limit:.0f} s",
            do="wait for it to end, run again",
        ) from None


def _rows(connection: Connection, question: str) -> list[Facts]:
    return [dict(row) for row in connection.exec_driver_sql(catalog.question(question)).mappings()]


@contextlib.contextmanager
def _looking(target: Target) -> Iterator[None]:
    """A driver's error in an operator's words."""
    import sqlite3

    from sqlalchemy.exc import DBAPIError

    try:
        yield
    except (DBAPIError, sqlite3.Error) as error:
        raise client.unavailable(
            target, f"target {target.name} cannot be backed up", str(getattr(error, "orig", error))
        ) from None


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run under a number that has no name
        import os

        return str(os.getuid())
