"""Drift: what the chain makes is found by running it, and a stale answer is never given.

What differs, kind by kind: test_drift_kinds.py.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import projects
import pytest
import sqlalchemy as sa

from afdb_helpers import catalog, drift, embedded_postgres, revisions, targets
from afdb_helpers.catalog import Catalog
from afdb_helpers.drift import replaying
from afdb_helpers.embedded_postgres import Server, owner
from afdb_helpers.errors import ConfigError, Unavailable
from afdb_helpers.report import Report
from afdb_helpers.revisions import Graph, Project

pytestmark = pytest.mark.xdist_group("drift")  # what they share is made once


def _run(url: str, *statements: str) -> None:
    with sa.create_engine(url, poolclass=sa.NullPool).begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def _live(url: str) -> Catalog:
    with targets.parse("x", url, {}).connect() as connection:
        return catalog.snapshot(connection)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return projects.small(tmp_path_factory.mktemp("drift"))


@pytest.fixture(scope="module")
def graph(project: Project) -> Graph:
    return project.graph()


@pytest.fixture(scope="module")
def at_head(project: Project, postgres: Server) -> Iterator[str]:
    """The name of a database that the chain made, to copy."""
    made = revisions.run(
        project.ini, {"command": "upgrade", "arguments": ["head"], "url": postgres.create_database("drift")}
    )
    assert made.error is None
    yield "drift"
    postgres.drop_database("drift")


@pytest.fixture(scope="module")
def reference(at_head: str, postgres: Server) -> Catalog:
    return _live(postgres.url(at_head))


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


# --- what differs


def test_a_copy_is_equal(at_head: str, reference: Catalog, new_database: Callable[..., str]) -> None:
    report = drift.compare(_live(new_database(template=at_head)), reference)
    assert report.ok
    assert (report.headline, report.rows, report.remedy) == ("schema: equal to the chain's", (), "")


def test_neither_the_names_of_constraints_nor_the_order_of_columns_matter(
    at_head: str, reference: Catalog, new_database: Callable[..., str]
) -> None:
    url = new_database(template=at_head)
    _run(url, "ALTER TABLE invoice RENAME CONSTRAINT invoice_customer_id_fkey TO odd",
         "ALTER TABLE customer DROP note", "ALTER TABLE customer ADD sort int, ADD note text",
         "ALTER TABLE customer DROP sort")  # fmt: skip
    assert drift.compare(_live(url), reference).ok


# --- what the chain makes


def test_the_reference_is_what_the_chain_makes(project: Project, graph: Graph, reference: Catalog) -> None:
    made = drift.reference(project, graph, projects.SECOND)
    assert made.digest == reference.digest
    assert "title" in made.tables["customer"]["columns"]


# --- the cache: on SQLite, where a replay needs no server


@pytest.fixture
def replays(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The revisions that are replayed, in order."""
    seen: list[str] = []

    replay = replaying.replay

    def watched(project: Project, revision: str, make: replaying.Make) -> str:
        seen.append(revision)
        return replay(project, revision, make)

    monkeypatch.setattr(replaying, "replay", watched)
    return seen


def test_a_second_call_replays_nothing(project: Project, graph: Graph, replays: list[str]) -> None:
    first = drift.reference(project, graph, projects.FIRST, dialect="sqlite")
    assert drift.reference(project, graph, projects.FIRST, dialect="sqlite").digest == first.digest
    assert replays == [projects.FIRST]


LOGS = """
from sqlalchemy import event
@event.listens_for(pool.Pool, "connect")
def logs(raw, record):
    raw.execute("PRAGMA journal_mode=WAL")
    logs.me, logs.raw = logs, raw
from alembic import context
"""


def test_what_a_session_left_in_sqlites_log_is_part_of_the_reference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The child of a replay does not close what env.py leaves open."""
    ours, plain = projects.small(tmp_path / "ours"), projects.small(tmp_path / "plain")
    env = ours.ini.parent / "migrations" / "env.py"
    text = env.read_text().replace("poolclass=pool.NullPool", "poolclass=pool.QueuePool")
    env.write_text(text.replace("from alembic import context\n", "", 1).replace("\nconfig =", LOGS + "\nconfig =", 1))
    logged, schema = list[bool](), replaying._schema

    def seen(url: str) -> Catalog:
        logged.append(Path(f"{url.removeprefix('sqlite+pysqlite:///')}-wal").exists())
        return schema(url)

    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/none")  # their revisions are the same
    monkeypatch.setattr(replaying, "_schema", seen)
    made = [drift.reference(one, one.graph(), projects.SECOND, dialect="sqlite") for one in (plain, ours)]
    assert logged == [False, True]
    assert made[0].digest == made[1].digest


def test_a_changed_file_makes_a_new_reference_and_a_later_one_does_not(tmp_path: Path, replays: list[str]) -> None:
    ours = projects.small(tmp_path / "ours")
    before = drift.reference(ours, ours.graph(), projects.SECOND, dialect="sqlite")
    projects.add(ours, "3c", projects.SECOND, "pass")
    assert drift.reference(ours, ours.graph(), projects.SECOND, dialect="sqlite").digest == before.digest
    assert replays == [projects.SECOND]
    path = ours.ini.parent / "migrations" / "versions" / f"{projects.SECOND}_step.py"
    path.write_text(path.read_text().replace('"note"', '"remark"'))
    after = drift.reference(ours, ours.graph(), projects.SECOND, dialect="sqlite")
    assert replays == [projects.SECOND] * 2
    assert "note" in before.tables["customer"]["columns"]
    assert "remark" in after.tables["customer"]["columns"]


def test_a_broken_cache_is_no_answer(project: Project, graph: Graph, replays: list[str]) -> None:
    good = drift.reference(project, graph, projects.FIRST, dialect="sqlite")
    (cached,) = replaying._cache().iterdir()
    for broken in ("", "[]", '{"dialect": "sqlite"}', json.dumps({"shape": catalog.SHAPE, "dialect": "sqlite"})):
        cached.write_text(broken)
        assert drift.reference(project, graph, projects.FIRST, dialect="sqlite").digest == good.digest
        assert json.loads(cached.read_text())["tables"], "it is mended"
    assert len(replays) == 5


def test_what_reads_the_schema_is_part_of_the_key(
    project: Project, graph: Graph, replays: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    drift.reference(project, graph, projects.FIRST, dialect="sqlite")
    monkeypatch.setattr(catalog, "SHAPE", catalog.SHAPE + 1)
    drift.reference(project, graph, projects.FIRST, dialect="sqlite")
    monkeypatch.setattr(replaying, "version", lambda name: "99")
    drift.reference(project, graph, projects.FIRST, dialect="sqlite")
    assert len(replays) == 3


def test_without_a_place_for_a_cache_it_takes_longer_and_is_right(
    project: Project, graph: Graph, replays: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/none")
    for _ in range(2):
        assert drift.reference(project, graph, projects.FIRST, dialect="sqlite").tables
    assert len(replays) == 2


def test_a_chain_that_does_not_run_from_empty_is_no_reference(tmp_path: Path) -> None:
    broken = projects.empty(tmp_path / "broken")
    projects.add(broken, "1a", None, projects.sql("ALTER TABLE nowhere ADD x int"))
    with pytest.raises(Unavailable) as caught:
        drift.reference(broken, broken.graph(), "1a", dialect="sqlite")
    assert "cannot be replayed up to 1a" in caught.value.what
    assert "no such table: nowhere" in caught.value.why
    assert list(replaying._cache().iterdir()) == []


def test_an_unknown_revision_starts_no_server(graph: Graph, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replaying, "_private", None)
    with pytest.raises(ConfigError, match="unknown"):
        drift.reference(project, graph, "nope")


def test_what_is_shown_reads_as_a_report(reference: Catalog) -> None:
    report = drift.compare(replace(reference, tables={}), reference)
    assert isinstance(report, Report)
    assert report.headline == "schema: 2 differences"


def test_a_chain_that_grants_to_roles_of_its_own_is_replayed_with_them(tmp_path: Path) -> None:
    """Roles are the server's and no revision's; without this, no such chain had a reference."""
    ours = projects.empty(tmp_path / "ours")
    grants = 'CREATE TABLE t (i int); GRANT SELECT ON t TO drift_one; GRANT INSERT ON t TO "Drift two"'
    projects.add(ours, "1a", None, projects.sql(grants))
    made = drift.reference(ours, ours.graph(), "1a")
    assert made.tables["t"]["grants"] == {"drift_one": "SELECT", "Drift two": "INSERT"}


def test_the_reference_is_made_by_a_server_of_the_live_ones_version(
    project: Project, graph: Graph, postgres15: Server
) -> None:
    assert drift.reference(project, graph, projects.FIRST, major=15).major == 15
    assert replaying._version(17) == 18
    assert replaying._version(99) == replaying._version() == 18


# --- the private server of a replay: locks for many tables, in memory as long as that has room


def _one_step(folder: Path, statement: str) -> Project:
    project = projects.empty(folder)
    projects.add(project, "1a", None, projects.sql(statement))
    return project


def test_a_revision_may_take_more_locks_than_a_server_usually_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = "CREATE TABLE t AS SELECT count(pg_advisory_xact_lock(i)) AS taken FROM generate_series(1, 50000) i"
    project = _one_step(tmp_path, many)
    monkeypatch.setattr(embedded_postgres, "SCHEMAS", {})
    with pytest.raises(Unavailable) as caught:
        drift.reference(project, project.graph(), "1a")
    assert "out of shared memory" in caught.value.why, "the control: a server as it comes"
    monkeypatch.undo()
    assert list(drift.reference(project, project.graph(), "1a").tables) == ["t"]


def test_what_memory_has_no_room_for_is_replayed_on_the_disk(
    tmp_path: Path, on_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if owner.memory() is None:
        pytest.skip(f"{owner.MEMORY} has no {owner.ROOM >> 30} GiB to spare here")
    full = """DO $$ BEGIN IF starts_with(current_setting('data_directory'), '/dev/shm/') THEN
        RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END IF; END $$;
        CREATE TABLE t (i int)"""
    project = _one_step(tmp_path / "memory", full)
    assert list(drift.reference(project, project.graph(), "1a").tables) == ["t"]
    with monkeypatch.context() as control:
        control.setattr(replaying, "DISK_FULL", "none")
        project = _one_step(tmp_path / "control", full + " ")
        with pytest.raises(Unavailable, match="cannot be replayed"):
            drift.reference(project, project.graph(), "1a")
    project = _one_step(tmp_path / "disk", full.replace("/dev/shm/", "/"))
    with pytest.raises(Unavailable) as caught:
        drift.reference(project, project.graph(), "1a")
    assert "could not extend file" in caught.value.why, "and where the disk is full as well, that is said"


def test_a_replay_hears_of_sessions_and_commits_and_of_no_statement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[revisions.Event] = []
    run = revisions.run

    def kept(ini: Path, request: dict[str, Any], **more: Any) -> revisions.Outcome:
        outcome = run(ini, request, **more)
        heard.extend(outcome.events)
        return outcome

    monkeypatch.setattr(revisions, "run", kept)
    project = _one_step(tmp_path, "CREATE TABLE t (i int)")
    assert drift.reference(project, project.graph(), "1a").tables
    assert {"connected", "commit"} <= {event["event"] for event in heard}
    assert not {"statement", "done"} & {event["event"] for event in heard}
