"""What belongs to a provider is not changed by a migration: refused by its statements, and found by what they did."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import projects
import pytest
import sqlalchemy as sa
from test_backup_reserved import PROJECT, ROLES

from afdb_helpers import lint, migrate, targets
from afdb_helpers.embedded_postgres import Server
from afdb_helpers.errors import Incomplete, Refused
from afdb_helpers.lint import Executed
from afdb_helpers.migrate import reserved
from afdb_helpers.revisions import Project
from afdb_helpers.targets import Target

HIDDEN = "DO $$ BEGIN EXECUTE format('ALTER TABLE %I.users ADD stray int', 'au' || 'th'); END $$"
CHANGES = {
    "auth.users columns stray": HIDDEN,
    "auth.users policies all": 'CREATE POLICY "all" ON auth.users USING (true)',
    "table auth.users": "ALTER TABLE auth.users ENABLE ROW LEVEL SECURITY",
    "function auth.uid()": "CREATE OR REPLACE FUNCTION auth.uid() RETURNS int LANGUAGE sql STABLE AS 'SELECT 2'",
    "schema auth": "GRANT USAGE ON SCHEMA auth TO anon",
    "role anon": "ALTER ROLE anon BYPASSRLS",
}


@pytest.fixture
def supabase(postgres: Server, database: str) -> Iterator[Target]:
    """A database as Supabase gives one, made small; its roles are gone afterwards."""
    target = targets.parse("default", database, {})
    _run(target, *(f"CREATE ROLE {role}" for role in ROLES), PROJECT)
    yield target
    _run(target, "REVOKE ALL ON SCHEMA auth FROM anon")
    _run(target, *(f"DROP ROLE {role}" for role in ROLES))


@pytest.fixture
def trespassing(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Project]:
    def make(statement: str) -> Project:
        project = projects.empty(tmp_path_factory.mktemp("project"))
        projects.add(project, "1a", None, f"op.execute('CREATE TABLE ours (i int)')\nop.execute({statement!r})")
        return project

    return make


def _run(target: Target, *statements: str) -> None:
    engine = sa.create_engine(target.secret_url(), poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


@pytest.mark.parametrize("statement", [sql for sql in CHANGES.values() if sql != HIDDEN])
def test_a37_a_statement_that_touches_what_is_the_providers_is_refused(statement: str) -> None:
    found = lint.check([Executed(sql=statement)], {})
    assert "reserved" in {one.rule for one in found.findings}
    with pytest.raises(Refused, match=r"\d blocking"):
        found.raise_unless_ok()
    ours = statement.replace("auth.", "ours.").replace("SCHEMA auth", "SCHEMA ours").replace("ROLE anon", "ROLE us")
    assert "reserved" not in {one.rule for one in lint.check([Executed(sql=ours)], {}).findings}, "the control"


def test_a37_what_a_migration_changed_of_the_providers_is_found_afterwards(
    supabase: Target, trespassing: Callable[[str], Project]
) -> None:
    notes: list[tuple[str, dict[str, Any]]] = []
    with pytest.raises(Incomplete, match="what belongs to the provider is another than before") as caught:
        migrate.upgrade(
            supabase, trespassing("; ".join(CHANGES.values())), note=lambda event, **facts: notes.append((event, facts))
        )
    assert "stands at 1a" in caught.value.what
    assert "and 1 more" in caught.value.what
    assert "drift-waivers.toml" in caught.value.do
    assert notes[-1] == ("reserved.changed", {"objects": sorted(CHANGES)})


def test_a37_what_lint_cannot_see_is_found_and_without_the_look_it_would_not_be(
    supabase: Target, trespassing: Callable[[str], Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: the name of the schema is put together by the server, and nothing but the look shows it."""
    assert "reserved" not in {one.rule for one in lint.check([Executed(sql=HIDDEN)], {}).findings}
    monkeypatch.setattr(reserved, "seen", lambda _connection: {})
    assert migrate.upgrade(supabase, trespassing(HIDDEN)).changed


def test_a37_what_is_ours_and_refers_to_the_providers_is_no_change_of_it(
    supabase: Target, trespassing: Callable[[str], Project]
) -> None:
    ours = "CREATE TABLE mine (id int REFERENCES auth.users); CREATE POLICY own ON notes USING (id = auth.uid())"
    assert migrate.upgrade(supabase, trespassing(ours)).changed


def test_a37_a_change_that_is_accepted_by_name_and_day_passes(
    supabase: Target, trespassing: Callable[[str], Project]
) -> None:
    project = trespassing(HIDDEN)
    waiver = '[[waiver]]\nobject = "auth.users columns stray"\nreason = "the provider says how"\nuntil = 9999-01-01\n'
    project.ini.with_name("drift-waivers.toml").write_text(waiver)
    assert migrate.upgrade(supabase, project).changed


def test_a37_a_schema_called_auth_is_the_users_own_where_the_providers_roles_are_not(
    database: str, trespassing: Callable[[str], Project]
) -> None:
    target = targets.parse("default", database, {})
    _run(target, PROJECT)
    assert migrate.upgrade(target, trespassing(HIDDEN)).changed
