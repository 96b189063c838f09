"""From every starting state to one 002 schema with every value kept, on every server; and back to 001 and up again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import chain
import pytest
from alembic.util import CommandError
from chain import SERVERS, Maker, Rows
from schema_facts import TYPES, indexes_002, renamed, schema_001, schema_002, stored_default

from afdb_helpers import catalog, revisions

TWO = ["postgresql 18", "sqlite"]
GOOD = [state for state in chain.states() if "refused" not in chain.expect(state)]
BAD = [state for state in chain.states() if "refused" in chain.expect(state)]
OLDER = [
    (name, n)
    for name in ("postgresql 18", "sqlite")
    for n in range(1, len(chain.parts("half_002_older", name.split()[0])) + 1)
]


@pytest.fixture
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Maker:
    return Maker(request, tmp_path)


def expected(before: Rows, numbers: dict[str, int], dialect: str) -> Rows:
    """What 002 must hold, made from what was there and from the facts alone."""
    after: Rows = {}
    for table, columns in schema_002().items():
        source = before.get(table, before.get("audit_logs_new", {}) if table == "audit_logs" else {})
        rows = [_expected(table, columns, row, numbers, dialect) for row in source.values()]
        after[table] = {str(row["id"]).removeprefix("integer ").removeprefix("text "): row for row in rows}
    return after


def _expected(table: str, columns: Any, row: dict[str, str | None], numbers: dict[str, int], dialect: str) -> Any:
    old = {new: old for old, new in renamed(table).items()}
    made: dict[str, str | None] = {}
    for name, fact in columns.items():
        source = name if name in row else old.get(name, name)
        made[name] = row[source] if source in row else stored_default(fact, dialect)
    if table == "audit_logs":
        text = "details" not in row  # the key of 001
        made["legacy_id"] = row["id"] if text else row.get("legacy_id")
        if text:
            number = numbers[str(row["id"]).removeprefix("text ")]
            made["id"] = str(number) if dialect == "postgresql" else f"integer {number}"
    return made


def without_strictness(found: dict[str, Any], stricter: list[str]) -> dict[str, Any]:
    """The catalogue with NULL allowed where the state is known to be stricter; asserts that it is."""
    for name in stricter:
        table, column = name.split(".")
        assert found["tables"][table]["columns"][column]["nullable"] is False, name
        found["tables"][table]["columns"][column]["nullable"] = True
    return found


def test_there_are_scenarios_for_all_starting_states_of_the_facts() -> None:
    from schema_facts import FACTS

    assert {name.replace("half_002_older", "half_002") for name in GOOD + BAD} >= set(FACTS["starting_states"])
    assert len(OLDER) == 25 + 5


@pytest.mark.parametrize("server", SERVERS)
def test_an_empty_database_ends_at_the_schema_of_the_facts(server: str, make: Maker) -> None:
    column = 0 if server.startswith("postgresql") else 1
    for revision, facts in (("001", schema_001()), ("002", schema_002())):
        found = make.fresh(server, revision)["tables"]
        assert set(found) == set(facts)
        for table, columns in facts.items():
            there = found[table]
            assert {n: c["type"] for n, c in there["columns"].items() if n != "legacy_id"} == {
                name: TYPES[fact.type][column] for name, fact in columns.items() if name != "legacy_id"
            }
            assert {n for n, c in there["columns"].items() if c["nullable"]} == {
                n for n, f in columns.items() if f.null
            }
            assert catalog.keys.primary_key(there) == ["id"]
            assert sorted(map(str, catalog.keys.foreign_keys(there))) == sorted(
                f"({name}) → {fact.refers.split('.')[0]}(id)" for name, fact in columns.items() if fact.refers
            )
    indexes = {
        name: (table, list(columns), unique)
        for table, there in make.fresh(server)["tables"].items()
        for name, index in there["indexes"].items()
        for unique, columns in [catalog.keys.index(index)]
    }
    assert indexes == indexes_002()


@pytest.mark.parametrize(("server", "state"), chain.cases(GOOD, SERVERS))
def test_every_state_ends_at_one_schema_with_every_value(server: str, state: str, make: Maker) -> None:
    url, said = make(server, state), chain.expect(state)
    before = chain.rows(url)
    chain.upgrade(url)
    after, catalogue = chain.rows(url), chain.catalogue(url)
    assert after == expected(before, said.get("numbers", {}), server.split(maxsplit=1)[0])
    assert sum(map(len, after.values())) > 15 or state == "empty"
    assert without_strictness(catalogue, said.get("stricter", [])) == make.fresh(server)
    assert chain.stamped(url) == ("002",)
    chain.check(url)


@pytest.mark.parametrize(("server", "state"), chain.cases(GOOD, TWO))
def test_a_second_upgrade_executes_nothing_that_changes(server: str, state: str, make: Maker) -> None:
    url = make(server, state)
    chain.upgrade(url)
    assert not [s for s in chain.executed(lambda: chain.upgrade(url)) if revisions.changes(s)]
    other = make(server, "at_001")
    assert len([s for s in chain.executed(lambda: chain.upgrade(other)) if revisions.changes(s)]) > 20


@pytest.mark.parametrize(("server", "parts"), OLDER)
def test_the_older_002_dead_after_any_of_its_statements_is_gone_on_with(server: str, parts: int, make: Maker) -> None:
    url = make(server, "half_002_older", parts)
    before = chain.rows(url)
    chain.upgrade(url)
    numbers = chain.expect("half_002_older")["numbers"]
    assert chain.rows(url) == expected(before, numbers, server.split(maxsplit=1)[0])
    assert chain.catalogue(url) == make.fresh(server)


@pytest.mark.parametrize(("server", "state"), chain.cases(BAD, TWO))
def test_what_cannot_end_well_is_refused_and_nothing_changed(server: str, state: str, make: Maker) -> None:
    url = make(server, state)
    before = chain.rows(url), chain.catalogue(url), chain.stamped(url)
    with pytest.raises(CommandError) as refused:
        chain.upgrade(url)
    for words in chain.expect(state)["refused"]:
        assert words in str(refused.value)
    assert (chain.rows(url), chain.catalogue(url), chain.stamped(url)) == before


def test_the_catalogue_that_states_are_compared_by_sees_what_differs(make: Maker) -> None:
    url = make("postgresql 18", "at_001")
    known = chain.catalogue(url)
    for statement in (
        "ALTER TABLE agents RENAME CONSTRAINT agents_pkey TO other",
        "ALTER TABLE agents ALTER name DROP NOT NULL",
        "ALTER TABLE agents ALTER name SET DEFAULT ''",
        "CREATE INDEX other_index ON agents (name)",
    ):
        chain.execute(url, statement)
        assert chain.catalogue(url) != known, statement
        known = chain.catalogue(url)
    with chain.connected(url) as connection:
        assert catalog.snapshot(connection).tables
