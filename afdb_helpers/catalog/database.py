"""Which database a connection is on, and which revisions it is stamped with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from afdb_helpers import revisions
from afdb_helpers.catalog.asking import question

if TYPE_CHECKING:
    from sqlalchemy import Connection

VERSION_TABLE = revisions.VERSION_TABLE
_TOLD = """
SELECT has_function_privilege('pg_control_system()', 'execute')
   AND has_function_privilege('pg_control_checkpoint()', 'execute')
"""  # hosted servers keep these to themselves


@dataclass(frozen=True)
class Identity:
    """Which database this is. `system_identifier` is None where the role may not read it; SQLite has a file instead.
    `timeline` is what the files of its log begin with: another one after each promotion and recovery to a moment."""

    dialect: str
    system_identifier: str | None
    timeline: str | None
    database: str
    oid: int | None
    version: str
    role: str | None
    replica: bool
    clock: str

    def key(self) -> dict[str, Any]:
        """The part that stays the same as long as it is the same database: what approvals and backups are bound to."""
        names = ("dialect", "system_identifier", "timeline", "database", "oid")
        return {name: getattr(self, name) for name in names}

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def identity(connection: Connection) -> Identity:
    """Which database the connection is on. Takes no lock on a table."""
    if connection.dialect.name == "sqlite":
        from datetime import UTC, datetime

        attached = connection.exec_driver_sql("PRAGMA database_list").mappings()  # reflection attaches `temp` too
        file = next(str(one["file"]) for one in attached if one["name"] == "main")
        version = connection.exec_driver_sql("SELECT sqlite_version()").scalar_one()
        clock = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
        return Identity("sqlite", None, None, file, None, version, None, False, clock)
    sql = question("identity")
    if not connection.exec_driver_sql(_TOLD).scalar_one():  # the server would refuse the whole question
        sql = re.sub(r"\(SELECT [^\n]+ FROM pg_control_\w+\(\)\)", "NULL", sql)
    return Identity(dialect="postgresql", **connection.exec_driver_sql(sql).mappings().one())


def is_same(ours: Mapping[str, Any], said: Mapping[str, Any]) -> bool:
    """Whether a session of the Alembic process stands on the database of these facts, by what it said of itself."""
    if ours["dialect"] == "sqlite":
        return said.get("dialect") == "sqlite" and Path(said["database"]).resolve() == Path(ours["database"]).resolve()
    known = [
        key for key in ("system_identifier", "timeline", "oid", "database") if ours[key] is not None and said.get(key)
    ]
    return "oid" in known and all(str(said[key]) == str(ours[key]) for key in known)


def heads(connection: Connection) -> tuple[str, ...]:
    """The stamped revisions, sorted; empty where there is no version table or no row in it."""
    there = "SELECT to_regclass('alembic_version') IS NOT NULL"
    if connection.dialect.name == "sqlite":
        there = "SELECT count(*) FROM pragma_table_info('alembic_version')"
    if not connection.exec_driver_sql(there).scalar_one():
        return ()
    rows = connection.exec_driver_sql("SELECT version_num FROM alembic_version ORDER BY version_num")
    return tuple(row[0] for row in rows)


def mark(connection: Connection) -> dict[str, Any] | None:
    """Which run last stamped this PostgreSQL database: run, plan, place in the ledger; None where none has said so."""
    import json

    if connection.dialect.name != "postgresql":
        return None
    said = connection.exec_driver_sql(question("stamp_comment")).scalar_one()
    try:
        found = json.loads(said or "null")
    except ValueError:
        return None
    return found if isinstance(found, dict) and "run" in found else None
