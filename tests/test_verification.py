"""Verification: the schema is the chain's, every value is there, the server vouches for it; and a lie is found out."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import projects
import pytest
import sqlalchemy as sa

from afdb_helpers import fingerprint, revisions, targets, verification
from afdb_helpers.embedded_postgres import Server
from afdb_helpers.errors import Refused
from afdb_helpers.report import Report
from afdb_helpers.revisions import Project
from afdb_helpers.targets import Target

pytestmark = pytest.mark.xdist_group("verification")  # what they share is made once


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield projects.small(tmp_path_factory.mktemp("verification"))


def _upgrade(project: Project, url: str, revision: str) -> None:
    outcome = revisions.run(project.ini, {"command": "upgrade", "arguments": [revision], "url": url})
    assert outcome.error is None


def _run(url: str, *statements: str) -> None:
    with sa.create_engine(url, poolclass=sa.NullPool).begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def _look(url: str) -> Target:
    return targets.parse("x", url, {})


@pytest.fixture(scope="module")
def migrated(project: Project, postgres: Server) -> Iterator[tuple[str, dict[str, Any]]]:
    """A database that was filled at the first revision and taken to the second, to copy; and its `before.json`."""
    url = postgres.create_database("verified")
    _upgrade(project, url, projects.FIRST)
    _run(url, "INSERT INTO customer VALUES (1, 'Ada', 1.2345), (2, 'Grace', 2.5)", "INSERT INTO invoice VALUES (7, 1)")
    with _look(url).connect() as connection:
        before = {"data": fingerprint.take(connection).as_dict()}
    _upgrade(project, url, projects.SECOND)
    yield "verified", json.loads(json.dumps(before))
    postgres.drop_database("verified")


@pytest.fixture
def copy(migrated: tuple[str, dict[str, Any]], new_database: Callable[..., str]) -> str:
    return new_database(template=migrated[0])


# --- schema


def test_the_schema_is_what_the_chain_makes(copy: str, project: Project) -> None:
    with _look(copy).connect() as connection:
        assert verification.schema(connection, project).ok
    _run(copy, "ALTER TABLE customer DROP note")
    with _look(copy).connect() as connection:
        assert not verification.schema(connection, project).ok


@pytest.mark.parametrize(("change", "said"), [
    ("DELETE FROM alembic_version", "stamped with 0 revisions"),
    ("INSERT INTO alembic_version VALUES ('more')", "stamped with 2 revisions"),
])  # fmt: skip
def test_without_one_stamp_there_is_nothing_to_compare_with(
    copy: str, project: Project, change: str, said: str
) -> None:
    _run(copy, change)
    with _look(copy).connect() as connection, pytest.raises(Refused, match=said):
        verification.schema(connection, project)


# --- data


def test_every_value_is_found_again_through_the_renames(
    copy: str, migrated: tuple[str, dict[str, Any]], project: Project
) -> None:
    with _look(copy).connect() as connection:
        report = verification.data(connection, migrated[1], project)
    assert report.ok
    assert report.headline == "data: every value preserved (3 rows in 2 tables)"


def test_without_the_mapping_the_renamed_column_would_be_lost(
    copy: str, migrated: tuple[str, dict[str, Any]], tmp_path: Path
) -> None:
    silent = projects.empty(tmp_path / "silent")
    with _look(copy).connect() as connection:
        assert verification.data(connection, migrated[1], silent).rows[0]["differs"] == "gone: name"


@pytest.mark.parametrize(("change", "what"), [
    ("UPDATE customer SET title = 'ada' WHERE id = 1", "name"),
    ("ALTER TABLE customer ALTER balance TYPE numeric(12,2)", "balance"),
    ("DELETE FROM invoice", "rows"),
    ("UPDATE customer SET title = CASE id WHEN 1 THEN 'Grace' ELSE 'Ada' END", "values changed places"),
    ("ALTER TABLE customer DROP title, ADD title text", "name"),
])  # fmt: skip
def test_a_lost_value_is_found(
    copy: str, migrated: tuple[str, dict[str, Any]], project: Project, change: str, what: str
) -> None:
    _run(copy, change)
    with _look(copy).connect() as connection:
        report = verification.data(connection, migrated[1], project)
    assert not report.ok
    assert any(what in row["differs"] for row in report.rows)


# --- invariants


def _invariants(url: str) -> Report:
    with _look(url).connect() as connection:
        return verification.invariants(connection)


def test_all_invariants_hold_where_nothing_is_wrong(copy: str) -> None:
    assert _invariants(copy) == Report(headline="invariants: all hold")


def test_an_index_whose_concurrent_build_failed_is_named(copy: str) -> None:
    _run(copy, "CREATE TABLE twice AS SELECT 1 AS i UNION ALL SELECT 1")
    engine = sa.create_engine(copy, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection, pytest.raises(sa.exc.IntegrityError):
        connection.exec_driver_sql("CREATE UNIQUE INDEX CONCURRENTLY once ON twice (i)")
    report = _invariants(copy)
    assert not report.ok
    assert report.rows == ({"table": "public.twice", "object": "index once", "state": "not valid"},)
    assert "rebuild the index" in report.remedy


def test_a_constraint_that_was_never_validated_is_named(copy: str) -> None:
    _run(copy, "ALTER TABLE customer ADD CONSTRAINT rich CHECK (balance > 100) NOT VALID")
    assert _invariants(copy).rows[0]["object"] == "constraint rich"


def test_sqlite_rows_that_point_nowhere_are_named(tmp_path: Path) -> None:
    file = tmp_path / "x.db"
    _run(f"sqlite:///{file}", "CREATE TABLE a (id integer PRIMARY KEY)",
         "CREATE TABLE b (a_id integer REFERENCES a (id))")  # fmt: skip
    assert _invariants(f"sqlite:///{file}").ok
    _run(f"sqlite:///{file}", "INSERT INTO b VALUES (99)")
    report = _invariants(f"sqlite:///{file}")
    assert report.rows == ({"table": "b", "object": "row 1 → a", "state": "orphan"},)


def test_a_damaged_sqlite_file_is_found(tmp_path: Path) -> None:
    file = tmp_path / "x.db"
    with closing(sqlite3.connect(file)) as made:
        made.executescript("CREATE TABLE t (x); CREATE INDEX i ON t (x); INSERT INTO t VALUES (1), (2), (3)")
        page = made.execute("SELECT rootpage FROM sqlite_master WHERE name = 'i'").fetchone()[0]
    raw = bytearray(file.read_bytes())
    start = (page - 1) * 4096
    raw[start + 4090 : start + 4096] = b"\x00" * 6
    file.write_bytes(raw)
    assert any(row["state"] == "damaged" for row in _invariants(f"sqlite:///{file}").rows)


# --- verdict


def test_the_verdict_is_as_good_as_its_worst_part() -> None:
    good, bad = Report(headline="schema: equal"), Report(headline="data: changed", ok=False, remedy="compare")
    assert verification.verdict(good, good).ok
    verdict = verification.verdict(good, bad)
    assert (verdict.ok, verdict.headline, verdict.remedy) == (False, "schema: equal; data: changed", "compare")
    with pytest.raises(Refused, match="why: data: changed"):
        verdict.raise_unless_ok()
