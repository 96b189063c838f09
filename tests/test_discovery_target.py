"""The server, the tables and whoever is in the way, as a first look shows them; and what a role may not see."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import servers
import sqlalchemy as sa

from afdb_helpers import catalog, discovery, embedded_postgres, targets
from afdb_helpers.discovery import diagram, target
from afdb_helpers.embedded_postgres import Server, owner
from afdb_helpers.errors import Unavailable
from afdb_helpers.report import Report
from afdb_helpers.targets import Target

pytestmark = pytest.mark.xdist_group("discovery target")

SCHEMA = (
    "CREATE TABLE tenant (id text PRIMARY KEY)",
    "INSERT INTO tenant SELECT 't' || i FROM generate_series(1, 3) i",
    *(f"CREATE TABLE t{n} (id serial PRIMARY KEY, tenant_id text REFERENCES tenant, body text)" for n in (1, 2, 3)),
    "INSERT INTO t1 (tenant_id, body) SELECT 't1', repeat('x', 200) FROM generate_series(1, 900) i",
    "INSERT INTO t2 (tenant_id, body) SELECT 't' || (1 + i / 300), 'y' FROM generate_series(0, 599) i",
)


def _run(url: str, *statements: str) -> None:
    with sa.create_engine(url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT").connect() as connection:
        for statement in statements:
            connection.execution_options(no_parameters=True).exec_driver_sql(statement)


def _target(url: str) -> Target:
    return targets.parse("x", url, {})


def _look(url: str, look: Callable[..., Report], **options: Any) -> Report:
    with _target(url).connect() as connection:
        return look(connection, **options)


@pytest.fixture
def filled(database: str) -> str:
    _run(database, *SCHEMA, "ANALYZE")
    return database


@pytest.fixture
def clerk(filled: str) -> Iterator[str]:
    """The same database, as a role with no rights but CONNECT and pg_read_all_stats."""
    _run(filled, "DROP ROLE IF EXISTS discovery_clerk", "CREATE ROLE discovery_clerk LOGIN",
         "GRANT pg_read_all_stats TO discovery_clerk")  # fmt: skip
    yield filled.replace("postgres@", "discovery_clerk@")
    _run(filled, "DROP ROLE discovery_clerk")


# --- the server


def test_the_server_is_named_with_what_backups_are_bound_to_and_until_when_it_is_supported(filled: str) -> None:
    found = _look(filled, discovery.server, on=dt.date(2026, 11, 28))
    assert found.ok
    assert found.headline.startswith("PostgreSQL 18.")
    assert found.headline.endswith("primary; supported until 2030-11-14")
    assert {"system identifier", "database", "role", "clock", "TLS", "role is", "tables"} <= {
        r["fact"] for r in found.rows
    }
    extensions, settings = found.parts
    assert extensions.rows[0]["name"] == "plpgsql"
    assert {"lock_timeout", "wal_level", "max_prepared_transactions"} <= {row["setting"] for row in settings.rows}
    assert all(row["why"] for row in settings.rows)


@pytest.mark.parametrize(("major", "on", "ok", "said"), [
    (14, "2026-11-12", True, "supported until 2026-11-12"),
    (14, "2026-11-13", False, "out of support since 2026-11-12"),
    (13, "2026-11-28", False, "out of support since 2025-11-13"),
    (18, "2026-11-28", True, "supported until 2030-11-14"),
    (99, "2026-11-28", True, "version 99 is newer than the dates of 2025-11-13"),
])  # fmt: skip
def test_the_end_of_life_is_by_dated_data(major: int, on: str, ok: bool, said: str) -> None:
    found = target.supported(major, dt.date.fromisoformat(on))
    assert (found.ok, found.headline) == (ok, said)


def test_a_file_is_a_server_too(tmp_path: Path) -> None:
    _run(f"sqlite:///{tmp_path}/x.db", "CREATE TABLE t (i)")
    assert _look(f"sqlite:///{tmp_path}/x.db", discovery.server).headline.startswith("SQLite 3.")


def test_the_way_there_says_what_a_migration_would_refuse(filled: str) -> None:
    assert discovery.way(_target(filled)).ok
    pooled = discovery.way(_target("postgresql://u:canary@db.example.org:6543/d?connect_timeout=1"))
    assert not pooled.ok
    assert "port 6543 is the transaction pooler's" in pooled.headline
    assert "port 5432" in pooled.remedy
    assert "canary" not in repr(pooled)


# --- who would block


def test_a_session_idle_in_a_transaction_is_named_with_the_tables_it_has_locked(filled: str) -> None:
    assert _look(filled, discovery.blockers).headline == "nobody would block a migration now"
    with sa.create_engine(filled, poolclass=sa.NullPool).connect() as idle:
        idle.exec_driver_sql("SELECT * FROM t1 LIMIT 1")
        found = _look(filled, discovery.blockers)
    assert not found.ok
    (row,) = found.rows
    assert row["hazard"] == "idle in transaction"
    assert "has locked t1" in row["what"]
    assert "pg_terminate_backend" in row["remedy"]


def test_a_table_that_is_near_wraparound_is_named(filled: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is asked of the server; here the question is asked with a lower one."""
    asked = catalog.question("would_block").replace(
        "> 0.9 * current_setting('autovacuum_freeze_max_age')::bigint", "> -1"
    )
    monkeypatch.setattr(
        catalog, "question", lambda name, real=catalog.question: asked if name == "would_block" else real(name)
    )
    assert {row["hazard"] for row in _look(filled, discovery.blockers).rows} == {"wraparound is near"}


def test_what_other_sessions_do_is_said_to_be_unseen_where_it_is(filled: str) -> None:
    _run(filled, "DROP ROLE IF EXISTS discovery_nobody", "CREATE ROLE discovery_nobody LOGIN")
    nobody = filled.replace("postgres@", "discovery_nobody@")
    with sa.create_engine(filled, poolclass=sa.NullPool).connect() as other:
        other.exec_driver_sql("SELECT 1")
        found = _look(nobody, discovery.blockers)
    assert found.headline == "whether somebody would block a migration now cannot be seen"
    assert found.remedy == "GRANT pg_read_all_stats TO discovery_nobody"
    _run(filled, "DROP ROLE discovery_nobody")


# --- the tables


def test_tables_are_listed_with_what_is_empty_in_them(filled: str) -> None:
    found = _look(filled, discovery.tables)
    assert found.headline.startswith("4 tables, ")
    rows = {row["table"]: row for row in found.rows}
    assert rows["t1"]["rows"] == 900
    assert rows["t1"]["bytes"] > rows["t1"]["indexes"] > 0
    assert rows["t1"]["empty"] < 0.3 * rows["t1"]["bytes"]
    _run(filled, "DELETE FROM t1 WHERE id > 100", "VACUUM (ANALYZE, TRUNCATE off) t1")
    assert {r["table"]: r for r in _look(filled, discovery.tables).rows}["t1"]["empty"] > 0.5 * rows["t1"]["bytes"]


def test_growth_is_since_what_an_earlier_run_kept(filled: str) -> None:
    before = discovery.kept(_look(filled, discovery.tables))
    before["at"] = (dt.datetime.now(dt.UTC) - dt.timedelta(days=2)).isoformat(timespec="seconds")
    _run(filled, "INSERT INTO t3 (body) SELECT repeat('z', 500) FROM generate_series(1, 2000)", "DROP TABLE t2",
         "CREATE TABLE fresh (i int)")  # fmt: skip
    found = _look(filled, discovery.tables, before=before)
    rows = {row["table"]: row for row in found.rows}
    assert rows["t3"]["growth"] > 1_000_000
    assert rows["t3"]["growth a day"] == pytest.approx(rows["t3"]["growth"] / 2, rel=0.01)
    assert rows["t1"]["growth"] == 0
    assert rows["fresh"]["growth"] == rows["fresh"]["bytes"]
    assert ", 1 table gone since " in found.headline
    assert "growth" not in _look(filled, discovery.tables).rows[0], "the control: without an earlier run"


def test_tenants_are_estimated_without_reading_a_row(filled: str) -> None:
    found = _look(filled, discovery.tenants)
    assert found.ok
    assert found.headline == "tenants: tenant_id in 3 of 4 tables, which refer to tenant"
    assert [(row["tenant"], row["rows"]) for row in found.rows][:2] == [("t1", 1200), ("t2", 300)]
    assert found.rows[0]["bytes"] > 3 * found.rows[1]["bytes"]


def test_a_database_without_a_tenants_key_has_no_tenants(database: str) -> None:
    _run(database, "CREATE TABLE a (id int, customer text)", "CREATE TABLE b (id int, tenant_id int)")
    assert _look(database, discovery.tenants).headline == "tenants: no column says whose a row is"


def test_tables_that_are_not_analysed_make_the_estimate_not_ok(filled: str) -> None:
    _run(filled, "CREATE TABLE t4 (tenant_id text)")
    found = _look(filled, discovery.tenants)
    assert not found.ok
    assert "1 table not analysed" in found.headline


# --- all of it at once


HOSTILE = ('a"b', "with space", "🐘", "x; DROP TABLE tenant", "%s", ":name", "$1", "ünïcödé", "select", "a'b", "C:\\x")


def test_names_that_are_hostile_are_shown_as_they_are(filled: str, tmp_path: Path) -> None:
    with sa.create_engine(filled).begin() as connection:
        for name in HOSTILE:
            sa.Table(name, sa.MetaData(), sa.Column(name, sa.Integer), sa.Column("tenant_id", sa.Text)).create(
                connection
            )
    with _target(filled).connect() as connection:
        found = discovery.look(connection, _target(filled), folder=tmp_path, models=False)
    assert set(HOSTILE) <= {row["table"] for row in found.tables.rows}
    assert not [line for line in found.rows if "not seen" in line["found"]], found
    for text in (found.entities.markdown, found.entities.svg):  # type: ignore[attr-defined]
        assert "tenant" in text
    assert "<script" not in found.entities.svg  # type: ignore[attr-defined]
    assert found._repr_html_()


def test_a_role_with_no_rights_is_shown_what_can_be_shown_and_told_what_cannot(clerk: str, tmp_path: Path) -> None:
    with _target(clerk).connect() as connection:
        found = discovery.look(connection, _target(clerk), folder=tmp_path, models=False)
    assert [row["what"] for row in found.server.parts[0].rows] == ["the content and the statistics of 4 tables of 4"]
    assert found.server.remedy == "GRANT pg_read_all_data TO discovery_clerk"
    assert {row["table"] for row in found.tables.rows} == {"tenant", "t1", "t2", "t3"}
    assert all(row["empty"] is None for row in found.tables.rows), "not known is not 0"
    assert "not analysed, or not shown to the role" in found.tenants.headline
    assert found.blockers.ok
    assert found.advice.unasked == ()  # type: ignore[attr-defined]


def test_nothing_that_is_run_takes_more_than_access_share_or_writes(
    clerk: str, filled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one transaction, so that its locks stay until the end; and the number of questions stays the same for more."""
    monkeypatch.setattr(target, "way", lambda at: Report(headline=at.name))
    numbers = []
    for more in (0, 40):
        _run(filled, *(f"CREATE TABLE more_{n} (id int PRIMARY KEY, tenant_id text)" for n in range(more)))
        with _target(filled).connect(snapshot=True) as connection:
            asked: list[str] = []
            sa.event.listen(connection, "before_cursor_execute", lambda *a, asked=asked: asked.append(a[2]))
            discovery.look(connection, _target(filled), folder=tmp_path, models=False)
            held = connection.exec_driver_sql("SELECT DISTINCT mode FROM pg_locks WHERE pid = pg_backend_pid()"
                                              " AND locktype = 'relation'").scalars().all()  # fmt: skip
            assert set(held) == {"AccessShareLock"}
            assert connection.exec_driver_sql("SELECT txid_current_if_assigned()").scalar() is None
        numbers.append(len(asked))
    assert numbers[0] == numbers[1]
    assert numbers[0] < 80


TEN_THOUSAND = """DO $$ BEGIN
FOR n IN 1..10000 LOOP
  EXECUTE format('CREATE TABLE many_%s (id int)', n);
  IF n % 500 = 0 THEN COMMIT; END IF;
END LOOP; END $$"""


def test_ten_thousand_tables_are_looked_at_with_as_many_questions_as_ten(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(target, "way", lambda at: Report(headline=at.name))
    numbers, found = [], None
    for tables in ("10", "10000"):
        _run(database, TEN_THOUSAND.replace("10000", tables).replace("CREATE TABLE", "CREATE TABLE IF NOT EXISTS"))
        asked: list[str] = []
        with _target(database).connect() as connection:
            sa.event.listen(connection, "before_cursor_execute", lambda *a, asked=asked: asked.append(a[2]))
            found = discovery.look(connection, _target(database), folder=tmp_path, models=False)
        numbers.append(len(asked))
    assert found is not None
    assert found.tables.headline.startswith("10,000 tables")
    assert found.entities.headline == "10,000 tables, 0 foreign keys; the 60 with the most relations are drawn"
    assert not [line for line in found.rows if "not seen" in line["found"]], found
    assert len(repr(found).splitlines()) <= 24, "the first screen is one still"
    assert numbers[0] == numbers[1]


def test_a_part_that_fails_is_said_in_its_place_and_the_run_does_not_end_well(
    filled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise Unavailable("the catalogue is gone", why="it was sold", do="buy it back")

    monkeypatch.setattr(catalog, "snapshot", refuse)
    with _target(filled).connect() as connection:
        found = discovery.look(connection, _target(filled), folder=tmp_path, models=False)
    assert not found.ok
    assert found.remedy == "buy it back"
    assert "not seen: the catalogue is gone: it was sold" in repr(found)
    assert found.tables.headline.startswith("4 tables"), "the rest is shown"
    with pytest.raises(Unavailable, match="the catalogue is gone"):
        discovery.finding(found)


def test_the_first_screen_fits_one_and_ends_with_the_next_step(filled: str, tmp_path: Path) -> None:
    with _target(filled).connect() as connection:
        found = discovery.look(connection, _target(filled), folder=tmp_path, models=False)
        again = discovery.look(connection, _target(filled), folder=tmp_path, before=found.kept(), models=False)
    assert [line["about"] for line in found.rows][:5] == ["Server", "Way there", "Project", "State", "Drift"]
    assert len(repr(found).splitlines()) <= 24
    assert found.remedy == "run again in the folder of the project that this database belongs to"
    assert "+0 B since" in again.tables.headline
    assert discovery.finding(found).ok


def test_an_empty_database_is_no_fault(database: str, tmp_path: Path) -> None:
    with _target(database).connect() as connection:
        found = discovery.look(connection, _target(database), folder=tmp_path, models=False)
    assert found.tables.headline == "0 tables, 0 B"
    assert found.advice.ok
    assert found.entities.headline == "0 tables, 0 foreign keys"
    assert found.sizes().headline.startswith("Size of each table")


def test_a_large_schema_is_drawn_by_its_most_related_tables() -> None:
    table = {"columns": {"id": {"type": "integer", "nullable": False}}, "constraints": ["PRIMARY KEY (id)"],
             "indexes": {}}  # fmt: skip
    many = {f"t{n:03}": table for n in range(200)} | {
        "zz": {**table, "constraints": ["FOREIGN KEY (id) REFERENCES t199(id)"]}
    }
    found = diagram.entities(catalog.Catalog("postgresql", many))
    assert found.headline == "201 tables, 1 foreign key; the 60 with the most relations are drawn"
    assert "zz" in found.svg
    assert "t199 ||--o{ zz" in found.markdown
    assert set(found._repr_mimebundle_()) == {"text/plain", "text/markdown", "image/svg+xml"}


# --- what cannot be looked at


def _refused(url: str) -> Unavailable:
    with pytest.raises(Unavailable) as caught, _target(url).connect() as connection:
        discovery.tables(connection)
    return caught.value


def test_a_server_that_shuts_down_is_said_to_and_so_is_one_that_starts_up() -> None:
    """It shuts down for as long as a session lasts; then it starts, for as long as it waits for its archive."""
    with embedded_postgres.start() as server:
        url = server.url("postgres")
        with sa.create_engine(url, poolclass=sa.NullPool).connect():
            stop = ("-D", server.data, "-W", "-m", "smart", "stop")
            owner.run(server.programs / "pg_ctl", *stop)
            found = _until(url, "shutting down")
            assert (found.why, found.do) == ("the server is starting up or shutting down", "run again soon")
        while (server.data / "postmaster.pid").exists():
            time.sleep(0.02)
        with (server.data / "postgresql.auto.conf").open("a") as conf:
            conf.write("restore_command = 'sleep 30; false'\n")
        (server.data / "recovery.signal").touch()
        owner.give(server.data / "recovery.signal")
        start = ("-D", server.data, "-W", "-l", server.data / "log", "start")
        owner.run(server.programs / "pg_ctl", *start, log=server.data / "log")
        found = _until(url, "starting up")
        assert (found.why, found.do) == ("the server is starting up or shutting down", "run again soon")


def _until(url: str, said: str) -> Unavailable:
    """What is said of a server as soon as it has begun to do what it was told."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        try:
            sa.create_engine(url, poolclass=sa.NullPool).connect().close()
        except sa.exc.OperationalError as error:
            if said in str(error):
                return _refused(url)
        time.sleep(0.02)
    raise AssertionError(f"never {said}")


def test_a_replica_is_named_as_one_and_what_it_cancels_is_said_to_be_that(database: str, postgres: Server) -> None:
    """A table that is being looked at there is dropped on the primary: the replica cannot have both."""
    _run(database, "CREATE TABLE t (i int)", "CREATE TABLE u (i int)")
    with servers.replica(postgres, max_standby_streaming_delay="0") as replica:
        url = replica.url(sa.make_url(database).database or "")
        with _target(url).connect(snapshot=True) as connection, ThreadPoolExecutor(1) as aside:
            assert "replica" in discovery.server(connection).headline
            connection.exec_driver_sql("SELECT * FROM t")
            dropped = aside.submit(_once_it_looks, url, lambda: _run(database, "DROP TABLE t"))
            with pytest.raises(sa.exc.DBAPIError) as cancelled:
                connection.exec_driver_sql("SELECT pg_sleep(20)")
            dropped.result()
        found = targets.cannot_look(_target(url), cancelled.value)
        assert isinstance(found, Unavailable)
        assert found.why == "the replica cancelled it for what it replays"
        assert found.do == "run again, or look at the primary"
        assert _look(url, discovery.tables).headline.startswith("1 table,"), "the control: nothing in the way"


def _once_it_looks(url: str, do: Callable[[], None]) -> None:
    with sa.create_engine(url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT").connect() as other:
        asked = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
        until = time.monotonic() + 10
        while not other.exec_driver_sql(asked).first() and time.monotonic() < until:
            time.sleep(0.02)
    do()


def test_a_server_without_a_connection_left_is_said_to_be_one() -> None:
    found = targets.cannot_look(
        _target("postgresql://localhost/d"), Exception("FATAL:  sorry, too many clients already")
    )
    assert isinstance(found, Unavailable)
    assert "no connection left" in found.why
    assert found.do


def _damaged(file: Path) -> None:
    whole = bytearray(file.read_bytes())
    whole[4096:8192] = b"\xff" * 4096
    file.write_bytes(whole)


def _found(url: str, folder: Path) -> Report:
    with _target(url).connect() as connection:
        return discovery.finding(discovery.look(connection, _target(url), folder=folder, models=False))


@pytest.mark.parametrize(("harm", "why"), [
    (lambda file: file.write_bytes(os.urandom(8192)), "not a SQLite database"),
    (_damaged, "the file is damaged"),
    (lambda file: file.unlink(), "SQLite would create an empty database"),
], ids=["encrypted", "corrupt", "gone"])  # fmt: skip
def test_a_file_that_cannot_be_read_is_said_to_be_one(harm: Callable[[Path], Any], why: str, tmp_path: Path) -> None:
    file = tmp_path / "x.db"
    _run(f"sqlite:///{file}", "CREATE TABLE t (i)", "CREATE TABLE u (i)", "INSERT INTO t VALUES (1)")
    harm(file)
    with pytest.raises(Unavailable) as caught:
        _found(f"sqlite:///{file}", tmp_path)
    assert why in caught.value.why


def test_a_file_in_wal_mode_that_nobody_may_write_beside_is_said_to_be_one() -> None:
    """As an ordinary user: root may write anywhere, so root looks as one."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        file = Path(folder, "x.db")
        _run(f"sqlite:///{file}", "PRAGMA journal_mode = WAL", "CREATE TABLE t (i)")
        assert _look(f"sqlite:///{file}", discovery.tables).headline.startswith("1 table"), "the control: one who may"
        for beside in (Path(f"{file}-wal"), Path(f"{file}-shm")):
            beside.unlink(missing_ok=True)
        with _as_nobody_who_may_write(Path(folder)):
            found = _refused(f"sqlite:///{file}")
    assert "write" in found.why
    assert "WAL" in found.why
    assert found.do


@contextlib.contextmanager
def _as_nobody_who_may_write(folder: Path) -> Iterator[None]:
    if os.getuid() == 0:
        os.seteuid(65534)
        try:
            yield
        finally:
            os.seteuid(0)
        return
    folder.chmod(0o555)
    try:
        yield
    finally:
        folder.chmod(0o755)


def test_a_file_that_another_process_writes_is_read_all_the_same_or_said_to_be_locked(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/x.db"
    _run(url, "CREATE TABLE t (i)")
    with sa.create_engine(url, poolclass=sa.NullPool).connect() as writer:
        writer.exec_driver_sql("BEGIN EXCLUSIVE")
        with pytest.raises(Unavailable) as caught, _target(url).connect() as connection:
            discovery.tables(connection)
    assert "another process is writing" in caught.value.why
