"""Discovery: each state a database can be in is told from the others, and only by looking."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import chain
import projects
import pytest
import sqlalchemy as sa

from afdb_helpers import catalog, discovery, revisions, targets
from afdb_helpers.discovery import advising, screen
from afdb_helpers.drift import replaying
from afdb_helpers.embedded_postgres import Server
from afdb_helpers.report import Report
from afdb_helpers.revisions import Project

pytestmark = pytest.mark.xdist_group("discovery")  # what they share is made once

ROOT = Path(__file__).resolve().parents[1]
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
MEND = "afdb adopt --repair converges a known faulty state; else write a revision for it"
CASES = {
    "at the head": ([], f"at {SECOND} (head)", True, ""),
    "behind": ([*BACK, _stamp(FIRST)], f"at {FIRST}, 1 revision behind", True, "afdb run backup"),
    "drifted": (["ALTER TABLE customer DROP note"], f"at {SECOND} (head), drifted", False, MEND),
    "behind and drifted": ([*BACK, _stamp(FIRST), STRAY], f"at {FIRST}, 1 revision behind, drifted", False, MEND),
    "stamped, and the schema is another's": ([_stamp(FIRST)], f"stamped {FIRST}, and the schema equals {SECOND}", False,
                                             "see why the stamp stayed behind; if nothing is missing:"
                                             f" alembic stamp {SECOND}"),
    "part of the way": ([_stamp(FIRST), "ALTER TABLE customer DROP note"],
                        f"at {FIRST}, part of the way to {SECOND}: 3 of 4 differences are done", False,
                        "afdb upgrade goes on with it, if the revision looks before each step;"
                        " else undo by hand what is there"),
    "a table that no revision made": (["CREATE TABLE theirs (i int)"], f"at {SECOND} (head)", True, ""),
    "not stamped, equal to the head": (["DROP TABLE alembic_version"],
                                       f"not stamped, and the schema equals {SECOND}", False,
                                       "afdb adopt, which verifies and stamps it"),
    "not stamped, equal to an earlier one": (["DELETE FROM alembic_version", *BACK],
                                             f"not stamped, and the schema equals {FIRST}", False,
                                             "afdb adopt, which verifies and stamps it"),
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
    monkeypatch.setattr(replaying, "_private", None)
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


ANOTHER = ["DROP TABLE alembic_version, invoice, customer", "CREATE TABLE \"auth user\" (id int)",
           "CREATE TABLE django_migrations (id int, app text, name text)",
           "INSERT INTO django_migrations VALUES (1, 'auth', '0001_initial'), (2, 'shop', '0007_prices')"]  # fmt: skip


def test_another_applications_database_is_known_as_one_and_who_migrated_it(
    at_head: str, project: Project, new_database: Callable[..., str]
) -> None:
    url = new_database(template=at_head)
    _run(url, *ANOTHER)
    found = _state(url, project)
    assert found.headline == (
        "another application's: 2 tables, none of them the chain's, migrated by Django (last: shop.0007_prices)"
    )
    assert not found.ok
    assert found.remedy.startswith("correct the target's URL")


def test_tables_that_models_made_are_known_by_the_defaults_that_lack(
    at_head: str, project: Project, new_database: Callable[..., str]
) -> None:
    url = new_database(template=at_head)
    _run(url, "DROP TABLE alembic_version", "ALTER TABLE customer ALTER balance DROP DEFAULT")
    found = _state(url, project)
    assert found.headline == (
        f"not stamped, and made by create_all of models: all tables of {SECOND}, without its defaults"
    )
    assert found.parts[0].headline == f"compared with {SECOND}, the nearest"


def test_without_a_project_what_can_be_said_is_said(at_head: str, new_database: Callable[..., str]) -> None:
    url = new_database(template=at_head)
    with targets.parse("x", url, {}).connect() as connection:
        found = discovery.state(connection, None)
    assert found.headline == f"no project to compare with; 2 tables, stamped {SECOND} by Alembic"
    assert not found.ok


def test_a_stamp_that_the_role_may_not_read_is_said_and_the_schema_looked_at(
    at_head: str, project: Project, new_database: Callable[..., str]
) -> None:
    url = new_database(template=at_head)
    _run(url, "DROP ROLE IF EXISTS clerk_of_discovery", "CREATE ROLE clerk_of_discovery LOGIN")
    found = _state(url.replace("postgres@", "clerk_of_discovery@"), project)
    assert found.headline == f"the role may not read alembic_version; the schema equals {SECOND}"
    assert not found.ok
    assert _state(url, project).ok, "the control: a role that may"
    _run(url, "DROP ROLE clerk_of_discovery")


def test_an_early_revision_of_a_long_chain_is_known_by_one_replay(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More revisions than were looked at once, and Alembic runs one time for all of them."""
    long, before = projects.small(tmp_path), SECOND
    for n in range(14):
        projects.add(long, f"more_{n}", before, projects.sql(f"CREATE TABLE more_{n} (i int)"))
        before = f"more_{n}"
    request = {"command": "upgrade", "arguments": [FIRST], "url": database}
    assert revisions.run(long.ini, request).error is None
    _run(database, "DROP TABLE alembic_version")
    ran: list[str] = []
    run = revisions.run

    def counted(ini: Path, request: dict[str, Any], **more: Any) -> Any:
        ran.append(request["command"])
        return run(ini, request, **more)

    monkeypatch.setattr(revisions, "run", counted)
    assert _state(database, long).headline == f"not stamped, and the schema equals {FIRST}"
    assert ran.count("upgrade") == 1


def test_the_state_and_the_models_are_known_by_one_replay(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = projects.small(tmp_path)
    request = {"command": "upgrade", "arguments": ["head"], "url": database}
    assert revisions.run(mine.ini, request).error is None
    ran: list[str] = []
    run = revisions.run

    def counted(ini: Path, request: dict[str, Any], **more: Any) -> Any:
        ran.append(request["command"])
        return run(ini, request, **more)

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(revisions, "run", counted)
    at = targets.parse("x", database, {})
    with at.connect() as connection:
        found = discovery.look(connection, at, folder=mine.ini.parent)
        assert found.state.headline == f"at {SECOND} (head)"
        assert (ran.count("upgrade"), ran.count("check")) == (1, 1)
        discovery.look(connection, at, folder=mine.ini.parent)
        assert (ran.count("upgrade"), ran.count("check")) == (1, 1), "and kept until a file changes"


def test_the_target_is_asked_while_the_models_are_compared(
    at_head: str, project: Project, new_database: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One after the other the models would wait in vain."""
    asked, advice = threading.Event(), advising.advice

    def told(connection: sa.Connection) -> Report:
        asked.set()
        return advice(connection)

    monkeypatch.setattr(advising, "advice", told)
    waited = lambda *_, **__: Report(headline=f"the target was asked: {asked.wait(30)}")  # noqa: E731
    monkeypatch.setattr(screen, "compared", waited)
    at = targets.parse("x", new_database(template=at_head), {})
    with at.connect() as connection:
        found = discovery.look(connection, at, folder=project.ini.parent)
    assert found.models.headline == "the target was asked: True"
    assert found.server.headline.startswith("PostgreSQL 18")
    assert found.state.headline == f"at {SECOND} (head)"


def test_the_schema_is_read_while_the_project_is(
    at_head: str, project: Project, new_database: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One after the other the project would wait in vain."""
    read, snapshot, in_folder, waited = threading.Event(), catalog.snapshot, discovery.project, list[bool]()

    def seen(connection: sa.Connection) -> catalog.Catalog:
        read.set()
        return snapshot(connection)

    def waiting(*given: Any, **more: Any) -> discovery.chain.Found:
        waited.append(read.wait(30))
        return in_folder(*given, **more)

    monkeypatch.setattr(catalog, "snapshot", seen)
    monkeypatch.setattr(screen, "in_folder", waiting)
    at = targets.parse("x", new_database(template=at_head), {})
    with at.connect() as connection:
        found = discovery.look(connection, at, folder=project.ini.parent, models=False)
    assert waited == [True]
    assert found.state.headline == f"at {SECOND} (head)"


def test_on_sqlite_the_same_states_are_told(project: Project, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/x.db"
    assert revisions.run(project.ini, {"command": "upgrade", "arguments": ["head"], "url": url}).error is None
    assert _state(url, project).headline == f"at {SECOND} (head)"
    _run(url, "ALTER TABLE customer ADD COLUMN stray text")
    assert _state(url, project).headline == f"at {SECOND} (head), drifted"


# --- the states that databases of the platform are found in

FOUND = {
    "empty": "empty: no table, no revision stamped",
    "at_001": "at 001, 1 revision behind",
    "unstamped_001": "not stamped, and the schema equals 001",
    "created_by_models": "not stamped, and made by create_all of models: all tables of 002, without its defaults",
    "drifted_002": "at 002 (head), drifted",
    "half_002_older": "at 001, part of the way to 002: 4 of 42 differences are done",
    "ahead": "ahead: stamped 003, which this project does not have",
}


@pytest.mark.parametrize("state", FOUND)
def test_each_starting_state_is_known(state: str, database: str) -> None:
    chain.execute(database, *chain.parts(state, "postgresql")[: 3 if state == "half_002_older" else None])
    found = _state(database, revisions.find(ROOT / "alembic.ini"))
    assert found.headline == FOUND[state]
    page = (ROOT / "docs" / "backend-discovery.md").read_text()
    assert f"`{found.headline}`" in page, "the page quotes what is said"
