"""The building blocks in another project: its own tables, a stock env.py, the revisions of docs/big-tables.md."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from typing import Any

import chain
import crashes
import projects
import psycopg2
import pytest
import sqlalchemy as sa

from afdb_helpers.embedded_postgres import Server
from afdb_helpers.revisions import Project

PAGE = (chain.ROOT / "docs" / "big-tables.md").read_text()
ROWS = 40_000
FIRST = """
op.execute("CREATE TABLE shops (id VARCHAR PRIMARY KEY, name VARCHAR NOT NULL)")
op.execute("CREATE TABLE events (id VARCHAR PRIMARY KEY, shop_id VARCHAR NOT NULL REFERENCES shops (id),"
           " body JSON, at TIMESTAMP)")
"""
FILLED = f"""
INSERT INTO shops SELECT 's' || n, 'shop ' || n FROM generate_series(1, 50) n;
INSERT INTO events SELECT md5(n::text), 's' || 1 + n % 50, json_build_object('n', n),
  timestamp '2025-01-01' + (n * 7919 % {ROWS}) * interval '1 minute' FROM generate_series(1, {ROWS}) n;
ANALYZE
"""
OLD = "INSERT INTO events (id, shop_id, body, at) VALUES (%s, 's1', '{}', now())"
NEW = "INSERT INTO events (old_id, shop_id, payload, at) VALUES (%s, 's1', '{}', now())"
WRONG = """
SELECT count(*) FROM (SELECT id, lag(id, 1, 0) OVER (ORDER BY at, old_id COLLATE "C") AS before FROM events
  WHERE length(old_id) = 32) x WHERE id <> before + 1
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = projects.empty(tmp_path_factory.mktemp("elsewhere"))
    projects.add(made, "first", None, FIRST, "op.execute('DROP TABLE events, shops')")
    examples = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert len(examples) == 2
    for name, text in zip(("second", "third"), examples, strict=True):
        (made.ini.parent / "migrations" / "versions" / f"{name}.py").write_text(text)
    return made


@pytest.fixture(scope="module")
def killer() -> Iterator[crashes.Killer]:
    with crashes.killer() as made:
        yield made


@pytest.fixture(scope="module")
def filled(postgres: Server, project: Project, killer: crashes.Killer) -> Iterator[str]:
    """The name of a database at `first`, to be cloned."""
    url = postgres.create_database("elsewhere")
    assert killer.run(url, "upgrade", "first", ini=str(project.ini))["status"] == 0
    chain.execute(url, FILLED)
    yield "elsewhere"
    postgres.drop_database("elsewhere")


class Writer:
    """Writes events all the time, by the old names or the new, and remembers what was acknowledged."""

    def __init__(self, url: str) -> None:
        self.url, self.acknowledged, self.longest, self.over = url, list[str](), 0.0, threading.Event()
        self.thread = threading.Thread(target=self.write)

    def __enter__(self) -> Writer:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join()

    def write(self) -> None:
        session = psycopg2.connect(**crashes.dsn(self.url))
        session.autocommit = True
        ways: list[str] = [OLD, NEW]
        for n in range(1_000_000):
            if self.over.is_set():
                break
            began = time.monotonic()
            while True:
                try:
                    session.cursor().execute(ways[0], (f"w{n}",))
                    break
                except (psycopg2.errors.UndefinedColumn, psycopg2.errors.NotNullViolation):
                    ways.reverse()
            self.longest = max(self.longest, time.monotonic() - began)
            self.acknowledged.append(f"w{n}")
            time.sleep(0.005)
        session.close()


def content(url: str) -> list[Any]:
    """Every row that was there from the beginning, under the names of `first`, and what stands around it."""
    with chain.connected(url) as connection:
        columns = {c["name"] for c in sa.inspect(connection).get_columns("events")}
        names = "old_id, shop_id, payload, at" if "old_id" in columns else "id, shop_id, body, at"
        key = names.split(",", maxsplit=1)[0]
        rows = f"SELECT md5(concat_ws('|', {names})) AS row FROM events WHERE length({key}) = 32"
        asked = f"SELECT md5(string_agg(row, '|' ORDER BY row)) FROM ({rows}) r"
        return [
            connection.exec_driver_sql(asked).scalar_one(),
            *connection.exec_driver_sql("SELECT * FROM shops").all(),
        ]


def left(url: str) -> list[str]:
    with chain.connected(url) as connection:
        said = list(connection.exec_driver_sql(crashes.LEFT, execution_options={"no_parameters": True}).scalars())
        return said + list(connection.exec_driver_sql("SELECT indexrelid::regclass FROM pg_index WHERE NOT indisvalid"))


def test_a13_a_revision_of_another_project_killed_at_any_statement_is_gone_on_with(
    postgres: Server, project: Project, filled: str, killer: crashes.Killer
) -> None:
    whole, ini = 0, str(project.ini)
    for nth in range(5):  # the first one is not killed, and says how many statements there are
        url = postgres.create_database(f"elsewhere_{nth}", template=filled)
        before = content(url)
        with Writer(url) as writer:
            at = nth * whole // 5 + nth
            first = killer.run(url, "upgrade", "third", at if nth else 0, crashes.WHEN[nth % 3], ini=ini)
            whole = whole or first["statements"]
            assert first["killed"] is bool(nth)
            if nth:
                assert killer.run(url, "upgrade", "third", ini=ini)["status"] == 0, f"killed at {at} of {whole}"
        with chain.connected(url) as connection:
            there = connection.exec_driver_sql("SELECT old_id FROM events WHERE length(old_id) < 32").scalars().all()
            assert connection.exec_driver_sql(WRONG).scalar_one() == 0
            assert connection.exec_driver_sql("SELECT count(DISTINCT id) - count(*) FROM events").scalar_one() == 0
            assert sorted(sa.inspect(connection).get_table_names()) == ["alembic_version", "events", "notes", "shops"]
        assert sorted(there) == sorted(writer.acknowledged)
        assert writer.acknowledged
        assert content(url) == before
        assert left(url) == []
        # Rows written at `third` have another state than `second` gives; those written meanwhile, a number with a gap.
        lost = ["allow_data_loss=events.state,events.id"]
        assert killer.run(url, "downgrade", "first", ini=ini, x=lost)["status"] == 0
        assert content(url) == before
        assert left(url) == []
        postgres.drop_database(f"elsewhere_{nth}")
    assert whole > 60


def test_a13_killed_between_a_concurrent_index_and_its_stamp_a_plain_rerun_completes(
    postgres: Server, project: Project, filled: str, killer: crashes.Killer
) -> None:
    url, ini = postgres.create_database("between", template=filled), str(project.ini)
    died = killer.run(url, "upgrade", "third", 1, "after", words="CREATE INDEX CONCURRENTLY", ini=ini)
    assert died["killed"]
    with chain.connected(url) as connection:
        assert connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one() != "third"
    assert killer.run(url, "upgrade", "third", ini=ini)["status"] == 0
    assert left(url) == []
    postgres.drop_database("between")


def test_a13_a_concurrent_index_that_is_not_looked_for_fails_on_the_rerun(
    postgres: Server, project: Project, filled: str, killer: crashes.Killer
) -> None:
    """The control: the same kill, with Alembic's own way to build an index concurrently."""
    built = "op.execute('CREATE INDEX CONCURRENTLY careless ON events (at)')"
    plain = f"with op.get_context().autocommit_block():\n    {built}"
    own = projects.empty(project.ini.parent.parent / "careless")
    projects.add(own, "first", None, FIRST)
    projects.add(own, "careless", "first", plain)
    url = postgres.create_database("careless", template=filled)
    words = {"words": "CREATE INDEX CONCURRENTLY", "ini": str(own.ini)}
    assert killer.run(url, "upgrade", "careless", 1, "after", **words)["killed"]
    assert killer.run(url, "upgrade", "careless", ini=str(own.ini))["status"] != 0
    postgres.drop_database("careless")


def test_a2_another_projects_session_is_marked_too(
    postgres: Server, project: Project, filled: str, killer: crashes.Killer
) -> None:
    """A stock env.py knows nothing of what a session must set: its steps do it, and a dead client's session ends."""
    url = postgres.create_database("marked", template=filled)
    with chain.connected(url) as connection, chain.connected(url) as other:
        other.exec_driver_sql("BEGIN; LOCK TABLE events IN SHARE UPDATE EXCLUSIVE MODE")  # so that it waits
        at_work = "SELECT pid FROM pg_stat_activity WHERE application_name = 'afdb alembic' AND datname = 'marked'"
        words = {"words": "LOCK TABLE events", "ini": str(project.ini), "delay": 0.2}
        assert killer.run(url, "upgrade", "third", 1, "during", **words)["killed"]
        assert connection.exec_driver_sql(at_work).all()
        until = time.monotonic() + 10
        while connection.exec_driver_sql(at_work).all() and time.monotonic() < until:
            time.sleep(0.1)
        assert not connection.exec_driver_sql(at_work).all()
        other.exec_driver_sql("ROLLBACK")
    assert killer.run(url, "upgrade", "third", ini=str(project.ini))["status"] == 0
    postgres.drop_database("marked")
