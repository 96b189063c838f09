"""Run by the crash tests: Alembic commands in forks that die by SIGKILL at a chosen statement.

How it dies, `how`: the process by SIGKILL (kill), its session by pg_terminate_backend (terminate), its server process
by SIGKILL, which resets all sessions (backend), the server by an immediate stop (stop), or the connection once a
COMMIT was sent (cut), which the process then believes to have failed.

Reads one JSON line for each: url, command, revision, at (0: does not die), when (before, during, after). Writes how
many statements were begun, and whether the process was killed. Every statement counts, those that only look and each
COMMIT too. `delay`: seconds from the beginning of the statement to a death during it. `words`: only statements that
begin so are counted by `at`. `ini`: another project's alembic.ini; `x`: what -x says.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from typing import Any

import chain
import psycopg2
import sqlalchemy as sa
from alembic import command
from sqlalchemy.engine.default import DefaultDialect


def die(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def fault(order: dict[str, Any], session: Any) -> None:
    """What was asked for, to this session of ours."""
    how = order.get("how", "kill")
    if how == "kill":
        die()
    elif how == "backend":
        os.kill(session.info.backend_pid, signal.SIGKILL)
    elif how == "stop":
        os.kill(order["postmaster"], signal.SIGQUIT)
    else:
        where = sa.make_url(order["url"])
        other = psycopg2.connect(host=str(where.query["host"]), user="postgres", dbname=str(where.database))
        other.autocommit = True
        other.cursor().execute("SELECT pg_terminate_backend(%s, 2000)", (session.info.backend_pid,))
        other.close()


def migrate(order: dict[str, Any], told: int) -> None:
    """The command, dying where it was told to; each statement begun is a byte in the pipe."""
    seen, words = 0, order.get("words", "")

    def before(session: Any, sql: str = "") -> None:
        nonlocal seen
        os.write(told, b".")
        if not sql.startswith(words):
            return
        seen += 1
        if seen != order["at"] or order.get("how") == "cut":
            return
        if order["when"] == "before":
            fault(order, session)
        if order["when"] == "during":
            threading.Timer(order.get("delay", 0.002), fault, (order, session)).start()

    def after(session: Any, sql: str = "") -> None:
        how = order.get("how", "kill")
        if (
            sql.startswith(words)
            and seen == order["at"]
            and (how == "kill" or (how != "cut" and order["when"] == "after"))
        ):
            fault(order, session)

    commit: Any = DefaultDialect.do_commit

    def committing(dialect: Any, pooled: Any) -> None:
        session = pooled.dbapi_connection
        before(session)
        commit(dialect, pooled)
        after(session)
        if order.get("how") == "cut" and seen >= order["at"] > 0:  # it stands, and nobody was told
            fault(order, session)
            session.cursor().execute("SELECT 1")

    def executing(connection: Any, _cursor: Any, sql: str, *_: Any) -> None:
        before(connection.connection.dbapi_connection, sql)

    def executed(connection: Any, _cursor: Any, sql: str, *_: Any) -> None:
        after(connection.connection.dbapi_connection, sql)

    DefaultDialect.do_commit = committing  # type: ignore[method-assign]
    sa.event.listen(sa.Engine, "before_cursor_execute", executing)
    sa.event.listen(sa.Engine, "after_cursor_execute", executed)
    config = chain.config(order["url"], ini=order.get("ini", ""), x=order.get("x"))
    getattr(command, order["command"])(config, order["revision"])


def main() -> None:
    for line in sys.stdin:
        reading, told = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            try:
                migrate(json.loads(line), told)
            except BaseException:
                os._exit(1)
            os._exit(0)
        os.close(told)
        with os.fdopen(reading, "rb") as pipe:
            statements = len(pipe.read())
        _, status = os.waitpid(child, 0)
        answer = {"statements": statements, "killed": os.WIFSIGNALED(status), "status": status}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
