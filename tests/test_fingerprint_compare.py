"""Comparing: declared mappings, rows that differ by their keys, several sessions, resumed readings, live traffic."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import yaml

from afdb_helpers import fingerprint, targets
from afdb_helpers.errors import ConfigError, Refused, Unavailable
from afdb_helpers.fingerprint import Fingerprint, server
from afdb_helpers.report import Report
from afdb_helpers.targets import Target

STORIES = sorted((Path(__file__).parent / "scenarios" / "lost_values").iterdir())


def _run(url: str, *statements: str) -> None:
    with sa.create_engine(url, poolclass=sa.NullPool).begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def _target(url: str) -> Target:
    return targets.parse("x", url, {})


def _take(url: str, **options: Any) -> Fingerprint:
    with _target(url).connect() as connection:
        return fingerprint.take(connection, **options)


def _compare(url: str, before: Fingerprint, **options: Any) -> Report:
    with _target(url).connect() as connection:
        return fingerprint.compare(before, connection, **options)


def _script(url: str, script: str) -> None:
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as made:
            made.executescript(script)
    else:
        _run(url, script)


# --- the three traps


def test_the_stories_are_found() -> None:
    assert [story.name for story in STORIES] == ["dropped_and_added_again", "emptied_child", "rounding"]


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_a_lost_value_is_caught_and_its_rows_are_named(
    story: Path, new_database: Callable[..., str], tmp_path: Path
) -> None:
    expected = yaml.safe_load((story / "expect.yaml").read_text())
    lite = expected["dialect"] == "sqlite"
    urls = [f"sqlite:///{tmp_path}/{n}.db" if lite else new_database() for n in range(2)]
    for url in urls:
        _script(url, (story / "before.sql").read_text())
    before = _take(urls[1])
    _script(urls[1], (story / "change.sql").read_text())
    mapping = expected.get("mapping")
    assert (_take(urls[1]).counts() == before.counts()) is expected["counts_unchanged"]
    report = _compare(urls[1], before, mapping=mapping)
    assert not report.ok
    for row in report.rows:
        wanted = expected["differs"][row["table"]]
        assert wanted in row["differs"] if wanted else row["differs"] == ""
    with _target(urls[0]).connect() as old, _target(urls[1]).connect() as new:
        found = fingerprint.differing(old, new, list(expected["keys"]), mapping=mapping)
    keys: dict[str, list[str]] = {}
    for row in found.rows:
        keys.setdefault(row["table"], []).append(row["key"])
    assert {table: sorted(some) for table, some in keys.items()} == expected["keys"]


# --- mappings


def test_a_table_that_was_renamed_and_one_that_was_retired_are_followed(database: str) -> None:
    _run(
        database,
        "CREATE TABLE a (i int)",
        "INSERT INTO a VALUES (1)",
        "CREATE TABLE b (i int)",
        "INSERT INTO b VALUES (2)",
    )
    before = _take(database)
    _run(database, "ALTER TABLE a RENAME TO z", "DROP TABLE b")
    assert [row["differs"] for row in _compare(database, before).rows] == ["the table is gone"] * 2, "the control"
    report = _compare(database, before, mapping={"a": {"to": "z"}, "b": {"retired": True}})
    assert report.ok
    assert report.rows[1]["not compared"] == "the table is retired, as declared"


def test_a_retired_column_is_no_loss_and_is_said(database: str) -> None:
    _run(database, "CREATE TABLE a (i int, note text)", "INSERT INTO a VALUES (1, 'x')")
    before = _take(database)
    _run(database, "ALTER TABLE a DROP note")
    report = _compare(database, before, mapping={"a": {"retired": ["note"]}})
    assert report.ok
    assert "retired: note" in report.rows[0]["not compared"]


def test_a_declared_cast_is_followed_and_one_that_is_not_declared_is_named(database: str) -> None:
    _run(database, "CREATE TABLE a (n int, at timestamp)", "INSERT INTO a VALUES (5, '2026-01-01'), (NULL, NULL)")
    before = _take(database)
    _run(database, "ALTER TABLE a ALTER n TYPE text")
    assert "n (was integer, is text: no cast declared)" in _compare(database, before).rows[0]["differs"]
    declared = {"a": {"cast": {"n": "integer"}}}
    assert _compare(database, before, mapping=declared).ok
    _run(database, "UPDATE a SET n = '05' WHERE n = '5'")
    assert not _compare(database, before, mapping=declared).ok, "it casts back to 5, but 5 does not cast to 05"


def test_a_wider_type_needs_no_cast(database: str) -> None:
    _run(database, "CREATE TABLE a (n int, x numeric(12,2), s varchar(9))", "INSERT INTO a VALUES (5, 1.5, 'x')")
    before = _take(database)
    _run(database, "ALTER TABLE a ALTER n TYPE bigint, ALTER x TYPE numeric(14,4), ALTER s TYPE text")
    assert _compare(database, before).ok


def test_a_cast_to_a_type_that_does_not_exist_is_refused(database: str) -> None:
    _run(database, "CREATE TABLE a (n int)")
    with pytest.raises(ConfigError, match="'nothing', which is no type"):
        _compare(database, _take(database), mapping={"a": {"cast": {"n": "nothing"}}})


def test_two_that_were_taken_are_compared_without_a_database(database: str) -> None:
    _run(database, "CREATE TABLE a (i int, b text)", "INSERT INTO a VALUES (1, 'x')")
    before = _take(database)
    _run(database, "ALTER TABLE a RENAME b TO z")
    after = _take(database)
    assert not fingerprint.compare_prints(before, after).ok
    assert fingerprint.compare_prints(before, after, mapping={"a": {"renamed": {"b": "z"}}}).ok
    _run(database, "UPDATE a SET z = 'y'")
    changed = fingerprint.compare_prints(before, _take(database), mapping={"a": {"renamed": {"b": "z"}}})
    assert changed.rows[0]["differs"] == "b"


def test_a_fingerprint_of_an_older_format_is_refused() -> None:
    with pytest.raises(Refused, match="cannot be compared") as caught:
        Fingerprint.from_dict({"dialect": "postgresql", "tables": {}})
    assert "make a new backup" in caught.value.do


# --- names


@pytest.mark.parametrize("lite", [True, False])
def test_tables_of_odd_names_are_read(database: str, tmp_path: Path, lite: bool) -> None:
    url = f"sqlite:///{tmp_path}/x.db" if lite else database
    names = ["a.b", 'q"uote', "Gro ß", "50%", "x:y", "select"]
    for name in names:
        quoted = '"' + name.replace('"', '""') + '"'
        _run(url, f"CREATE TABLE {quoted} ({quoted} int)".replace("%", "%%"))
    taken = _take(url)
    assert len(taken.tables) == len(names)
    assert '"a.b"' in taken.tables
    assert _compare(url, taken).ok


def test_a_partitioned_table_is_one_and_an_heir_is_its_own(database: str) -> None:
    _run(database, "CREATE TABLE p (i int) PARTITION BY RANGE (i)",
         "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10)", "INSERT INTO p VALUES (1)",
         "CREATE TABLE base (i int)", "CREATE TABLE heir () INHERITS (base)",
         "INSERT INTO heir VALUES (1)")  # fmt: skip
    assert _take(database).counts() == {"base": 0, "heir": 1, "p": 1}


def test_a_type_that_nobody_knows_is_said(database: str) -> None:
    _run(database, "CREATE TYPE odd", "CREATE FUNCTION odd_in(cstring) RETURNS odd LANGUAGE internal IMMUTABLE STRICT"
         " AS 'textin'", "CREATE FUNCTION odd_out(odd) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout'",
         "CREATE TYPE odd (INPUT = odd_in, OUTPUT = odd_out, LIKE = text)", "CREATE TABLE a (v odd)",
         "INSERT INTO a VALUES ('x')")  # fmt: skip
    before = _take(database)
    assert "of a type unknown here: v (odd)" in _compare(database, before).rows[0]["not compared"]


# --- ranges, sessions, resumed


@pytest.fixture
def big(database: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A table of many ranges."""
    monkeypatch.setattr(server, "RANGE", 64 * 1024)
    _run(database, "CREATE TABLE big AS SELECT n AS id, md5(n::text) AS t FROM generate_series(1, 20000) n")
    _run(database, "ALTER TABLE big ADD PRIMARY KEY (id)", "CREATE TABLE small (i int)")
    return database


def test_ranges_and_sessions_change_nothing(big: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[int, int]] = []
    in_ranges = _take(big, note=lambda event, **facts: told.append((facts["done"], facts["of"])))
    assert told[-1][0] == told[-1][1] > 10
    assert _take(big, jobs=3) == in_ranges
    monkeypatch.setattr(server, "RANGE", 2**40)
    assert _take(big) == in_ranges


def test_several_sessions_see_one_moment(big: str) -> None:
    before = _take(big)
    seen: list[int] = []

    def delete(event: str, **facts: Any) -> None:
        if not seen:
            seen.append(1)
            _run(big, "DELETE FROM big WHERE id > 10000")

    assert _take(big, jobs=2, note=delete) == before
    assert _take(big) != before, "the control"


def test_an_error_of_one_session_is_the_error(big: str) -> None:
    def drop(event: str, **facts: Any) -> None:
        raise RuntimeError("from within")

    with pytest.raises(RuntimeError, match="from within"):
        _take(big, jobs=2, note=drop)


def test_a_reading_that_was_cut_off_goes_on(big: str, tmp_path: Path) -> None:
    kept, read = tmp_path / "kept", []

    def stop(event: str, **facts: Any) -> None:
        if facts["done"] == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _take(big, resume=kept, note=stop)
    assert len(kept.read_text().splitlines()) == 5
    kept.write_bytes(kept.read_bytes() + b'{"range": "half a li')
    taken = _take(big, resume=kept, note=lambda event, **facts: read.append(facts))
    assert taken == _take(big)
    lines = [line for line in kept.read_text().splitlines() if not line.endswith("half a li")]
    assert len(lines) == read[-1]["of"]
    assert len({json.loads(line)["range"] for line in lines}) == len(lines)


def test_a_file_that_holds_something_else_is_no_resumed_reading(big: str, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("hello\n")
    with pytest.raises(ConfigError, match="does not hold the ranges"):
        _take(big, resume=other)


def test_a_statement_that_takes_too_long_names_its_table(big: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "RANGE", 2**40)
    _run(big, "INSERT INTO big SELECT n, 'x' FROM generate_series(20001, 150000) n")
    with pytest.raises(Unavailable, match="table big cannot be read") as caught:
        _take(big, tables=["big"], timeout=0.001)
    assert "--timeout" in caught.value.do


def test_a_table_dropped_while_it_is_read_is_said(big: str) -> None:
    def drop(event: str, **facts: Any) -> None:
        if facts["done"] == 3:
            _run(big, "DROP TABLE big")

    with pytest.raises(Unavailable, match="table big cannot be read") as caught:
        _take(big, note=drop)
    assert "dropped while it was read" in caught.value.why


def test_a_session_has_its_own_settings_again(big: str) -> None:
    with _target(big).connect() as connection:
        asked = "SELECT current_setting('search_path'), current_setting('TimeZone'), current_setting('row_security')"
        before = connection.exec_driver_sql(asked).one()
        fingerprint.take(connection)
        assert connection.exec_driver_sql(asked).one() == before


# --- samples, live traffic, differing rows


def test_a_sample_is_of_the_same_rows_each_time_and_says_how_sure_it_is(big: str) -> None:
    part = _take(big, sample=0.1)
    assert 1700 < part.tables["big"].rows < 2300
    report = _compare(big, part)
    assert report.ok
    assert "a sample of 10.00%: with 95% confidence fewer than 29 rows changed" in report.headline
    _run(big, "UPDATE big SET t = 'x'")
    assert not _compare(big, part).ok


def test_rows_written_since_are_left_out_and_counted(big: str) -> None:
    before = _take(big)
    _run(big, "INSERT INTO big SELECT n, 'new' FROM generate_series(30001, 30007) n")
    assert not _compare(big, before).ok, "the control"
    report = _compare(big, before, live=True)
    assert report.ok
    assert report.rows[0]["not compared"] == "7 rows written since"
    _run(big, "UPDATE big SET t = 'x' WHERE id = 5")
    worse = _compare(big, before, live=True)
    assert not worse.ok
    assert worse.rows[0]["not compared"] == "8 rows written since; of before, 1 were written again or are gone"


def test_differing_rows_are_named_by_key_and_column_and_never_by_value(
    big: str, new_database: Callable[..., str]
) -> None:
    other = new_database()
    _run(other, "CREATE TABLE big AS SELECT n AS id, md5(n::text) AS t FROM generate_series(1, 20000) n",
         "ALTER TABLE big ADD PRIMARY KEY (id)", "UPDATE big SET t = 'secret' WHERE id = 77",
         "DELETE FROM big WHERE id = 78", "INSERT INTO big VALUES (-1, 'secret')")  # fmt: skip
    with _target(big).connect() as old, _target(other).connect() as new:
        report = fingerprint.differing(old, new, ["big", "small"])
        said = {row["key"]: row["differs"] for row in report.rows}
        assert said == {"77": "t", "78": "the row is gone", "-1": "the row is new", "": said[""]}
        assert "no key" in said[""]
        assert "secret" not in str(report)
        _run(other, "UPDATE big SET t = 'secret'")
        assert len(fingerprint.differing(old, new, ["big"]).rows) == 20
