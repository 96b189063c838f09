"""A database of the platform at revision 001 to play with, on a private server, and the six runbooks over it."""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from afdb_helpers import embedded_postgres, revisions
from afdb_helpers.embedded_postgres import Server, owner
from afdb_helpers.errors import ConfigError, Incomplete, Refused
from afdb_helpers.report import Report, count

if TYPE_CHECKING:
    from afdb_helpers.runbook import RunResult

DATABASE = "agent_factory"
HOME = "afdb-demo"
PATIENCE = 5  # seconds that JupyterLab has to end its kernels
RUNS = ("discovery", "backup", "rehearsal", "migration", "verification", "cost_comparison")


def enter() -> Path:
    """Go to the folder that the demo plays in, and return it.

    In a checkout it is this folder. Installed from a wheel it is `afdb-demo` in this folder, with the runbooks and the
    platform's chain in it; made where it is not there, and never written over.
    """
    packed, here = Path(__file__).resolve().parents[1] / "project", Path.cwd()
    if not packed.is_dir() or here.name == HOME:
        return here
    if not (here / HOME).exists():
        making = here / f".{HOME}.{os.getpid()}"  # renamed when whole: a killed copy is not taken for the project
        shutil.copytree(packed, making, ignore=shutil.ignore_patterns("__pycache__"))
        making.rename(here / HOME)
    os.chdir(here / HOME)
    return here / HOME


def server(folder: Path) -> Server:
    """The demo's server of this project folder, started where it is not running; it keeps its data between commands."""
    return embedded_postgres.keep(embedded_postgres.name_for(folder))


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Nobody else starts, fills or stops this folder's server meanwhile. Raises `Refused` with the process that does.

    An flock on a file beside the server's folder, which holds the process's number; it goes with the process.
    """
    path = owner.scratch() / f"{embedded_postgres.name_for(folder)}.lock"
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise Refused(
                f"the demo is running in this folder: process {file.read().strip() or 'unknown'}",
                why="it has one server and one database, which it makes anew at its beginning and stops at its end",
                do="wait until it has ended, or end it by Ctrl-C where it runs; then run again",
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def create(running: Server, say: Callable[[str], object] = lambda line: None) -> str:
    """Make the database anew at revision 001, with rows (drops the demo's earlier one), and return its URL."""
    if DATABASE in running.databases():
        say(f"The demo database {DATABASE} that was here is dropped, and made anew at revision 001.")
    running.drop_database(DATABASE)
    url = running.create_database(DATABASE)
    project = revisions.find()
    outcome = revisions.run(project.ini, {"command": "upgrade", "arguments": ["001"], "url": url})
    if outcome.error:
        raise Incomplete("the demo database could not be made", why=outcome.error["message"], do="report this as a bug")
    seed(url)
    return url


def seed(url: str) -> None:
    """Fill a database at revision 001 with the demo's rows."""
    from sqlalchemy import create_engine
    from sqlalchemy.pool import NullPool

    with create_engine(url, poolclass=NullPool).begin() as connection:
        rows = (Path(__file__).parent / "seed.sql").read_text()
        connection.exec_driver_sql(rows, execution_options={"no_parameters": True})


def run(say: Callable[[str], None] = print) -> Report:
    """All six runbooks over a fresh 001 database, each leaving its record; the server is stopped at the end."""
    from afdb_helpers import runbook

    with alone(Path.cwd()):
        running = server(Path.cwd())
        try:
            say(f"A PostgreSQL {running.version} of your own, with a database at revision 001 …")
            os.environ["DATABASE_URL"] = create(running, say)
            os.environ.setdefault("AFDB_UNCOMMITTED", "1")  # whoever edits a runbook may see it in the demo
            results = runbook.execute_many([(name, {}) for name in RUNS])
        finally:
            running.stop()
    return summary(results)


def summary(results: list[RunResult]) -> Report:
    """One row a run, and where to read on; not ok unless all six succeeded."""
    rows = [
        {"runbook": r.runbook, "outcome": r.outcome.replace("_", " "), "seconds": round(r.seconds, 1), "result": r.said}
        for r in results
    ]
    ok = len(results) == len(RUNS) and all(r.ok for r in results)
    page = results[-1].folder.parent / "index.html"
    failed = "" if ok else f", {sum(r.ok for r in results)} well"
    took = sum(r.seconds for r in results)
    return Report(
        headline=f"{count(len(results), 'run')}{failed} in {took:.0f} s", ok=ok, rows=tuple(rows), remedy=f"open {page}"
    )


def lab(folder: Path, *, new: bool = False, browser: bool = True, port: int = 8888) -> None:
    """JupyterLab on the runbooks, with the demo database as the target `default`; both end with Ctrl-C."""
    if importlib.util.find_spec("jupyterlab") is None:
        raise ConfigError(
            "JupyterLab is not installed", why="it comes with an extra", do="pip install 'afdb-helpers[lab]'"
        )
    with alone(folder):
        running = server(folder)
        try:
            kept = DATABASE in running.databases() and not new
            url = running.url(DATABASE) if kept else create(running)
            options = [
                "--ServerApp.ip=127.0.0.1",
                f"--port={port}",
                *("--log-level=WARN", "--LabApp.log_level=WARN"),  # what is left is the address to open
                "--LabApp.default_url=/lab/tree/runbooks/01_discovery.ipynb",
                "--LabApp.news_url=None",  # it would ask whether to fetch news, over the first page that is seen
            ]
            if not browser:
                options.append("--no-browser")
            if os.geteuid() == 0:
                options.append("--allow-root")
            command = [sys.executable, "-m", "jupyterlab", *options]
            _until_told(command, folder, {**os.environ, "DATABASE_URL": url})
        finally:
            _at_a_signal(signal.SIG_IGN)  # a second Ctrl-C must not leave the server behind
            running.stop()


def _until_told(command: list[str], folder: Path, environment: dict[str, str]) -> None:
    """Run JupyterLab until it ends, or a signal asks for that; then it and its kernels are gone within seconds.

    In a session of its own a terminal's Ctrl-C does not reach it: it would ask whether that was meant.
    """
    with contextlib.suppress(KeyboardInterrupt):
        _at_a_signal(signal.default_int_handler)
        child = subprocess.Popen(command, cwd=folder, env=environment, start_new_session=True)
        try:
            child.wait()
        finally:
            _at_a_signal(signal.SIG_IGN)
            child.terminate()
            try:
                child.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()


def _at_a_signal(handler: Any) -> None:
    """What whoever presses Ctrl-C, closes the terminal or ends the process sets off."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, handler)
