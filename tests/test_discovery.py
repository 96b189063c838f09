"""Discovery: each state a database can be in is told from the others, and only by looking."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import projects
import pytest
import sqlalchemy as sa

from afdb_helpers import discovery, drift, revisions, targets
from afdb_helpers.embedded_postgres import Server
from afdb_helpers.report import Report
from afdb_helpers.revisions import Project

FIRST, SECOND = projects.FIRST, projects.SECOND


@pytest.fixture(scope="module", autouse=True)
def _one_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return projects.small(tmp_path_factory.mktemp("discovery"))


@pytest.fixture(scope="module")
def at_head(project: Project, postgres: Server) -> Iterator[str]:
    request = {"command": "upgrade", "arguments": ["head"], "url": postgres.create_database("discovery_head")}
    assert revisions.run(project.ini, request).error is None
    yield "discovery_head"
    postgres.drop_database("discovery_head")


def _run(url: str, *statements: str) -> None:
    with sa.create_engine(url, poolclass=sa.NullPool).begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def _state(url: str, project: Project) -> Report:
    with targets.parse("x", url, {}).connect() as connection:
        return discovery.state(connection, project)


def _stamp(revision: str) -> str:
    return f"UPDATE alembic_version SET version_num = '{revision}'"


BACK = ["ALTER TABLE customer DROP note", "ALTER TABLE customer RENAME title TO name"]
STRAY = "ALTER TABLE customer ADD stray int"
MEND = "afdb upgrade converges a known faulty state; else write a revision that mends it"
CASES = {
    "at the head": ([], f"at {SECOND} (head)", True, ""),
    "behind": ([*BACK, _stamp(FIRST)], f"at {FIRST}, 1 revision behind", True, "afdb run backup"),
    "drifted": (["ALTER TABLE customer DROP note"], f"at {SECOND} (head), drifted", False, MEND),
    "behind and drifted": ([*BACK, _stamp(FIRST), STRAY], f"at {FIRST}, 1 revision behind, drifted", False, MEND),
    "stamped, and the schema is another's": ([_stamp(FIRST)], f"at {FIRST}, 1 revision behind, drifted", False, MEND),
    "a table that no revision made": (["CREATE TABLE theirs (i int)"], f"at {SECOND} (head)", True, ""),
    "not stamped, equal to the head": (["DROP TABLE alembic_version"],
                                       f"not stamped, and the schema equals {SECOND}", False,
                                       "afdb upgrade stamps and converges it"),
    "not stamped, equal to an earlier one": (["DELETE FROM alembic_version", *BACK],
                                             f"not stamped, and the schema equals {FIRST}", False,
                                             "afdb upgrade stamps and converges it"),
    "not stamped, equal to none": (["DELETE FROM alembic_version", STRAY], "not stamped, and equal to no revision",
                                   False, "afdb upgrade"),
    "ahead": ([_stamp("later")], "ahead: stamped later, which this project does not have", False,
              "check out the version of the project that holds it"),
    "stamped twice": ([f"INSERT INTO alembic_version VALUES ('{FIRST}')"],
                      f"stamped with 2 revisions: {FIRST}, {SECOND}", False,
                      f"merge them: alembic merge -m merge {FIRST} {SECOND}"),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "headline", "ok", "remedy"), CASES.values(), ids=CASES)
def test_a_state_is_told_with_the_next_step(
    changes: list[str], headline: str, ok: bool, remedy: str, at_head: str, project: Project,
    new_database: Callable[..., str],
) -> None:  # fmt: skip
    url = new_database(template=at_head)
    _run(url, *changes)
    found = _state(url, project)
    assert (found.headline, found.ok, found.remedy) == (headline, ok, remedy)


def test_an_empty_database_is_well_and_starts_no_server(
    database: str, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drift, "_empty_database", None)
    found = _state(database, project)
    assert (found.headline, found.ok) == ("empty: no table, no revision stamped", True)


def test_what_drifted_is_in_the_report(at_head: str, project: Project, new_database: Callable[..., str]) -> None:
    url = new_database(template=at_head)
    _run(url, "ALTER TABLE customer DROP note")
    (compared,) = _state(url, project).parts
    assert compared.rows[0]["object"] == "customer.note"


def test_of_the_revisions_that_do_not_match_the_nearest_is_shown(
    at_head: str, project: Project, new_database: Callable[..., str]
) -> None:
    url = new_database(template=at_head)
    _run(url, "DELETE FROM alembic_version", *BACK, STRAY)
    (nearest,) = _state(url, project).parts
    assert nearest.headline == f"compared with {FIRST}, the nearest"
    assert [row["object"] for row in nearest.rows] == ["customer.stray"]


def test_a_finding_is_well_whatever_was_found() -> None:
    assert discovery.finding(Report(headline="ahead", ok=False, remedy="go on")) == Report(
        headline="ahead", remedy="go on"
    )


def test_the_project_is_listed_oldest_first_with_the_hashes_of_its_files(project: Project) -> None:
    found = discovery.project(project)
    assert found.ok
    assert found.headline == f"2 revisions, head {SECOND}"
    assert [(row["revision"], row["after"]) for row in found.rows] == [(FIRST, ""), (SECOND, FIRST)]
    assert all(len(row["sha256"]) == 12 for row in found.rows)


def test_several_heads_are_pointed_out(tmp_path: Path) -> None:
    forked = projects.empty(tmp_path / "forked")
    for id_, down in (("1a", None), ("2b", "1a"), ("2c", "1a")):
        projects.add(forked, id_, down, "pass")
    found = discovery.project(forked)
    assert not found.ok
    assert "head" in found.headline
    assert found.remedy == "alembic merge -m merge heads"


def test_the_server_is_named(database: str, tmp_path: Path) -> None:
    with targets.parse("x", database, {}).connect() as connection:
        found = discovery.server(connection)
    assert found.headline.startswith("PostgreSQL 18.")
    assert {"system identifier", "database", "role", "clock"} <= {row["fact"] for row in found.rows}
    _run(f"sqlite:///{tmp_path}/x.db", "CREATE TABLE t (i)")
    with targets.parse("x", f"sqlite:///{tmp_path}/x.db", {}).connect() as connection:
        assert discovery.server(connection).headline.startswith("SQLite 3.")


def test_on_sqlite_the_same_states_are_told(project: Project, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/x.db"
    assert revisions.run(project.ini, {"command": "upgrade", "arguments": ["head"], "url": url}).error is None
    assert _state(url, project).headline == f"at {SECOND} (head)"
    _run(url, "ALTER TABLE customer ADD COLUMN stray text")
    assert _state(url, project).headline == f"at {SECOND} (head), drifted"
