"""Run by the crash tests: Alembic commands in forks that die by SIGKILL at a chosen statement.

Reads one JSON line for each: url, command, revision, at (0: does not die), when (before, during, after). Writes how
many statements were begun, and whether the process was killed. Every statement counts, those that only look and each
COMMIT too. `delay`: seconds from the beginning of the statement to a death during it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from typing import Any

import chain
import sqlalchemy as sa
from alembic import command
from sqlalchemy.engine.default import DefaultDialect


def die(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def migrate(order: dict[str, Any], told: int) -> None:
    """The command, dying where it was told to; each statement begun is a byte in the pipe."""
    seen = 0

    def before(*_: Any) -> None:
        nonlocal seen
        seen += 1
        os.write(told, b".")
        if seen == order["at"] and order["when"] == "before":
            die()
        if seen == order["at"] and order["when"] == "during":
            threading.Timer(order.get("delay", 0.002), die).start()

    def after(*_: Any) -> None:
        if seen == order["at"]:
            die()

    commit: Any = DefaultDialect.do_commit

    def committing(dialect: Any, session: Any) -> None:
        before()
        commit(dialect, session)
        after()

    DefaultDialect.do_commit = committing  # type: ignore[method-assign]
    sa.event.listen(sa.Engine, "before_cursor_execute", before)
    sa.event.listen(sa.Engine, "after_cursor_execute", after)
    getattr(command, order["command"])(chain.config(order["url"]), order["revision"])


def main() -> None:
    for line in sys.stdin:
        reading, told = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            migrate(json.loads(line), told)
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
