"""Adopting a database: stamped is what was verified, and nothing else; a drifted 002 becomes the true one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import chain
import projects
import pytest
import sqlalchemy as sa

from afdb_helpers import backup, drift, migrate, rehearsal, revisions, targets, verification
from afdb_helpers.embedded_postgres import Server
from afdb_helpers.errors import ConfigError, Incomplete, Refused
from afdb_helpers.migrate import Migration
from afdb_helpers.revisions import Project
from afdb_helpers.targets import Target

pytestmark = pytest.mark.xdist_group("adoption")  # what they share is made once

FIRST, SECOND, THIRD = projects.FIRST, projects.SECOND, "3c0ffee0dada"
BACK = ("ALTER TABLE customer DROP note", "ALTER TABLE customer RENAME title TO name")


@pytest.fixture(scope="module", autouse=True)
def _one_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Three revisions, of which the last changes data only."""
    made = projects.small(tmp_path_factory.mktemp("adoption"))
    projects.add(made, THIRD, SECOND, projects.sql("UPDATE customer SET note = ''"))
    return made


@pytest.fixture(scope="module")
def at_second(project: Project, postgres: Server) -> Iterator[str]:
    request = {"command": "upgrade", "arguments": [SECOND], "url": postgres.create_database("adoption_second")}
    assert revisions.run(project.ini, request).error is None
    yield "adoption_second"
    postgres.drop_database("adoption_second")


@pytest.fixture
def target(at_second: str, new_database: Callable[..., str]) -> Target:
    """At the second revision, and stamped so."""
    return targets.parse("default", new_database(template=at_second), {})


def _run(target: Target, *statements: str) -> None:
    with sa.create_engine(target.secret_url(), poolclass=sa.NullPool).begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def _adopt(target: Target, project: Project, revision: str = "", **more: Any) -> Migration:
    with target.connect() as connection:
        plan = migrate.plan(connection, project, revision, "adopt")
    return migrate.carry_out(target, project, plan, **more)


def _stamped(target: Target) -> list[str]:
    return list(migrate.standing(target)["revisions"])


def _stamp_blindly(target: Target, project: Project, revision: str) -> None:
    request = {"command": "stamp", "arguments": [revision], "url": target.secret_url()}
    assert revisions.run(project.ini, request).error is None


@pytest.mark.parametrize("stamp", ["none", "of a revision that is ahead"])
def test_a_database_without_a_true_stamp_gets_the_one_that_its_schema_equals(
    stamp: str, target: Target, project: Project
) -> None:
    _run(target, *BACK, *(["DROP TABLE alembic_version"] if stamp == "none" else []))
    notes: list[tuple[str, dict[str, Any]]] = []
    before = migrate.standing(target)
    done = _adopt(target, project, note=lambda event, **facts: notes.append((event, facts)))
    assert _stamped(target) == [FIRST]
    assert done.headline.startswith(f"stamped, as verified, from {'nothing' if stamp == 'none' else SECOND} to {FIRST}")
    assert migrate.standing(target)["schema"] == before["schema"]
    events = [event for event, _ in notes]
    assert events[0] == "change.intent"
    assert (notes[0][1]["command"], notes[-1][1]["state"]) == ("adopt", "complete")
    assert not _adopt(target, project).changed, "a second time there is nothing to do"
    assert migrate.upgrade(target, project).after["revisions"] == [THIRD], "the chain goes on from there"


def test_trap_a_stamp_on_an_empty_database_is_refused(database: str, project: Project) -> None:
    """The trap: `alembic stamp head` on an empty database is accepted."""
    target = targets.parse("default", database, {})
    for revision in ("", "head"):
        with pytest.raises(Refused, match="so it is not stamped") as caught:
            _adopt(target, project, revision)
        assert "none of the tables" in caught.value.why
        assert caught.value.do.startswith("afdb upgrade")
    assert _stamped(target) == []
    _stamp_blindly(target, project, "head")
    assert _stamped(target) == [THIRD], "the control: Alembic believes whatever it is told"


def test_where_it_equals_none_the_differences_to_the_nearest_are_said(target: Target, project: Project) -> None:
    _run(target, "DROP TABLE alembic_version", "ALTER TABLE customer DROP note, ADD stray int")
    with pytest.raises(Refused, match="the database is at no revision") as caught:
        _adopt(target, project)
    assert "2 differences" in caught.value.why
    assert f"to {FIRST}" not in caught.value.why
    assert "customer.note (text in the chain, absent here)" in caught.value.why
    assert "customer.stray (absent in the chain, integer here)" in caught.value.why
    assert _stamped(target) == []


def test_half_of_a_later_revision_is_no_earlier_one(target: Target, tmp_path: Path) -> None:
    """A table that a later revision makes is not somebody else's."""
    longer = projects.small(tmp_path / "longer")
    tables = 'op.create_table("one", sa.Column("i", sa.Integer))\nop.create_table("two", sa.Column("i", sa.Integer))'
    projects.add(longer, THIRD, SECOND, tables)
    _run(target, "CREATE TABLE two (i int)", "CREATE TABLE theirs (i int)", "DELETE FROM alembic_version")
    with pytest.raises(Refused, match="at no revision") as caught:
        _adopt(target, longer)
    assert f"1 difference to {THIRD}" in caught.value.why
    assert "one (table in the chain, absent here)" in caught.value.why
    assert "theirs" not in caught.value.why
    _run(target, "DROP TABLE two")
    assert _adopt(target, longer).after["revisions"] == [SECOND], "the control: theirs alone is in nobody's way"


def test_revisions_that_only_change_data_cannot_be_told_apart_so_somebody_has_to_say(
    target: Target, project: Project
) -> None:
    _run(target, "DELETE FROM alembic_version")
    with pytest.raises(Refused, match=f"equals 2 revisions: {SECOND}, {THIRD}") as caught:
        _adopt(target, project)
    assert "changes data only" in caught.value.why
    with pytest.raises(Refused, match=f"not at {FIRST}, so it is not stamped {FIRST}"):
        _adopt(target, project, FIRST)
    assert _adopt(target, project, THIRD).after["revisions"] == [THIRD]


def test_a_stamp_that_nobody_knows_is_replaced_only_when_the_revision_is_named(
    target: Target, project: Project
) -> None:
    _run(target, *BACK, "UPDATE alembic_version SET version_num = 'later'")
    with pytest.raises(Refused, match="stamped later, a revision that this project does not have") as caught:
        _adopt(target, project)
    assert "may have changed its data" in caught.value.why
    assert _adopt(target, project, FIRST).after["revisions"] == [FIRST]


def test_a_schema_that_changes_after_it_was_verified_is_not_stamped(target: Target, project: Project) -> None:
    _run(target, *BACK, "DELETE FROM alembic_version")
    with target.connect() as connection:
        plan = migrate.plan(connection, project, "", "adopt")
    _run(target, "ALTER TABLE customer ADD stray int")
    with pytest.raises(Refused, match="not what the plan was made for"):
        migrate.carry_out(target, project, plan)
    assert _stamped(target) == []


def test_an_env_py_with_a_transaction_of_its_own_is_replayed_one_by_one(target: Target, tmp_path: Path) -> None:
    own = projects.small(tmp_path / "own")
    env = own.ini.parent / "migrations" / "env.py"
    env.write_text(env.read_text().replace("connectable.connect()", "connectable.begin()"))
    made = dict(drift.chain(own, own.graph()))
    assert list(made) == [FIRST, SECOND]
    assert "name" in made[FIRST].tables["customer"]["columns"]
    _run(target, *BACK)
    assert _adopt(target, own).after["revisions"] == [FIRST]


def test_a_protected_target_is_stamped_only_with_an_approval(target: Target, project: Project) -> None:
    _run(target, *BACK)
    protected = targets.parse("production", target.secret_url(), {})
    with protected.connect() as connection:
        plan = migrate.plan(connection, project, "", "adopt")
        opened = [migrate.sound(plan, protected, connection, project), migrate.rehearsed(plan, protected, None),
                  migrate.backed_up(plan, protected, None, max_age=24)]  # fmt: skip
    with pytest.raises(Refused, match="approval was not asked") as caught:
        migrate.carry_out(protected, project, plan, opened)
    assert f"afdb adopt --revision {FIRST} --target production --approve {plan.digest}" in caught.value.do
    given = migrate.Approval(plan.digest, "alice", "OPS-1", "taken over")
    opened.append(migrate.approval(plan, protected, given, actors=["bob"]))
    assert migrate.carry_out(protected, project, plan, opened).after["revisions"] == [FIRST]


def test_only_a_revision_that_knows_what_it_lacks_is_run_again(target: Target, project: Project) -> None:
    with target.connect() as connection:
        with pytest.raises(Refused, match=f"revision {SECOND} cannot be run again") as caught:
            migrate.plan(connection, project, "", "repair")
        assert "missing(connection)" in caught.value.why
        with pytest.raises(ConfigError, match=f"{THIRD} is not the one to repair"):
            migrate.plan(connection, project, THIRD, "repair")


# --- the platform's own 002


def test_a_drifted_002_is_rehearsed_repaired_and_no_value_is_lost(
    new_database: Callable[..., str], tmp_path: Path
) -> None:
    """The starting state `drifted_002`: stamped 002 by an older, faulty 002."""
    target, own = targets.parse("default", new_database(), {}), revisions.find(chain.ROOT / "alembic.ini")
    chain.execute(target.secret_url(), *chain.parts("drifted_002", "postgresql"))
    with target.connect() as connection, pytest.raises(Refused, match="at no revision") as caught:
        migrate.plan(connection, own, "", "adopt")
    assert "afdb adopt --repair" in caught.value.do
    assert "api_keys.permissions (json in the chain, absent here)" in caught.value.why
    backup.prove(backup.dump(target, store=tmp_path)).raise_unless_ok()
    tried = rehearsal.rehearse(backup.find(store=tmp_path), own, revision="002", direction="repair")
    with target.connect() as connection:
        rehearsed = rehearsal.plan(tried, connection, own)
    assert [step["id"] for step in rehearsed.content["revisions"]] == ["002"]
    assert rehearsed.rehearsed
    with target.connect() as connection:
        before = migrate.state(connection, rehearsed).as_dict()
    notes: list[tuple[str, dict[str, Any]]] = []
    done = migrate.carry_out(target, own, rehearsed, note=lambda event, **facts: notes.append((event, facts)))
    assert done.headline.startswith("repaired from 002 to 002")
    assert (notes[-1][1]["state"], notes[-1][1]["revisions"]) == ("complete", ["002"])
    with target.connect() as connection:
        assert not migrate.plan(connection, own, "", "adopt").content["revisions"], "the stamp is true now"
        verification.data(connection, json.loads(json.dumps(before)), own).raise_unless_ok()
        control = verification.data(connection, {**before, "repaired": ""}, own)
    assert not control.ok, "the control: which names were yet to come has to be known"


def test_a_revision_that_ran_again_and_leaves_a_difference_is_not_said_to_be_done(
    new_database: Callable[..., str],
) -> None:
    target, own = targets.parse("default", new_database(), {}), revisions.find(chain.ROOT / "alembic.ini")
    chain.execute(target.secret_url(), *chain.parts("drifted_002", "postgresql"),
                  "ALTER TABLE plans ALTER name TYPE text")  # fmt: skip
    with target.connect() as connection:
        plan = migrate.plan(connection, own, "", "repair")
    with pytest.raises(Incomplete, match="002 ran again on target default, and the schema is not its own") as caught:
        migrate.carry_out(target, own, plan)
    assert "plans.name type (character varying in the chain, text here)" in caught.value.why


# --- the replay goes nowhere but to the private server


def test_an_env_py_that_goes_elsewhere_is_refused_before_the_replay_does_anything(
    database: str, new_database: Callable[..., str], tmp_path: Path
) -> None:
    """Discovery only looks, whatever env.py does: a URL written into it must not be migrated."""
    wild, other = projects.empty(tmp_path / "wild"), new_database()
    projects.add(wild, FIRST, None, 'op.create_table("wild", sa.Column("i", sa.Integer))')
    env = wild.ini.parent / "migrations" / "env.py"
    hard = f"    import sqlalchemy\n    connectable = sqlalchemy.create_engine({other!r})\n    dict("
    env.write_text(env.read_text().replace("    connectable = engine_from_config(", hard))
    with pytest.raises(Refused, match="not to the private one"):
        drift.reference(wild, wild.graph(), FIRST)
    with pytest.raises(Refused, match="not to the private one"):
        drift.chain(wild, wild.graph())
    assert _stamped(targets.parse("x", other, {})) == []
    with pytest.MonkeyPatch.context() as patch:  # the control: without the look it is migrated
        patch.setattr("afdb_helpers.catalog.is_same", lambda *_: True)
        drift.reference(wild, wild.graph(), FIRST)
    assert _stamped(targets.parse("x", other, {})) == [FIRST]
