"""A rehearsal shows what the migration does, before it is done, and touches nothing but a private copy."""

from __future__ import annotations

import contextlib
import sqlite3
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from sqlalchemy import make_url

from afdb_helpers import backup, catalog, lint, rehearsal, revisions, targets
from afdb_helpers.backup import Backup
from afdb_helpers.embedded_postgres import Server
from afdb_helpers.errors import ConfigError, Refused
from afdb_helpers.rehearsal import Hold, Rehearsal, prediction, result, timeline, watch
from afdb_helpers.rehearsal.meter import Meter
from afdb_helpers.report import Picture, Report
from afdb_helpers.revisions import Project
from afdb_helpers.targets import Target

ENV = """
from alembic import context
from sqlalchemy import create_engine

engine = create_engine(context.config.get_main_option("sqlalchemy.url"))
with engine.connect() as connection:
    context.configure(connection=connection, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()
"""
REVISION = """
import sqlalchemy as sa
from alembic import op

revision, down_revision = "two", "one"
{mapping}

def upgrade():
{body}

def downgrade():
{down}
"""
RENAME = 'mapping = {"users": {"renamed": {"name": "full_name"}}}'

Chain = Callable[..., Project]


@pytest.fixture
def chain(tmp_path: Path) -> Chain:
    """Writes a project of two revisions; the second one's body is given."""

    def write(body: str, mapping: str = "", env: str = ENV, down: str = "pass") -> Project:
        versions = tmp_path / "project" / "versions"
        versions.mkdir(parents=True)
        (versions.parent / "env.py").write_text(env)
        ini = tmp_path / "alembic.ini"
        ini.write_text(f"[alembic]\nscript_location = {versions.parent}\n")
        (versions / "one.py").write_text('revision, down_revision = "one", None\n')
        lines, back = (textwrap.indent(code.strip(), "    ") for code in (body, down))
        (versions / "two.py").write_text(REVISION.format(mapping=mapping, body=lines, down=back))
        return Project(ini)

    return write


@contextlib.contextmanager
def session(url: str) -> Iterator[Any]:
    parts = make_url(url)
    host = str(parts.query["host"])
    with contextlib.closing(psycopg2.connect(host=host, user=parts.username, dbname=parts.database)) as connection:
        connection.autocommit = True
        yield connection.cursor()


@pytest.fixture(scope="module")
def target(postgres: Server) -> Iterator[Target]:
    url = postgres.create_database("rehearsed")
    with session(url) as cursor:
        cursor.execute(
            "CREATE TABLE users (id int PRIMARY KEY, name text, price numeric(12, 4));"
            "INSERT INTO users SELECT i, 'n' || i, 1.2345 FROM generate_series(1, 1000) i;"
            "CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY);"
            "INSERT INTO alembic_version VALUES ('one');"
            "CREATE FUNCTION grow() RETURNS int LANGUAGE sql AS 'DELETE FROM users WHERE id = 1 RETURNING id'"
        )
    yield targets.parse("default", url, {})
    postgres.drop_database("rehearsed")


def proven(target: Target, folder: Path) -> Backup:
    made = backup.dump(target, store=folder / "store")
    assert backup.prove(made).ok
    return backup.find("latest", store=folder / "store")


@pytest.fixture(scope="module")
def found(target: Target, tmp_path_factory: pytest.TempPathFactory) -> Backup:
    """A proven backup of the target; a rehearsal changes neither."""
    return proven(target, tmp_path_factory.mktemp("found"))


def stands(target: Target) -> tuple[Any, ...]:
    with target.connect() as connection:
        return catalog.heads(connection), catalog.snapshot(connection).digest


def test_a_rehearsal_shows_statements_locks_and_that_every_value_is_kept(
    target: Target, found: Backup, chain: Chain
) -> None:
    project = chain(
        """
op.alter_column("users", "name", new_column_name="full_name")
assert op.get_bind().execute(sa.text("SELECT count(*) FROM users")).scalar() == 1000
op.create_table("orders", sa.Column("id", sa.Integer, primary_key=True))
op.execute("UPDATE users SET price = price WHERE id <= 10")
op.execute("SELECT pg_sleep(0.2)")
""",
        RENAME,
    )
    before, sealed = stands(target), found.seal
    result = rehearsal.rehearse(found, project)
    assert result.ok, result
    assert (result.before, result.after) == (("one",), ("two",))
    assert "every value preserved (1,000 rows" in result.headline
    assert any("RENAME name TO full_name" in sql for sql in result.sql)
    assert not [sql for sql in result.sql if sql.startswith("SELECT")]
    assert [s for s in result.statements if s["sql"].startswith("SELECT count") and not s["changes"]]
    update = next(row for row in result.rows if row["statement"].startswith("UPDATE users"))
    assert update["rows"] == 10
    renamed = next(row for row in result.locks.rows if row["relation"] == "users")
    assert (renamed["lock"], renamed["blocks"]) == ("AccessExclusiveLock", "reads and writes")
    assert 0.2 <= renamed["seconds"] <= result.seconds
    assert "orders" not in {row["relation"] for row in result.locks.rows}
    assert "users" in result.locks.headline
    assert "way back: the project has none" in result.headline
    assert stands(target) == before
    assert backup.find(found.id, store=found.path.parent).seal == sealed
    plain = result.as_dict()
    assert plain["backup"] == found.id
    assert len(plain["statements"]) == len(result.statements)


MEASURED = """
op.execute("ALTER TABLE users ALTER COLUMN id TYPE bigint")
op.execute("SET LOCAL work_mem = '64kB'")
op.execute("CREATE TABLE sorted AS SELECT i, md5(i::text) FROM generate_series(1, 20000) i ORDER BY 2")
op.execute("UPDATE users SET price = price")
with op.get_context().autocommit_block():
    op.execute("DO $$ BEGIN LOCK TABLE users IN SHARE MODE; PERFORM pg_sleep(0.2); END $$")
    op.execute("VACUUM FULL users")
import psycopg2
other = psycopg2.connect(op.get_bind().engine.url.render_as_string(False).replace("+psycopg2", ""))
other.cursor().execute("LOCK TABLE users IN EXCLUSIVE MODE; SELECT pg_sleep(0.2)")
other.rollback()
other.close()
"""


def taken(result: Rehearsal) -> dict[str, set[str]]:
    """Lock → the beginnings of the statements during which it was first seen."""
    sql = {statement["n"]: statement["sql"][:11] for statement in result.statements}
    found: dict[str, set[str]] = {}
    for hold in result.holds:
        found.setdefault(hold.lock, set()).add(sql.get(hold.statement, ""))
        assert 0 <= hold.begin <= hold.end <= result.seconds + 0.01
    return found


def test_rewrites_wal_temporary_bytes_and_the_locks_of_other_connections_are_measured(
    found: Backup, chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = chain(MEASURED, down='op.execute("ALTER TABLE users ALTER COLUMN id TYPE int; DROP TABLE sorted")')
    result = rehearsal.rehearse(found, project)
    assert result.ok, result
    at = {statement["sql"][:11]: statement for statement in result.statements}
    rewritten = [at[sql]["rewrites"] for sql in ("ALTER TABLE", "VACUUM FULL", "UPDATE user")]
    assert rewritten == [["users"], ["users"], []]
    assert at["UPDATE user"]["wal"] > 1000 * 40
    assert at["CREATE TABL"]["temporary"] > 100_000
    assert at["UPDATE user"]["temporary"] == 0
    assert result.disk["peak"] > result.disk["before"]
    assert result.disk["needed"] >= result.disk["wal"] > at["UPDATE user"]["wal"]
    assert result.sizes["users"] > 0
    seen = taken(result)
    assert "ALTER TABLE" in seen["AccessExclusiveLock"]
    assert "DO $$ BEGIN" in seen["ShareLock"]  # outside a transaction
    assert seen["ExclusiveLock"]  # of a session that nobody told us of
    assert "way back: no trace" in result.headline
    monkeypatch.setattr(watch, "SAMPLE", 3600.0)  # the control: looking between events is what sees these two
    blind = rehearsal.rehearse(found, project, downgrade="left out")
    unseen = taken(blind)
    assert "ALTER TABLE" in unseen["AccessExclusiveLock"]
    assert "DO $$ BEGIN" not in unseen["ShareLock"]
    assert "ExclusiveLock" not in unseen


def test_a_way_back_that_leaves_a_trace_is_said(found: Backup, chain: Chain) -> None:
    project = chain(
        'op.execute("UPDATE users SET name = upper(name) WHERE false; CREATE INDEX ix ON users (name)")',
        down='op.execute("DROP INDEX ix; ALTER TABLE users ADD COLUMN left_over int")',
    )
    tried = rehearsal.rehearse(found, project)
    assert tried.ok
    assert "way back: leaves a trace (the schema)" in tried.headline


def test_a_value_that_the_way_back_does_not_bring_back_is_a_trace_and_fails_where_a_way_back_is_required(
    found: Backup, chain: Chain
) -> None:
    project = chain(
        'op.execute("CREATE TABLE kept AS SELECT * FROM users")',
        down='op.execute("DROP TABLE kept; UPDATE users SET name = NULL WHERE id = 7")',
    )
    required = rehearsal.rehearse(found, project, downgrade="required")
    assert "way back: leaves a trace (users: name)" in required.headline
    assert not required.ok
    with pytest.raises(Refused, match="leaves a trace"):
        required.raise_unless_ok()


def test_a_way_back_that_is_refused_is_said(found: Backup, chain: Chain) -> None:
    project = chain('op.execute("CREATE TABLE kept (i int)")', down='raise NotImplementedError("there is none")')
    result = rehearsal.rehearse(found, project)
    assert result.ok
    assert "way back: refused or impossible: NotImplementedError: there is none" in result.headline


def test_what_was_measured_weighs_in_the_findings_and_a_providers_schema_bars_the_verdict(
    target: Target, found: Backup, chain: Chain
) -> None:
    project = chain('op.execute("ALTER TABLE users ALTER COLUMN id TYPE bigint")\nop.execute("CREATE SCHEMA auth")')
    result = rehearsal.rehearse(found, project, downgrade="left out")
    with target.connect() as connection:
        said = rehearsal.lint(result, connection, project)
        plan = rehearsal.plan(result, connection, project)
    by = {one.rule: one for one in said.findings}
    assert (by["rewrite"].table, by["rewrite"].known, by["rewrite"].revision) == ("users", "measured", "two")
    assert (by["rewrite"].lock, by["rewrite"].blocks) == ("AccessExclusiveLock", "reads and writes")
    assert by["reserved"].severity == "blocking"
    barred = rehearsal.verdict(result, plan, said)
    assert not barred.ok
    assert "1 blocking" in barred.headline
    assert plan.digest in barred.headline
    waiver = '[[waiver]]\nrule = "reserved"\nrevision = "two"\nreason = "our own"\nuntil = 9999-01-01\n'
    project.ini.with_name(lint.FILE).write_text(waiver)
    with target.connect() as connection:
        assert rehearsal.verdict(result, plan, rehearsal.lint(result, connection, project)).ok


def rehearsed(**facts: Any) -> Rehearsal:
    """A rehearsal of 3 s: a scan of `big` from 1.0 to 2.0 within a lock on it from 0.5 to 2.5."""
    scan = {"n": 2, "sql": "ALTER TABLE big ALTER x SET NOT NULL", "begin": 1.0, "seconds": 1.0, "locks": [],
            "changes": True}  # fmt: skip
    holds = (
        Hold("big", "AccessExclusiveLock", 1, 0.5, 2.5),
        Hold("small", "ShareLock", 1, 0.5, 1.0),
        Hold("small", "ShareUpdateExclusiveLock", 1, 0.0, 2.9),
    )
    given = {"holds": holds, "statements": (scan,), "sizes": {"big": 100, "small": 100}, **facts}
    empty = Report(headline="")
    return Rehearsal(headline="", backup="b", schema="s", revision="two", direction="up",
                     drop_data=False, lost={}, before=("one",), after=("two",), seconds=3.0,
                     disk={}, locks=empty, way_back=empty, **given)  # fmt: skip


def test_the_forecast_stretches_each_statement_by_the_size_of_its_tables() -> None:
    found = prediction.make(rehearsed(), {"big": 1000, "small": 100})
    said = {(row["relation"], row["blocks"]): (row["measured s"], row["predicted s"]) for row in found.rows}
    assert said["big", "reads and writes"] == (2.0, 11.0)  # a second of scanning becomes ten
    assert said["small", "writes"] == (0.5, 0.5)  # it was over by then
    assert "12.0 s in all" in found.headline
    assert "reads and writes of big wait 11.00 s at most; writes of small wait 0.50 s at most" in found.headline
    assert isinstance(found, Picture)
    assert found.png.startswith(b"\x89PNG")
    same = prediction.make(rehearsed(), {"big": 100, "small": 100})
    assert "3.0 s in all" in same.headline


def test_all_that_are_blocked_longest_are_named() -> None:
    held = [Hold(name, "AccessExclusiveLock", 1, 0.0, end) for name, end in (("a", 1.0004), ("b", 1.0), ("c", 0.5))]
    said = result.locks([*held, Hold("d", "ShareLock", 1, 0.0, 1.0)], {}).headline
    assert said == "locks: the longest blocks reads and writes of a, b for 1.000 s"


def test_a_forecast_without_a_lock_is_no_picture() -> None:
    found = prediction.make(rehearsed(holds=()), {"big": 100, "small": 100})
    assert not isinstance(found, Picture)
    assert "no table blocked" in found.headline


def test_what_locks_block_is_told_apart_without_colour_too() -> None:
    colours, heights = zip(*timeline.LOOKS.values(), strict=True)
    assert set(timeline.LOOKS) == set(rehearsal.BLOCKS.values())
    assert len(set(colours)) == len(set(heights)) == 3


def test_the_plan_holds_the_rehearsed_sql_and_fits_only_the_database_that_was_backed_up(
    target: Target, found: Backup, chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AFDB_BACKUPS", str(found.path.parent))
    twice = 'op.execute("LOCK TABLE users IN EXCLUSIVE MODE")\n'
    project = chain(f'{twice}{twice}op.execute("SELECT 1")\nop.execute("CREATE INDEX ix ON users (price)")')
    result = rehearsal.rehearse(found, project, revision="two")
    with target.connect() as connection:
        assert rehearsal.choose("latest", connection).id == found.id
        plan = rehearsal.plan(result, connection, project)
    assert plan.content["sql"] == result.sql
    assert plan.content["to"] == "two"
    assert "CREATE INDEX ix ON users (price)" in plan.content["sql"]
    for row in (*result.rows, *result.brief):
        assert row["statement"] == revisions.short(plan.content["sql"][row["n"] - 1]), "one number for a statement"
    taken = {row["lock"]: plan.content["sql"][row["from"] - 1] for row in result.locks.rows}
    assert taken["ExclusiveLock"].startswith("LOCK TABLE")
    assert taken["ShareLock"].startswith("CREATE INDEX")
    assert prediction.make(result, result.sizes).rows[0]["from"] in {row["n"] for row in result.brief}
    with session(target.secret_url()) as cursor:
        cursor.execute("ALTER TABLE users ADD COLUMN more int")
        with target.connect() as connection:
            with pytest.raises(Refused, match="not as it was in backup"):
                rehearsal.plan(result, connection, project)
            with pytest.raises(Refused, match="not as it was in backup"):
                rehearsal.choose("latest", connection)
        cursor.execute("ALTER TABLE users DROP COLUMN more")


def test_a_failing_revision_is_named_with_its_statement(target: Target, found: Backup, chain: Chain) -> None:
    project = chain(
        """
op.execute("CREATE TABLE fine (i int)")
op.execute("INSERT INTO users (id, name) VALUES (1, 'canary')")
"""
    )
    result = rehearsal.rehearse(found, project)
    assert not result.ok
    assert "INSERT INTO users" in result.headline
    assert "duplicate key" in result.headline
    assert "Key (id)" not in str(result)  # the values of the row are in that line of the server's message
    assert result.rows[-1]["seconds"] is None
    assert result.after == ("one",)
    with target.connect() as connection, pytest.raises(Refused, match="duplicate key"):
        rehearsal.plan(result, connection, project)


def test_a_revision_that_fails_in_python_is_named_too(found: Backup, chain: Chain) -> None:
    result = rehearsal.rehearse(found, chain("raise ValueError('no such thing')"))
    assert not result.ok
    assert "ValueError: no such thing" in result.headline


def test_a_value_lost_on_the_way_is_seen_though_the_migration_succeeds(found: Backup, chain: Chain) -> None:
    project = chain('op.alter_column("users", "price", type_=sa.Numeric(12, 2))')
    result = rehearsal.rehearse(found, project)
    assert not result.ok
    assert result.after == ("two",)
    lost = next(row for row in result.parts[1].rows if row["table"] == "users")
    assert (lost["rows before"], lost["rows now"], lost["differs"]) == (1000, 1000, "price")


def test_a_rename_that_nobody_declared_is_a_loss(found: Backup, chain: Chain) -> None:
    result = rehearsal.rehearse(found, chain('op.alter_column("users", "name", new_column_name="full_name")'))
    assert not result.ok
    assert result.parts[1].rows[0]["differs"] == "gone: name"
    assert "1 table changed, users.name is gone (1,000 rows in 1 table)" in result.headline
    with pytest.raises(Refused, match=r"users\.name is gone") as caught:
        result.raise_unless_ok()
    assert 'mapping = {"users": {"renamed": {"name": "full_name"}}} in the revision' in caught.value.do
    assert '{"users": {"retired": ["name"]}} (docs/verification.md)' in caught.value.do


def test_an_upgrade_that_returns_normally_and_commits_nothing_is_seen(found: Backup, chain: Chain) -> None:
    early = ENV.replace("    context.configure(", '    connection.exec_driver_sql("SELECT 1")\n    context.configure(')
    result = rehearsal.rehearse(found, chain('op.execute("CREATE TABLE more (i int)")', env=early))
    assert not result.ok
    assert "ended without an error, and the copy is at one" in result.headline


def test_an_env_py_that_goes_elsewhere_is_stopped_before_it_commits(
    target: Target, found: Backup, chain: Chain, new_database: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = targets.parse("elsewhere", new_database(), {})
    with session(elsewhere.secret_url()) as cursor:
        cursor.execute(
            "CREATE TABLE alembic_version (version_num varchar(32)); INSERT INTO alembic_version VALUES ('one')"
        )
    stubborn = ENV.replace('context.config.get_main_option("sqlalchemy.url")', repr(elsewhere.secret_url()))
    project = chain('op.execute("CREATE TABLE more (i int)")', env=stubborn)
    before = stands(elsewhere)
    with pytest.raises(Refused, match="another database than the one it is given"):
        rehearsal.rehearse(found, project)
    assert stands(elsewhere) == before
    monkeypatch.setattr(Meter, "visited", lambda self: True)  # the control: without the guard it is changed
    assert not rehearsal.rehearse(found, project).ok
    assert stands(elsewhere) != before


def test_a_migration_is_rehearsed_as_the_role_that_will_run_it(database: str, tmp_path: Path, chain: Chain) -> None:
    with session(database) as cursor:
        cursor.execute(
            "DROP ROLE IF EXISTS modest; CREATE ROLE modest LOGIN; CREATE TABLE users (id int);"
            "GRANT SELECT ON users TO modest; CREATE TABLE alembic_version (version_num varchar(32));"
            "INSERT INTO alembic_version VALUES ('one'); ALTER TABLE alembic_version OWNER TO modest"
        )
        modest = make_url(database).set(username="modest").render_as_string()
        made = proven(targets.parse("default", modest, {}), tmp_path)
        project = chain('op.add_column("users", sa.Column("more", sa.Integer))')
        refused = rehearsal.rehearse(made, project)
        assert "must be owner of table users" in refused.headline  # a superuser would have been allowed to
        cursor.execute("DROP OWNED BY modest; DROP ROLE modest")


def test_a_backup_at_the_revision_already_leaves_nothing_to_do(found: Backup, chain: Chain) -> None:
    result = rehearsal.rehearse(found, chain("pass"), revision="one")
    assert result.ok
    assert "nothing to do" in result.headline
    assert result.sql == []


def test_an_unproven_backup_is_refused(
    target: Target, tmp_path: Path, chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AFDB_BACKUPS", str(tmp_path / "store"))
    made = backup.dump(target)
    with target.connect() as connection:
        with pytest.raises(Refused, match="is not proven"):
            rehearsal.choose(made.id, connection)
        with pytest.raises(Refused, match="no proven backup"):
            rehearsal.choose("latest", connection)
    with pytest.raises(Refused, match="is not proven"):
        rehearsal.rehearse(made, chain("pass"))


def test_an_unknown_revision_is_a_config_error(found: Backup, chain: Chain) -> None:
    with pytest.raises(ConfigError, match="unknown"):
        rehearsal.rehearse(found, chain("pass"), revision="three")


def test_a_select_that_writes_counts_as_a_change(found: Backup, chain: Chain) -> None:
    project = chain(
        """
op.execute("SELECT grow()")
op.execute("SELECT count(*) FROM users")
"""
    )
    result = rehearsal.rehearse(found, project)
    assert "SELECT grow()" in result.sql
    assert "SELECT count(*) FROM users" not in result.sql
    assert not result.ok


def test_sqlite_is_rehearsed_on_a_copy_of_the_file(tmp_path: Path, chain: Chain) -> None:
    file = tmp_path / "app.db"
    with contextlib.closing(sqlite3.connect(file)) as db:
        db.executescript(
            "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO users VALUES (1, 'x'), (2, 'y');"
            "CREATE TABLE alembic_version (version_num TEXT); INSERT INTO alembic_version VALUES ('one')"
        )
    before = file.read_bytes()
    made = proven(targets.parse("default", f"sqlite:///{file}", {}), tmp_path)
    body = 'with op.batch_alter_table("users") as batch:\n    batch.alter_column("name", new_column_name="full_name")'
    result = rehearsal.rehearse(made, chain(body, RENAME))
    assert result.ok, result
    assert result.after == ("two",)
    assert any("full_name" in sql for sql in result.sql)
    assert file.read_bytes() == before
    assert backup.prove(made).ok, "the backup itself was changed"
