"""Advice: each question fires in one database and not in another; its remedy is run here, and nowhere else."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import yaml

from afdb_helpers import discovery, embedded_postgres, lint, targets
from afdb_helpers.discovery import advising
from afdb_helpers.embedded_postgres import Server
from afdb_helpers.errors import Refused, Unavailable

pytestmark = pytest.mark.xdist_group("advice")  # a server with Supabase's roles is made once

STORIES = Path(__file__).parent / "scenarios" / "advice"
QUESTIONS = {one.name: one for one in advising.questions()}
ROLES = "CREATE ROLE anon; CREATE ROLE authenticated; CREATE ROLE service_role; CREATE ROLE authenticator LOGIN"
SERVED = "ALTER ROLE authenticator IN DATABASE {} SET pgrst.db_schemas = 'public, {}'"
_numbers = itertools.count()


@pytest.fixture(scope="module")
def supabase() -> Iterator[Server]:
    """A server with the roles that Supabase's API acts as."""
    with embedded_postgres.start() as server:
        server.create_database("roles")
        _run(server.url("roles"), ROLES)
        yield server


def _run(url: str, sql: str) -> None:
    """A script, each statement on its own, as psql would."""
    with sa.create_engine(url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT").connect() as connection:
        for statement in lint.split(sql):
            connection.execution_options(no_parameters=True).exec_driver_sql(statement)


def _made(server: Server, story: Path, name: str, facts: dict[str, Any]) -> str:
    database = f"advice_{next(_numbers)}"
    url = server.create_database(database)
    if served := facts.get("api"):  # the schema beside public
        _run(url, SERVED.format(database, "api" if served is True else served))
    _run(url, (story / name).read_text())
    return url


def _asked(url: str, name: str) -> list[dict[str, Any]]:
    with targets.parse("x", url, {}).connect() as connection:
        return list(advising.ask(connection, QUESTIONS[name], advising.api(connection, {})))


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_fires_where_it_should_its_remedy_helps_and_elsewhere_it_is_silent(
    name: str, supabase: Server
) -> None:
    """A36: what is exposed is found; the database beside it, where all is well, is the control."""
    story = STORIES / name
    facts = yaml.safe_load((story / "expect.yaml").read_text())
    url = _made(supabase, story, "fires.sql", facts)
    found = _asked(url, name)
    assert sorted(row["object"] for row in found) == sorted(one["object"] for one in facts["finds"])
    for wanted in facts["finds"]:
        (row,) = (row for row in found if row["object"] == wanted["object"])
        assert wanted.items() <= row.items(), row
    assert _asked(_made(supabase, story, "quiet.sql", facts), name) == []
    helped = facts.get("remedied", True)
    remedied = [row for row in found if helped is True or (helped and row["object"] in helped)]
    for row in remedied:
        _run(url, row["remedy"])
    left = {row["object"] for row in _asked(url, name)}
    assert left & {row["object"] for row in remedied} == set()


def test_there_is_a_story_for_each_question_and_a_question_for_each_story() -> None:
    assert len(QUESTIONS) >= 33
    assert {path.name for path in STORIES.iterdir()} == set(QUESTIONS)


def test_every_question_says_why_and_what_helps() -> None:
    for one in QUESTIONS.values():
        assert one.severity in advising.SEVERITIES
        assert one.asks in ("", "exposed", "api roles")
        assert (":exposed" in one.sql) == (one.asks != "") or one.asks == "api roles"
        assert len(one.why) > 40
        assert one.remedy.endswith(".")


# --- whether a question can fire


def _advice(url: str, **environ: str) -> advising.Advice:
    with targets.parse("x", url, {}).connect() as connection:
        return discovery.advice(connection, environ=environ)


def _asks_for_exposed() -> set[str]:
    return {one.name for one in QUESTIONS.values() if one.asks}


def test_a36_schemas_that_nothing_names_are_an_error_and_not_a_pass(supabase: Server) -> None:
    """The control is the same database with the schemas named: there the exposed table is found."""
    url = supabase.create_database("unset")
    _run(url, "CREATE TABLE note (id int PRIMARY KEY); GRANT ALL ON note TO anon")
    found = _advice(url)
    assert set(found.unasked) == _asks_for_exposed()
    assert not found.ok
    assert f"{len(found.unasked)} more questions could not be asked" in found.headline
    with pytest.raises(Unavailable, match="could not be asked") as caught:
        found.raise_unless_ok()
    assert "neither pgrst.db_schemas nor the settings say what is served" in caught.value.why
    assert "AFDB_EXPOSED_SCHEMAS=public" in caught.value.do
    named = _advice(url, AFDB_EXPOSED_SCHEMAS="public")
    assert named.unasked == ()
    assert "exposed_without_rls" in {row["advice"] for row in named.rows}
    with pytest.raises(Refused, match="high"):
        named.raise_unless_ok()


def test_a36_a_schema_that_is_not_there_is_an_error(supabase: Server) -> None:
    found = _advice(supabase.create_database("absent"), AFDB_EXPOSED_SCHEMAS="public, publik")
    assert set(found.unasked) == _asks_for_exposed()
    assert "schema publik is said to be served, and is not in this database" in str(found)


def test_a36_roles_that_are_missing_where_an_api_is_said_to_serve_are_an_error(database: str) -> None:
    found = _advice(database, AFDB_EXPOSED_SCHEMAS="public")
    assert set(found.unasked) == _asks_for_exposed()
    assert "the roles anon and authenticated are not both there" in str(found)


def test_where_no_api_serves_the_rest_is_asked_and_that_is_said(database: str) -> None:
    _run(database, "CREATE TABLE event (what text)")
    found = _advice(database)
    assert found.ok
    assert found.unasked == ()
    assert found.headline == f"advice: 1 low, from {len(QUESTIONS) - len(_asks_for_exposed())} questions"
    assert {row["advice"] for row in found.parts[0].rows} == _asks_for_exposed()
    assert all(row["asked"] == "need not be" for row in found.parts[0].rows)


def test_schemas_are_read_from_postgrests_own_settings_those_of_this_database_first(supabase: Server) -> None:
    url = supabase.create_database("settings")
    _run(url, "CREATE SCHEMA api; CREATE SCHEMA other")
    try:
        _run(url, "ALTER ROLE authenticator SET pgrst.db_schemas = 'public,other'")
        assert _served(url) == ("public", "other")
        _run(url, "ALTER ROLE authenticator IN DATABASE settings SET pgrst.db_schemas = 'api'")
        assert _served(url) == ("api",)
        assert _served(url, AFDB_EXPOSED_SCHEMAS="public") == ("public",)
    finally:
        _run(url, "ALTER ROLE authenticator RESET pgrst.db_schemas")


def _served(url: str, **environ: str) -> tuple[str, ...]:
    with targets.parse("x", url, {}).connect() as connection:
        served = advising.api(connection, environ)
    assert served.wrong == ""
    return served.schemas


def test_a_question_that_the_server_refuses_is_named_and_the_rest_is_answered(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = replace(QUESTIONS["no_primary_key"], name="broken", sql="SELECT pg_read_file('/etc/x') AS object")
    monkeypatch.setattr(advising, "questions", lambda: (broken, QUESTIONS["no_primary_key"]))
    _run(database, "CREATE TABLE event (what text)")
    found = _advice(database)
    assert found.unasked == ("broken",)
    assert [row["object"] for row in found.rows] == ["event"]
    with pytest.raises(Unavailable) as caught:
        found.raise_unless_ok()
    assert "/etc/x" in caught.value.why
    assert caught.value.do == "grant the role what it lacks, then run again"


@pytest.mark.parametrize(("size", "severity"), [
    (None, "medium"), (1e6, "low"), (10e6, "medium"), (999e6, "medium"), (1e9, "high"),
])  # fmt: skip
def test_what_it_costs_grows_with_the_table(size: int | None, severity: str) -> None:
    assert advising._weighed(QUESTIONS["foreign_key_without_index"], size) == severity


def test_a_hole_in_security_weighs_the_same_on_a_small_table() -> None:
    assert advising._weighed(QUESTIONS["exposed_without_rls"], 1) == "high"


def test_a_file_has_no_server_to_advise_on(tmp_path: Path) -> None:
    _run(f"sqlite:///{tmp_path}/x.db", "CREATE TABLE t (i)")
    assert _advice(f"sqlite:///{tmp_path}/x.db").ok
