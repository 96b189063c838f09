"""Each rule fires where it should and not where it should not; stories are directories, a new one adds no code."""

from __future__ import annotations

import datetime as dt
import itertools
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from afdb_helpers import lint
from afdb_helpers.errors import ConfigError, Unavailable
from afdb_helpers.lint import Executed, Findings, Table, Wait, rules, squawk, statements, tokens, waivers

STORIES = sorted(path.parent for path in (Path(__file__).parent / "scenarios" / "lint").glob("*/expect.yaml"))
TODAY = dt.date(2026, 12, 1)
USERS = {"users": Table(rows=5_000_000, bytes=1_000_000_000, writes=20.0, reads=200.0)}


def told(story: Path) -> tuple[Findings, list[dict[str, Any]]]:
    """What is found in a story, and what it expects."""
    facts = yaml.safe_load((story / "expect.yaml").read_text())
    listed = []
    for number, sql in enumerate(lint.split((story / "statements.sql").read_text()), 1):
        measured = dict(facts.get("measured", {}).get(number, {}))
        waits = tuple(Wait(**wait) for wait in measured.pop("waits", ()))
        rewrites = tuple(measured.pop("rewrites", ()))
        listed.append(Executed(sql=sql, waits=waits, rewrites=rewrites, **measured))
    tables = {name: Table(**table) for name, table in facts["tables"].items()}
    return lint.check(listed, tables, version=18, on=TODAY), facts["findings"]


def key(row: dict[str, Any]) -> tuple[str, str]:
    return str(row["rule"]), str(row.get("table", ""))


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_a_story_is_found_as_it_is_told(story: Path) -> None:
    found, expected = told(story)
    assert sorted(row["rule"] for row in found.rows) == sorted(row["rule"] for row in expected), found
    rows = sorted((dict(row) for row in found.rows), key=key)
    for wanted in sorted(expected, key=key):
        fitting = [row for row in rows if wanted.items() <= row.items()]
        assert fitting, f"{wanted} is not among {rows}"
        rows.remove(fitting[0])
    assert all(one.safe and one.why for one in found.findings)


def test_every_rule_of_ours_fires_in_a_story_and_no_story_is_without_expectation() -> None:
    expected = [
        row["rule"] for story in STORIES for row in yaml.safe_load((story / "expect.yaml").read_text())["findings"]
    ]
    assert set(rules.NAMES) <= set(expected)
    assert len(STORIES) >= 2 * len(rules.NAMES)


def test_a_small_table_is_no_alarm() -> None:
    quiet = [story for story in STORIES if "small_table" in story.name]
    assert len(quiet) >= 5
    assert all(told(story)[0].ok for story in quiet)


def checked(sql: str, *, waived: tuple[lint.Waiver, ...] = (), **options: Any) -> Findings:
    return lint.check([Executed(sql=one) for one in lint.split(sql)], USERS, waived=waived, on=TODAY, **options)


def test_a_finding_at_the_threshold_is_refused_and_one_below_is_not() -> None:
    sql = "CREATE INDEX CONCURRENTLY IF NOT EXISTS ix ON users (name)"
    assert not checked(sql).ok
    assert checked(sql, threshold="blocking").ok
    assert "lint-waivers.toml" in checked(sql).remedy


def test_the_safe_form_is_the_statement_made_safe() -> None:
    found = {one.rule: one.safe for one in checked("CREATE INDEX ix ON users (name); UPDATE users SET a = 1").findings}
    assert "CREATE INDEX CONCURRENTLY ix ON users (name);" in found["require-concurrent-index-creation"]
    assert "UPDATE users SET a = 1 WHERE ctid = ANY" in found["unbatched-update"]
    assert statements.read(found["unbatched-update"])[0].table == "users"


def test_each_safe_form_of_ours_is_not_found_again() -> None:
    sql = "UPDATE users SET a = 1; DELETE FROM users; CREATE INDEX ix ON users (b)"
    for one in checked(sql).findings:
        assert one.rule not in {again.rule for again in checked(one.safe.replace("CONDITION", "a <> 1")).findings}


@pytest.mark.parametrize(
    "statement",
    [
        "DROP POLICY own ON users",
        "ALTER TABLE users DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE users NO FORCE ROW LEVEL SECURITY",
        "REVOKE SELECT ON users FROM reading",
        "GRANT SELECT ON users TO anon",
        "GRANT SELECT ON users TO PUBLIC",
    ],
)
def test_a36_what_takes_a_right_or_opens_a_table_blocks_before_the_migration_unless_it_is_waived(
    statement: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (found,) = checked(statement, threshold="blocking").worst("blocking")
    waiver = lint.Waiver(rule=found.rule, statement=statement, reason="a view instead", until=TODAY)
    assert checked(statement, threshold="blocking", waived=(waiver,)).ok
    monkeypatch.setattr(rules, "_RULES", (rules._truncate,))
    assert checked(statement, threshold="blocking").ok, "the control"


# --- waivers

WAIVERS = """
[[waiver]]
rule = "truncate"
statement = "TRUNCATE users*"
reason = "the table is filled anew each night"
until = 2026-12-01
"""


def test_a_waived_finding_does_not_count_and_is_shown_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / lint.FILE).write_text(WAIVERS)
    waived = waivers.read(tmp_path / lint.FILE)
    found = checked("TRUNCATE users", waived=waived)
    assert found.ok
    assert found.findings[0].waived == "until 2026-12-01: the table is filled anew each night"
    assert found.parts[-1].rows[0]["state"] == "counts"
    assert not checked("TRUNCATE users").ok  # the control
    assert not checked("TRUNCATE userssomething, users", waived=waived).worst("blocking")


def test_an_expired_waiver_does_not_count_and_is_said(tmp_path: Path) -> None:
    (tmp_path / lint.FILE).write_text(WAIVERS)
    waived = waivers.read(tmp_path / lint.FILE)
    found = lint.check([Executed(sql="TRUNCATE users")], USERS, waived=waived, on=TODAY + dt.timedelta(days=1))
    assert not found.ok
    assert found.findings[0].waived == ""
    assert "1 waiver, 1 expired" in str(found)


def test_a_waiver_for_another_statement_or_revision_does_not_count(tmp_path: Path) -> None:
    (tmp_path / lint.FILE).write_text(WAIVERS + WAIVERS.replace('statement = "TRUNCATE users*"', 'revision = "003"'))
    waived = waivers.read(tmp_path / lint.FILE)
    stamp = "UPDATE alembic_version SET version_num='{}' WHERE alembic_version.version_num = '001'"
    other = "TRUNCATE TABLE users; " + stamp.format("002")
    assert not checked(other, waived=waived).ok
    assert "covers nothing" in str(checked(other, waived=waived))
    assert checked("TRUNCATE TABLE users; " + stamp.format("003"), waived=waived).ok


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("waiver = 1", "something else"),
        ("[[waiver]", "at line 1"),
        ('[[waiver]]\nrule = "truncate"\nuntil = 2026-12-01\nrevision = "002"', "reason is to be a text"),
        ('[[waiver]]\nrule = "truncate"\nreason = "x"\nuntil = "soon"\nrevision = "002"', "until is to be a day"),
        ('[[waiver]]\nrule = "truncate"\nreason = "x"\nuntil = 2026-12-01', "neither a revision nor a statement"),
        ('[[waiver]]\nrulle = "truncate"', "rulle"),
    ],
)
def test_a_waiver_that_is_not_whole_is_refused(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / lint.FILE).write_text(text)
    with pytest.raises(ConfigError, match=r"the waivers of .* cannot be read") as error:
        waivers.read(tmp_path / lint.FILE)
    assert why in str(error.value)


def test_without_a_file_nothing_is_waived(tmp_path: Path) -> None:
    assert waivers.read(tmp_path / lint.FILE) == ()


# --- squawk, and reading SQL


def test_squawk_reads_statements_with_a_drivers_parameters() -> None:
    assert squawk.run(["UPDATE t SET a = %(a)s, b = %s WHERE c = '%(c)s' AND d = :d"]) == []


def test_a_statement_that_squawk_cannot_read_hides_no_other() -> None:
    found = squawk.run(["ALTER TABLE t RENAMED x", "CREATE INDEX i ON t (a)"])
    assert {(one.number, one.rule) for one in found} == {(0, squawk.NOT_READ), (1, "require-concurrent-index-creation")}


def test_without_squawk_nothing_is_said_to_be_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    with pytest.raises(Unavailable, match="cannot be linted"):
        checked("SELECT 1")


def test_quotes_comments_and_dollars_are_read_as_the_server_reads_them() -> None:
    sql = """SELECT 'a''b;', E'c\\';', "d"";" /* ; /* ; */ ; */ -- ;
        , $x$ ; $y$ ; $x$; DELETE FROM "My Table" """
    first, second = statements.read(sql)
    strings = [token.text for token in first.words if token.kind == "string"]
    assert strings == ["a'b;", "c\\';", " ; $y$ ; "]
    assert (second.verb, second.table) == ("delete", "My Table")


@given(st.text())
def test_any_text_is_read_to_its_end(text: str) -> None:
    found = tokens.read(text)
    assert all(one.end <= other.start for one, other in itertools.pairwise(found))
    tokens.without_parameters(text)
    statements.read(text)
