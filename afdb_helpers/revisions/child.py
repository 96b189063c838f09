"""Alembic in a process of its own, run by the interpreter of the project it belongs to.

A script, not a module of the package: it needs nothing but that project's Alembic (≥ 1.8) and SQLAlchemy (≥ 1.4), and
leaves its env.py as it is. The request is one JSON line on standard input; events go out as JSON lines on the file
descriptor named in argv. Before a commit, and before a statement outside a transaction, it waits for one line on
standard input, which says that the event was stored. When that closes (the parent died) it leaves at once, even amid
a statement, and the server rolls back.
"""

from __future__ import annotations

import importlib.util
import json
import os
import select
import sys
import threading
import time
from typing import Any

_LOCKS = """
SELECT c.oid::regclass::text, l.mode FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
WHERE l.pid = pg_backend_pid() AND l.granted AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
  AND c.relnamespace <> 'pg_catalog'::regnamespace
ORDER BY 1, 2
"""
_CODES = ("pgcode", "sqlstate", "sqlite_errorname")  # what drivers call the error's code


class Channel:
    """Events to the parent, acknowledgements from it."""

    def __init__(self, descriptor: int) -> None:
        self.out = os.fdopen(descriptor, "w", encoding="utf-8", buffering=1)

    def emit(self, event: str, **facts: Any) -> None:
        self.out.write(json.dumps({"event": event, **facts}, default=str) + "\n")

    def confirm(self, event: str, **facts: Any) -> None:
        """Emit, then wait until the parent has stored it."""
        self.emit(event, confirm=True, **facts)
        if not sys.stdin.readline():
            os._exit(70)


class Observer:
    """Reports every statement, commit and rollback on any engine of this process.

    `ask` is a question put to the server after each statement, on its connection; `stepwise`, each of them waits until
    the parent has looked.
    """

    def __init__(self, channel: Channel, *, locks: bool, ask: str = "", stepwise: bool = False) -> None:
        from sqlalchemy import event
        from sqlalchemy.engine import Engine

        self.channel, self.locks, self.number = channel, locks, 0
        self.ask, self.report = ask, channel.confirm if stepwise else channel.emit
        self.held: set[tuple[str, str]] = set()
        event.listen(Engine, "before_cursor_execute", self.before)
        event.listen(Engine, "after_cursor_execute", self.after)
        event.listen(Engine, "commit", lambda connection: self.ended("commit"))
        event.listen(Engine, "rollback", lambda connection: self.ended("rollback"))

    def before(self, connection: Any, cursor: Any, sql: str, parameters: Any, context: Any, many: bool) -> None:
        self.number += 1
        chosen = connection.get_execution_options().get("isolation_level")
        alone = (chosen or getattr(connection.dialect, "_on_connect_isolation_level", None)) == "AUTOCOMMIT"
        context._afdb_started = time.monotonic()
        send = self.channel.confirm if alone else self.report
        send("statement", n=self.number, sql=sql, alone=alone)

    def after(self, connection: Any, cursor: Any, sql: str, parameters: Any, context: Any, many: bool) -> None:
        seconds = time.monotonic() - context._afdb_started
        rows = cursor.rowcount if isinstance(cursor.rowcount, int) and cursor.rowcount >= 0 else None
        facts = {"seconds": round(seconds, 6), "rows": rows, "locks": self.taken(connection)}
        self.report("done", n=self.number, **facts, **self.answered(connection))

    def taken(self, connection: Any) -> list[list[str]]:
        """The table locks that this transaction holds now and did not hold before: [relation, mode]."""
        if not self.locks or connection.dialect.name != "postgresql":
            return []
        cursor = connection.connection.cursor()
        cursor.execute(_LOCKS)
        now = {(row[0], row[1]) for row in cursor.fetchall()}
        cursor.close()
        fresh = sorted(now - self.held)
        self.held |= now
        return [list(lock) for lock in fresh]

    def answered(self, connection: Any) -> dict[str, Any]:
        """What the question brought, as `answer`: a list a row."""
        if not self.ask or connection.dialect.name != "postgresql":
            return {}
        cursor = connection.connection.cursor()
        cursor.execute(self.ask)
        rows = [list(row) for row in cursor.fetchall()]
        cursor.close()
        return {"answer": rows}

    def ended(self, how: str) -> None:
        self.held.clear()
        (self.channel.confirm if how == "commit" else self.report)(how, after=self.number)


def leave_with_parent() -> None:
    """Wait until nobody can write to standard input any more, then end this process."""
    hung_up = select.poll()
    hung_up.register(0, 0)
    hung_up.poll()
    os._exit(70)


def with_driver(url: str, *declared: str) -> str:
    """The URL with the driver that the project names for this dialect (an async one, say), else one that is here."""
    given, _, rest = url.partition("://")
    dialect = given.partition("+")[0]
    for one in declared:
        named = one.partition("://")[0].replace("postgres+", "postgresql+")
        if named.startswith(dialect + "+"):
            return named + "://" + rest
    missing = given.endswith("+psycopg2") and importlib.util.find_spec("psycopg2") is None
    return (dialect if missing else given) + "://" + rest


def configuration(request: dict[str, Any]) -> Any:
    """The project's own alembic.ini, with the URL where an env.py may look for it: option and environment."""
    from argparse import Namespace

    from alembic.config import Config

    config = Config(request["ini"], cmd_opts=Namespace(x=request.get("x") or None))
    if request.get("url"):
        own = config.file_config.get(config.config_ini_section, "sqlalchemy.url", raw=True, fallback="")
        url = with_driver(request["url"], own, os.environ.get("DATABASE_URL", ""))
        config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
        os.environ["DATABASE_URL"] = url
    config.attributes.update(request.get("attributes") or {})
    return config


def describe(config: Any, channel: Channel) -> None:
    """One event a revision, from base to head, then the heads."""
    from alembic.script import ScriptDirectory

    script = ScriptDirectory.from_config(config)
    for revision in reversed(list(script.walk_revisions())):
        down = revision.down_revision or ()
        channel.emit(
            "revision",
            id=revision.revision,
            down=[down] if isinstance(down, str) else list(down),
            doc=revision.doc or "",
            path=revision.path,
            mapping=getattr(revision.module, "mapping", None),
        )
    channel.emit("heads", heads=list(script.get_heads()))


def carry_out(request: dict[str, Any], channel: Channel) -> None:
    """Run one Alembic command; its own printed output goes to this process's standard output."""
    from alembic import command

    config = configuration(request)
    if request["command"] == "describe":
        return describe(config, channel)
    if request.get("observe"):
        ask, stepwise = request.get("ask") or "", bool(request.get("stepwise"))
        Observer(channel, locks=bool(request.get("locks")), ask=ask, stepwise=stepwise)
    getattr(command, request["command"])(config, *request.get("arguments", []), **request.get("options", {}))
    return None


def main() -> int:
    channel = Channel(int(sys.argv[1]))
    request = json.loads(sys.stdin.readline())
    threading.Thread(target=leave_with_parent, daemon=True).start()
    sys.path[:] = [entry for entry in sys.path if entry != os.path.dirname(os.path.abspath(__file__))]
    try:
        carry_out(request, channel)
    except KeyboardInterrupt:
        channel.emit("error", kind="KeyboardInterrupt", message="interrupted")
        return 130
    except BaseException as error:
        origin = getattr(error, "orig", None)
        channel.emit(
            "error",
            kind=type(error).__name__,
            message=str(origin or error).strip(),
            parts=getattr(error, "parts", None),
            sqlstate=next(filter(None, (getattr(origin, name, None) for name in _CODES)), None),
        )
        return 1
    channel.emit("end")
    return 0


if __name__ == "__main__":
    sys.exit(main())
