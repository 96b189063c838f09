"""The hash of a value: the same on every server, in every encoding, on SQLite; and another for every other value."""

from __future__ import annotations

import contextlib
import datetime as dt
import math
import struct
import uuid
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from afdb_helpers import fingerprint, targets
from afdb_helpers.embedded_postgres import Server
from afdb_helpers.fingerprint import Fingerprint, client, lookup3, reading, server, statements
from afdb_helpers.fingerprint.reading import Source

pytestmark = pytest.mark.xdist_group("fingerprint values")
QUICK = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
TEXTS = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=60)
BIG = st.integers(-(2**63), 2**63 - 1)
DECIMALS = st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**15), max_value=10**15)

# Each table holds what differs from the rows beside it in as little as can be. Every one of them has to hash alone.
PAIRS = {
    "text": ["", " ", "a", "a ", " a", "A", "ä", "a\u0308", "NULL", "null", "0", "1", "1.0", "1.00", "x" * 700,
             "x" * 701],
    "varchar(9)": ["a", "a ", ""],
    "json": ['{"a": 1}', '{"a":1}', '{"a": 1.0}', '{"a": null}', "{}", "[1]", '"cut"', "null"],
    "jsonb": ['{"a": 1}', '{"a": 1.0}', '{"a": 1.00}', "{}", "[]", "null", '{"a": null}', '""'],
    "numeric": ["1", "1.0", "1.00", "-1", "0", "0.0", "NaN", "Infinity", "-Infinity", "1e-30", "1e30"],
    "numeric(20,6)": ["1", "-1", "0", "NaN", "1.000001", "10000", "100000000", "0.0001", "9999.9999"],
    "float8": ["0", "-0", "NaN", "Infinity", "-Infinity", "0.1", "0.10000000000000002", "1e300", "5e-324"],
    "float4": ["0", "-0", "NaN", "0.1", "1e30"],
    "bigint": ["0", "1", "-1", "4294967296", "4294967297", "9223372036854775807", "-9223372036854775808"],
    "boolean": ["true", "false"],
    "bytea": ["\\x", "\\x00", "\\x0000", "\\x01", "\\x5c7830", "\\xff"],
    "timestamp": ["2026-01-01 00:00:00", "2026-01-01 00:00:00.000001", "2026-01-01 01:00:00", "infinity", "-infinity",
                  "0001-01-01 BC", "9999-12-31 23:59:59.999999", "1969-12-31 23:59:59.999999", "2000-01-01",
                  "2260-01-01 00:00:00.000001", "2260-01-01 00:00:00.000002"],
    "timestamptz": ["2026-01-01 00:00:00+00", "2026-01-01 00:00:00+01", "infinity", "2026-01-01 00:00:00.000001+00"],
    "date": ["2026-01-01", "2026-01-02", "infinity", "-infinity", "1700-01-01"],
    "interval": ["1 day", "24:00", "1 month", "30 days"],
    "time": ["12:00", "12:00:00.000001"],
    "timetz": ["12:00+00", "13:00+01"],
    "uuid": ["00000000-0000-0000-0000-000000000000", "00000000-0000-0000-0000-000000000001"],
    "text[]": ["{}", "{a}", "{NULL}", '{"NULL"}', '{""}', '{"a,b"}', "{a,b}", "{{a,b}}"],
    "int4range": ["empty", "[1,2)", "[1,3)", "(,1)"],
    "mood": ["sad", "Sad", "glad"],
    "pair": ["(1,x)", "(1,)", '(1,"")', "(,x)"],
    "bit(3)": ["101", "100"],
    "inet": ["10.0.0.1", "10.0.0.1/24"],
    "money": ["1", "1.01"],
}  # fmt: skip


class Database:
    """A database with a table of every type; each value a row."""

    def __init__(self, url: str) -> None:
        self.target = targets.parse("x", url, {})
        self.engine = sa.create_engine(self.target.secret_url(), poolclass=sa.NullPool)

    def run(self, *statements_: str, values: Any = None) -> None:
        with self.engine.begin() as connection:
            for statement in statements_:
                connection.exec_driver_sql(statement, values) if values else connection.exec_driver_sql(statement)

    def take(self) -> Fingerprint:
        with self.target.connect() as connection:
            return fingerprint.take(connection)

    def hashes(self, table: str) -> list[Any]:
        """The hash of each row of a table, as the server gives it."""
        with self.target.connect() as connection:
            wanted = reading.everything(reading.tables(connection)[table])
            with server.settled(connection):
                asked = statements.hashed(wanted, server.dialect(connection))
                return [row[0] for row in server.execute(connection, asked, table)]


def _fill(database: Database, *, ascii_only: bool = False) -> None:
    database.run("CREATE TYPE mood AS ENUM ('sad', 'Sad', 'glad')", "CREATE TYPE pair AS (a int, b text)")
    for number, (kind, values) in enumerate(PAIRS.items()):
        database.run(f"CREATE TABLE t{number} (v {kind})")
        for value in values:
            if not ascii_only or "\u0308" not in value:
                database.run(f"INSERT INTO t{number} VALUES (%s)", values=(value,))


@pytest.fixture(scope="module")
def newest(postgres: Server) -> Iterator[Database]:
    made = Database(postgres.create_database("values_of_every_type"))
    _fill(made)
    yield made
    postgres.drop_database("values_of_every_type")


@pytest.mark.parametrize("kind", PAIRS)
def test_values_that_differ_have_different_hashes(newest: Database, kind: str) -> None:
    found = newest.hashes(f"t{list(PAIRS).index(kind)}")
    assert len(found) == len(PAIRS[kind])
    assert len(set(found)) == len(set(PAIRS[kind])), dict(zip(PAIRS[kind], found, strict=True))
    assert None not in found


@pytest.mark.parametrize("version", [15, 16])
def test_every_major_version_gives_the_same_fingerprint(
    newest: Database, version: int, request: pytest.FixtureRequest
) -> None:
    older: Server = request.getfixturevalue(f"postgres{version}")
    made = Database(older.create_database("values_of_every_type"))
    _fill(made)
    try:
        assert made.take() == newest.take()
    finally:
        older.drop_database("values_of_every_type")


@pytest.mark.parametrize("encoding", ["LATIN1", "EUC_JP", "SQL_ASCII"])
def test_every_encoding_gives_the_same_fingerprint(postgres: Server, encoding: str) -> None:
    """In Latin 1 and in EUC an é, or a kana, has other bytes; in SQL_ASCII the bytes are what the client sent."""
    text = "kana か" if encoding == "EUC_JP" else "café"
    taken = []
    for name, options in (("plain", ""), ("other", f" ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'")):
        with sa.create_engine(postgres.url("postgres"), isolation_level="AUTOCOMMIT").connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE values_{name} TEMPLATE template0{options}")
        made = Database(postgres.url(f"values_{name}") + "&client_encoding=utf8")
        made.run(f"CREATE TABLE t AS SELECT '{text}'::text AS v")
        taken.append(made.take())
    for name in ("plain", "other"):
        postgres.drop_database(f"values_{name}")
    assert taken[0] == taken[1]


@pytest.fixture(scope="module")
def asked(postgres: Server) -> Iterator[sa.Connection]:
    with sa.create_engine(postgres.url("postgres")).connect() as connection:
        yield connection


def _on_server(connection: sa.Connection, value: Any, type_: str, kind: str, base: str) -> int | None:
    """The hash of one value, by the SQL that hashes a column."""
    raw: Any = connection.connection.driver_connection
    with connection.begin(), server.settled(connection):
        expression = statements.value(Source("v", type_, kind, base), server.dialect(connection)).as_string(raw)
        given_ = sa.text(
            f"SELECT {expression.replace(':', chr(92) + ':')} FROM (SELECT CAST(:given AS {type_}) AS v) AS t"
        )
        found: int | None = connection.execute(given_, {"given": value}).scalar_one()
        return found


def _here(value: Any, kind: str) -> int | None:
    hashes, there = client.hashed([value], Source("v", "", kind))
    return lookup3.signed(int(hashes[0])) if there[0] else None


def _number_here(value: Decimal) -> int:
    return lookup3.signed(lookup3.of_numeric(value))


def _uuid_here(value: uuid.UUID) -> int:
    return lookup3.signed(int(lookup3.of_bytes([value.bytes])[0]))


def _as(kind: str, said: Callable[[Any], Any] = lambda value: value) -> Callable[[Any], int | None]:
    return lambda value: _here(said(value), kind)


def _moment(value: dt.datetime) -> str:
    return value.isoformat(" ")


ZONED = st.datetimes(dt.datetime(2, 1, 1), dt.datetime(9998, 1, 1), timezones=st.sampled_from(
    [dt.UTC, dt.timezone(dt.timedelta(hours=-9, minutes=-30)), dt.timezone(dt.timedelta(hours=14))]))  # fmt: skip
PROPERTIES: dict[str, tuple[str, st.SearchStrategy[Any], Callable[[Any], int | None]]] = {
    "int2": ("smallint", st.integers(-(2**15), 2**15 - 1), _as("integer")),
    "int4": ("integer", st.integers(-(2**31), 2**31 - 1), _as("integer")),
    "int8": ("bigint", BIG, _as("integer")),
    "bool": ("boolean", st.booleans(), _as("integer")),
    "float4": ("real", st.floats(width=32), _as("float")),
    "float8": ("float8", st.floats(), _as("float")),
    "numeric": ("numeric(30,6)", DECIMALS, _number_here),
    "timestamp": ("timestamp", st.datetimes(), _as("timestamp", _moment)),
    "timestamptz": ("timestamptz", ZONED, _as("timestamp", _moment)),
    "date": ("date", st.dates(), _as("timestamp", str)),
    "uuid": ("uuid", st.uuids(), _uuid_here),
    "bytea": ("bytea", st.binary(max_size=60), _as("bytes")),
    "text": ("text", st.none() | TEXTS, _as("text")),
}  # the server's name for a type → how it is declared, its values, their hash computed here


@pytest.mark.parametrize("base", PROPERTIES)
def test_a_value_of_every_kind_hashes_the_same_here_and_there(asked: sa.Connection, base: str) -> None:
    type_, values, here = PROPERTIES[base]

    @QUICK
    @given(value=values)
    def holds(value: Any) -> None:
        given_ = str(value) if base in ("uuid", "float4", "float8") else value  # a literal -0.0 is a numeric, so 0
        assert here(value) == _on_server(asked, given_, type_, reading.kind_of(base, 0), base), value

    holds()


def test_no_kind_that_a_fingerprint_knows_is_without_its_property() -> None:
    """Beside the types that it knows by name: numerics with a scale, and text, which all others are compared by."""
    assert {*reading.BUILT_IN, "numeric", "text"} == set(PROPERTIES)
    kinds = {reading.kind_of(base, 0) for base in PROPERTIES}
    assert kinds == {*statements._DIRECT} - {"bool"} | {"timestamp", "text"}, "what SQL can hash"
    assert kinds - {"uuid"} == {reading.declared(words[0]) for words in reading._WORDS}, "what is hashed of SQLite"
    assert len(kinds) == 7, "the control: kinds were found"


def test_a_server_is_probed_by_the_hash_that_would_be_computed_here() -> None:
    assert lookup3.signed(int(lookup3.of_bytes([b"afdb"])[0])) == server.PROBE


@QUICK
@given(one=st.floats(allow_nan=False), bit=st.integers(0, 63))
def test_one_bit_of_a_float_is_seen(one: float, bit: int) -> None:
    (number,) = struct.unpack("<Q", struct.pack("<d", one))
    (other,) = struct.unpack("<d", struct.pack("<Q", number ^ 1 << bit))
    assert lookup3.of_float(one) != lookup3.of_float(other) or (math.isnan(one) and math.isnan(other))


def test_all_nans_are_one_value(asked: sa.Connection) -> None:
    (odd,) = struct.unpack("<d", struct.pack("<Q", 0xFFF8000000000001))
    assert lookup3.of_float(odd) == lookup3.of_float(math.nan)


SQLITE = """CREATE TABLE t (id INTEGER PRIMARY KEY, name VARCHAR(20), ok BOOLEAN, amount NUMERIC(12, 4), f FLOAT,
    at DATETIME, day DATE, doc JSON, raw BLOB)"""
POSTGRES = """CREATE TABLE t (id integer PRIMARY KEY, name varchar(20), ok boolean, amount numeric(12, 4), f float8,
    at timestamp, day date, doc json, raw bytea)"""
ROW = "(1, 'Zoë ', {true}, 1.2300, 0.1, '2026-01-02 03:04:05.000600', '2026-01-02', '{{\"a\": [1.0]}}', {bytes}), (2"


def test_sqlite_and_postgresql_give_the_same_fingerprint(postgres: Server, tmp_path: Path) -> None:
    rows = "INSERT INTO t VALUES " + ROW + ", '', {false}, -7, -2.5e-8, NULL, '1969-12-31', NULL, {empty})"
    lite = Database(f"sqlite:///{tmp_path}/x.db")
    lite.run(SQLITE, rows.format(true=1, false=0, bytes="x'00ff'", empty="x''"))
    big = Database(postgres.create_database("as_in_sqlite"))
    big.run(POSTGRES, rows.format(true="true", false="false", bytes="'\\x00ff'", empty="'\\x'"))
    here, there = lite.take(), big.take()
    postgres.drop_database("as_in_sqlite")
    totals = [{n: (c.nonnull, c.total) for n, c in taken.tables["t"].columns.items()} for taken in (here, there)]
    assert totals[0] == totals[1]
    assert here.tables["t"].row_sum == there.tables["t"].row_sum


def test_the_linear_hash_of_a_record_would_not_see_values_that_swap_rows(asked: sa.Connection) -> None:
    """Why the row's hash is a chain of our own: the server's hash of a record, summed, is blind to it."""
    for before, after in [("(1,7),(2,8)", "(1,8),(2,7)")]:
        theirs, ours = [], []
        for rows in (before, after):
            both = "SELECT sum(hash_record_extended(ROW(a,b),0)), sum(hashint8extended(0, hashint8extended(0,a) # b))"
            row = asked.exec_driver_sql(f"{both} FROM (VALUES {rows}) AS v(a, b)").one()
            theirs.append(row[0])
            ours.append(row[1])
        assert ours[0] != ours[1]
        assert (theirs[0] - theirs[1]) % 2**64 == 0
    with contextlib.suppress(sa.exc.SQLAlchemyError):
        asked.rollback()
