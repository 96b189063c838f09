"""002 when what is below it fails: the disk, the client, the server's good will. Then one plain rerun."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import chain
import crashes
import psycopg2
import pytest
from alembic.util import CommandError
from chain import Maker

from afdb_helpers import migrate, revisions, targets
from afdb_helpers.embedded_postgres import Server

MANY = """INSERT INTO audit_logs (id, event_type, action, created_at)
SELECT md5(n::text)::uuid::text, 'many', repeat('x', 80), timestamp '2024-04-01' + n * interval '1 minute'
FROM generate_series(1, 20000) n"""


@pytest.fixture
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Maker:
    return Maker(request, tmp_path)


@pytest.fixture
def killer() -> Iterator[crashes.Killer]:
    with crashes.killer() as made:
        yield made


@contextlib.contextmanager
def session(url: str) -> Iterator[Any]:
    with contextlib.closing(psycopg2.connect(**crashes.dsn(url), application_name="a forgotten console")) as made:
        made.autocommit = True
        yield made.cursor()


@pytest.fixture
def small_disk(postgres: Server, tmp_path: Path) -> Iterator[Path]:
    """A file system of 12 MB as the tablespace `small`."""
    folder = Path("/tmp") / f"afdb-small-{os.getpid()}"
    folder.mkdir()
    mounted = ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(folder)]
    if os.getuid() or subprocess.run(mounted, capture_output=True, check=False).returncode:
        folder.rmdir()
        pytest.skip("a file system of its own can be mounted by root only")
    try:
        owner = postgres.data.stat()
        os.chown(folder, owner.st_uid, owner.st_gid)
        chain.execute(postgres.url("postgres"), f"CREATE TABLESPACE small LOCATION '{folder}'")
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
        folder.rmdir()


def test_a38_a_full_tablespace_stops_it_and_the_rerun_goes_on(
    make: Maker, postgres: Server, small_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url = make("postgresql 18", "at_001")
    chain.execute(url, MANY, "ALTER TABLE audit_logs SET TABLESPACE small", "VACUUM audit_logs")
    ballast, free = small_disk / "ballast", shutil.disk_usage(small_disk).free
    ballast.write_bytes(b"x" * (free - 200_000))
    known = trail(url, "id, metadata")
    try:
        with pytest.raises(CommandError, match="No space left on device") as full:
            chain.upgrade(url)
        assert "SQLSTATE 53100" in str(full.value)
        assert "run the same command again" in str(full.value)
        assert chain.stamped(url) == ("001",)
        assert trail(url, "id, metadata") == known
        ballast.unlink()
        chain.upgrade(url)
        assert crashes.amiss(url, "002", make.fresh("postgresql 18")) == []
        assert trail(url, "legacy_id, details") == known
    finally:
        chain.execute(url, "ALTER TABLE audit_logs SET TABLESPACE pg_default")
        chain.execute(url, *_moved(url))
        chain.execute(url, "DROP TABLESPACE small")


def trail(url: str, columns: str) -> list[tuple[str, ...]]:
    with chain.connected(url) as connection:
        return sorted(map(tuple, connection.exec_driver_sql(f"SELECT {columns}::text FROM audit_logs")), key=str)


def _moved(url: str) -> list[str]:
    """What takes everything of the database off the small tablespace, and an empty list of what a dead run left."""
    with chain.connected(url) as connection:
        asked = "SELECT relname FROM pg_class JOIN pg_tablespace t ON t.oid = reltablespace WHERE spcname = 'small'"
        return [f"ALTER INDEX {name} SET TABLESPACE pg_default" for name in connection.exec_driver_sql(asked).scalars()]


@pytest.mark.parametrize("checked", [True, False])
def test_a2_a_statement_whose_client_was_killed_ends_within_seconds_or_is_ended_by_the_rerun(
    checked: bool, make: Maker, killer: crashes.Killer, caplog: pytest.LogCaptureFixture
) -> None:
    url = make("postgresql 18", "at_001")
    unchecked = "&options=-c%20client_connection_check_interval%3D0%20-c%20application_name%3Dmigrating"
    where = url + ("" if checked else unchecked)
    name = "afdb alembic" if checked else "migrating"
    at_work = f"SELECT 1 FROM pg_stat_activity WHERE application_name = '{name}' AND datname = current_database()"
    with session(url) as blocker, session(url) as looking:
        blocker.execute("BEGIN; LOCK TABLE audit_logs IN SHARE UPDATE EXCLUSIVE MODE")  # it waits for up to 30 s
        how: dict[str, Any] = {"words": "LOCK TABLE audit_logs", "delay": 0.1}
        assert killer.run(where, "upgrade", "002", 1, "during", **how)["killed"]
        began = time.monotonic()
        looking.execute(at_work)
        while looking.fetchall() and time.monotonic() < began + 5:
            time.sleep(0.05)
            looking.execute(at_work)
        took = time.monotonic() - began
        assert took < 4 if checked else took > 5, "2 s between two looks at the client, and what a busy machine adds"
        blocker.execute("ROLLBACK; BEGIN; LOCK TABLE audit_logs IN ACCESS SHARE MODE; ROLLBACK")
    chain.upgrade(url)
    assert crashes.amiss(url, "002", make.fresh("postgresql 18")) == []


def test_a6_each_attempt_at_a_lock_is_in_the_journal(make: Maker) -> None:
    url, noted = make("postgresql 18", "at_001"), list[dict[str, Any]]()

    def tries() -> list[int]:
        adding = "ALTER TABLE audit_logs ADD COLUMN"
        said = [e for e in noted if e["event"] == "statement" and e["sql"].startswith(adding)]
        return [e["n"] for e in said if e["sql"] == said[0]["sql"]]

    with session(url) as blocker:
        blocker.execute("BEGIN; SELECT id FROM audit_logs")

        def note(_event: str, **facts: Any) -> None:
            noted.extend(facts.get("events", []))
            if len(tries()) == 2:  # noted before it is tried, and now it will get its lock
                blocker.execute("ROLLBACK")

        migrate.upgrade(targets.parse("default", url, {}), revisions.find(chain.ROOT / "alembic.ini"), note=note)
    assert chain.stamped(url) == ("002",)
    done = {e["n"] for e in noted if e["event"] == "done"}
    assert [n in done for n in tries()] == [False, True], "one that got no lock, and one that did"
