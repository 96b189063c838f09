"""Three databases that nobody here made: Django's, Procrastinate's and pgbench's; the first screen is right on each.

Each package is installed, pinned, into a virtual environment of its own, which is kept for the next run.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from afdb_helpers import discovery, targets
from afdb_helpers.discovery.screen import Discovery
from afdb_helpers.embedded_postgres import Server

pytestmark = pytest.mark.xdist_group("discovery foreign")

ROOT = Path(__file__).resolve().parents[1]
DJANGO = """
import django
from django.conf import settings
from django.core.management import call_command
apps = ["auth", "contenttypes", "sessions", "admin", "messages"]
apps = ["django.contrib." + one for one in apps]
one = dict(ENGINE="django.db.backends.postgresql", NAME="{name}", USER="postgres", HOST="{host}", PORT="{port}")
settings.configure(INSTALLED_APPS=apps, DATABASES=dict(default=one), DEFAULT_AUTO_FIELD="django.db.models.BigAutoField")
django.setup()
call_command("migrate", verbosity=0)
"""


def _installed(*packages: str) -> Path:
    """The interpreter of an environment that holds these packages, or a skip where no registry answers."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "afdb" / "tests"
    home = cache / "-".join(one.replace("==", "_") for one in packages)
    if not (home / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", "--clear", str(home)], check=True)
        pip = [sys.executable, "-m", "pip", "--python", str(home / "bin" / "python"), "install", "--quiet"]
        done = subprocess.run(
            [*pip, "--no-deps", "--only-binary=:all:", "--timeout=5", "--retries=1", *packages],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            pytest.skip(f"{packages[0]} cannot be installed: {(done.stderr.strip().splitlines() or ['?'])[-1][:200]}")
        (home / "ready").touch()
    return home / "bin" / "python"


def _look(url: str, folder: Path) -> Discovery:
    target = targets.parse("x", url, {})
    with target.connect() as connection:
        found = discovery.look(connection, target, folder=folder, models=False)
    assert not [line for line in found.rows if "not seen" in line["found"]], found
    return found


def test_djangos_database_is_known_as_djangos(database: str, postgres: Server, tmp_path: Path) -> None:
    python = _installed("django==5.2.7", "asgiref==3.8.1", "sqlparse==0.5.3", "psycopg2-binary==2.9.11")
    name = sa.make_url(database).database
    subprocess.run(
        [str(python), "-c", DJANGO.format(name=name, host=postgres.socket, port=postgres.port)], check=True, timeout=120
    )
    alone = _look(database, tmp_path)
    assert (
        alone.state.headline
        == "no project to compare with; 10 tables, migrated by Django (last: sessions.0001_initial)"
    )
    assert alone.remedy == "run again in the folder of the project that this database belongs to"
    ours = _look(database, ROOT)
    assert ours.headline == (
        "x: another application's: 10 tables, none of them the chain's,"
        " migrated by Django (last: sessions.0001_initial)"
    )
    assert ours.remedy.startswith("correct the target's URL")
    assert "auth_user" in ours.entities.markdown  # type: ignore[attr-defined]
    assert {row["severity"] for row in ours.advice.rows} <= {"low", "medium"}


def test_procrastinates_database_is_another_applications(database: str, tmp_path: Path) -> None:
    python = _installed("procrastinate==3.5.3")
    (schema,) = python.parents[1].glob("lib/python*/site-packages/procrastinate/sql/schema.sql")
    with sa.create_engine(database, poolclass=sa.NullPool).begin() as connection:
        connection.exec_driver_sql(schema.read_text(), execution_options={"no_parameters": True})
    found = _look(database, ROOT)
    assert found.state.headline.startswith("another application's: ")
    tables = {row["table"] for row in found.tables.rows}
    assert {"procrastinate_jobs", "procrastinate_events"} <= tables
    advised = {(row["advice"], row["object"]) for row in found.advice.rows}
    assert any(name == "function_search_path" for name, _ in advised), advised
    assert ("no_primary_key", "procrastinate_jobs") not in advised
    assert "no framework has migrated it" in _look(database, tmp_path).state.headline


def test_pgbenchs_database_is_told_with_its_one_table_without_a_key(
    new_database: Callable[..., str], postgres: Server, tmp_path: Path
) -> None:
    url = new_database()
    where = ["-h", str(postgres.socket), "-p", str(postgres.port), "-U", "postgres", str(sa.make_url(url).database)]
    subprocess.run([str(postgres.programs / "pgbench"), "-i", "-q", *where], check=True, capture_output=True)
    found = _look(url, tmp_path)
    assert found.state.headline == "no project to compare with; 4 tables, no framework has migrated it"
    assert found.tables.rows[0]["table"] == "pgbench_accounts"
    assert found.tables.rows[0]["rows"] == 100_000
    assert [row["object"] for row in found.advice.rows if row["advice"] == "no_primary_key"] == ["pgbench_history"]
    assert found.blockers.ok
    assert len(repr(found).splitlines()) <= 24, "one screen"
