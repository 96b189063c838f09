"""A run of 002, or of its way back, that died: one plain rerun ends where the first one would have."""

from __future__ import annotations

import contextlib
import itertools
from pathlib import Path
from typing import Any

import chain
import pytest
import sqlalchemy as sa
from chain import Maker

from afdb_helpers import revisions

TWO = ["postgresql 18", "sqlite"]


class Died(Exception):
    """Stands for the death of the process after a statement."""


@pytest.fixture
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Maker:
    return Maker(request, tmp_path)


def advances(sql: str) -> bool:
    """Whether a statement leaves something behind when the transaction is committed after it."""
    if sql.startswith("WITH "):
        return "UPDATE" in sql or "INSERT" in sql
    return revisions.changes(sql) and not sql.startswith("LOCK ")


def die_after(url: str, statements: int, command: Any) -> bool:
    """Run until so many changing statements are done, and commit them; False where it ended first."""
    done = 0

    def after(sql: str, connection: Any) -> None:
        nonlocal done
        done += (change := advances(sql))
        if done == statements and change:
            connection.connection.dbapi_connection.commit()
            raise Died

    with chain.observed(after=after), contextlib.suppress(Died):
        command(url)
        return False
    return True


def test_a1_002_dead_after_any_of_its_statements_is_gone_on_with(make: Maker) -> None:
    start = make("sqlite", "at_001")
    whole = make.clone("sqlite", start)
    chain.upgrade(whole)
    rows, catalogue = chain.rows(whole), chain.catalogue(whole)
    for statements in itertools.count(1, 3):
        url = make.clone("sqlite", start)
        if not die_after(url, statements, chain.upgrade):
            break
        chain.upgrade(url)
        assert (chain.rows(url), chain.catalogue(url)) == (rows, catalogue), f"after {statements} statements"
    assert statements > 30


def test_a1_the_way_back_dead_after_any_of_its_statements_ends_in_both_directions(make: Maker) -> None:
    start = make("sqlite", "at_001")
    before = chain.rows(start), make.fresh("sqlite", "001")
    chain.upgrade(start)
    after = chain.rows(start), chain.catalogue(start)
    for statements in itertools.count(1, 3):
        url = make.clone("sqlite", start)
        if not die_after(url, statements, chain.downgrade):
            break
        up = statements % 2 == 1
        (chain.upgrade if up else chain.downgrade)(url)
        assert (chain.rows(url), chain.catalogue(url)) == (after if up else before), f"after {statements} statements"
    assert statements > 30


@pytest.mark.parametrize("server", TWO)
def test_a_revision_that_fails_at_its_end_leaves_the_old_names_and_is_gone_on_with(
    server: str, make: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    from afdb_helpers.online import revise

    def fail(*_: Any, **__: Any) -> None:
        raise sa.exc.InvalidRequestError("at the end")

    url = make(server, "unstamped_001")
    before, old = (chain.rows(url), chain.catalogue(url)), chain.rows(url)["audit_logs"]
    with monkeypatch.context() as patched:
        patched.setattr(revise, "finish", fail)
        with pytest.raises(sa.exc.InvalidRequestError):
            chain.upgrade(url)
    if server == "sqlite":
        assert (chain.rows(url), chain.catalogue(url)) == before
    else:  # what was prepared stays, and nobody sees it: every old name and value stands
        with chain.connected(url) as connection:
            names = ", ".join(next(iter(old.values())))
            found = connection.exec_driver_sql(f"SELECT {names} FROM audit_logs").all()
        assert sorted(row.id for row in found) == sorted(old)
        assert chain.stamped(url) == ("001",)
    chain.upgrade(url)
    assert chain.catalogue(url) == make.fresh(server)
