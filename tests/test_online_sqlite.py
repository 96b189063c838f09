"""SQLite: what a rebuild keeps and refuses, what a dead one left, and that no row is lost unseen."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import chain
import pytest
import sqlalchemy as sa
from alembic.util import CommandError
from chain import Maker

from afdb_helpers.errors import Refused
from afdb_helpers.online import arrival, rekey, revise, sqlite


@pytest.fixture
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Maker:
    return Maker(request, tmp_path)


def test_views_triggers_and_checks_stay_on_sqlite(make: Maker) -> None:
    url = make("sqlite", "created_by_models")
    chain.execute(url, (chain.STATES / "attached.sqlite.sql").read_text())
    chain.upgrade(url)
    chain.execute(url, "INSERT INTO plans (id, name, plan_type) VALUES ('new', 'n', 'free')")
    with chain.connected(url) as connection:
        assert connection.exec_driver_sql("SELECT name, currency FROM plan_names ORDER BY 1").all() == [
            ("Pro", "EUR"),
            ("n", "USD"),
        ]
        assert connection.exec_driver_sql("SELECT said FROM heard").scalar_one() == "new plan n"
        with pytest.raises(sa.exc.IntegrityError, match="CHECK"):
            connection.exec_driver_sql("UPDATE plans SET price_monthly = -1")
        assert (
            connection.exec_driver_sql(
                "SELECT count(*) FROM plans INDEXED BY dear WHERE price_yearly > 100"
            ).scalar_one()
            == 0
        )


def test_a_table_that_a_rebuild_would_change_is_refused_by_name(make: Maker) -> None:
    url = make("sqlite", "created_by_models")
    before = chain.catalogue(url)
    other = (
        "id VARCHAR PRIMARY KEY, name VARCHAR COLLATE NOCASE NOT NULL, plan_type VARCHAR NOT NULL, is_active BOOLEAN"
    )
    chain.execute(
        url, f"DROP TABLE usage_records; DROP TABLE subscriptions; DROP TABLE plans; CREATE TABLE plans ({other})"
    )
    with pytest.raises(CommandError, match="table plans cannot be rebuilt without losing its COLLATE"):
        chain.upgrade(url)
    assert chain.catalogue(url) != before
    assert "alembic_version" not in chain.catalogue(url)["tables"]


@pytest.mark.parametrize("gone", [False, True])
def test_trap_what_a_dead_rebuild_left_is_swept(gone: bool, make: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    url = make("sqlite", "at_001")
    chain.execute(url, "CREATE TABLE _alembic_tmp_agents AS SELECT * FROM agents")
    if gone:
        chain.execute(url, "DROP TABLE _alembic_tmp_agents; ALTER TABLE agents RENAME TO _alembic_tmp_agents")
    known = chain.rows(url)["_alembic_tmp_agents"]
    other = make.clone("sqlite", url)
    with monkeypatch.context() as patch:  # the control: what was left stays, or the rows are not found again
        patch.setattr(sqlite, "sweep", lambda _connection: [])
        chain.upgrade(other)
    assert "_alembic_tmp_agents" in chain.catalogue(other)["tables"]
    chain.upgrade(url)
    assert chain.catalogue(url) == make.fresh("sqlite")
    assert set(chain.rows(url)["agents"]) == set(known)


def test_trap_foreign_keys_that_cascade_lose_no_row_in_a_rebuild(make: Maker) -> None:
    cascading = [part.replace("REFERENCES tenants (id)", "REFERENCES tenants (id) ON DELETE CASCADE")
                 for part in chain.parts("by_hand", "sqlite")]  # fmt: skip
    url = make("sqlite", "empty")
    chain.execute(url, *cascading)
    users = chain.rows(url)["users"]
    chain.upgrade(url)
    assert chain.rows(url)["users"] == users
    with sqlite3.connect(str(sa.make_url(url).database)) as control:  # with the pragma on, dropping the parent deletes
        control.execute("PRAGMA foreign_keys = ON")
        control.executescript("DROP TABLE tenants")
        assert control.execute("SELECT count(*) FROM users WHERE tenant_id IS NOT NULL").fetchone() == (0,)


@pytest.mark.parametrize(
    ("careless", "said"),
    [
        ("DELETE FROM audit_logs WHERE id = 1", "audit_logs had 9 rows and would have 8"),
        ("UPDATE agents SET tenant_id = 'nobody' WHERE id = 'a1'", "other values in tenant_id"),
        ("UPDATE audit_logs SET details = json(details) WHERE details IS NOT NULL", "other values in details"),
        (
            "UPDATE audit_logs SET legacy_id = CASE legacy_id WHEN 'a' THEN 'b' ELSE 'a' END"
            " WHERE legacy_id IN ('a', 'b')",
            "audit_logs would have values that changed places between rows",
        ),
    ],
)
def test_a_revision_that_loses_a_value_on_sqlite_is_rolled_back(
    careless: str, said: str, make: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = make("sqlite", "at_001")
    chain.execute(url, """UPDATE audit_logs SET metadata = '{"a":  1}'""")
    known = chain.rows(url), chain.catalogue(url)
    real = rekey.integer_key

    def slip(here: Any, table: str) -> None:
        real(here, table)
        here.op.execute(careless)

    monkeypatch.setattr(revise, "integer_key", slip)
    with pytest.raises(CommandError, match=said):
        chain.upgrade(url)
    assert (chain.rows(url), chain.catalogue(url)) == known
    monkeypatch.setattr(arrival, "refuse_other", lambda *_: None)  # the control: without the guard it would be lost
    monkeypatch.setattr(sqlite, "refuse_loss", lambda *_: None)
    chain.upgrade(url)
    monkeypatch.undo()
    lossless = make("sqlite", "at_001")
    chain.execute(lossless, """UPDATE audit_logs SET metadata = '{"a":  1}'""")
    chain.upgrade(lossless)
    assert chain.rows(url) != chain.rows(lossless)


@pytest.mark.parametrize("careless", ["DELETE FROM agents", "UPDATE agents SET tenant_id = 'nobody'"])
def test_a_revision_that_compares_nothing_itself_is_counted(
    careless: str, make: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = make("sqlite", "at_001")
    known = chain.rows(url), chain.catalogue(url)
    monkeypatch.setattr(arrival, "refuse_other", lambda here, _: here.op.execute(careless))
    with pytest.raises(CommandError, match=r"agents had 2 rows and would have 0|2 rows of agents → tenants"):
        chain.upgrade(url)
    assert (chain.rows(url), chain.catalogue(url)) == known


def test_rows_counted_before_and_after_tell_what_was_lost() -> None:
    sqlite.refuse_loss(({"a": 1, "gone": 2}, {"a → b": 1}), ({"a": 2, "new": 5}, {"a → b": 1}), {"gone"})
    with pytest.raises(Refused, match="gone had 2 rows and would have 0"):
        sqlite.refuse_loss(({"a": 1, "gone": 2}, {}), ({"a": 2}, {}), set())
