"""002 among other people's locks, sessions and half-built things: it gives up by name, and goes on afterwards."""

from __future__ import annotations

import contextlib
import threading
import time
from pathlib import Path
from typing import Any

import chain
import crashes
import psycopg2
import pytest
import sqlalchemy as sa
from alembic.util import CommandError
from chain import Maker

from afdb_helpers.migrate import lock
from afdb_helpers.online import concurrently, numbering, patience, transactions


@pytest.fixture
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Maker:
    return Maker(request, tmp_path)


def session(url: str) -> Any:
    made = psycopg2.connect(**crashes.dsn(url), application_name="a forgotten console")
    made.autocommit = True
    return made


def longest_probe(url: str, table: str, over: threading.Event, found: list[float]) -> None:
    with contextlib.closing(session(url)) as probing:
        cursor = probing.cursor()
        while not over.is_set():
            started = time.monotonic()
            cursor.execute(f"SELECT 1 FROM {table} LIMIT 1")
            found.append(time.monotonic() - started)
            time.sleep(0.005)


@pytest.mark.parametrize(
    ("command", "start", "table", "brief"),
    [
        ("upgrade", "001", "agents", 300),  # met by the last locks, all together
        ("downgrade", "002", "agents", 300),
        ("upgrade", "001", "audit_logs", 300),  # met by a short step of the preparation
        ("upgrade", "001", "agents", 1500),
        ("upgrade", "001", "audit_logs", 1500),
    ],
)
def test_a6_an_idle_transaction_is_named_and_nobody_waits_for_long(
    command: str, start: str, table: str, brief: int, make: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = make("postgresql 18", "at_001")
    monkeypatch.setattr(transactions, "BRIEF", brief)
    if start == "002":
        chain.upgrade(url)
    monkeypatch.setenv("AFDB_LOCK_BUDGET", "2")
    over, waits = threading.Event(), list[float]()
    probing = threading.Thread(target=longest_probe, args=(url, table, over, waits))
    with contextlib.closing(session(url)) as blocker:
        cursor, pid = blocker.cursor(), blocker.info.backend_pid
        cursor.execute(f"BEGIN; SELECT id FROM {table}")
        probing.start()
        with pytest.raises(CommandError, match=f"no lock on {table}") as refused:
            getattr(chain, command)(url)
        over.set()
        probing.join()
    said = str(refused.value)
    assert f"process {pid} of role postgres (a forgotten console, idle in transaction" in said
    assert f"BEGIN; SELECT id FROM {table}" in said
    # The timeout, the allowance, and what two busy cores add; the control: a longer timeout is felt as long.
    assert max(waits) < 0.3 + 0.2 + 0.3 if brief == 300 else max(waits) > 1.0
    assert chain.stamped(url) == (start,)
    getattr(chain, command)(url)
    end = "002" if command == "upgrade" else "001"
    assert crashes.amiss(url, end, make.fresh("postgresql 18", end)) == []


def test_a6_a_blocker_that_goes_away_within_the_budget_is_waited_for(
    make: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, named = make("postgresql 18", "at_001"), patience.blockers
    with contextlib.closing(session(url)) as blocker:
        cursor = blocker.cursor()
        cursor.execute("BEGIN; SELECT id FROM audit_logs")

        def then_it_leaves(*given: Any, **more: Any) -> str:
            found = named(*given, **more)
            cursor.execute("ROLLBACK")
            return found

        monkeypatch.setattr(patience, "blockers", then_it_leaves)
        monkeypatch.setenv("AFDB_LOCK_BUDGET", "0")
        with pytest.raises(CommandError, match="no lock on audit_logs"):  # the control: without a budget it gives up
            chain.upgrade(url)
        monkeypatch.delenv("AFDB_LOCK_BUDGET")
        cursor.execute("BEGIN; SELECT id FROM audit_logs")
        chain.upgrade(url)
    assert chain.stamped(url) == ("002",)


def test_a8_an_index_left_invalid_is_built_again(make: Maker) -> None:
    url = make("postgresql 18", "at_001")
    chain.execute(
        url,
        "CREATE INDEX ix_audit_logs_created_at ON audit_logs (created_at)",
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_audit_logs_created_at'::regclass",
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS ix_audit_logs_created_at ON audit_logs (created_at)",
    )
    invalid = "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid"
    with chain.connected(url) as connection:  # the control: IF NOT EXISTS is content with it
        assert connection.exec_driver_sql(invalid).scalars().all() == ["ix_audit_logs_created_at"]
    said = chain.executed(lambda: chain.upgrade(url))
    assert "DROP INDEX CONCURRENTLY ix_audit_logs_created_at" in said
    assert crashes.amiss(url, "002", make.fresh("postgresql 18")) == []


@pytest.mark.parametrize("cleared", [True, False])
def test_a9_duplicates_written_while_the_index_is_built_are_counted(
    cleared: bool, make: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = make("postgresql 18", "at_001")
    twice = (
        "INSERT INTO api_keys (id, key_hash, user_id, tenant_id) VALUES ('k8', 'secret-hash', 'u1', 't1'),"
        " ('k9', 'secret-hash', 'u1', 't1')"
    )

    def meanwhile(sql: str) -> None:
        if "INDEX CONCURRENTLY ix_api_keys_key_hash" in sql and sql.startswith("CREATE"):
            chain.execute(url, twice)

    if not cleared:
        monkeypatch.setattr(concurrently, "drop_invalid", lambda *_: False)
    with (
        chain.observed(before=meanwhile),
        pytest.raises(CommandError, match="1 duplicated value in 2 rows") as refused,
    ):
        chain.upgrade(url)
    assert "secret-hash" not in str(refused.value)
    with chain.connected(url) as connection:  # the control: not cleared, the server leaves it invalid
        assert bool(connection.exec_driver_sql("SELECT 1 FROM pg_index WHERE NOT indisvalid").all()) is not cleared
    monkeypatch.undo()
    chain.execute(url, "DELETE FROM api_keys WHERE id = 'k9'")
    chain.upgrade(url)
    assert crashes.amiss(url, "002", make.fresh("postgresql 18")) == []


def test_a_number_that_somebody_else_wrote_is_found_before_the_old_names_go(make: Maker) -> None:
    url, done = make("postgresql 18", "at_001"), list[str]()

    def meanwhile(sql: str) -> None:
        if sql.startswith("SELECT count(*) FROM audit_logs AS a JOIN afdb_map_audit_logs") and not done:
            chain.execute(url, "UPDATE audit_logs SET afdb_next_id = 1000 WHERE afdb_next_id = 1")
            done.append(sql)

    with (
        chain.observed(before=meanwhile),
        pytest.raises(CommandError, match="1 row of audit_logs and the list") as said,
    ):
        chain.upgrade(url)
    assert done
    assert "the old names stand" in str(said.value)
    assert chain.stamped(url) == ("001",)
    chain.upgrade(url)
    assert crashes.amiss(url, "002", make.fresh("postgresql 18")) == []


@pytest.mark.parametrize("words", ["UPDATE audit_logs AS a", "CREATE UNLOGGED TABLE afdb_map", "LOCK TABLE agents, "])
def test_a5_a_backend_that_is_ended_is_an_error_and_the_next_run_completes(
    words: str, make: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = make("postgresql 18", "at_001")

    def end(sql: str) -> None:
        if sql.startswith(words):
            with contextlib.closing(session(url)) as other:
                other.cursor().execute(
                    "SELECT pg_terminate_backend(pid, 2000) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND application_name = 'afdb alembic'"
                )

    with chain.observed(before=end), pytest.raises(CommandError, match="the connection to the server was lost"):
        chain.upgrade(url)
    assert chain.stamped(url) == ("001",)
    with monkeypatch.context() as blind:
        blind.setattr(numbering, "triggered", lambda *_: False)
        with pytest.raises(CommandError, match="already exists"):  # the control: a step that does not look first
            chain.upgrade(url)
    chain.upgrade(url)
    assert crashes.amiss(url, "002", make.fresh("postgresql 18")) == []


@pytest.mark.parametrize("words", ["CREATE UNIQUE INDEX", "ALTER TABLE audit_logs VALIDATE CONSTRAINT afdb"])
def test_a5_a_crash_of_the_server_that_empties_the_list_of_numbers_is_gone_on_from(
    words: str, make: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the check stands numbering starts over; from then on no number is touched: the check would forbid it."""
    url = make("postgresql 18", "at_001")

    def end(sql: str) -> None:
        if sql.startswith(words):
            raise ConnectionAbortedError("the server is gone")

    with chain.observed(before=end), pytest.raises(ConnectionAbortedError):
        chain.upgrade(url)
    chain.execute(url, "TRUNCATE afdb_map_audit_logs")  # what a crash leaves of a table that is not logged
    if "VALIDATE" in words:
        with monkeypatch.context() as blind:
            blind.setattr(concurrently, "checked", lambda *_: False)
            with pytest.raises(CommandError, match="violates check constraint"):  # the control
                chain.upgrade(url)
    chain.upgrade(url)
    assert crashes.amiss(url, "002", make.fresh("postgresql 18")) == []


@pytest.mark.parametrize("sent", [True, False])
def test_a3_a_connection_cut_after_commit_was_sent_is_neither_failed_nor_done_twice(sent: bool, make: Maker) -> None:
    """The control: the same words, where the COMMIT never went out; the next run tells the one from the other."""
    url, stamped = make("postgresql 18", "at_001"), False

    def cut(sql: str, connection: Any) -> None:
        nonlocal stamped
        stamped = stamped or sql.startswith("UPDATE alembic_version")
        if stamped:  # the COMMIT goes out and takes effect; then the connection is gone, and nobody heard the answer
            driver = connection.connection.dbapi_connection
            if sent:
                driver.commit()
                driver.cursor().execute("SELECT 1")  # so that the client still waits for an answer to its COMMIT
            with contextlib.closing(session(url)) as other:
                other.cursor().execute("SELECT pg_terminate_backend(%s, 2000)", (driver.info.backend_pid,))

    with chain.observed(after=cut), pytest.raises(CommandError, match="the connection to the server was lost"):
        chain.upgrade(url)
    assert chain.stamped(url) == (("002",) if sent else ("001",))
    known = chain.rows(url) if sent else None
    chain.upgrade(url)
    assert known is None or chain.rows(url) == known
    assert crashes.amiss(url, "002", make.fresh("postgresql 18")) == []


def test_a2_a_session_whose_client_died_is_ended_by_the_next_run(make: Maker, caplog: pytest.LogCaptureFixture) -> None:
    url = make("postgresql 18", "at_001")
    with contextlib.closing(session(url)) as orphan:
        pid = orphan.info.backend_pid
        orphan.cursor().execute("SELECT pg_advisory_lock(%s)", (transactions.KEY,))
        chain.upgrade(url)
        with pytest.raises(psycopg2.OperationalError):
            orphan.cursor().execute("SELECT 1")
    assert f"ended process {pid} (a forgotten console)" in caplog.text


def test_a12_of_two_operators_one_leaves_within_ten_seconds_naming_the_other(make: Maker) -> None:
    url = make("postgresql 18", "at_001")
    with contextlib.closing(session(url)) as other:
        other.cursor().execute("SELECT pg_advisory_lock(%s)", (lock.KEY,))
        started = time.monotonic()
        with pytest.raises(CommandError, match="another migration of target default is running") as refused:
            chain.upgrade(url)
        assert time.monotonic() - started < 10
        assert f"process {other.info.backend_pid} of role postgres" in str(refused.value)
        assert "a forgotten console" in str(refused.value)
    assert chain.stamped(url) == ("001",)
    chain.upgrade(url)


def test_a_table_of_another_role_is_refused_by_name(make: Maker) -> None:
    url = make("postgresql 18", "at_001")
    chain.execute(url, "DROP ROLE IF EXISTS migrator", "CREATE ROLE migrator LOGIN")
    try:
        chain.execute(url, "GRANT ALL ON ALL TABLES IN SCHEMA public TO migrator")
        theirs = sa.make_url(url).set(username="migrator").render_as_string(hide_password=False)
        with pytest.raises(CommandError, match="agents belongs to role postgres, and only its owner can change it"):
            chain.upgrade(theirs)
        assert chain.stamped(url) == ("001",)
    finally:
        chain.execute(url, "DROP OWNED BY migrator", "DROP ROLE migrator")


def test_roles_that_could_write_the_trail_still_can(make: Maker) -> None:
    url = make("postgresql 18", "at_001")
    chain.execute(url, "DROP ROLE IF EXISTS writer", "CREATE ROLE writer LOGIN", "GRANT INSERT ON audit_logs TO writer")
    try:
        chain.upgrade(url)
        theirs = sa.make_url(url).set(username="writer").render_as_string(hide_password=False)
        chain.execute(theirs, "INSERT INTO audit_logs (event_type) VALUES ('theirs')")
    finally:
        chain.execute(url, "DROP OWNED BY writer", "DROP ROLE writer")
