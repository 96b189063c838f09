"""What a migration or a backup must not meet is seen before either begins."""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import servers
import sqlalchemy as sa

from afdb_helpers import hazards, targets
from afdb_helpers.embedded_postgres import Server
from afdb_helpers.errors import Refused, Unavailable
from afdb_helpers.targets import Target

NEON = "postgresql://u:p@ep-cool-1234-pooler.eu-west-2.aws.neon.tech/d?sslmode=verify-full"
SUPABASE = "postgresql://u:p@aws-0-eu.pooler.supabase.com:{}/d?sslmode=verify-full"
DIRECT = "postgresql://u:p@db.example.org/d?sslmode={}"


def _target(url: str, name: str = "staging") -> Target:
    return targets.parse(name, url, {})


# --- the way there


@pytest.mark.parametrize(("url", "why", "do"), [
    (SUPABASE.format(6543), "port 6543", "port 5432"),
    ("postgresql://u:p@db.abc.supabase.co:6543/d?sslmode=verify-full", "port 6543", "port 5432"),
    (NEON, "is a pooler", "take -pooler out"),
    ("postgresql://u:p@pgbouncer/d?sslmode=verify-full", "is a pooler", "server's own host"),
    ("postgresql://u:p@h/d?sslmode=verify-full&pgbouncer=true", "says so", "without pgbouncer=true"),
])  # fmt: skip
def test_a16_a_url_that_names_a_transaction_pooler_is_refused_with_the_fix(url: str, why: str, do: str) -> None:
    with pytest.raises(Refused, match="leads to a transaction pooler") as caught:
        hazards.way(_target(url), {})
    assert why in caught.value.why
    assert do in caught.value.do
    assert "\n" not in caught.value.do


@pytest.mark.parametrize("url", [
    SUPABASE.format(5432), NEON.replace("-pooler", ""), DIRECT.format("verify-full") + "&pgbouncer=false",
    "postgresql://localhost/d", "sqlite:///x.db",
])  # fmt: skip
def test_a16_the_control_other_urls_pass(url: str) -> None:
    assert hazards.way(_target(url), {}).ok


@pytest.mark.parametrize("mode", ["disable", "allow", "prefer", "require", ""])
def test_a18_a_remote_server_that_is_not_verified_is_refused_unless_waived_and_the_waiver_shows(mode: str) -> None:
    target = _target(DIRECT.format(mode) if mode else DIRECT.removesuffix("?sslmode={}"))
    with pytest.raises(Refused, match="would not be verified") as caught:
        hazards.way(target, {})
    assert "sslmode=verify-full" in caught.value.do
    assert "AFDB_TLS_UNVERIFIED=staging" in caught.value.do
    with pytest.raises(Refused):
        hazards.way(target, {"AFDB_TLS_UNVERIFIED": "production"})
    waived = hazards.way(target, {"AFDB_TLS_UNVERIFIED": "production, staging"})
    (row,) = waived.rows
    assert row == {"waiver": "AFDB_TLS_UNVERIFIED", "target": "staging", "sslmode": mode or "prefer, libpq's default"}


@pytest.mark.parametrize(
    "mode", ["verify-full", "verify-ca", "require&sslrootcert=/ca.pem", "require&sslrootcert=system"]
)
def test_a18_the_control_a_verified_one_passes_without_a_waiver(mode: str) -> None:
    assert hazards.way(_target(DIRECT.format(mode)), {}).rows == ()


def test_a18_what_libpq_reads_beside_the_url_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGSSLMODE", "verify-full")
    assert hazards.way(_target("postgresql://db.example.org/d"), {}).rows == ()
    monkeypatch.setenv("PGPORT", "6543")
    with pytest.raises(Refused, match="pooler"):
        hazards.way(_target("postgresql://db.example.org/d"), {})


def test_a17_an_address_that_no_network_leads_to_is_said_within_ten_seconds_naming_the_session_pooler() -> None:
    started = time.monotonic()
    with pytest.raises(Unavailable) as caught, _target("postgresql://u:p@[2001:db8::1]/d").connect():
        pass
    assert time.monotonic() - started < 10.5
    assert "no network leads" in caught.value.why or "nothing answered" in caught.value.why
    assert "session pooler" in caught.value.do


def test_a17_the_control_without_the_limit_and_the_words_nobody_is_told_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    took = {}
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for limit in (2, 6):
            monkeypatch.setattr(targets, "CONNECT_TIMEOUT", limit)
            started = time.monotonic()
            with pytest.raises(Unavailable), _target(f"postgresql://127.0.0.1:{silent.getsockname()[1]}/d").connect():
                pass
            took[limit] = time.monotonic() - started
    assert took[2] < 5 < took[6]
    monkeypatch.setattr(targets, "_CAUSES", [])
    assert "session pooler" not in targets.cannot_look(_target("postgresql://h/d"), Exception("timeout expired")).do


@pytest.mark.parametrize("said", [
    'could not translate host name "db.x.supabase.co" to address: No address associated with hostname',
    'connection to server at "2001:db8::1", port 5432 failed: Network is unreachable',
    'connection to server at "2001:db8::1", port 5432 failed: Cannot assign requested address',
    'connection to server at "2001:db8::1", port 5432 failed: timeout expired',
])  # fmt: skip
def test_a17_each_word_that_libpq_has_for_it_leads_to_the_session_pooler(said: str) -> None:
    assert "session pooler" in targets.cannot_look(_target("postgresql://h/d"), Exception(said)).do


# --- what stands between


@pytest.fixture(scope="module")
def listening() -> Iterator[Server]:
    with servers.on_tcp(max_prepared_transactions="5") as server:
        server.create_database("d")
        yield server


@contextlib.contextmanager
def _through(server: Server, mode: str, **options: object) -> Iterator[Target]:
    with (
        tempfile.TemporaryDirectory(dir="/tmp") as folder,
        servers.pgbouncer(server, mode, Path(folder), **options) as port,  # type: ignore[arg-type]
    ):
        yield _target(f"postgresql://postgres@127.0.0.1:{port}/d")


@contextlib.contextmanager
def _settings_kept(server: Server) -> Iterator[None]:
    """The database gives each session what a pooler drops, so that only the probe of the session itself is left."""
    _do(server, "ALTER DATABASE d SET default_transaction_read_only = on")
    try:
        yield
    finally:  # also when the test is skipped inside
        _do(server, "SET default_transaction_read_only = off; ALTER DATABASE d RESET default_transaction_read_only")


def _do(server: Server, *statements: str, database: str = "postgres") -> None:
    engine = sa.create_engine(server.url(database), poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def test_a16_a_pooler_that_refuses_session_settings_is_named_as_one(listening: Server) -> None:
    with _through(listening, "transaction") as target, pytest.raises(Unavailable, match="a pooler answers there"):
        hazards.pooled(target)


def test_a16_a_pooler_that_drops_session_settings_is_found_out(listening: Server) -> None:
    with _through(listening, "session", drops="options") as target:
        with pytest.raises(Refused, match="a pooler stands between") as caught:
            hazards.pooled(target)
        assert "drops the settings" in caught.value.why
        assert "direct address" in caught.value.do


@pytest.mark.parametrize("size", [20, 1])
def test_a16_a_transaction_pooler_on_any_port_is_found_out_by_the_session(listening: Server, size: int) -> None:
    with (
        _settings_kept(listening),
        _through(listening, "transaction", drops="options", size=size) as target,
        pytest.raises(Refused) as caught,
    ):
        hazards.pooled(target)
    assert "each transaction goes to another session" in caught.value.why


def test_a16_the_controls_a_session_pooler_and_the_server_itself_pass(listening: Server) -> None:
    with _settings_kept(listening), _through(listening, "session", drops="options") as target:
        assert "a session pooler stands between" in hazards.pooled(target).headline
    assert "answers itself" in hazards.pooled(_target(listening.url("d"))).headline


# --- what is in the way


def _present(server: Server, **limits: float) -> list[str]:
    with _target(server.url("d")).connect() as connection:
        found = hazards.present(connection, **limits)  # type: ignore[arg-type]
    assert found.ok is not bool(found.rows)
    return [f"{row['hazard']}: {row['what']} → {row['remedy']}" for row in found.rows]


def test_a7_an_old_transaction_is_named_with_the_way_to_end_it_and_a_young_one_is_not(listening: Server) -> None:
    engine = sa.create_engine(listening.url("d"), poolclass=sa.NullPool)
    with engine.connect() as idle:
        pid = idle.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        time.sleep(0.05)
        assert _present(listening, seconds=60) == []
        (said,) = _present(listening, seconds=0.01)
    assert f"process {pid} of role postgres" in said
    assert f"pg_terminate_backend({pid})" in said
    assert _present(listening, seconds=0.01) == []


def test_a7_a_prepared_transaction_is_named_with_the_way_to_decide_it(listening: Server) -> None:
    _do(listening, "BEGIN; CREATE TABLE left_over (i int); PREPARE TRANSACTION 'it''s'", database="d")
    (said,) = _present(listening)
    assert "ROLLBACK PREPARED 'it''s'" in said
    _do(listening, "ROLLBACK PREPARED 'it''s'", database="d")
    assert _present(listening) == []


def test_a7_a_slot_that_lags_is_named_with_the_way_to_drop_it(listening: Server) -> None:
    _do(listening, "SELECT pg_create_physical_replication_slot('gone', true)")
    try:
        assert _present(listening) == [], "the control: it is not behind by as much"
        (said,) = _present(listening, behind=-1)
        assert "gone (inactive) keeps" in said
        assert "pg_drop_replication_slot('gone')" in said
    finally:
        _do(listening, "SELECT pg_drop_replication_slot('gone')")


def test_an_invalid_index_is_named_and_the_command_that_is_given_mends_it(listening: Server) -> None:
    _do(listening, "CREATE TABLE twice (i int)", "INSERT INTO twice VALUES (1), (1)", database="d")
    with pytest.raises(sa.exc.IntegrityError):
        _do(listening, "CREATE UNIQUE INDEX CONCURRENTLY one ON twice (i)", database="d")
    (said,) = _present(listening)
    assert "invalid index: one on twice" in said
    _do(listening, "DELETE FROM twice", said.partition("→ ")[2], database="d")
    assert _present(listening) == []


def test_a_disk_without_room_for_the_largest_table_is_named(listening: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        f_bavail, f_frsize = 1, 512

    _do(listening, "CREATE TABLE big AS SELECT generate_series(1, 1000)", database="d")
    assert _present(listening) == []
    monkeypatch.setattr(os, "statvfs", lambda path: Full)
    (said,) = _present(listening)
    assert "disk: 512 B free" in said
