"""Kills of a migration with an application at work, and what must hold after each: support for tests and benchmarks."""

from __future__ import annotations

import contextlib
import itertools
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import chain
import psycopg2
import sqlalchemy as sa

from afdb_helpers.embedded_postgres import Server

sys.path.append(str(chain.ROOT / "benchmarks"))
import application

WHEN = ("before", "during", "after")
LEFT = """
SELECT 'function ' || proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
UNION ALL SELECT 'trigger ' || tgname FROM pg_trigger WHERE NOT tgisinternal
UNION ALL SELECT 'relation ' || relname FROM pg_class WHERE relname LIKE 'afdb%'
UNION ALL SELECT 'column ' || attname FROM pg_attribute WHERE attname LIKE 'afdb%' AND NOT attisdropped
UNION ALL SELECT 'constraint ' || conname FROM pg_constraint WHERE conname LIKE '%afdb%' OR NOT convalidated
"""
MISNUMBERED = """
SELECT count(*) FROM (
  SELECT id, lag(id, 1, 0) OVER (ORDER BY created_at NULLS LAST, legacy_id COLLATE "C") AS before
  FROM audit_logs WHERE event_type <> 'load') x WHERE id <= before OR (before = 0 AND id <> 1)
"""
_numbers = itertools.count()


class Kill(NamedTuple):
    """Where the process died. `statements`: how many it had begun."""

    at: int
    when: str
    killed: bool
    statements: int
    written: int
    lost: int
    wrong: list[str]
    stall: float
    how: str = "kill"


class Killer:
    """A process without threads that forks the migrations which are to die."""

    def __init__(self) -> None:
        script = Path(__file__).with_name("killed_migration.py")
        self.process = subprocess.Popen(
            [sys.executable, str(script)], cwd=chain.ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def run(
        self, url: str, command: str, revision: str, at: int = 0, when: str = "after", **more: Any
    ) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        order = {"url": url, "command": command, "revision": revision, "at": at, "when": when, **more}
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(10)


@contextlib.contextmanager
def killer() -> Iterator[Killer]:
    made = Killer()
    try:
        yield made
    finally:
        made.close()


def dsn(url: str) -> dict[str, Any]:
    where = sa.make_url(url)
    return {"host": str(where.query["host"]), "user": "postgres", "dbname": str(where.database)}


def kill(
    killer: Killer, server: Server, template: str, command: str, revision: str, at: int, when: str, wanted: Any,
    how: str = "kill",
) -> Kill:  # fmt: skip
    """Clone the template, let the application work, make the fault, run the migration again plainly, look."""
    name = f"killed_{next(_numbers)}"
    url = server.create_database(name, template=template)
    more = {"how": how, "postmaster": int((server.data / "postmaster.pid").read_text().split()[0])}
    resets = how in ("backend", "stop")
    try:
        with (
            contextlib.closing(psycopg2.connect(**dsn(url) | {"dbname": "postgres"})) as bystander,
            application.running(dsn(url), clients=2, reconnecting=resets) as load,
        ):
            first = killer.run(url, command, revision, at, when, **more)
            if resets and first["status"]:
                thrown_out(bystander)
                up_again(server, url)
            again = killer.run(url, command, revision) if first["status"] else first
        wrong = [] if again["status"] == 0 else [f"the rerun ended with {again['status']}"]
        wrong += amiss(url, revision, wanted) + load.failed
        with contextlib.closing(psycopg2.connect(**dsn(url))) as session:
            lost = load.lost(session)
        hit = bool(first["status"])
        return Kill(at, when, hit, first["statements"], len(load.acknowledged), lost, wrong, load.longest, how)
    finally:
        server.drop_database(name)


def thrown_out(bystander: Any) -> None:
    """Wait until the server has ended a session that stood before the fault: whoever connects earlier is ended, too."""
    for _ in range(600):
        try:
            bystander.cursor().execute("SELECT 1")
        except psycopg2.Error:
            return
        time.sleep(0.05)
    raise AssertionError("the server went on as if nothing had been")


def up_again(server: Server, url: str) -> None:
    """Start the server where it was stopped, and wait until it takes connections."""
    for attempt in itertools.count():
        try:
            psycopg2.connect(**dsn(url)).close()
            return
        except psycopg2.OperationalError:
            if attempt % 50 == 10 and not (server.data / "postmaster.pid").exists():
                server.start_again()
            if attempt > 600:
                raise
            time.sleep(0.1)


def amiss(url: str, revision: str, wanted: Any) -> list[str]:
    """What is not as it is to be at the revision."""
    revision = "002" if revision == "head" else revision
    stamped = chain.stamped(url)
    found = [] if stamped == (revision,) else [f"stamped {stamped}"]
    if chain.catalogue(url) != wanted:
        found.append("the schema is another")
    with chain.connected(url) as connection:
        found += connection.exec_driver_sql(LEFT, execution_options={"no_parameters": True}).scalars()
        if stamped == (revision,) == ("002",) and connection.exec_driver_sql(MISNUMBERED).scalar_one():
            found.append("numbers are not in order")
    return found
