"""Projects that nobody here wrote: two packages with Alembic chains, each in a virtual environment of its own.

`foreign_projects/NAME.txt` pins them with their hashes. Optuna has ten revisions and runs here on the oldest Alembic
(1.8) and SQLAlchemy (1.4) there may be; CKAN has 109, most of them SQL for PostgreSQL. Neither knows anything of ours.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

pytestmark = pytest.mark.xdist_group("foreign_projects")

PINNED = Path(__file__).with_name("foreign_projects")
AFDB = Path(sys.executable).with_name("afdb")
PROJECTS = {  # name: alembic.ini, the last revision, the number of revisions, where it begins
    "optuna": ("optuna/storages/_rdb/alembic.ini", "v3.2.0.a", 10, "v2.4.0.a"),
    "ckan": ("ckan/migration/alembic.ini", "9445ce34fc23", 109, "103676e0a497"),
}
UNREACHABLE = "Could not find a version|No matching distribution|Failed to establish|Temporary failure|timed out"


def _installed(name: str) -> Path:
    """The package's site-packages, installed once for each state of its requirements."""
    text = (PINNED / f"{name}.txt").read_bytes() + sys.version.encode()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "afdb" / "foreign_projects"
    home = cache / f"{name}-{hashlib.sha256(text).hexdigest()[:12]}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f".{name}").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / "ready").is_file():
            subprocess.run([sys.executable, "-m", "venv", "--clear", "--without-pip", str(home)], check=True)
            command = [sys.executable, "-m", "pip", "--python", str(home / "bin" / "python"), "install", "--quiet",
                       "--no-compile", "--no-deps", "--require-hashes", "-r", str(PINNED / f"{name}.txt")]  # fmt: skip
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode and re.search(UNREACHABLE, done.stderr):
                pytest.skip(f"{name} cannot be installed: {done.stderr.strip().splitlines()[-1]}")
            assert done.returncode == 0, done.stderr
            (home / "ready").touch()
    return next((home / "lib").glob("python*/site-packages"))


@pytest.fixture(scope="module")
def packages() -> dict[str, Future[Path]]:
    """Both, installed side by side."""
    pool = ThreadPoolExecutor(len(PROJECTS))
    return {name: pool.submit(_installed, name) for name in PROJECTS}


Afdb = Callable[..., subprocess.CompletedProcess[str]]


def _on(name: str, site: Path, url: str, folder: Path) -> Afdb:
    """`afdb` for that project, on a database under two names: `default`, and `production`, which is protected."""
    project = ("--alembic-ini", str(site / PROJECTS[name][0]), "--python", str(site.parents[2] / "bin" / "python"))
    kept = ("PATH", "HOME", "LANG", "XDG_CACHE_HOME")
    environment = {key: os.environ[key] for key in kept if key in os.environ}
    environment |= {"DATABASE_URL": url, "PRODUCTION_DATABASE_URL": url, "AFDB_RECORDS": str(folder / "records"),
                    "AFDB_BACKUPS": str(folder / "backups")}  # fmt: skip

    def afdb(*arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        command = [str(AFDB), *arguments, *project]
        done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return afdb


def _sql(url: str, statement: str) -> None:
    there = sa.make_url(url).set(drivername="postgresql+psycopg2")
    with sa.create_engine(there, poolclass=sa.NullPool).begin() as connection:
        connection.exec_driver_sql(statement)


def _verified(afdb: Afdb, url: str, backups: Path) -> None:
    """The migrated database against the backup that was made before; a value that changed is named, not shown."""
    (backup,) = (path.parent.name for path in backups.glob("*/manifest.json"))
    well = afdb("verify", "--before", backup).stdout
    assert "data: every value preserved (2 rows" in well
    assert "invariants: all hold" in well
    _sql(url, "UPDATE studies SET study_name = 'three' WHERE study_name = 'two'")
    wrong = afdb("verify", "--before", backup, code=3).stdout
    assert re.search(r"^ *studies .*study_name", wrong, flags=re.MULTILINE), wrong
    assert "three" not in wrong


@pytest.mark.parametrize("name", PROJECTS)
def test_a_foreign_chain_is_prepared_applied_and_adopted(
    name: str, packages: dict[str, Future[Path]], new_database: Callable[..., str], tmp_path: Path
) -> None:
    """From its first revision to its head, on a protected target standing in for production.

    Optuna's first four revisions are no place to begin: see the next test.
    """
    _, head, length, begun = PROJECTS[name]
    url = new_database(f"foreign_{name}").replace("+psycopg2", "")
    afdb = _on(name, packages[name].result(), url, tmp_path)
    assert len(afdb("history").stdout.splitlines()) == length
    afdb("upgrade", begun)
    if name == "optuna":
        _sql(url, "INSERT INTO studies (study_name) VALUES ('one'), ('two')")
    prepared = afdb("prepare", "--target", "production").stdout
    found = re.search(r"digest: (sha256:[0-9a-f]{64})", prepared)
    assert found, prepared
    assert afdb("current").stdout.strip() == begun, "prepare changes nothing"
    applied = afdb("apply", "--target", "production", "--approve", found[1], "--approver", "alice",
                   "--change-ref", "OPS-12", "--reason", "the newest release").stdout  # fmt: skip
    assert "verification: succeeded" in applied
    assert "schema: equal to the chain's" in applied
    assert afdb("current").stdout.strip() == f"{head} (head)"
    if name == "optuna":
        _verified(afdb, url, tmp_path / "backups")
    _sql(url, "DROP TABLE alembic_version")
    assert f"stamped, as verified, from nothing to {head}" in afdb("adopt").stdout


def test_a_chain_that_cannot_go_on_from_where_the_target_stands_is_found_out_before_the_target_is_touched(
    packages: dict[str, Future[Path]], new_database: Callable[..., str], tmp_path: Path
) -> None:
    """Optuna's chain creates a type twice on PostgreSQL, when it stopped in between: stock Alembic dies of it too."""
    url = new_database("foreign_stuck").replace("+psycopg2", "")
    afdb = _on("optuna", packages["optuna"].result(), url, tmp_path)
    afdb("upgrade", "v0.9.0.a")
    refused = afdb("prepare", "--target", "production", code=3)
    assert 'type "studydirection" already exists' in refused.stdout
    assert "digest:" not in refused.stdout
    assert afdb("current").stdout.strip() == "v0.9.0.a"
