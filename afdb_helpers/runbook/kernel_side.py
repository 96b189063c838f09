"""A kernel's own process (`python -m afdb_helpers.runbook.kernel_side -f FILE`): IPython's, tied to the runner."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

GRACE = 7.0  # seconds for a cell to roll back and end its children once the runner is gone
_POLL = 0.3


def main() -> None:
    """Leave when the runner dies, import ahead what nearly every runbook uses, then be IPython's kernel."""
    gc.set_threshold(200_000)  # or a sixth of the start is spent looking for garbage in what is being imported
    runner = int(os.environ["AFDB_RUNNER_PID"])
    threading.Thread(target=_follow, args=(runner,), daemon=True, name="afdb-follow-runner").start()
    absent: Any = None
    sys.modules["debugpy"] = absent  # nobody debugs a headless run, and it takes a third of the time to boot
    if sys.path[0] in ("", os.getcwd()):  # no file of this folder stands in for a module that the kernel needs;
        del sys.path[0]  # IPython adds the folder again for the cells
    from ipykernel.kernelapp import IPKernelApp

    _import_ahead()
    IPKernelApp.launch_instance()


def _import_ahead() -> None:
    import psycopg2
    import sqlalchemy.dialects.postgresql.psycopg2

    from afdb_helpers import catalog, targets
    from afdb_helpers.runbook import session

    del psycopg2, sqlalchemy, catalog, targets, session


def enter(folder: str, position: str = "") -> None:
    """From here on this kernel works for the run whose record is `folder`; `position` is its intent's in the ledger."""
    os.environ["AFDB_RUN_LEDGER"] = position
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


if __name__ == "__main__":
    main()
