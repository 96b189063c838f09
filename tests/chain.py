"""Databases in a starting state, Alembic on them, and what they hold: support for the tests of the chain.

A starting state is a directory of scenarios/starting_states: `expect.yaml`, `postgresql.sql` and `sqlite.sql`. In the
SQL `\\ir FILE` stands for another file (as in psql), and `-- then` divides a state that may end at any of its parts.
"""

from __future__ import annotations

import contextlib
import itertools
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import yaml
from alembic import command
from alembic.config import Config

from afdb_helpers import catalog
from afdb_helpers.embedded_postgres import Server

ROOT = Path(__file__).parent.parent
STATES = Path(__file__).parent / "scenarios" / "starting_states"
SERVERS = ["postgresql 18", "postgresql 16", "postgresql 15", "sqlite"]
Rows = dict[str, dict[str, dict[str, str | None]]]

COLUMNS = {
    "postgresql": "SELECT table_name, column_name FROM information_schema.columns"
    " NATURAL JOIN information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE'",
    "sqlite": "SELECT m.name, p.name FROM sqlite_master m JOIN pragma_table_info(m.name) p WHERE m.type = 'table'",
}
NAMES = """
SELECT conrelid::regclass::text, conname FROM pg_constraint
WHERE connamespace = 'public'::regnamespace AND contype <> 'n'
UNION ALL
SELECT c.relkind::text, c.relname FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace
UNION ALL
SELECT 'invalid', c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE NOT i.indisvalid
"""


_numbers = itertools.count()
_fresh: dict[tuple[str, str], dict[str, Any]] = {}


def states() -> list[str]:
    """The names of all starting states."""
    return sorted(folder.name for folder in STATES.iterdir() if (folder / "expect.yaml").is_file())


def cases(states: list[str], servers: list[str]) -> list[tuple[str, str]]:
    """(server, state) for every state that has SQL for the server's dialect."""
    return [(s, name) for s in servers for name in states if (STATES / name / f"{s.split()[0]}.sql").is_file()]


def expect(state: str) -> dict[str, Any]:
    return yaml.safe_load((STATES / state / "expect.yaml").read_text()) or {}


@cache
def parts(state: str, dialect: str) -> list[str]:
    """The state's SQL, divided where `-- then` stands."""
    return _read(STATES / state / f"{dialect}.sql").split("\n-- then\n")


def _read(path: Path) -> str:
    lines = (
        _read(path.parent / line[4:]) if line.startswith("\\ir ") else line for line in path.read_text().split("\n")
    )
    return "\n".join(lines)


def execute(url: str, *scripts: str) -> None:
    """Run SQL as it stands, each script committed on its own."""
    where = sa.make_url(url)
    if where.get_backend_name() == "sqlite":
        with contextlib.closing(sqlite3.connect(str(where.database))) as session:
            for script in scripts:
                session.executescript(script)
            return
    with connected(url) as connection:
        for script in scripts:
            if script.strip() and not script.startswith("-- No table"):
                connection.exec_driver_sql(script, execution_options={"no_parameters": True})


class Maker:
    """Makes databases in a starting state, or in its first `parts`, on a server: `postgresql 18`, `sqlite`, …"""

    def __init__(self, request: pytest.FixtureRequest, folder: Path) -> None:
        self.request, self.folder = request, folder

    def __call__(self, server: str, state: str, parts_: int | None = None) -> str:
        dialect = server.split(maxsplit=1)[0]
        url = self._empty(server)
        execute(url, *parts(state, dialect)[:parts_])
        return url

    def clone(self, server: str, url: str) -> str:
        """Another database with the same content."""
        if server == "sqlite":
            copy = self._empty(server)
            shutil.copy(str(sa.make_url(url).database), str(sa.make_url(copy).database))
            return copy
        return self._empty(server, template=sa.make_url(url).database)

    def fresh(self, server: str, revision: str = "head") -> dict[str, Any]:
        """The catalogue of an empty database upgraded to a revision, made once for each server and process."""
        if (server, revision) not in _fresh:
            url = self._empty(server)
            upgrade(url, revision)
            _fresh[server, revision] = catalogue(url)
        return deepcopy(_fresh[server, revision])

    def _empty(self, server: str, template: str | None = None) -> str:
        number = next(_numbers)
        if server == "sqlite":
            return f"sqlite+pysqlite:///{self.folder}/{number}.db"
        fixture = {"18": "postgres", "16": "postgres16", "15": "postgres15"}[server.split()[1]]
        running: Server = self.request.getfixturevalue(fixture)
        self.request.addfinalizer(lambda: running.drop_database(f"chain_{number}"))
        return running.create_database(f"chain_{number}", template=template)


@contextlib.contextmanager
def observed(
    before: Callable[[str], Any] | None = None, after: Callable[[str, Any], Any] | None = None
) -> Iterator[None]:
    """Call `before(sql)` and `after(sql, connection)` around every statement of any engine."""

    def _before(_connection: Any, _cursor: Any, sql: str, *_: Any) -> None:
        if before:
            before(sql)

    def _after(connection: Any, _cursor: Any, sql: str, *_: Any) -> None:
        if after:
            after(sql, connection)

    sa.event.listen(sa.Engine, "before_cursor_execute", _before)
    sa.event.listen(sa.Engine, "after_cursor_execute", _after)
    try:
        yield
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", _before)
        sa.event.remove(sa.Engine, "after_cursor_execute", _after)


def executed(work: Callable[[], Any]) -> list[str]:
    """The statements that were executed meanwhile."""
    seen: list[str] = []
    with observed(before=seen.append):
        work()
    return seen


@contextlib.contextmanager
def connected(url: str) -> Iterator[sa.Connection]:
    """A connection on which every statement is committed at once."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        yield connection


def config(url: str, *, x: list[str] | None = None, ini: str = "", **attributes: Any) -> Config:
    from argparse import Namespace

    made = Config(ini or str(ROOT / "alembic.ini"), cmd_opts=Namespace(x=x))
    made.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    made.attributes.update(attributes)
    return made


def upgrade(url: str, revision: str = "head", **settings: Any) -> None:
    command.upgrade(config(url, **settings), revision)


def downgrade(url: str, revision: str = "001", **settings: Any) -> None:
    command.downgrade(config(url, **settings), revision)


def check(url: str) -> None:
    """Raises where autogenerate finds a difference to the models."""
    command.check(config(url))


def stamped(url: str) -> tuple[str, ...]:
    with connected(url) as connection:
        return catalog.heads(connection)


def rows(url: str) -> Rows:
    """Every value as the server writes it, on SQLite with its storage class: table → key → column → text."""
    with connected(url) as connection:
        tables: dict[str, list[str]] = {}
        for table, column in connection.exec_driver_sql(COLUMNS[connection.dialect.name]):
            tables.setdefault(table, []).append(column)
        return {name: _rows(connection, name, columns) for name, columns in tables.items() if name != "alembic_version"}


def _rows(connection: sa.Connection, table: str, columns: list[str]) -> dict[str, dict[str, str | None]]:
    quoted = [f'"{name}"' for name in columns]
    text = "typeof({0}) || ' ' || CAST({0} AS TEXT)" if connection.dialect.name == "sqlite" else "CAST({0} AS TEXT)"
    wanted = ", ".join(text.format(name) for name in quoted)
    found = connection.exec_driver_sql(f'SELECT CAST("{key_of(columns)}" AS TEXT), {wanted} FROM "{table}"').all()
    made = {str(row[0]): dict(zip(columns, row[1:], strict=True)) for row in found}
    assert len(made) == len(found), f"{table}: two rows with one key"
    return made


def key_of(columns: list[str]) -> str:
    """The column that tells rows apart."""
    return next(name for name in ("id", "legacy_id", "version_num") if name in columns)


def catalogue(url: str) -> dict[str, Any]:
    """The schema with all that two databases could differ in, the order of columns aside."""
    with connected(url) as connection:
        found = catalog.snapshot(connection).as_dict()
        if connection.dialect.name == "postgresql":
            found["names"] = sorted(map(tuple, connection.exec_driver_sql(NAMES).all()))
        else:
            found["names"] = sorted(connection.exec_driver_sql("SELECT type, name FROM sqlite_master").all())
    return found
