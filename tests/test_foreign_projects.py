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
PROJECTS = {  # name: alembic.ini, the last revision, the number of revisions; the first one may be there already
    "optuna": ("optuna/storages/_rdb/alembic.ini", "v3.2.0.a", 10, ""),
    "ckan": ("ckan/migration/alembic.ini", "9445ce34fc23", 109, ""),
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


@pytest.mark.parametrize("name", PROJECTS)
def test_a_foreign_chain_is_prepared_applied_and_adopted(
    name: str, packages: dict[str, Future[Path]], new_database: Callable[..., str], tmp_path: Path
) -> None:
    """From its first revision to its head, on a protected target standing in for production."""
    site = packages[name].result()
    ini, head, length, begun = PROJECTS[name]
    project = ("--alembic-ini", str(site / ini), "--python", str(site.parents[2] / "bin" / "python"))
    url = new_database(f"foreign_{name}").replace("+psycopg2", "")
    kept = ("PATH", "HOME", "LANG", "XDG_CACHE_HOME")
    environment = {key: os.environ[key] for key in kept if key in os.environ}
    environment |= {"DATABASE_URL": url, "PRODUCTION_DATABASE_URL": url, "AFDB_RECORDS": str(tmp_path / "records"),
                    "AFDB_BACKUPS": str(tmp_path / "backups")}  # fmt: skip

    def afdb(*arguments: str) -> str:
        command = [str(AFDB), *arguments, *project]
        done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert len(afdb("history").splitlines()) == length
    if begun:
        afdb("upgrade", begun)
    prepared = afdb("prepare", "--target", "production")
    found = re.search(r"digest: (sha256:[0-9a-f]{64})", prepared)
    assert found, prepared
    assert afdb("current").strip() == (begun or "no revision is stamped"), "prepare changes nothing"
    applied = afdb("apply", "--target", "production", "--approve", found[1], "--approver", "alice",
                   "--change-ref", "OPS-12", "--reason", "the newest release")  # fmt: skip
    assert "verification: succeeded" in applied
    assert "schema: equal to the chain's" in applied
    assert afdb("current").strip() == f"{head} (head)"
    if name == "ckan":  # replaying 109 revisions for an adoption takes minutes; Optuna's shows it
        return
    with sa.create_engine(
        sa.make_url(url).set(drivername="postgresql+psycopg2"), poolclass=sa.NullPool
    ).begin() as connection:
        connection.exec_driver_sql("DROP TABLE alembic_version")
    adopted = afdb("adopt")
    assert f"stamped, as verified, from nothing to {head}" in adopted
