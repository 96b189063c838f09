"""Fingerprints: blind to the order of rows, and to nothing that happened to a value."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from afdb_helpers import fingerprint, targets
from afdb_helpers.embedded_postgres import Server
from afdb_helpers.errors import Unavailable
from afdb_helpers.fingerprint import Fingerprint, server, statements
from afdb_helpers.report import Report

Rows = list[tuple[Any, ...]]
DIALECTS = ["postgresql", "sqlite"]
TABLE = "CREATE TABLE item (id integer PRIMARY KEY, name text, amount numeric(12,4), data {bytes})"
TEXTS = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=8)
ROWS = st.lists(
    st.tuples(
        st.none() | TEXTS,
        st.none() | st.integers(-(10**7), 10**7).map(lambda n: Decimal(n) / 10000),
        st.none() | st.binary(max_size=6),
    ),
    min_size=1,
    max_size=8,
)
QUICK = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Base:
    """One database of items, in whichever dialect. `open` is a connection kept for many examples."""

    open: sa.Connection | None = None

    def __init__(self, url: str) -> None:
        self.target = targets.parse("x", url, {})
        self.engine = sa.create_engine(self.target.secret_url())
        self.run(TABLE.format(bytes="bytea" if self.target.dialect == "postgresql" else "blob"))

    def run(self, *statements: str) -> None:
        with self.engine.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    def fill(self, rows: list[tuple[Any, ...]]) -> None:
        """Replace the items; each row is id, name, amount, data."""
        names = ("id", "name", "amount", "data")
        table = sa.table("item", *(sa.column(name) for name in names))
        exact = self.target.dialect == "postgresql"
        given = [dict(zip(names, row, strict=True)) for row in rows]
        for row in given:
            row["amount"] = row["amount"] if exact or row["amount"] is None else str(row["amount"])
        with self.engine.begin() as connection:
            connection.execute(sa.delete(table))
            connection.execute(sa.insert(table), given) if given else None

    def take(self) -> Fingerprint:
        with self._reading() as connection:
            return fingerprint.take(connection)

    def compare(self, before: Fingerprint, **options: Any) -> Report:
        with self._reading() as connection:
            return fingerprint.compare(before, connection, **options)

    def _reading(self) -> AbstractContextManager[sa.Connection]:
        return nullcontext(self.open) if self.open is not None else self.target.connect()


@pytest.fixture(scope="module", params=DIALECTS)
def shared(
    request: pytest.FixtureRequest, postgres: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Base]:
    """For properties, which fill it anew for each example."""
    file = tmp_path_factory.mktemp("fingerprints") / "x.db"
    made = Base(f"sqlite:///{file}" if request.param == "sqlite" else postgres.create_database("fingerprints"))
    with made.target.connect() as made.open:
        yield made
    made.engine.dispose()
    postgres.drop_database("fingerprints")


@pytest.fixture(params=DIALECTS)
def base(request: pytest.FixtureRequest, new_database: Callable[..., str], tmp_path: Path) -> Iterator[Base]:
    made = Base(new_database() if request.param == "postgresql" else f"sqlite:///{tmp_path}/x.db")
    made.fill([(1, "Ada", Decimal("1.2345"), b"a"), (2, "Grace", Decimal("2.0000"), None), (3, None, None, b"")])
    yield made
    made.engine.dispose()


# --- properties


@QUICK
@given(rows=ROWS, seed=st.integers())
def test_the_order_of_rows_does_not_matter(shared: Base, rows: Rows, seed: int) -> None:
    numbered = [(n, *row) for n, row in enumerate(rows)]
    shared.fill(numbered)
    before = shared.take()
    random.Random(seed).shuffle(numbered)
    shared.fill(numbered)
    assert shared.take() == before


@QUICK
@given(rows=ROWS, where=st.integers(0, 7), what=st.integers(0, 2), other=ROWS)
def test_any_changed_value_is_seen(shared: Base, rows: Rows, where: int, what: int, other: Rows) -> None:
    changed = list(rows)
    row = list(changed[where % len(rows)])
    assume(row[what] != other[0][what])
    row[what] = other[0][what]
    changed[where % len(rows)] = tuple(row)
    shared.fill([(n, *row) for n, row in enumerate(rows)])
    before = shared.take()
    shared.fill([(n, *row) for n, row in enumerate(changed)])
    report = shared.compare(before)
    assert not report.ok
    assert ("name", "amount", "data")[what] in report.rows[0]["differs"]


@QUICK
@given(rows=ROWS, one=st.integers(0, 7), other=st.integers(0, 7), what=st.integers(0, 2))
def test_values_that_change_places_between_rows_are_seen(
    shared: Base, rows: Rows, one: int, other: int, what: int
) -> None:
    one, other = one % len(rows), other % len(rows)
    assume(rows[one][what] != rows[other][what])
    swapped = [list(row) for row in rows]
    swapped[one][what], swapped[other][what] = swapped[other][what], swapped[one][what]
    shared.fill([(n, *row) for n, row in enumerate(rows)])
    before = shared.take()
    shared.fill([(n, *row) for n, row in enumerate(swapped)])
    assert shared.compare(before).rows[0]["differs"] == "values changed places between rows"


# --- what happens to tables


def test_nothing_happened(base: Base) -> None:
    report = base.compare(base.take())
    assert report.headline == "data: every value preserved (3 rows in 1 table)"
    row = {"table": "item", "rows before": 3, "rows now": 3, "columns": 4, "differs": "", "not compared": ""}
    assert report.rows == (row,)


def test_a_fingerprint_survives_json(base: Base) -> None:
    taken = base.take()
    again = Fingerprint.from_dict(json.loads(json.dumps(taken.as_dict(), sort_keys=True)))
    assert again == taken
    assert base.compare(again).ok


def test_a_row_more_or_less_is_seen(base: Base) -> None:
    before = base.take()
    base.run("DELETE FROM item WHERE id = 3")
    report = base.compare(before)
    assert not report.ok
    assert report.rows[0]["rows now"] == 2
    assert report.rows[0]["differs"].startswith("rows; ")
    assert "do not drop the backup" in report.remedy


def test_an_empty_row_more_is_seen_although_no_sum_changes(base: Base) -> None:
    base.run("CREATE TABLE bare (x integer)", "INSERT INTO bare VALUES (NULL)")
    before = base.take()
    base.run("INSERT INTO bare VALUES (NULL)")
    assert base.compare(before).rows[0]["differs"].startswith("rows")


def test_a_renamed_column_is_followed_where_the_mapping_says_so(base: Base) -> None:
    before = base.take()
    base.run("ALTER TABLE item RENAME COLUMN name TO title")
    lost = base.compare(before)
    assert lost.rows[0]["differs"] == "gone: name", "the control"
    kept = base.compare(before, mapping={"item": {"renamed": {"name": "title"}}})
    assert kept.ok
    assert kept.rows[0]["columns"] == 4


def test_a_change_under_a_rename_is_seen(base: Base) -> None:
    before = base.take()
    base.run("ALTER TABLE item RENAME COLUMN name TO title", "UPDATE item SET title = 'ada' WHERE id = 1")
    report = base.compare(before, mapping={"item": {"renamed": {"name": "title"}}})
    assert report.rows[0]["differs"] == "name"


def test_a_mapping_that_is_not_carried_out_yet_does_no_harm(base: Base) -> None:
    assert base.compare(base.take(), mapping={"item": {"renamed": {"name": "title"}}}).ok


def test_a_column_that_stayed_beside_one_of_the_new_name_answers_for_itself(base: Base) -> None:
    renamed = {"item": {"renamed": {"name": "title"}}}
    before = base.take()
    base.run("ALTER TABLE item ADD COLUMN title text")
    assert base.compare(before, mapping=renamed).ok
    base.run("UPDATE item SET name = 'ada' WHERE id = 1")
    assert base.compare(before, mapping=renamed).rows[0]["differs"] == "name", "the control"


def test_two_columns_that_exchange_their_names_are_followed(base: Base) -> None:
    base.run("ALTER TABLE item ADD COLUMN nick text", "UPDATE item SET nick = 'n' || id")
    before = base.take()
    base.run("ALTER TABLE item RENAME COLUMN nick TO swap", "ALTER TABLE item RENAME COLUMN name TO nick",
             "ALTER TABLE item RENAME COLUMN swap TO name")  # fmt: skip
    assert base.compare(before, mapping={"item": {"renamed": {"name": "nick", "nick": "name"}}}).ok
    assert not base.compare(before).ok


def test_a_column_dropped_and_added_again_is_seen(base: Base) -> None:
    before = base.take()
    base.run("ALTER TABLE item DROP COLUMN name", "ALTER TABLE item ADD COLUMN name text")
    assert base.compare(before).rows[0]["differs"] == "name"


def test_a_column_that_is_gone_is_named(base: Base) -> None:
    before = base.take()
    base.run("ALTER TABLE item DROP COLUMN data")
    assert base.compare(before).rows[0]["differs"] == "gone: data"


def test_what_is_gone_of_a_table_without_a_row_is_said_and_is_no_loss(base: Base) -> None:
    base.run("CREATE TABLE bare (a integer, b text)", "CREATE TABLE shell (i integer)")
    before = base.take()
    base.run("ALTER TABLE bare DROP COLUMN b", "DROP TABLE shell")
    found = {row["table"].split(".")[-1]: row for row in base.compare(before).rows}
    assert found["bare"]["differs"] == found["shell"]["differs"] == ""
    assert found["bare"]["not compared"] == "it had no row, so no value was lost; gone: b"
    assert found["shell"]["not compared"] == "it had no row, so no value was lost; gone: the table"


def test_a_new_column_and_a_new_table_are_no_loss(base: Base) -> None:
    before = base.take()
    base.run("ALTER TABLE item ADD COLUMN more integer DEFAULT 7", "CREATE TABLE further (i integer)")
    assert base.compare(before).ok


def test_a_table_that_is_gone_is_named(base: Base) -> None:
    before = base.take()
    base.run("DROP TABLE item")
    report = base.compare(before)
    assert not report.ok
    assert report.rows[0]["differs"] == "the table is gone"
    assert report.rows[0]["rows now"] is None


def test_rows_copied_into_a_table_made_anew_are_the_same(base: Base) -> None:
    before = base.take()
    base.run("CREATE TABLE copied AS SELECT data, amount, id, name FROM item ORDER BY id DESC", "DROP TABLE item",
             "ALTER TABLE copied RENAME TO item")  # fmt: skip
    assert base.compare(before).ok


def test_only_the_named_tables_are_read(base: Base) -> None:
    base.run("CREATE TABLE further (i integer)")
    with base.target.connect() as connection:
        taken = fingerprint.take(connection, tables=["further"])
    assert taken.counts() == {"further": 0}


def test_null_the_empty_string_and_the_word_are_three_things(base: Base) -> None:
    prints = []
    for value in (None, "", "NULL", "-"):
        base.fill([(1, value, None, None)])
        prints.append(base.take().tables["item"])
    assert len({p.row_sum for p in prints}) == 4
    assert [p.columns["name"][0] for p in prints] == [0, 1, 1, 1]


def test_a_value_that_moves_to_the_next_column_is_seen(base: Base) -> None:
    base.run("CREATE TABLE pair (a text, b text)", "INSERT INTO pair VALUES ('x|1:y', 'z')")
    before = base.take()
    base.run("UPDATE pair SET a = 'x', b = 'y|1:z'")
    assert not base.compare(before).ok


# --- PostgreSQL


@pytest.fixture
def items(new_database: Callable[..., str]) -> Iterator[Base]:
    made = Base(new_database())
    made.fill([(1, "Ada", Decimal("1.2345"), None), (2, "Bob", Decimal("2.0000"), None)])
    yield made
    made.engine.dispose()


def test_trap_numeric_rounding_is_seen_although_no_count_changes(items: Base) -> None:
    before = items.take()
    items.run("ALTER TABLE item ALTER amount TYPE numeric(12,2)")
    after = items.take()
    assert after.counts() == before.counts()
    assert after.tables["item"].columns["amount"][0] == before.tables["item"].columns["amount"][0]
    assert "amount" in items.compare(before).rows[0]["differs"]


SETTINGS = {"TimeZone": "Asia/Tokyo", "DateStyle": "German", "extra_float_digits": "-10", "bytea_output": "escape",
            "IntervalStyle": "iso_8601"}  # fmt: skip


def test_the_settings_of_a_session_change_nothing(items: Base) -> None:
    items.run(
        "CREATE TABLE moment (t timestamptz, d date, i interval, f float8, b bytea)",
        "INSERT INTO moment VALUES ('2026-01-02 03:04:05+00', '2026-01-02', '1 day 2:03', 0.1, '\\x00ff')",
    )
    before = items.take()
    database = items.target.database
    items.run(*(f"ALTER DATABASE {database} SET {name} = '{value}'" for name, value in SETTINGS.items()))
    with items.target.connect() as connection:
        shown = connection.exec_driver_sql("SELECT t::text FROM moment").scalar_one()
    assert shown == "2026-01-02 12:04:05+09", "the control: it does read otherwise"
    assert items.compare(before).ok


def test_a_last_digit_of_a_float_is_seen(items: Base) -> None:
    items.run("CREATE TABLE f (x float8)", "INSERT INTO f VALUES (0.1)")
    before = items.take()
    items.run("UPDATE f SET x = 0.1::float8 + 1.4e-17::float8")
    assert not items.compare(before).ok


def test_sums_do_not_overflow(items: Base) -> None:
    items.run("CREATE TABLE many AS SELECT n, md5(n::text) AS t FROM generate_series(1, 20000) n")
    taken = items.take().tables["many"]
    assert taken.rows == 20000
    assert all(abs(int(c.total)) > 0 for c in taken.columns.values())
    before = items.take()
    items.run("UPDATE many SET t = md5('x') WHERE n = 17000")
    assert items.compare(before).rows[-1]["differs"] == "t"


KINDS = {
    "int[]": "'{1,2}'", "jsonb": "'{\"a\": 1}'", "json": "'{\"b\": 2}'", "uuid": "gen_random_uuid()", "inet": "'::1'",
    "tsvector": "'a b'", "mood": "'sad'", "pair": "'(1,x)'", "bit(3)": "'101'", "point": "'(1,2)'", "money": "1.5",
    "int4range": "'[1,3)'", "boolean": "true", "char(5)": "'x'", "timetz": "'12:00+01'", "regclass": "'pg_class'",
}  # fmt: skip


def test_every_kind_of_column_can_be_read(items: Base) -> None:
    columns = ", ".join(f'"odd %% ""{n}" {kind}' for n, kind in enumerate(KINDS))
    items.run(
        "CREATE TYPE mood AS ENUM ('sad', 'glad')",
        "CREATE TYPE pair AS (a int, b text)",
        "CREATE SCHEMA other",
        f"CREATE TABLE other.kinds ({columns}, g int GENERATED ALWAYS AS (7) STORED)",
        f"INSERT INTO other.kinds VALUES ({', '.join(KINDS.values())})",
    )
    taken = items.take().tables["other.kinds"]
    assert len(taken.columns) == len(KINDS) + 1
    assert all(c.nonnull == 1 for c in taken.columns.values())


def test_a_table_without_columns_has_rows(items: Base) -> None:
    items.run("CREATE TABLE bare ()", "INSERT INTO bare DEFAULT VALUES", "INSERT INTO bare DEFAULT VALUES")
    assert items.take().tables["bare"].rows == 2


def test_a_change_of_case_is_seen_under_a_collation_that_ignores_it(
    postgres15: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = Base(postgres15.create_database("collated"))
    ignoring = "CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false)"
    base.run(ignoring, "CREATE TABLE named (x text COLLATE ci)", "INSERT INTO named VALUES ('ada')")
    before = base.take()
    base.run("UPDATE named SET x = 'ADA'")
    assert base.compare(before).rows[1]["differs"] == "x"
    monkeypatch.setattr(statements, "EXACT", "")
    unguarded = base.take()
    base.run("UPDATE named SET x = 'Ada'")
    assert base.compare(unguarded).ok, "the control: without the exact collation nothing is seen"
    base.engine.dispose()
    postgres15.drop_database("collated")


@pytest.fixture
def reader(items: Base) -> Iterator[str]:
    """A role that may read item, and no other table."""
    items.run("CREATE ROLE reader LOGIN", "GRANT SELECT ON item TO reader")
    yield "reader"
    items.run("DROP OWNED BY reader", "DROP ROLE reader")


def _as(role: str, base: Base) -> targets.Target:
    return targets.parse("x", base.target.secret_url().replace("postgres@", f"{role}@"), {})


def test_a_table_that_may_not_be_read_is_named_and_not_passed_over(items: Base, reader: str) -> None:
    items.run("CREATE TABLE closed (i int)")
    with (
        pytest.raises(Unavailable, match="table closed cannot be read") as caught,
        _as(reader, items).connect() as seen,
    ):
        fingerprint.take(seen)
    assert "grant the role SELECT on closed" in caught.value.do


def test_rows_that_a_policy_hides_are_an_error_and_not_fewer_rows(
    items: Base, reader: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    items.run("ALTER TABLE item ENABLE ROW LEVEL SECURITY", "CREATE POLICY own ON item USING (id = 1)")
    with pytest.raises(Unavailable, match="row-level security"), _as(reader, items).connect() as seen:
        fingerprint.take(seen)
    unguarded = {name: value for name, value in server.SESSION.items() if name != "row_security"}
    monkeypatch.setattr(server, "SESSION", unguarded)
    with _as(reader, items).connect() as seen:
        assert fingerprint.take(seen).counts() == {"item": 1}, "the control: half of it would be missing"


def test_a_fingerprint_is_of_one_moment(items: Base) -> None:
    with items.target.connect(snapshot=True) as connection:
        first = fingerprint.take(connection)
        items.run("DELETE FROM item")
        assert fingerprint.take(connection) == first
    assert items.take() != first


def test_prints_of_postgresql_and_sqlite_are_not_mixed_up(base: Base) -> None:
    taken = base.take()
    assert taken.dialect == base.target.dialect
    assert replace(taken, dialect="other") != taken


def test_sqlites_storage_class_belongs_to_the_value(tmp_path: Path) -> None:
    base = Base(f"sqlite:///{tmp_path}/x.db")
    base.run("CREATE TABLE loose (x)", "INSERT INTO loose VALUES (1)")
    before = base.take()
    base.run("UPDATE loose SET x = '1'")
    assert base.compare(before).rows[1]["differs"] == "x"
    base.engine.dispose()
