"""What happens inside a kernel before its first cell: it is tied to the runner's life, and imports what runs need."""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from pathlib import Path

GRACE = 7.0  # seconds for a cell to roll back and end its children once the runner is gone
_POLL = 0.3


def prepare() -> None:
    """Leave when the runner dies, and import ahead what nearly every runbook uses."""
    runner = int(os.environ["AFDB_RUNNER_PID"])
    threading.Thread(target=_follow, args=(runner,), daemon=True, name="afdb-follow-runner").start()
    import psycopg2
    import sqlalchemy
    import sqlalchemy.dialects.postgresql.psycopg2

    from afdb_helpers import catalog, targets
    from afdb_helpers.runbook import session

    del psycopg2, sqlalchemy, catalog, targets, session


def enter(folder: str) -> None:
    """From here on this kernel works for the run whose record is `folder`."""
    os.environ["AFDB_RUN_DIR"] = folder
    os.environ["AFDB_RUN_ID"] = Path(folder).name


def _follow(runner: int) -> None:
    """Interrupt the cell when the runner is gone, so that it rolls back; then end this process whatever it does.

    ipykernel's own poller exits at once: no `finally` would run, and the child that runs Alembic would go on alone.
    """
    while os.getppid() == runner:
        time.sleep(_POLL)
    os.kill(os.getpid(), signal.SIGINT)
    deadline = time.monotonic() + GRACE
    while time.monotonic() < deadline and _is_busy():
        time.sleep(_POLL)
    shutil.rmtree(os.environ["AFDB_KERNEL_DIR"], ignore_errors=True)
    if os.getpgid(0) == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(1)


def _is_busy() -> bool:
    """Whether a cell is being executed; SIGINT is ignored while none is."""
    return signal.getsignal(signal.SIGINT) is not signal.SIG_IGN
