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
from click.testing import CliRunner, Result

from afdb_helpers import catalog, cli, fingerprint, revisions, targets, verification
from afdb_helpers.embedded_postgres import Server
from afdb_helpers.errors import Refused, Unavailable
from afdb_helpers.report import Report
from afdb_helpers.revisions import Project
from afdb_helpers.targets import Target
from afdb_helpers.verification.orphans import MEND
from afdb_helpers.verification.rights import changed as changed_rights

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
    _run(
        url,
        "INSERT INTO customer VALUES (1, 'Ada', 1.2345), (2, 'Grace', 2.5)",
        "INSERT INTO invoice VALUES (7, 1)",
        "SELECT setval('customer_id_seq', 2), setval('invoice_id_seq', 1000)",
    )
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
def test_a39_a_lost_value_is_found(
    copy: str, migrated: tuple[str, dict[str, Any]], project: Project, change: str, what: str
) -> None:
    _run(copy, change)
    with _look(copy).connect() as connection:
        report = verification.data(connection, migrated[1], project)
    assert not report.ok
    assert any(what in row["differs"] for row in report.rows)


# --- the picture


def test_rows_and_bytes_before_and_now_are_drawn_side_by_side(
    copy: str, migrated: tuple[str, dict[str, Any]], project: Project
) -> None:
    before = migrated[1] | {"revisions": [projects.FIRST], "bytes": {"customer": 5_000_000, "invoice": 8192}}
    with _look(copy).connect() as connection:
        compared = verification.data(connection, before, project)
        drawn = verification.sizes(connection, before, project, compared)
    assert drawn.png.startswith(b"\x89PNG")
    customer = next(row for row in drawn.rows if row["table"] == "customer")
    assert (customer["rows before"], customer["rows now"], customer["bytes before"]) == (2, 2, 5_000_000)
    assert 0 < customer["bytes now"] < 100_000
    assert drawn.headline.startswith("Before and now: 2 tables, 5.0 MB → ")
    assert "alt=" in drawn._repr_html_()
    other = catalog.picture.changed([*drawn.rows, {**customer, "table": "one more"}], drawn.headline)
    assert other.png != drawn.png, "the control: what is drawn depends on the rows"


# --- invariants


def _invariants(url: str, project: Project | None = None, before: dict[str, Any] | None = None) -> Report:
    with _look(url).connect() as connection:
        return verification.invariants(connection, project, before)


def test_all_invariants_hold_where_nothing_is_wrong(copy: str, project: Project) -> None:
    assert _invariants(copy) == Report(headline="invariants: all hold")
    assert _invariants(copy, project, {"rights": {}}) == Report(headline="invariants: all hold")


def test_an_index_whose_concurrent_build_failed_is_named(copy: str) -> None:
    _run(copy, "CREATE TABLE twice AS SELECT 1 AS i UNION ALL SELECT 1")
    engine = sa.create_engine(copy, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection, pytest.raises(sa.exc.IntegrityError):
        connection.exec_driver_sql("CREATE UNIQUE INDEX CONCURRENTLY once ON twice (i)")
    report = _invariants(copy)
    assert not report.ok
    mend = "REINDEX INDEX CONCURRENTLY public.once"
    assert report.rows == ({"table": "public.twice", "object": "index once", "state": "not valid", "mend": mend},)
    assert "see what each row's `mend` says" in report.remedy


def test_a_constraint_that_was_never_validated_is_named(copy: str) -> None:
    _run(copy, "ALTER TABLE customer ADD CONSTRAINT rich CHECK (balance > 100) NOT VALID")
    (row,) = _invariants(copy).rows
    assert row["object"] == "constraint rich"
    assert row["mend"] == "ALTER TABLE public.customer VALIDATE CONSTRAINT rich"


COUNTED = {  # table → its column, the sequence, how it is made
    "a": ("id", "a_id_seq", "id serial PRIMARY KEY"),
    "B": ("Id", "B_Id_seq", '"Id" bigint GENERATED BY DEFAULT AS IDENTITY (INCREMENT BY 10)'),
    "c": ("n", "own", "n numeric(9)"),
    "d": ("n", "free", "n int DEFAULT nextval('free')"),
    "e": ("n", "e_n_seq", "n int GENERATED BY DEFAULT AS IDENTITY (INCREMENT BY -1 MINVALUE -99)"),
}


def test_a_sequence_that_its_column_has_reached_is_named_and_its_statement_mends_it(copy: str) -> None:
    made = [f'CREATE TABLE "{table}" ({columns})' for table, (_, _, columns) in COUNTED.items()]
    drawn = [f"""INSERT INTO "{t}" SELECT nextval('"{sequence}"')""" for t, (_, sequence, _) in COUNTED.items()]
    _run(copy, "CREATE SEQUENCE own", "CREATE SEQUENCE free", *made, "ALTER SEQUENCE own OWNED BY c.n", *drawn)
    assert _invariants(copy).ok, "the control: no next number is taken"
    _run(copy, *(f'INSERT INTO "{table}" VALUES ({-77 if table == "e" else 77})' for table in COUNTED))
    report = _invariants(copy)
    assert not report.ok
    found = {row["table"]: row for row in report.rows}
    for table, (column, sequence, _) in COUNTED.items():
        row = found.pop(f"public.{table}")
        assert row["object"] == f"sequence public.{sequence} of {column}"
        assert row["state"].startswith("not ")
        assert "77" not in repr(row), "keys only, never values"
        _run(copy, row["mend"])
    assert not found
    assert _invariants(copy).ok


def test_a_sequence_that_turns_over_and_one_without_rows_are_no_finding(copy: str) -> None:
    _run(copy, "CREATE TABLE round (i int GENERATED BY DEFAULT AS IDENTITY (MAXVALUE 9 CYCLE))",
         "INSERT INTO round VALUES (9)", "CREATE TABLE none (i serial)")  # fmt: skip
    assert _invariants(copy).ok


def test_rows_that_got_past_a_declared_foreign_key_are_counted_and_named_by_their_keys(copy: str) -> None:
    """A replica's session, or a load with triggers disabled, does this; the server goes on to call the key valid."""
    assert _invariants(copy).ok
    _run(
        copy,
        "SET session_replication_role = replica",
        "INSERT INTO invoice SELECT n, 99 FROM generate_series(100, 129) n",
    )
    (row,) = _invariants(copy).rows
    assert row["table"] == "public.invoice"
    assert row["object"] == "foreign key invoice_customer_id_fkey (customer_id) → public.customer(id)"
    assert row["state"] == f"30 orphans: {'; '.join(map(str, range(100, 120)))}, …"
    assert row["mend"].startswith("-- ")


def test_a_foreign_key_that_was_never_validated_is_named_and_its_orphans_counted(copy: str) -> None:
    _run(copy, "ALTER TABLE invoice DROP CONSTRAINT invoice_customer_id_fkey", "INSERT INTO invoice VALUES (8, 99)",
         "ALTER TABLE invoice ADD CONSTRAINT late FOREIGN KEY (customer_id) REFERENCES customer NOT VALID")  # fmt: skip
    assert [row["state"] for row in _invariants(copy).rows] == ["not validated", "1 orphan: 8"]


def test_orphans_under_a_foreign_key_that_only_the_chain_has_are_found(copy: str, project: Project) -> None:
    _run(copy, "ALTER TABLE invoice DROP CONSTRAINT invoice_customer_id_fkey")
    assert _invariants(copy, project).ok, "the control: a key that is missing is drift, and nothing points nowhere"
    _run(copy, "INSERT INTO invoice VALUES (8, 99)", "ALTER TABLE invoice ALTER customer_id TYPE bigint")
    assert _invariants(copy).ok, "without the chain nobody knows of it"
    (row,) = _invariants(copy, project).rows
    assert row["object"] == "intended foreign key (customer_id) → customer(id)"
    assert row["state"] == "1 orphan: 8"


def test_what_may_not_be_read_is_an_error_and_not_a_pass(copy: str) -> None:
    _run(copy, "CREATE ROLE looking LOGIN", "GRANT SELECT ON customer, invoice TO looking")
    url = sa.make_url(copy).set(username="looking").render_as_string()
    try:
        with pytest.raises(Unavailable, match=r"sequence public.customer_id_seq cannot be compared") as said:
            _invariants(url)
        assert "grant the role SELECT" in said.value.do
        _run(copy, "GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO looking")
        assert _invariants(url).ok
        _run(copy, "REVOKE ALL ON invoice FROM looking", "GRANT SELECT (id) ON invoice TO looking")
        with pytest.raises(Unavailable, match=r"public.invoice cannot be held against foreign key invoice_customer_id"):
            _invariants(url)
    finally:
        _run(copy, "DROP OWNED BY looking", "DROP ROLE looking")


# --- rights

RIGHTS = ("CREATE ROLE reading", "GRANT SELECT ON invoice TO reading", "GRANT SELECT (title) ON customer TO reading",
          "ALTER TABLE customer ENABLE ROW LEVEL SECURITY",
          "CREATE POLICY own ON customer TO reading USING (title = 'Ada')",
          "CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1'")  # fmt: skip


@pytest.fixture
def granted(copy: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """A database with grants and a policy, and its rights as a record keeps them."""
    _run(copy, *RIGHTS)
    with _look(copy).connect() as connection:
        rights = verification.rights(catalog.snapshot(connection))
    yield copy, json.loads(json.dumps({"revisions": [projects.SECOND], "rights": rights}))
    _run(copy, "DROP OWNED BY reading", "DROP ROLE reading")


CHANGED = [  # what a migration did; the right that is another; the statement that gives it back, where it is shown
    ("DROP POLICY own ON customer", "customer policy own",
     "CREATE POLICY own ON customer AS PERMISSIVE FOR ALL TO reading USING (((title)::text = 'Ada'::text))"),
    ("CREATE POLICY all_of_it ON customer USING (true)", "customer policy all_of_it",
     "DROP POLICY all_of_it ON customer"),
    ("ALTER POLICY own ON customer USING (true)", "customer policy own", None),
    ("ALTER TABLE customer DISABLE ROW LEVEL SECURITY", "customer row security", None),
    ("REVOKE SELECT ON invoice FROM reading", "invoice grant to reading", "GRANT SELECT ON TABLE invoice TO reading"),
    ("GRANT UPDATE ON invoice TO PUBLIC", "invoice grant to PUBLIC", "REVOKE UPDATE ON TABLE invoice FROM PUBLIC"),
    ("REVOKE SELECT (title) ON customer FROM reading", "customer grant of title to reading",
     "GRANT SELECT (title) ON TABLE customer TO reading"),
    ("REVOKE ALL ON FUNCTION one FROM PUBLIC", "function one() grant to PUBLIC",
     "GRANT EXECUTE ON FUNCTION one() TO PUBLIC"),
]  # fmt: skip


def test_a_migration_that_changes_who_may_do_what_is_found_and_its_statement_mends_it(
    granted: tuple[str, dict[str, Any]], project: Project
) -> None:
    """A36: the chain without the policy would find none missing; what was before the migration does."""
    url, before = granted
    assert _invariants(url, project, before) == Report(headline="invariants: all hold")
    for change, what, mend in CHANGED:
        _run(url, change)
        report = _invariants(url, project, before)
        assert not report.ok, change
        (row,) = report.rows
        assert row["object"] == what
        assert mend in (None, row["mend"])
        _run(url, row["mend"])
        assert _invariants(url, project, before).ok, row["mend"]


def test_rights_follow_the_declared_names_and_new_objects_bring_their_own(
    granted: tuple[str, dict[str, Any]],
) -> None:
    url, before = granted
    names = {"customer": {"to": "client", "renamed": {"title": "called"}}}

    def changed(mapping: dict[str, Any]) -> list[str]:
        with _look(url).connect() as connection:
            live = catalog.snapshot(connection)
        return [one.object for one in changed_rights(before["rights"], live, mapping)]

    _run(url, "CREATE TABLE later (i int)", "GRANT SELECT ON later TO reading",
         "ALTER TABLE customer RENAME title TO called")  # fmt: skip
    assert changed({"customer": {"renamed": {"title": "called"}}}) == []
    assert "customer policy own" in changed({}), "the control: its text names the column"
    _run(url, "ALTER TABLE customer RENAME TO client")
    assert changed(names) == []
    _run(url, "DROP POLICY own ON client")
    assert changed(names) == ["client policy own"]


def test_a_right_that_is_meant_to_go_is_waived_with_its_reason(
    granted: tuple[str, dict[str, Any]], tmp_path: Path
) -> None:
    url, before = granted
    own = projects.small(tmp_path / "own")
    _run(url, "DROP POLICY own ON customer")
    waiver = '[[waiver]]\nobject = "customer policy own"\nreason = "a view instead"\nuntil = 2999-01-01\n'
    (own.ini.parent / "drift-waivers.toml").write_text(waiver)
    report = _invariants(url, own, before)
    assert report.ok
    assert report.rows[0]["because"] == "waived until 2999-01-01: a view instead"


def test_a_record_without_rights_says_that_they_were_not_compared(copy: str, project: Project) -> None:
    said = _invariants(copy, project, {"revisions": [projects.SECOND]})
    assert said.ok
    assert said.headline.endswith("; the rights of before were not kept")


# --- invariants of SQLite


def test_sqlite_rows_that_point_nowhere_are_named(tmp_path: Path) -> None:
    file = tmp_path / "x.db"
    _run(f"sqlite:///{file}", "CREATE TABLE a (id integer PRIMARY KEY)",
         "CREATE TABLE b (a_id integer REFERENCES a (id))")  # fmt: skip
    assert _invariants(f"sqlite:///{file}").ok
    _run(f"sqlite:///{file}", "INSERT INTO b VALUES (99)")
    report = _invariants(f"sqlite:///{file}")
    assert report.rows == ({"table": "b", "object": "row 1 → a", "state": "orphan", "mend": MEND},)


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


# --- models against the chain

MODELS = """import sqlalchemy as sa
metadata = sa.MetaData()
sa.Table("customer", metadata, sa.Column("id", sa.Integer, primary_key=True),
         sa.Column("title", sa.String(40), nullable=False), sa.Column("balance", sa.Numeric(12, 4), server_default="0"),
         sa.Column("note", sa.Text{more}), sa.Index("customer_name", "title"))
sa.Table("invoice", metadata, sa.Column("id", sa.Integer, primary_key=True),
         sa.Column("customer_id", sa.Integer, sa.ForeignKey("customer.id"), nullable=False))
"""


def test_models_are_compared_with_the_chain_through_the_catalogue(project: Project, tmp_path: Path) -> None:
    """What CI runs: no database is named, and a check that `alembic check` is blind to is seen."""
    own = projects.small(tmp_path / "own")
    env, models = own.ini.parent / "migrations" / "env.py", own.ini.parent / "shop_models.py"

    def verified() -> Result:
        return CliRunner().invoke(cli.afdb, ["verify", "--models", "--alembic-ini", str(own.ini)])

    none = verified()
    assert isinstance(none.exception, Unavailable)
    assert none.exception.why == "env.py names no metadata"
    metadata = env.read_text().replace("target_metadata = None", "target_metadata = shop_models.metadata")
    env.write_text(f"import sys; sys.path.insert(0, {str(own.ini.parent)!r})\nimport shop_models\n{metadata}")
    models.write_text(MODELS.format(more=""))
    assert verified().output.strip() == "✓ models: equal to the chain"
    models.write_text(MODELS.format(more=", sa.CheckConstraint(\"note > ''\"), nullable=False"))
    found = verified()
    assert isinstance(found.exception, Refused)
    assert found.exception.what == "models: 2 differences from the chain"
    assert "customer check" in found.output
    assert "NOT NULL" in found.output


def test_the_platforms_models_are_what_its_chain_makes(project: Project) -> None:
    assert verification.models(revisions.find()).ok
