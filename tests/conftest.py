"""Real servers for the tests: one of each version for the whole session, an empty database for each test."""

from __future__ import annotations

import gc
import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from afdb_helpers import embedded_postgres
from afdb_helpers.embedded_postgres import Server, owner

gc.set_threshold(200_000)  # what was collected stays: looking through it takes a quarter of the collection's time
_numbers = itertools.count()
settings.register_profile("busy machine", deadline=None)  # a time is measured in benchmarks/, never tested
settings.load_profile("busy machine")
IN_MEMORY: Path | None = None  # on a disk, making and removing small files is half of the time; TMPDIR=/tmp keeps them
if "TMPDIR" not in os.environ and (memory := owner.memory()):
    IN_MEMORY = memory / f"{os.getpid()}-t"  # named like a server's folder: swept when this process is killed
    IN_MEMORY.mkdir(mode=0o711)
    os.environ["TMPDIR"] = tempfile.tempdir = str(IN_MEMORY)


def pytest_unconfigure() -> None:
    if IN_MEMORY:
        shutil.rmtree(IN_MEMORY, ignore_errors=True)


def pytest_xdist_auto_num_workers() -> int:
    """One more than cores, since tests wait for what they start; four at most: each has servers of its own, and a
    container counts its host's cores."""
    return min(4, (os.cpu_count() or 1) + 1)


def _server(version: int) -> Iterator[Server]:
    if version not in embedded_postgres.available():
        pytest.skip(f"PostgreSQL {version} is not on this machine (neither the wheel nor /usr/lib/postgresql has it)")
    with embedded_postgres.start(version) as server:
        yield server


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    yield from _server(18)


@pytest.fixture(scope="session")
def postgres16() -> Iterator[Server]:
    yield from _server(16)


@pytest.fixture(scope="session")
def postgres15() -> Iterator[Server]:
    yield from _server(15)


@pytest.fixture
def new_database(postgres: Server) -> Iterator[Callable[..., str]]:
    """Makes databases on PostgreSQL 18 and returns their URLs; they are dropped when the test ends."""
    made: list[str] = []

    def create(name: str = "", *, template: str | None = None) -> str:
        made.append(name or f"test_{next(_numbers)}")
        return postgres.create_database(made[-1], template=template)

    yield create
    for name in made:
        postgres.drop_database(name)


@pytest.fixture
def database(new_database: Callable[..., str]) -> str:
    """The URL of a fresh, empty database on PostgreSQL 18."""
    return new_database()


@pytest.fixture
def on_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on a disk, and private servers of the test there, too."""
    monkeypatch.setattr(tempfile, "tempdir", "/var/tmp")
    with tempfile.TemporaryDirectory(prefix="afdb-test-") as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def endpoint() -> Iterator[str]:
    """The address of an S3 server that all tests of a worker share, each with a bucket of its own."""
    import objectstore

    with objectstore.running() as address:
        yield address


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own targets must not leak into the tests; a runbook that is being edited can be tested."""
    for name in list(os.environ):
        if name.startswith(("AFDB_", "POSTGRES_", "SUPABASE_", "PG")) or name.endswith("DATABASE_URL"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AFDB_UNCOMMITTED", "1")
