"""A database of the platform at revision 001 to play with, on a private server, and the six runbooks over it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from afdb_helpers import embedded_postgres, revisions
from afdb_helpers.embedded_postgres import Server
from afdb_helpers.errors import Incomplete
from afdb_helpers.report import Report

DATABASE = "agent_factory"
RUNS = ("discovery", "backup", "rehearsal", "migration", "verification", "cost_comparison")


def server(folder: Path) -> Server:
    """The demo's server of this project folder, started where it is not running; it keeps its data between commands."""
    return embedded_postgres.keep(embedded_postgres.name_for(folder))


def create(running: Server) -> str:
    """Make the database anew at revision 001, with rows (drops the demo's earlier one), and return its URL."""
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

    running = server(Path.cwd())
    try:
        say(f"A PostgreSQL {running.version} of your own, with a database at revision 001 …")
        os.environ["DATABASE_URL"] = create(running)
        results = runbook.execute_many([(name, {}) for name in RUNS])
    finally:
        running.stop()
    return summary(results)
