"""The catalogue: which database this is, what is stamped, and a schema as data that is the same for the same schema."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from afdb_helpers import catalog, targets
from afdb_helpers.catalog import Catalog
from afdb_helpers.embedded_postgres import Server
from afdb_helpers.errors import Refused, Unavailable
from afdb_helpers.report import Report
from afdb_helpers.targets import Target

RICH = [
    "CREATE TYPE mood AS ENUM ('sad', 'glad')",
    "CREATE TABLE tenant (id int PRIMARY KEY, name varchar(40) UNIQUE, mood mood DEFAULT 'sad', moods mood[], page xml,"
    " doubled int GENERATED ALWAYS AS (id * 2) STORED, balance numeric(12,4) NOT NULL DEFAULT 0 CHECK (balance >= 0))",
    "CREATE TABLE member (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
    " tenant_id int NOT NULL REFERENCES tenant ON DELETE CASCADE, tags text[])",
    "CREATE INDEX by_tags ON member USING gin (tags)",
    "CREATE UNIQUE INDEX by_name ON tenant (lower(name)) WHERE balance > 0",
    "CREATE INDEX by_tenant ON member (tenant_id DESC) INCLUDE (id)",
    "CREATE TABLE alembic_version (version_num varchar(32))",
    "CREATE SCHEMA other",
    "CREATE TABLE other.tenant (id int)",
    "CREATE VIEW seen AS SELECT 1",
]


def _run(url: str, *statements: str) -> None:
    with sa.create_engine(url, poolclass=sa.NullPool).begin() as connection:
        for statement in statements:
            connection.execute(sa.text(statement))


def _look(url: str) -> Target:
    return targets.parse("x", url, {})


def _snapshot(url: str) -> Catalog:
    with _look(url).connect() as connection:
        return catalog.snapshot(connection)


# --- identity


def _key(url: str) -> dict[str, Any]:
    with _look(url).connect() as connection:
        return catalog.identity(connection).key()


def test_a_database_is_told_from_its_neighbour_and_from_its_namesake(postgres: Server) -> None:
    neighbour, first = _key(postgres.url("postgres")), _key(postgres.create_database("twice"))
    postgres.drop_database("twice")
    second = _key(postgres.create_database("twice"))
    postgres.drop_database("twice")
    assert first["database"] == second["database"] == "twice"
    assert first["system_identifier"] == second["system_identifier"] == neighbour["system_identifier"]
    assert len({json.dumps(key) for key in (neighbour, first, second)}) == 3


def test_a_server_is_told_from_another(postgres: Server, postgres16: Server) -> None:
    one, other = _key(postgres.url("postgres")), _key(postgres16.url("postgres"))
    assert one["system_identifier"] != other["system_identifier"]
    assert int(one["system_identifier"]) > 2**53, "as text, or JSON would round it"


def test_identity_says_who_where_and_when(database: str) -> None:
    with _look(database).connect() as connection:
        found = catalog.identity(connection)
    assert found.role == "postgres"
    assert found.version.startswith("18.")
    assert not found.replica
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", found.clock)


def test_where_the_server_keeps_its_identifier_to_itself_the_rest_is_said(database: str) -> None:
    _run(database, "CREATE ROLE plain LOGIN", "REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")
    try:
        found = _key(database.replace("postgres@", "plain@"))
        assert found["system_identifier"] is None
        assert found["oid"] == _key(database)["oid"]
        assert _key(database)["system_identifier"] is not None, "the control: another role may ask"
    finally:
        _run(database, "DROP OWNED BY plain", "DROP ROLE plain")


def test_a_sqlite_database_is_its_file(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/x.db"
    _run(url, "CREATE TABLE t (i int)")
    nothing = {"system_identifier": None, "timeline": None, "oid": None}
    assert _key(url) == {"dialect": "sqlite", "database": f"{tmp_path}/x.db", **nothing}


# --- heads


def test_heads_are_what_is_stamped_and_nothing_where_nothing_is(database: str) -> None:
    def heads() -> tuple[str, ...]:
        with _look(database).connect() as connection:
            return catalog.heads(connection)

    assert heads() == ()
    _run(database, "CREATE TABLE alembic_version (version_num varchar(32))")
    assert heads() == ()
    _run(database, "INSERT INTO alembic_version VALUES ('b'), ('1975e0837120')")
    assert heads() == ("1975e0837120", "b")


def test_a_version_table_that_may_not_be_read_is_an_error_and_not_no_revision(database: str) -> None:
    _run(database, "CREATE TABLE alembic_version (version_num varchar(32))", "CREATE ROLE blind LOGIN")
    try:
        with (
            pytest.raises(Unavailable, match="alembic_version"),
            _look(database.replace("postgres@", "blind@")).connect() as connection,
        ):
            catalog.heads(connection)
    finally:
        _run(database, "DROP ROLE blind")


# --- snapshot


@pytest.fixture
def rich(database: str) -> str:
    _run(database, *RICH)
    return database


def test_a_snapshot_holds_what_the_schema_is_made_of(rich: str) -> None:
    tables = _snapshot(rich).tables
    assert list(tables) == ["member", "other.tenant", "tenant"], "neither the version table nor a view"
    tenant, member = tables["tenant"], tables["member"]
    assert tenant["columns"]["name"] == {"type": "character varying(40)", "nullable": True, "default": None}
    assert [tenant["columns"][name]["type"] for name in ("mood", "moods", "page")] == ["mood", "mood[]", "xml"]
    assert tenant["columns"]["doubled"]["generated"] == "stored (id * 2)"
    assert tenant["columns"]["balance"] == {"type": "numeric(12,4)", "nullable": False, "default": "0"}
    assert set(tenant["constraints"]) == {"PRIMARY KEY (id)", "UNIQUE (name)", "CHECK (balance >= 0::numeric)"}
    assert tenant["indexes"] == {
        "by_name": {
            "name": "by_name",
            "definition": "CREATE UNIQUE INDEX by_name ON tenant USING btree (lower(name::text))"
            " WHERE balance > 0::numeric",
        }
    }
    assert member["columns"]["id"]["identity"] == "always"
    assert "FOREIGN KEY (tenant_id) REFERENCES tenant(id) ON DELETE CASCADE" in member["constraints"]
    assert "USING gin (tags)" in member["indexes"]["by_tags"]["definition"]
    assert "(tenant_id DESC) INCLUDE (id)" in member["indexes"]["by_tenant"]["definition"]
    objects = _snapshot(rich).objects
    assert objects["enum"]["mood"]["values"] == ["sad", "glad"]
    assert objects["view"]["seen"]["definition"].strip() == 'SELECT 1 AS "?column?"'
    assert objects["sequence"]["member.id"]["maximum"] == 2**63 - 1
    assert set(objects["schema"]) == {"other", "public"}


CHANGES = {
    "a column": "ALTER TABLE tenant ADD more int",
    "a type": "ALTER TABLE tenant ALTER balance TYPE numeric(12,2)",
    "a type that SQLAlchemy does not know": "ALTER TABLE tenant ALTER page TYPE xml[] USING ARRAY[page]",
    "a length": "ALTER TABLE tenant ALTER name TYPE varchar(41)",
    "a default": "ALTER TABLE tenant ALTER balance SET DEFAULT 1",
    "nullability": "ALTER TABLE tenant ALTER name SET NOT NULL",
    "an enum's value": "ALTER TYPE mood ADD VALUE 'calm'",
    "a check's text": "ALTER TABLE tenant DROP CONSTRAINT tenant_balance_check, ADD CHECK (balance > 0)",
    "a foreign key's rule": "ALTER TABLE member DROP CONSTRAINT member_tenant_id_fkey;"
    " ALTER TABLE member ADD FOREIGN KEY (tenant_id) REFERENCES tenant",
    "an index's method": "DROP INDEX by_tags; CREATE INDEX by_tags ON member (tags)",
    "an index's condition": "DROP INDEX by_name; CREATE UNIQUE INDEX by_name ON tenant (lower(name)) WHERE balance > 1",
    "an index's order": "DROP INDEX by_tenant; CREATE INDEX by_tenant ON member (tenant_id) INCLUDE (id)",
    "an included column": "DROP INDEX by_tenant; CREATE INDEX by_tenant ON member (tenant_id DESC)",
    "an index's uniqueness": "DROP INDEX by_name; CREATE INDEX by_name ON tenant (lower(name)) WHERE balance > 0",
    "identity": "ALTER TABLE member ALTER id SET GENERATED BY DEFAULT",
    "a table of another schema": "ALTER TABLE other.tenant ADD j int",
    "an index that failed": "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'by_tags'::regclass",
    "a constraint not validated": "ALTER TABLE member ADD CHECK (id > 0) NOT VALID",
    "an order of an enum's values": "ALTER TYPE mood RENAME VALUE 'sad' TO 'x';"
    " ALTER TYPE mood RENAME VALUE 'glad' TO 'sad'; ALTER TYPE mood RENAME VALUE 'x' TO 'glad'",
    "a domain": "CREATE DOMAIN positive AS int CHECK (value > 0)",
    "a view's query": 'CREATE OR REPLACE VIEW seen AS SELECT 2 AS "?column?"',
    "a view's option": "ALTER VIEW seen SET (security_barrier)",
    "a function": "CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "a trigger": "CREATE TRIGGER same BEFORE UPDATE ON tenant FOR EACH ROW"
    " EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "row-level security": "ALTER TABLE tenant ENABLE ROW LEVEL SECURITY",
    "forced row-level security": "ALTER TABLE tenant FORCE ROW LEVEL SECURITY",
    "a policy": "CREATE POLICY own ON tenant USING (id > 0)",
    "a grant": "GRANT SELECT ON tenant TO PUBLIC",
    "a column's grant": "GRANT SELECT (id) ON tenant TO PUBLIC",
    "what everybody may run": "CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1';"
    " REVOKE ALL ON FUNCTION one FROM PUBLIC",
    "an owner": "ALTER TABLE tenant OWNER TO pg_monitor",
    "a table's comment": "COMMENT ON TABLE tenant IS 'x'",
    "a column's comment": "COMMENT ON COLUMN tenant.id IS 'x'",
    "a sequence's step": "ALTER TABLE member ALTER id SET INCREMENT BY 10",
    "a collation": 'ALTER TABLE tenant ALTER name TYPE varchar(40) COLLATE "C"',
    "unlogged": "ALTER TABLE other.tenant SET UNLOGGED",
    "an extension": "CREATE EXTENSION vector",
    "a schema": "CREATE SCHEMA more",
}

SAME = {
    "a constraint's name": "ALTER TABLE tenant RENAME CONSTRAINT tenant_balance_check TO odd",
    "the name of a column's sequence": "ALTER SEQUENCE member_id_seq RENAME TO odd",
    "where a sequence stands": "SELECT setval('member_id_seq', 77)",
    "statistics": "ANALYZE",
    "all that the owner may do anyhow": "GRANT ALL ON tenant TO postgres",
    "an object of an extension": "CREATE EXTENSION vector; DROP EXTENSION vector",
    "a temporary table": "CREATE TEMPORARY TABLE t (i int)",
}


@pytest.fixture(scope="module")
def changing(postgres: Server) -> Iterator[Callable[[str], tuple[str, str]]]:
    """Takes statements with semicolons; the digest before and after, in a transaction that is given up."""
    url = postgres.create_database("catalog_rich")
    _run(url, *RICH)
    engine = sa.create_engine(url, poolclass=sa.NullPool)

    def change(statements: str) -> tuple[str, str]:
        with engine.connect() as connection:
            before = catalog.snapshot(connection).digest
            for statement in statements.split(";"):
                connection.exec_driver_sql(statement, execution_options={"no_parameters": True})
            return before, catalog.snapshot(connection).digest

    yield change
    postgres.drop_database("catalog_rich")


@pytest.mark.parametrize("statements", CHANGES.values(), ids=CHANGES)
def test_the_digest_sees(statements: str, changing: Callable[[str], tuple[str, str]]) -> None:
    before, after = changing(statements)
    assert before != after


@pytest.mark.parametrize("statements", SAME.values(), ids=SAME)
def test_the_digest_does_not_see(statements: str, changing: Callable[[str], tuple[str, str]]) -> None:
    before, after = changing(statements)
    assert before == after


def test_no_setting_of_the_session_changes_the_digest_and_each_is_given_back(rich: str) -> None:
    _run(
        rich,
        "ALTER TABLE tenant ADD born timestamptz DEFAULT '2020-01-01 12:00+00'",
    )
    before = _snapshot(rich).digest
    odd = {
        "DateStyle": "SQL, DMY",
        "TimeZone": "Asia/Tokyo",
        "IntervalStyle": "iso_8601",
        "quote_all_identifiers": "on",
    }
    with _look(rich).connect() as connection:
        for name, value in odd.items():
            connection.exec_driver_sql(f"SET {name} = '{value}'")
        asked = connection.exec_driver_sql(
            "SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adnum = 8"
        ).scalar_one()
        assert "21:00" in asked, "the control: the server's words do depend on them"
        assert catalog.snapshot(connection).digest == before
        assert [connection.exec_driver_sql(f"SHOW {name}").scalar_one() for name in odd] == list(odd.values())


def test_the_same_schema_has_the_same_digest_on_servers_of_other_majors(postgres15: Server, rich: str) -> None:
    more = ["CREATE VIEW few AS SELECT t.id, 't.x' AS t, extract(year FROM now()) AS y FROM tenant t WHERE t.id > 3",
            "CREATE VIEW joined AS SELECT t.name, m.id FROM tenant t JOIN member m ON m.tenant_id = t.id"]  # fmt: skip
    older = postgres15.create_database("older")
    _run(older, *RICH, *more)
    _run(rich, *more)
    try:
        said = _snapshot(older).objects["view"]["few"]["definition"]
        assert "'t.x'" in said
        assert "t.id" not in said
        assert _snapshot(older).digest == _snapshot(rich).digest
    finally:
        postgres15.drop_database("older")


def test_a_schema_of_another_shape_is_not_compared(rich: str) -> None:
    kept = _snapshot(rich).as_dict() | {"shape": catalog.SHAPE - 1}
    with pytest.raises(Refused, match="make a new backup"):
        Catalog.from_dict(kept)


def test_grants_are_said_by_role_without_what_the_owner_may_do_anyhow(rich: str) -> None:
    _run(rich, 'CREATE ROLE "a=b"')
    try:
        _run(rich, 'GRANT ALL ON tenant TO "a=b"', "GRANT SELECT, UPDATE ON member TO pg_monitor WITH GRANT OPTION",
             "GRANT INSERT ON member TO PUBLIC", "GRANT USAGE ON SEQUENCE member_id_seq TO PUBLIC")  # fmt: skip
        found = _snapshot(rich)
        assert found.tables["tenant"]["grants"] == {"a=b": "ALL"}
        assert found.tables["member"]["grants"] == {"pg_monitor": "SELECT*, UPDATE*", "PUBLIC": "INSERT"}
        assert found.objects["sequence"]["member.id"]["grants"] == {"PUBLIC": "USAGE"}
    finally:
        _run(rich, 'DROP OWNED BY "a=b"', 'DROP ROLE "a=b"')


def test_the_same_schema_made_in_another_order_has_the_same_digest(new_database: Callable[..., str], rich: str) -> None:
    other = new_database()
    reordered = [RICH[0], *RICH[7:9], RICH[1], RICH[2], RICH[9], RICH[5], RICH[4], RICH[3]]
    _run(other, *reordered, "ALTER TABLE tenant RENAME CONSTRAINT tenant_balance_check TO odd")
    assert _snapshot(other).digest == _snapshot(rich).digest


def test_rows_and_the_stamp_are_no_part_of_the_schema(rich: str) -> None:
    before = _snapshot(rich).digest
    _run(rich, "INSERT INTO tenant VALUES (1, 'a')", "INSERT INTO alembic_version VALUES ('x')")
    assert _snapshot(rich).digest == before


def test_a_snapshot_survives_json(rich: str) -> None:
    taken = _snapshot(rich)
    assert Catalog.from_dict(json.loads(json.dumps(taken.as_dict()))) == taken


def test_the_number_of_queries_does_not_grow_with_the_tables(new_database: Callable[..., str]) -> None:
    def asked(tables: int) -> int:
        url = new_database()
        _run(url, *(f"CREATE TABLE t{n} (id int PRIMARY KEY, x int UNIQUE)" for n in range(tables)))
        with _look(url).connect() as connection:
            seen: list[str] = []
            sa.event.listen(connection, "before_cursor_execute", lambda *said: seen.append(said[2]))
            catalog.snapshot(connection)
        return len(seen)

    assert 5 < asked(30) == asked(2) < 20


def test_a_snapshot_of_sqlite_reads_the_same_way(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/x.db"
    _run(url, "CREATE TABLE a (id integer PRIMARY KEY, n varchar(5) NOT NULL DEFAULT 'x' UNIQUE, CHECK (id > 0))",
         "CREATE TABLE b (a_id integer, FOREIGN KEY (a_id) REFERENCES a (id) ON DELETE CASCADE)",
         "CREATE INDEX i ON a (n DESC)", "CREATE TABLE alembic_version (version_num)", "CREATE VIEW v AS SELECT 1",
         "CREATE TRIGGER t AFTER DELETE ON a BEGIN DELETE FROM b; END")  # fmt: skip
    taken = _snapshot(url)
    tables = taken.tables
    assert taken.objects == {"view": {"v": {"definition": "CREATE VIEW v AS SELECT 1"}}}
    assert list(tables["a"]["triggers"]) == ["t"]
    assert list(tables) == ["a", "b"]
    assert tables["a"]["columns"]["n"] == {"type": "VARCHAR(5)", "nullable": False, "default": "'x'"}
    assert list(tables["b"]["constraints"]) == ["FOREIGN KEY (a_id) REFERENCES a(id) ON DELETE CASCADE"]
    assert list(tables["a"]["constraints"]) == ["PRIMARY KEY (id)", "UNIQUE (n)", "CHECK (id > 0)"]
    assert tables["a"]["indexes"] == {"i": {"definition": "CREATE INDEX i ON a (n)"}}


# --- sizes, words


def test_sizes_name_the_largest_table_first(rich: str, tmp_path: Path) -> None:
    _run(rich, "INSERT INTO tenant SELECT n, 'name ' || n FROM generate_series(1, 500) n", "ANALYZE tenant")
    with _look(rich).connect() as connection:
        found = catalog.sizes(connection)
    assert (found.rows[0]["table"], found.rows[0]["estimated_rows"]) == ("tenant", 500)
    assert found.rows[0]["bytes"] > 16384
    assert found.headline.startswith("4 tables, ")
    url = f"sqlite:///{tmp_path}/x.db"
    _run(url, "CREATE TABLE a (i)", "INSERT INTO a VALUES (1), (2)")
    with _look(url).connect() as connection:
        assert catalog.sizes(connection).rows[0]["estimated_rows"] == 2


def test_a_table_nobody_counted_has_no_number_rather_than_zero(rich: str) -> None:
    with _look(rich).connect() as connection:
        assert all(row["estimated_rows"] is None for row in catalog.sizes(connection).rows)


@pytest.mark.parametrize(
    ("size", "said"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (1_500_000, "1.5 MB"), (2e15, "2,000.0 TB")]
)
def test_bytes_read_as_people_write_them(size: float, said: str) -> None:
    assert catalog.human(size) == said


def test_every_question_opens_with_the_question_it_answers() -> None:
    files = sorted(catalog.QUESTIONS.glob("*.sql"))
    assert len(files) >= 5
    for file in files:
        first = file.read_text().splitlines()[0]
        assert first.startswith("-- "), file.name
        assert len(first) <= 140, file.name
        assert catalog.question(file.stem) == file.read_text()


def test_the_sizes_are_drawn_with_their_unit_and_every_table_is_in_the_rows() -> None:
    rows = tuple({"table": f"t${i}", "estimated_rows": 1, "bytes": (30 - i) * 10**6} for i in range(30))
    drawn = catalog.picture.sizes(Report(headline="30 tables, 465.0 MB", rows=rows))
    assert drawn.png.startswith(b"\x89PNG")
    assert drawn.rows == rows
    assert "alt=" in drawn._repr_html_()
    assert catalog.picture.sizes(Report(headline="0 tables")).png != drawn.png
