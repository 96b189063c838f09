"""002 → 001 → 002: what 001 can hold comes back, what it cannot is refused with counts, and no trace is left."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import chain
import pytest
from alembic.util import CommandError
from chain import SERVERS, Maker
from commandline import afdb

from afdb_helpers.report import count

TWO = ["postgresql 18", "sqlite"]
STAMP = "61666462-0002-8000-8000-{:012d}"

# Rows of the audit trail written since 002, one of them deleted again: 10 and 12 are left.
SINCE = """
INSERT INTO audit_logs (id, event_type, created_at) VALUES (10, 'since', '2024-06-01 00:00:00.000000');
INSERT INTO audit_logs (id, event_type) VALUES (11, 'deleted'), (12, 'since');
DELETE FROM audit_logs WHERE id = 11
"""

# What 001 has no place for, and what the refusal counts.
UNHOLDABLE = """
INSERT INTO projects (id, name, tenant_id, created_by) VALUES ('p1', 'p', 't1', 'u1'), ('p2', 'p', 't1', 'u1');
INSERT INTO plans (id, name, plan_type) VALUES ('pl1', 'Free', 'free');
UPDATE blueprints SET definition = '{"a": 1}', price = 0.5, is_public = TRUE WHERE id = 'b1';
UPDATE blueprints SET pricing_model = NULL, rating = NULL;
UPDATE executions SET input_data = '{}', execution_time = 0.0;
UPDATE audit_logs SET ip_address = '::1' WHERE id < 4;
UPDATE api_keys SET permissions = '[]' WHERE id = 'k1'
"""
COUNTED = {
    "plans": 1, "projects": 2, "blueprints.definition": 1, "blueprints.price": 1, "blueprints.is_public": 1,
    "executions.input_data": 2, "executions.execution_time": 2, "audit_logs.ip_address": 3, "api_keys.permissions": 1,
}  # fmt: skip


@pytest.fixture
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Maker:
    return Maker(request, tmp_path)


@pytest.mark.parametrize("server", SERVERS)
def test_a39_down_and_up_again_keeps_every_value_and_every_number(server: str, make: Maker) -> None:
    url = make(server, "at_001")
    first = chain.rows(url)
    chain.upgrade(url)
    chain.execute(url, SINCE)
    known, dialect = chain.rows(url), server.split(maxsplit=1)[0]
    chain.downgrade(url)
    down = chain.rows(url)
    assert chain.stamped(url) == ("001",)
    assert chain.catalogue(url) == make.fresh(server, "001")
    since = {STAMP.format(10), STAMP.format(12)}
    assert set(down["audit_logs"]) == set(first["audit_logs"]) | since
    for table, rows in first.items():
        assert {key: row for key, row in down[table].items() if key not in since} == rows, table
    chain.upgrade(url)
    for number in (10, 12):  # a row that never had a text key has one now: the one it had in 001
        text = STAMP.format(number)
        known["audit_logs"][str(number)]["legacy_id"] = text if dialect == "postgresql" else f"text {text}"
    assert chain.rows(url) == known
    assert chain.catalogue(url) == make.fresh(server)
    chain.downgrade(url)
    assert chain.rows(url) == down


def test_a39_a_difference_found_after_the_change_is_gone_back_from_by_the_runbook_with_every_write_since(
    make: Maker, tmp_path: Path
) -> None:
    url = make("postgresql 18", "at_001")
    first, settings = chain.rows(url), {"DATABASE_URL": url, "AFDB_RECORDS": str(tmp_path / "records")}

    def run(*words: str) -> tuple[int, str]:
        done = afdb("run", *words, cwd=chain.ROOT, **settings)
        return done.returncode, done.stdout + done.stderr

    assert run("migration")[0] == 0
    assert run("verification")[0] == 0, "the control: as it is, nothing is found"
    chain.execute(url, "UPDATE agents SET name = 'another' WHERE id = 'a1'")
    code, said = run("verification")
    assert code == 3, said
    assert "data: 1 " in said
    chain.execute(url, SINCE)
    code, said = run("migration", "--direction", "downgrade", "--revision", "001")
    assert code == 0, said
    down = chain.rows(url)
    assert chain.catalogue(url) == make.fresh("postgresql 18", "001")
    assert set(down["audit_logs"]) == set(first["audit_logs"]) | {STAMP.format(10), STAMP.format(12)}
    assert down["agents"]["a1"]["name"] == "another", "what was written since, whoever wrote it"


@pytest.mark.parametrize("server", TWO)
@pytest.mark.parametrize("state", ["created_by_models", "drifted_002", "half_002_older"])
def test_the_audit_trail_of_every_state_keeps_its_numbers_down_and_up(server: str, state: str, make: Maker) -> None:
    url = make(server, state)
    chain.upgrade(url)
    known = chain.rows(url)["audit_logs"]
    chain.downgrade(url, allow_data_loss=True)
    assert chain.stamped(url) == ("001",)
    assert len(chain.rows(url)["audit_logs"]) == len(known)
    chain.upgrade(url)
    found = chain.rows(url)["audit_logs"]
    free = ("legacy_id", "ip_address")
    assert {k: _without(row, free) for k, row in found.items()} == {k: _without(row, free) for k, row in known.items()}


@pytest.mark.parametrize("server", TWO)
def test_rows_of_001_written_in_between_take_the_free_numbers(server: str, make: Maker) -> None:
    url = make(server, "at_001")
    chain.upgrade(url)
    chain.execute(url, SINCE)
    chain.downgrade(url)
    chain.execute(url, "INSERT INTO audit_logs (id, event_type) VALUES ('zzz', 'between'), ('zzzz', 'between')")
    chain.upgrade(url)
    numbers = {row["legacy_id"]: int(key) for key, row in chain.rows(url)["audit_logs"].items()}
    plain = {str(text).removeprefix("text "): number for text, number in numbers.items()}
    assert plain == chain.expect("at_001")["numbers"] | {
        STAMP.format(10): 10, STAMP.format(12): 12, "zzz": 11, "zzzz": 13
    }  # fmt: skip


@pytest.mark.parametrize("server", TWO)
def test_what_001_cannot_hold_is_refused_with_counts_and_nothing_changed(server: str, make: Maker) -> None:
    url = make(server, "at_001")
    chain.upgrade(url)
    chain.execute(url, UNHOLDABLE)
    before = chain.rows(url), chain.catalogue(url), chain.stamped(url)
    with pytest.raises(CommandError) as refused:
        chain.downgrade(url)
    said = str(refused.value)
    for name, n in COUNTED.items():
        assert f"{name}: {count(n, 'value' if '.' in name else 'row')}" in said
    assert len(re.findall(r": \d+ (?:value|row)s?\b", said)) == len(COUNTED), "something is counted that 001 can hold"
    assert (chain.rows(url), chain.catalogue(url), chain.stamped(url)) == before


@pytest.mark.parametrize("server", TWO)
@pytest.mark.parametrize(
    ("allowed", "left"),
    [
        ({"x": ["allow_data_loss=true"]}, []),
        ({"allow_data_loss": True}, []),
        ({"x": [f"allow_data_loss={','.join(COUNTED)}"]}, []),
        ({"allow_data_loss": ["plans", "projects", "blueprints", "executions", "audit_logs", "api_keys"]}, []),
        ({"x": ["allow_data_loss=plans, blueprints.price"]}, sorted(set(COUNTED) - {"plans", "blueprints.price"})),
        ({"x": ["allow_data_loss=false"]}, sorted(COUNTED)),
        ({"allow_data_loss": False}, sorted(COUNTED)),
    ],
)
def test_only_what_is_named_may_go(server: str, allowed: dict[str, Any], left: list[str], make: Maker) -> None:
    url = make(server, "at_001")
    first = chain.rows(url)
    chain.upgrade(url)
    chain.execute(url, UNHOLDABLE)
    if not left:
        chain.downgrade(url, **allowed)
        assert chain.rows(url) == first
        assert chain.catalogue(url) == make.fresh(server, "001")
        return
    with pytest.raises(CommandError) as refused:
        chain.downgrade(url, **allowed)
    assert [name for name in sorted(COUNTED) if f"{name}: " in str(refused.value)] == left
    assert chain.stamped(url) == ("002",)


@pytest.mark.parametrize("server", TWO)
def test_a_number_that_would_come_back_as_another_is_refused(server: str, make: Maker) -> None:
    url = make(server, "at_001")
    chain.upgrade(url)
    chain.execute(url, "DELETE FROM audit_logs WHERE id = 7")
    with pytest.raises(CommandError, match=r"audit_logs\.id: 2 values"):
        chain.downgrade(url)
    chain.downgrade(url, x=["allow_data_loss=audit_logs.id"])
    chain.upgrade(url)
    assert sorted(map(int, chain.rows(url)["audit_logs"])) == list(range(1, 9))


@pytest.mark.parametrize("server", TWO)
def test_two_rows_with_one_text_key_are_refused_whatever_is_allowed(server: str, make: Maker) -> None:
    url = make(server, "at_001")
    chain.upgrade(url)
    chain.execute(url, "INSERT INTO audit_logs (id, legacy_id, event_type) VALUES (10, 'b', 'copied')")
    chain.execute(url, f"INSERT INTO audit_logs (id, event_type, legacy_id) VALUES (11, 'x', '{STAMP.format(12)}')")
    chain.execute(url, "INSERT INTO audit_logs (id, event_type) VALUES (12, 'since')")
    with pytest.raises(CommandError, match="two rows would get the same text key") as refused:
        chain.downgrade(url, allow_data_loss=True)
    assert "audit_logs has 4 of them" in str(refused.value)
    assert chain.stamped(url) == ("002",)


@pytest.mark.parametrize("server", TWO)
def test_down_to_nothing_is_refused_while_there_are_rows(server: str, make: Maker) -> None:
    url = make(server, "at_001")
    with pytest.raises(CommandError, match="tenants: 3 rows") as refused:
        chain.downgrade(url, "base")
    assert "audit_logs: 9 rows" in str(refused.value)
    assert len(chain.rows(url)["tenants"]) == 3
    chain.downgrade(url, "base", allow_data_loss=True)
    assert chain.rows(url) == {}
    empty = make(server, "empty")
    chain.upgrade(empty)
    chain.downgrade(empty, "base")
    assert chain.rows(empty) == {}


def _without(row: dict[str, str | None], columns: tuple[str, ...]) -> dict[str, str | None]:
    return {name: value for name, value in row.items() if name not in columns}
