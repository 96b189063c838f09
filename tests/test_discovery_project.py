"""The project without a database, and the configuration: what their files say, without a secret."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import projects
import pytest

from afdb_helpers import discovery
from afdb_helpers.discovery import chain, frameworks, reading
from afdb_helpers.report import Report
from afdb_helpers.revisions import Project

pytestmark = pytest.mark.xdist_group("discovery")

FIRST, SECOND = projects.FIRST, projects.SECOND


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return projects.small(tmp_path / "small")


def _of(project: Project, **options: Any) -> Any:
    return discovery.project(project.ini.parent, **options)


def test_the_project_is_listed_oldest_first_with_the_hashes_of_its_files(project: Project) -> None:
    found = _of(project)
    assert found.ok
    assert found.headline == f"2 revisions, head {SECOND}"
    assert [(row["revision"], row["after"]) for row in found.rows] == [(FIRST, ""), (SECOND, FIRST)]
    assert all(len(row["sha256"]) == 12 for row in found.rows)
    assert [row["locks"] for row in found.rows] == ["", "ACCESS EXCLUSIVE on customer"]


def test_several_heads_are_pointed_out_and_where_the_chain_branches(tmp_path: Path) -> None:
    forked = projects.empty(tmp_path / "forked")
    for id_, down in (("1a", None), ("2b", "1a"), ("2c", "1a")):
        projects.add(forked, id_, down, "pass")
    found = _of(forked)
    assert not found.ok
    assert found.remedy == "alembic merge -m merge heads"
    assert found.rows[0]["branches"] in ("2b, 2c", "2c, 2b")


@pytest.mark.parametrize(("up", "down", "facts"), [
    ("op.get_bind().execute(sa.text('UPDATE t SET a = 1'))", "pass",
     {"reads data": True, "undone by": "nothing: its downgrade is empty"}),
    ("rows = op.get_bind().exec_driver_sql('SELECT 1').fetchall()", "raise NotImplementedError",
     {"reads data": True, "undone by": "nothing: its downgrade refuses"}),
    ("op.create_index('i', 't', ['a'])", "op.drop_index('i', 't')",
     {"reads data": False, "undone by": "its downgrade", "locks": "SHARE on t"}),
    ("op.create_index('i', 't', ['a'], postgresql_concurrently=True)", "pass", {"locks": ""}),
    ("op.create_table('t', sa.Column('a', sa.Integer))\nop.create_index('i', 't', ['a'])", "pass", {"locks": ""}),
    ("op.execute('ALTER TABLE t ALTER a TYPE bigint')", "pass", {"locks": "ACCESS EXCLUSIVE on t"}),
    ("op.create_foreign_key('f', 't', 'u', ['a'], ['b'])", "pass", {"locks": "SHARE ROW EXCLUSIVE on t"}),
])  # fmt: skip
def test_what_a_revision_does_is_read_off_its_text(up: str, down: str, facts: dict[str, Any], tmp_path: Path) -> None:
    one = projects.empty(tmp_path / "one")
    projects.add(one, "1a", None, up, down)
    row = reading.revision(one.ini.parent / "migrations" / "versions" / "1a_step.py")
    assert facts.items() <= row.items(), row


def test_a_revision_that_was_edited_since_it_was_applied_is_pointed_out(project: Project) -> None:
    applied = discovery.applied(project.graph(), (SECOND,))
    assert set(applied) == {FIRST, SECOND}
    assert _of(project, before=applied).ok
    file = project.graph().get(FIRST).path
    file.write_text(file.read_text() + "\n# a comment\n")
    found = _of(project, before=applied)
    assert not found.ok
    assert found.headline.endswith(f"edited since applied: {FIRST}")
    assert f"restore the files of {FIRST}" in found.remedy


def test_what_is_not_applied_may_be_edited(project: Project) -> None:
    assert set(discovery.applied(project.graph(), (FIRST,))) == {FIRST}
    assert discovery.applied(project.graph(), ()) == {}


@pytest.mark.parametrize(("file", "framework"), [
    ("manage.py", "Django"), ("db/migration/V1__first.sql", "Flyway"), ("liquibase.properties", "Liquibase"),
    ("db/migrations/1_first.sql", "dbmate"), ("prisma/schema.prisma", "Prisma"), ("db/migrate/1_first.rb", "Rails"),
    ("supabase/migrations/1_first.sql", "Supabase CLI"), ("migrations/1_first.up.sql", "golang-migrate"),
    ("sqitch.plan", "Sqitch"), ("knexfile.js", "Knex"), ("sub/drizzle.config.ts", "Drizzle"),
])  # fmt: skip
def test_other_frameworks_are_recognised_and_named_where_there_is_no_alembic(
    file: str, framework: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).touch()
    monkeypatch.chdir(tmp_path)
    found = discovery.project()
    assert not found.ok
    assert f"migrated by {framework}" in found.headline
    assert found.rows[0]["by"] == file
    assert found.project is None


def test_a_folder_that_is_no_project_is_said_to_be_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = discovery.project()
    assert found.headline == "no Alembic project here; no migration framework is recognised"
    assert "--alembic-ini" in found.remedy


def test_two_inis_are_named_and_which_one_is_looked_at(project: Project) -> None:
    second = project.ini.parent / "other"
    second.mkdir()
    (second / "alembic.ini").write_text("[alembic]\nscript_location = x\n")
    said = _of(project).parts[0].headline
    assert "2 alembic.ini" in said
    assert "of small is looked at" in said


def test_create_all_is_pointed_at_by_file_and_line_and_nothing_else_is(project: Project) -> None:
    app = project.ini.parent / "app.py"
    app.write_text(
        "import db\n\n\ndef start(engine):\n    db.Base.metadata.create_all(engine)\n    jobs.create_all()\n"
    )
    (found,) = (part for part in _of(project).parts if "create_all" in part.headline)
    assert [row["file"] for row in found.rows] == ["app.py:5"]
    app.unlink()
    assert any(part.headline.startswith("no create_all") for part in _of(project).parts)


def test_where_the_url_comes_from_is_said_and_a_password_in_a_file_is_not_repeated(project: Project) -> None:
    project.ini.write_text(project.ini.read_text().replace("driver://user:pass@", "postgresql://me:canary@"))
    (found,) = (part for part in _of(project).parts if part.headline.startswith("its database's URL"))
    assert not found.ok
    assert "a URL with a password in it (alembic.ini, sqlalchemy.url)" in found.headline
    assert "canary" not in repr(found)
    assert "change it" in found.remedy


# --- models against chain

MODELS = """
import sqlalchemy as sa
metadata = sa.MetaData()
sa.Table("customer", metadata, sa.Column("id", sa.Integer, primary_key=True),
         sa.Column("title", sa.String(40), nullable=False), sa.Column("balance", sa.Numeric(12, 4), server_default="0"),
         sa.Column("note", sa.Text), sa.Index("customer_name", "title"){more})
sa.Table("invoice", metadata, sa.Column("id", sa.Integer, primary_key=True),
         sa.Column("customer_id", sa.Integer, sa.ForeignKey("customer.id"), nullable=False))
"""


def test_models_are_compared_with_the_chain_on_a_private_server(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    env = project.ini.parent / "migrations" / "env.py"
    env.write_text(
        "import sys; sys.path.insert(0, str(__import__('pathlib').Path(__file__).parents[1]))\nimport shop_models\n"
        + env.read_text().replace("target_metadata = None", "target_metadata = shop_models.metadata")
    )
    models = project.ini.parent / "shop_models.py"
    models.write_text(MODELS.format(more=""))
    assert discovery.models(project).headline == "models: what the chain makes is what the models declare"
    models.write_text(MODELS.format(more=', sa.Column("colour", sa.Text)'))
    found = discovery.models(project)
    assert not found.ok
    assert "colour" in repr(found)
    monkeypatch.setattr(chain, "_compare", None)
    assert discovery.models(project).headline == found.headline, "kept as long as no file changes"
    models.write_text("raise ImportError('no such colour')")
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    broken = discovery.models(project)
    assert not broken.ok
    assert "ImportError: no such colour" in broken.headline
    assert broken.remedy.startswith("mend env.py")


# --- the configuration


def _configuration(folder: Path, **environ: str) -> Report:
    return discovery.configuration(folder, environ)


def _wrong(found: Report) -> list[str]:
    return [row["what"] for part in found.parts for row in part.rows]


FILE = "sqlite:///x.db"
POOLED = "postgresql://postgres.abcdef:x@aws-0-eu.pooler.supabase.com:5432/postgres?sslmode=verify-full"
URL = "postgresql://u:canary@db.abcdef.supabase.co:5432/postgres?sslmode=verify-full"


def test_every_setting_of_the_example_is_there_with_where_its_value_comes_from(tmp_path: Path) -> None:
    (tmp_path / ".env.example").write_text(
        "# A database.\n#DATABASE_URL=sqlite:///x.db\n#AFDB_RECORDS=records\n#SUPABASE_ANON_KEY=\n"
    )
    (tmp_path / ".env").write_text("AFDB_RECORDS=there\nSUPABASE_ANON_KEY=canary\n")
    found = _configuration(tmp_path, DATABASE_URL=URL)
    assert found.ok, found
    assert [tuple(row.values()) for row in found.rows] == [
        ("DATABASE_URL", "u@db.abcdef.supabase.co:5432/postgres", "the environment"),
        ("AFDB_RECORDS", "there", str(tmp_path / ".env")),
        ("SUPABASE_ANON_KEY", "set", str(tmp_path / ".env")),
    ]
    assert "canary" not in repr(found) + found._repr_html_() + json.dumps(found.as_dict())


def test_no_database_at_all_is_missing(tmp_path: Path) -> None:
    assert _wrong(_configuration(tmp_path)) == ["no database is named"]


def _key(role: str, ref: str) -> str:
    claims = base64.urlsafe_b64encode(json.dumps({"role": role, "ref": ref}).encode()).decode().rstrip("=")
    return f"e30.{claims}.canary"


@pytest.mark.parametrize(("environ", "said"), [
    ({"DATABASE_URL": URL.replace("5432", "6543")}, "DATABASE_URL: target default leads to a transaction pooler"),
    ({"DATABASE_URL": URL, "SUPABASE_URL": "https://other.supabase.co"},
     "SUPABASE_URL is of project other, and"),
    ({"DATABASE_URL": POOLED,
      "SUPABASE_URL": "https://other.supabase.co"}, "SUPABASE_URL is of project other, and"),
    ({"DATABASE_URL": URL, "PRODUCTION_DATABASE_URL": URL}, "targets default and production are the same database"),
    ({"DATABASE_URL": FILE, "POSTGRES_HOST": "h"}, "POSTGRES_* to postgres@h:5432/postgres; DATABASE_URL"),
    ({"DATABASE_URL": FILE, "AFDB_PROTECTED": "default", "AFDB_UNPROTECTED": "default"}, "both list default"),
    ({"DATABASE_URL": FILE, "AFDB_PROTECTED": "prodction"}, "lists prodction, and no target is called so"),
    ({"DATABASE_URL": FILE, "SUPABASE_ANON_KEY": _key("service_role", "a")}, "is a key of role service_role"),
    ({"DATABASE_URL": FILE, "SUPABASE_URL": "https://b.supabase.co", "SUPABASE_ANON_KEY": _key("anon", "a")},
     "SUPABASE_ANON_KEY is of project a, and SUPABASE_URL of project b"),
    ({"DATABASE_URL": "mysql://u:canary@h/d"}, "DATABASE_URL cannot be used"),
    ({"DATABASE_URL": "postgresql://u:canary@db.example.org/d"}, "target default would not be verified"),
])  # fmt: skip
def test_what_contradicts_is_said_without_a_secret(environ: dict[str, str], said: str, tmp_path: Path) -> None:
    found = _configuration(tmp_path, **environ)
    assert not found.ok
    assert any(said in one for one in _wrong(found)), _wrong(found)
    assert found.remedy
    assert "canary" not in repr(found) + json.dumps(found.as_dict())


def test_the_control_what_fits_together_is_well(tmp_path: Path) -> None:
    fits = {"DATABASE_URL": URL, "SUPABASE_URL": "https://abcdef.supabase.co", "AFDB_PROTECTED": "default"}
    fits |= {"SUPABASE_ANON_KEY": _key("anon", "abcdef"), "SUPABASE_SERVICE_ROLE_KEY": _key("service_role", "abcdef")}
    assert _wrong(_configuration(tmp_path, **fits)) == []


def test_a_misspelt_setting_and_one_that_is_overridden_are_seen(tmp_path: Path) -> None:
    (tmp_path / ".env.example").write_text("#DATABASE_URL=\n#AFDB_RECORDS=records\n")
    (tmp_path / ".env").write_text("AFDB_RECORD=x\nDATABASE_URL=sqlite:///a.db\n")
    said = _wrong(_configuration(tmp_path, DATABASE_URL="sqlite:///b.db"))
    assert "AFDB_RECORD is no setting; the nearest is AFDB_RECORDS" in said
    assert "DATABASE_URL is set in .env and, to something else, in the environment, which counts" in said


def test_files_of_what_is_installed_are_passed_over(tmp_path: Path) -> None:
    for name in ("node_modules/x/manage.py", ".venv/lib/alembic.ini", "src/app.py"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    assert frameworks.files(tmp_path) == ("src/app.py",)
