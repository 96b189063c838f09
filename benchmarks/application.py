"""An application that reads and writes while its database is migrated, and remembers what it was told.

Each client is a thread with a connection of its own. It knows every statement under the old and the new names: when a
name is gone it says the same thing the other way, as an application does that is deployed before a migration. A write
that the server acknowledged is remembered by its token; a statement's time runs until either way worked.
"""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg2
from psycopg2 import errors

MOVED = (errors.UndefinedColumn, errors.NotNullViolation, errors.UndefinedTable, errors.FeatureNotSupported)

AUDIT = (
    "INSERT INTO audit_logs (id, event_type, user_id, tenant_id, action, success, metadata, created_at)"
    " VALUES (%(id)s, 'load', %(user)s, %(tenant)s, 'run', true, %(token)s, now() AT TIME ZONE 'UTC')",
    "INSERT INTO audit_logs (event_type, user_id, tenant_id, action, success, details, created_at)"
    " VALUES ('load', %(user)s, %(tenant)s, 'run', true, %(token)s, now() AT TIME ZONE 'UTC')",
)
STATEMENTS = (
    AUDIT,
    (
        "INSERT INTO executions (id, type, entity_id, status, user_id, tenant_id) VALUES"
        " (%(id)s, 'agent', 'agt-1', 'running', %(user)s, %(tenant)s)",
        "INSERT INTO executions (id, execution_type, resource_id, status, created_by, tenant_id) VALUES"
        " (%(id)s, 'agent', 'agt-1', 'running', %(user)s, %(tenant)s)",
    ),
    (
        "SELECT name FROM agents WHERE user_id = %(user)s LIMIT 5",
        "SELECT name FROM agents WHERE created_by = %(user)s LIMIT 5",
    ),
    ("SELECT action FROM audit_logs WHERE user_id = %(user)s LIMIT 5",) * 2,
    ("UPDATE users SET updated_at = now() WHERE id = %(user)s",) * 2,
)


@dataclass
class Load:
    """What the clients saw. Times in seconds."""

    times: list[float] = field(default_factory=list)
    longest: float = 0.0
    acknowledged: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    reconnecting: bool = False

    def lost(self, connection: Any) -> int:
        """Acknowledged audit rows that are not in the table now, or are there more than once."""
        cursor = connection.cursor()
        said = "coalesce(to_jsonb(a)->'details', to_jsonb(a)->'metadata')->>'t'"
        cursor.execute(f"SELECT {said} FROM audit_logs a WHERE event_type = 'load'")
        there = [row[0] for row in cursor.fetchall()]
        assert len(there) == len(set(there)), "an acknowledged row is there twice"
        return len(set(self.acknowledged) - set(there))


@contextmanager
def running(dsn: dict[str, Any], *, clients: int, pause: float = 0.002, reconnecting: bool = False) -> Iterator[Load]:
    """The application, for the time of the block; `reconnecting`, it comes back when the server resets its sessions."""
    load, over = Load(reconnecting=reconnecting), threading.Event()
    threads = [threading.Thread(target=_client, args=(dsn, load, over, pause, n, clients)) for n in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield load
    finally:
        over.set()
        for thread in threads:
            thread.join()


def _client(dsn: dict[str, Any], load: Load, over: threading.Event, pause: float, number: int, clients: int) -> None:
    """One client, with its share of the statements: while one waits for a table, the others go on elsewhere."""
    chance, share = random.Random(number), STATEMENTS[number % len(STATEMENTS) :: clients]
    way = dict.fromkeys(share, 0)
    while not over.is_set():
        try:
            session = psycopg2.connect(**dsn, application_name="the application")
        except psycopg2.OperationalError:
            if not load.reconnecting:
                raise
            time.sleep(0.1)
            continue
        session.autocommit = True
        while not over.is_set() and not session.closed:
            for statement in share:
                if not session.closed:
                    _say(session.cursor(), statement, chance, way, load)
            time.sleep(pause)
        session.close()


def _say(cursor: Any, statement: tuple[str, ...], chance: random.Random, way: dict[Any, int], load: Load) -> None:
    token = uuid.uuid4().hex
    user, tenant = f"usr-{chance.randint(1, 480)}", f"ten-{chance.randint(1, 24)}"
    values = {"id": token, "user": user, "tenant": tenant, "token": f'{{"t": "{token}"}}'}
    started = time.monotonic()
    worked = _either(cursor, statement, values, way, load)
    took = time.monotonic() - started
    load.times.append(took)
    load.longest = max(load.longest, took)
    if worked and statement is AUDIT:
        load.acknowledged.append(token)


def _either(cursor: Any, statement: tuple[str, ...], values: dict[str, str], way: dict[Any, int], load: Load) -> bool:
    for _ in range(4):  # old, new, and once more each: the names may change between two tries
        try:
            cursor.execute(statement[way[statement]], values)
        except MOVED:
            way[statement] = 1 - way[statement]
        except psycopg2.Error as error:
            if load.reconnecting and (error.pgcode is None or cursor.connection.closed):  # the session is gone
                cursor.connection.close()
                return False
            load.failed.append(f"{error.pgcode}: {str(error).strip().splitlines()[0]}")
            return False
        else:
            return True
    load.failed.append(f"neither name: {statement[0][:60]}")
    return False
