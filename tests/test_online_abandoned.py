"""A preparation that is given up: asking for the revision that the database is at clears it, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import chain
import crashes
import pytest
from alembic.util import CommandError
from chain import Maker

PREPARED = 3  # parts of the way at which the process dies


@pytest.fixture
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Maker:
    return Maker(request, tmp_path)


@pytest.fixture(scope="module")
def killer() -> Iterator[crashes.Killer]:
    with crashes.killer() as made:
        yield made


@pytest.mark.parametrize(
    ("command", "back", "revision"), [("upgrade", "downgrade", "001"), ("downgrade", "upgrade", "002")]
)
def test_a_preparation_that_is_given_up_is_cleared_by_asking_for_where_one_is(
    command: str, back: str, revision: str, make: Maker, killer: crashes.Killer
) -> None:
    start, left = make("postgresql 18", "at_001"), set[str]()
    if revision == "002":
        chain.upgrade(start)
        chain.execute(start, "INSERT INTO audit_logs (event_type) VALUES ('load')")
    known, wanted = chain.rows(start), make.fresh("postgresql 18", revision)
    goal = "002" if command == "upgrade" else "001"
    whole = killer.run(make.clone("postgresql 18", start), command, goal)["statements"]
    for part in range(1, PREPARED + 1):
        url = make.clone("postgresql 18", start)
        assert killer.run(url, command, goal, part * whole // (PREPARED + 1), "after")["killed"]
        left |= set(crashes.amiss(url, revision, wanted))
        getattr(chain, back)(url, revision)
        assert crashes.amiss(url, revision, wanted) == []
        found = chain.rows(url)
        if revision == "002":  # a text key that was given stays
            for row in (*found["audit_logs"].values(), *known["audit_logs"].values()):
                row["legacy_id"] = row["legacy_id"] if row["event_type"] != "load" else None
        assert found == known
        getattr(chain, command)(url, goal)
        assert crashes.amiss(url, goal, make.fresh("postgresql 18", goal)) == []
    trigger = "afdb_next_id" if command == "upgrade" else "afdb_old_id"
    assert f"trigger {trigger}" in left, "the control: there was something to clear"


def test_what_was_written_into_the_new_tables_meanwhile_is_counted_and_kept(
    make: Maker, killer: crashes.Killer
) -> None:
    url = make("postgresql 18", "at_001")
    whole = killer.run(make.clone("postgresql 18", url), "upgrade", "002")["statements"]
    assert killer.run(url, "upgrade", "002", whole * 2 // 3, "after")["killed"]
    chain.execute(url, "INSERT INTO plans (id, name, plan_type) VALUES ('p', 'p', 'free')")
    with pytest.raises(CommandError, match="plans: 1 row"):
        chain.downgrade(url)
    assert chain.rows(url)["plans"]
    chain.downgrade(url, allow_data_loss=["plans"])
    assert crashes.amiss(url, "001", make.fresh("postgresql 18", "001")) == []
