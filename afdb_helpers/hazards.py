"""What a migration or a backup must not meet: a way to the server that cannot carry it, and a server not fit for it.

`way` judges the URL and contacts nothing; `pooled` asks the server whether something stands between; `present` asks
what would be in a migration's way. Only looks.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from afdb_helpers import catalog, targets
from afdb_helpers.errors import Refused, Unavailable
from afdb_helpers.report import Report, count
from afdb_helpers.targets import Target

if TYPE_CHECKING:
    from sqlalchemy import Connection

POOLERS = {  # host → how its provider tells the direct address
    r"-pooler\.[\w.-]*neon\.tech$": "take -pooler out of the host's name",
    r"(^|[.-])pgbouncer([.-]|$)": "name the server's own host",
}
TRANSACTION_PORT = 6543  # Supabase's transaction pooler, on whatever host
WAIVER = "AFDB_TLS_UNVERIFIED"
OLD = 60  # seconds after which an open transaction is refused
BEHIND = 1 << 30  # bytes of log that a slot may keep
PATIENCE = 3.0  # seconds that a session may wait for a server process before it is taken for pooled


def way(target: Target, settings: Mapping[str, str] | None = None) -> Report:
    """Whether the URL leads to the server itself, and there by a connection that nobody can listen to or answer.

    Raises `Refused`. What a waiver let through is a row of the report, to be kept in the record.
    """
    if target.dialect == "sqlite":
        return Report(headline="a file: there is no way to it")
    parts = target.parts()
    if why := _pooler(target, parts):
        raise Refused(f"target {target.name} ({target.label}) leads to a transaction pooler", why=why[0], do=why[1])
    if not target.remote or _verified(parts):
        return Report(headline="the way to the server is direct" + (" and verified" if target.remote else ""))
    mode = parts.get("sslmode") or os.environ.get("PGSSLMODE") or "prefer, libpq's default"
    if target.name not in targets.listed(settings, WAIVER):
        raise Refused(
            f"the connection to target {target.name} ({target.label}) would not be verified",
            why=f"sslmode is {mode}, so whoever is in between could answer in the server's place, password included",
            do="add sslmode=verify-full&sslrootcert=PATH (or sslrootcert=system) to the URL;"
            f" or accept it, on the record, with {WAIVER}={target.name}",
        )
    waived = {"waiver": WAIVER, "target": target.name, "sslmode": mode}
    return Report(headline=f"the way to the server is not verified; waived by {WAIVER}", rows=(waived,))


def pooled(target: Target) -> Report:
    """Refuse a pooler that gives each transaction another session. Opens up to five connections, each for a moment.

    A server names its process to the client when a session begins; one whose own word differs stands behind a pooler.
    That alone is no harm (a session pooler): so it is seen whether the process stays the same while others are busy,
    and whether the settings that the session began with arrived.
    """
    if target.dialect == "sqlite":
        return Report(headline="a file: nothing stands between")
    with target.connect(application_name="afdb probe") as connection:
        named = connection.connection.dbapi_connection.info.backend_pid  # type: ignore[union-attr]
        said = connection.exec_driver_sql(catalog.question("session")).mappings().one()
        if said["read_only"] != "on":
            raise _refused(target, "it drops the settings that a session begins with")
        if named == said["pid"]:
            return Report(headline=f"process {named} of the server answers itself")
        if _moves(target, connection, said["pid"]):
            raise _refused(target, "each transaction goes to another session of the server")
    return Report(headline="a session pooler stands between; each session stays its own")


def fit(target: Target, note: Callable[..., object]) -> None:
    """Insist on a way that carries a migration or a backup; what was waived is noted. Raises `Refused`."""
    for waived in way(target).rows:
        note("waiver", **waived)
    pooled(target)


def present(connection: Connection, *, seconds: float = OLD, behind: int = BEHIND) -> Report:
    """What would hold a migration up, or be made worse by it; not ok where there is something."""
    if connection.dialect.name == "sqlite":
        return Report(headline="no hazard: a file has no other sessions")
    from sqlalchemy import text

    asking = text(catalog.question("hazards"))
    rows = [dict(row) for row in connection.execute(asking, {"seconds": seconds, "bytes": behind}).mappings()]
    if room := _room(connection):
        rows.append(room)
    if not rows:
        return Report(headline="nothing is in the way")
    return Report(
        headline=f"{count(len(rows), 'hazard')}: {', '.join(sorted({row['hazard'] for row in rows}))}",
        ok=False,
        rows=tuple(rows),
        remedy=rows[0]["remedy"],
    )


def within(seconds: float, work: Callable[[], Any]) -> Any:
    """What `work` returns or raises; `TimeoutError` where it takes longer, and it is left to itself in its thread."""
    done: list[tuple[Any, BaseException | None]] = []

    def attempt() -> None:
        try:
            done.append((work(), None))
        except BaseException as error:
            done.append((None, error))

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(seconds)
    if not done:
        raise TimeoutError
    result, error = done[0]
    if error is not None:
        raise error
    return result


def _pooler(target: Target, parts: Mapping[str, str]) -> tuple[str, str] | None:
    """Why the URL is a transaction pooler's, and what to put in its place."""
    if str(TRANSACTION_PORT) in parts.get("port", os.environ.get("PGPORT", "")).split(","):
        return (
            "port 6543 is the transaction pooler's: sessions, locks and settings do not last there",
            "use port 5432 of the same host (Supabase's session pooler), or the direct address",
        )
    for host in parts.get("host", os.environ.get("PGHOST", "")).split(","):
        for pattern, remedy in POOLERS.items():
            if re.search(pattern, host, flags=re.IGNORECASE):
                return f"{host} is a pooler: sessions, locks and settings do not last there", remedy
    if target.pooled:
        return "pgbouncer=true in the URL says so", "use the server's direct address, without pgbouncer=true"
    return None


def _verified(parts: Mapping[str, str]) -> bool:
    mode = parts.get("sslmode") or os.environ.get("PGSSLMODE", "")
    root = parts.get("sslrootcert") or os.environ.get("PGSSLROOTCERT", "")
    return mode in ("verify-ca", "verify-full") or root == "system" or (mode == "require" and bool(root))


def _moves(target: Target, connection: Connection, pid: int) -> bool:
    """Whether the session is another once other sessions are busy, or has to wait for one of them to end."""
    from contextlib import ExitStack

    with ExitStack() as others:
        try:
            for _ in range(4):
                busy = within(PATIENCE, lambda: others.enter_context(target.connect(snapshot=True)))
                within(PATIENCE, partial(busy.exec_driver_sql, "SELECT 1"))
        except (TimeoutError, Unavailable):
            pass  # the pool is used up; the question below tells whose fault that is
        try:
            now = within(PATIENCE, lambda: connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one())
        except TimeoutError:
            return True
    return bool(now != pid)


def _refused(target: Target, why: str) -> Refused:
    return Refused(
        f"a pooler stands between here and the server of target {target.name} ({target.label})",
        why=why,
        do="put the server's direct address into the URL (port 5432), or its session pooler's",
    )


def free(connection: Connection) -> int | None:
    """Bytes free where the server keeps its data; None where that is another machine's or the role may not know it."""
    asked = "SELECT current_setting('data_directory') WHERE pg_has_role('pg_read_all_settings', 'USAGE')"
    where = connection.exec_driver_sql(asked).scalar()  # asked for without the right, it would end a transaction
    near = connection.engine.url.host in (None, "", "localhost", "127.0.0.1")
    if where is None or not near or not os.access(where, os.R_OK):
        return None
    return os.statvfs(where).f_bavail * os.statvfs(where).f_frsize


def _room(connection: Connection) -> dict[str, str] | None:
    """Less room than twice the largest table, where it can be known."""
    left = free(connection)
    largest = max((row["bytes"] or 0 for row in catalog.sizes(connection).rows), default=0)
    if left is None or left > 2 * largest:
        return None
    what = f"{catalog.human(left)} free, and the largest table takes {catalog.human(largest)}"
    return {"hazard": "disk", "what": what, "remedy": "make room on the server's disk"}
