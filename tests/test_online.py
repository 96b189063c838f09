"""The building blocks of revisions: what they keep, what they refuse, and that each guard is needed."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import chain
import crashes
import pytest
import sqlalchemy as sa
from alembic.util import CommandError
from chain import Maker
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects import sqlite as sqlite_dialect

from afdb_helpers.errors import Incomplete
from afdb_helpers.online import preflight, rekey, revise
from afdb_helpers.online.catalogue import assume, kind, look, plain_default
from afdb_helpers.online.differences import deviating, lacking

TWO = ["postgresql 18", "sqlite"]


@pytest.fixture
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Maker:
    return Maker(request, tmp_path)


def revision(name: str) -> Any:
    """A file of the chain as a module."""
    spec = importlib.util.spec_from_file_location(f"revision_{name[:3]}", chain.ROOT / "alembic" / "versions" / name)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def master() -> Any:
    return revision("002_master_schema.py")


@pytest.mark.parametrize("dialect", [postgresql.dialect(), sqlite_dialect.dialect()])  # type: ignore[no-untyped-call]
def test_what_002_says_was_before_it_is_what_001_made(dialect: Any, master: Any) -> None:
    before, first = (
        assume(master.change.before(), dialect),
        assume(revision("001_initial_migration.py").tables, dialect),
    )
    assert set(before) == set(first)
    for name, table in first.items():
        other = before[name]
        assert {c: (str(x.type), x.nullable, x.default) for c, x in other.columns.items()} == {
            c: (str(x.type), x.nullable, x.default) for c, x in table.columns.items()
        }
        assert (other.key, other.indexes) == (table.key, table.indexes)
        assert sorted(k.columns for k in other.foreign_keys) == sorted(k.columns for k in table.foreign_keys)


def test_a_default_is_compared_by_what_it_means() -> None:
    same = [("'0'::double precision", "'0.0'"), ("'free'::character varying", "'free'"), ("0", "'0'"), ("('x')", "'x'"),
            ("NULL::character varying", None), ("'{}'::json", "'{}'"), ("'it''s'::text", "'it''s'")]  # fmt: skip
    assert all(plain_default(one) == plain_default(other) for one, other in same)
    other_ones = [("false", "0"), ("'x'", None), ("'1'", "'0'"), ("'a''b'", "'ab'"), ("now()", "'now'")]
    assert not [pair for pair in other_ones if plain_default(pair[0]) == plain_default(pair[1])]


def test_kinds_tell_apart_what_cannot_stand_for_each_other() -> None:
    types: list[Any] = [sa.JSON(), postgresql.JSONB(), sa.Boolean(), sa.BigInteger(), sa.Integer(), sa.Float(),
        sa.Numeric(), sa.DateTime(), sa.DateTime(timezone=True), sa.LargeBinary(), sa.Uuid(), sa.Text()]  # fmt: skip
    assert len({kind(type_, "postgresql") for type_ in types}) == len(types)
    assert kind(sa.String(50), "postgresql") == kind(sa.Text(), "postgresql")
    assert kind(sa.JSON(), "sqlite") == kind(sa.Text(), "sqlite") != kind(sa.Integer(), "sqlite")


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.one_of(st.none(), st.integers(0, 3)), st.text("aAbB\x80é", max_size=2)), max_size=12),
    st.sets(st.integers(1, 20), max_size=6),
)
def test_numbers_are_free_ascending_and_every_row_that_had_one_has_it_again(
    plain: list[tuple[int | None, str]], held: set[int]
) -> None:
    texts = {text: at for at, text in plain} | {f"{rekey.STAMP}{number:012d}": None for number in held}
    engine = sa.create_engine("sqlite://")
    own = sa.table("t", sa.column("rowid"), sa.column("at"), sa.column("old"))
    key = {"column": "id", "kept": "old", "order_by": "at"}
    with engine.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE t (at, old)")
        if texts:
            connection.execute(sa.insert(own), [{"at": at, "old": text} for text, at in texts.items()])
        found = rekey.numbers(rekey.rows_of(own, key), "sqlite")
        joined = sa.select(own.c.old, found.c.number).select_from(own.join(found, own.c.rowid == found.c.place))
        number = dict(connection.execute(joined).all()) if texts else {}
    assert {number[f"{rekey.STAMP}{n:012d}"] for n in held} == held
    others = sorted(
        (t for t in texts if not t.startswith(rekey.STAMP)), key=lambda t: (texts[t] is None, texts[t] or 0, t.encode())
    )
    free = [n for n in range(1, 40) if n not in held]
    assert [number[text] for text in others] == free[: len(others)]


def test_everything_attached_to_the_audit_trail_stays_on_postgresql(make: Maker) -> None:
    url = make("postgresql 18", "at_001")
    chain.execute(url, (chain.STATES / "attached.postgresql.sql").read_text())
    said = """
        SELECT relrowsecurity, relowner::regrole::text, relacl::text, obj_description(oid),
               (SELECT string_agg(tgname || tgenabled::text, ',' ORDER BY tgname) FROM pg_trigger
                WHERE tgrelid = c.oid AND NOT tgisinternal),
               (SELECT string_agg(polname, ',') FROM pg_policy WHERE polrelid = c.oid),
               (SELECT string_agg(col_description(c.oid, attnum), ',') FROM pg_attribute WHERE attrelid = c.oid),
               (SELECT string_agg(prrelid::regclass::text, ',') FROM pg_publication_rel WHERE prrelid = c.oid)
        FROM pg_class c WHERE oid = 'audit_logs'::regclass"""
    seen = 'SELECT id, maker, details FROM seen ORDER BY id COLLATE "C"'
    with chain.connected(url) as connection:
        known, view = connection.exec_driver_sql(said).all(), connection.exec_driver_sql(seen).all()
        with pytest.raises(sa.exc.DBAPIError, match="append only"):  # the control: the trigger does forbid it
            connection.exec_driver_sql("UPDATE audit_logs SET action = action")
    chain.upgrade(url)
    with chain.connected(url) as connection:
        assert connection.exec_driver_sql(said).all() == known
        assert connection.exec_driver_sql(seen).all() == view
        with pytest.raises(sa.exc.DBAPIError, match="append only"):
            connection.exec_driver_sql("UPDATE audit_logs SET action = action")
    chain.execute(url, "INSERT INTO audit_logs (event_type) VALUES ('next')")
    assert chain.rows(url)["audit_logs"]["10"]["event_type"] == "next"
    chain.downgrade(url)
    with chain.connected(url) as connection:
        assert connection.exec_driver_sql(said).all() == known


@pytest.mark.parametrize("server", TWO)
def test_a11_more_rows_than_a_number_can_count_are_refused(
    server: str, make: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, room = make(server, "at_001"), rekey.MARGIN if server != "sqlite" else 0
    monkeypatch.setattr(rekey, "LARGEST", 8 + room)
    with pytest.raises(CommandError, match=f"audit_logs has 9 rows, and its key, an integer, ends at {8 + room}"):
        chain.upgrade(url)
    assert chain.stamped(url) == ("001",)
    monkeypatch.setattr(rekey, "LARGEST", 9 + room)
    chain.upgrade(url)


def test_a11_an_old_key_that_holds_the_last_number_leaves_no_room_and_one_beyond_it_is_a_text_like_any(
    make: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = make("postgresql 18", "at_001")
    chain.execute(url, f"INSERT INTO audit_logs (id, event_type) VALUES ('{rekey.STAMP}002147483647', 'last')")
    with pytest.raises(CommandError, match="audit_logs has 1 row whose old key holds a number at the end"):
        chain.upgrade(url)
    assert chain.stamped(url) == ("001",)
    with monkeypatch.context() as unguarded:  # the control: the sequence could not begin above it
        unguarded.setattr(preflight, "_numbers", lambda _: [])
        with pytest.raises(CommandError, match="out of bounds"):
            chain.upgrade(url)
    chain.execute(url, f"UPDATE audit_logs SET id = '{rekey.STAMP}999999999999' WHERE event_type = 'last'")
    chain.upgrade(url)
    assert crashes.amiss(url, "002", make.fresh("postgresql 18")) == []


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("CREATE TABLE audit_logs_id_seq (x INTEGER)", "the name audit_logs_id_seq is taken by a table"),
        (
            "CREATE TABLE other (x SERIAL); ALTER SEQUENCE other_x_seq RENAME TO audit_logs_id_seq",
            "by a sequence of other.x",
        ),
        (
            "CREATE TABLE notes (log VARCHAR REFERENCES audit_logs (id))",
            "foreign key notes_log_fkey of notes refers to audit_logs, whose key is to become a number",
        ),
        ("ALTER TABLE audit_logs ADD COLUMN legacy_id UUID", "audit_logs.legacy_id is UUID"),
        ("ALTER TABLE api_keys ADD COLUMN updated_at TIMESTAMPTZ", "api_keys.updated_at is TIMESTAMP"),
        ("ALTER TABLE executions ALTER result TYPE JSONB", "executions.result is JSONB"),
        (
            "ALTER TABLE executions ADD COLUMN input_data JSON GENERATED ALWAYS AS (result) STORED",
            "column that is computed",
        ),
    ],
)
def test_what_is_not_the_platforms_is_refused_by_name(statement: str, why: str, make: Maker) -> None:
    url = make("postgresql 18", "at_001")
    chain.execute(url, statement)
    known = chain.catalogue(url)
    with pytest.raises(CommandError, match="nothing was changed") as refused:
        chain.upgrade(url)
    assert why in str(refused.value)
    assert chain.catalogue(url) == known


def test_a_sequence_behind_the_largest_number_is_set_ahead(make: Maker) -> None:
    url = make("postgresql 18", "created_by_models")
    chain.execute(url, "INSERT INTO audit_logs (id, event_type) VALUES (70, 'by hand')")
    with pytest.raises(sa.exc.IntegrityError):  # the control: the sequence knows of none of them
        chain.execute(url, "INSERT INTO audit_logs (event_type) VALUES ('collides')")
    chain.upgrade(url)
    chain.execute(url, "INSERT INTO audit_logs (event_type) VALUES ('next')")
    assert chain.rows(url)["audit_logs"]["71"]["event_type"] == "next"


def test_steps_are_not_believed(make: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    url = make("postgresql 18", "at_001")
    known = chain.catalogue(url)
    monkeypatch.setattr(revise, "prepare", lambda *_: None)
    monkeypatch.setattr(revise, "settle_columns", lambda *_: None)
    monkeypatch.setattr(revise, "create_indexes", lambda *_: None)
    with pytest.raises(CommandError, match="did not arrive at the schema it declares") as refused:
        chain.upgrade(url)
    assert "index ix_api_keys_key_hash" in str(refused.value)
    assert Incomplete.__name__ in str(refused.value)
    assert chain.catalogue(url) == known


@pytest.mark.parametrize(
    ("statement", "lacks", "deviates"),
    [
        ("DROP TABLE usage_records", ["table usage_records"], []),
        ("ALTER TABLE agents DROP config", ["column agents.config"], []),
        ("ALTER TABLE agents DROP CONSTRAINT agents_created_by_fkey", ["foreign key agents.created_by"], []),
        ("DROP INDEX ix_users_email", ["index ix_users_email"], []),
        ("ALTER TABLE audit_logs ALTER id DROP DEFAULT", ["sequence of audit_logs"], []),
        ("ALTER TABLE audit_logs DROP CONSTRAINT audit_logs_pkey", ["primary key of audit_logs"], []),
        ("ALTER TABLE plans ALTER currency DROP DEFAULT", [], ["default of plans.currency"]),
        ("ALTER TABLE plans ALTER name DROP NOT NULL", [], ["NULL allowed in plans.name"]),
        ("ALTER TABLE plans ALTER features TYPE TEXT", [], ["kind of plans.features"]),
        ("ALTER TABLE plans RENAME CONSTRAINT plans_pkey TO mine", [], ["name of mine"]),
        ("ALTER TABLE plans ALTER currency SET NOT NULL", [], []),
    ],
)
def test_every_difference_is_named(
    statement: str, lacks: list[str], deviates: list[str], make: Maker, master: Any
) -> None:
    url = make("postgresql 18", "empty")
    chain.upgrade(url)
    with chain.connected(url) as connection:
        assert deviating(look(connection, master.tables.tables), master.tables, connection.dialect) == []
        connection.exec_driver_sql(statement)
        there = look(connection, master.tables.tables)
        assert lacking(there, master.tables, connection.dialect) == lacks
        assert deviating(there, master.tables, connection.dialect) == lacks + deviates
        assert master.missing(connection) == lacks
