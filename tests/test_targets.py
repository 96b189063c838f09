"""Targets: found by name, protected by what they are, silent about passwords, and connections that cannot write."""

from __future__ import annotations

import contextlib
import re
import socket
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import servers
import sqlalchemy as sa
from commandline import MALFORMED, SECRET
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.exc import DBAPIError

from afdb_helpers import targets
from afdb_helpers.embedded_postgres import Server
from afdb_helpers.errors import ConfigError, Unavailable
from afdb_helpers.targets import Target


def _get(name: str = "default", **settings: str) -> Target:
    return targets.get(name, settings)


# --- by name


def test_names_come_from_the_settings_default_first() -> None:
    settings = {"PRODUCTION_DATABASE_URL": "x", "DATABASE_URL": "y", "A_B_DATABASE_URL": "z", "EMPTY_DATABASE_URL": ""}
    assert targets.names(settings) == ["default", "a_b", "production"]
    assert targets.names({}) == []
    assert targets.names({"POSTGRES_DB": "x"}) == ["default"]


def test_a_name_nobody_configured_is_an_error_that_names_those_there_are() -> None:
    with pytest.raises(ConfigError) as caught:
        _get("stagign", STAGING_DATABASE_URL="postgresql://u@h/d")
    assert "STAGIGN_DATABASE_URL is not set" in caught.value.why
    assert "targets configured: staging" in caught.value.why
    assert "set STAGIGN_DATABASE_URL" in caught.value.do


def test_each_name_has_its_variable() -> None:
    settings = {"DATABASE_URL": "postgresql:///one", "STAGING_DATABASE_URL": "postgresql:///two"}
    assert targets.get("default", settings).database == "one"
    assert targets.get("staging", settings).database == "two"


def test_a_url_comes_before_the_parts() -> None:
    assert _get(DATABASE_URL="postgresql:///one", POSTGRES_DB="two").database == "one"
    assert _get(POSTGRES_DB="two").database == "two"


def test_the_parts_make_a_url_whatever_they_hold() -> None:
    target = _get(
        POSTGRES_USER="a@b", POSTGRES_PASSWORD="p%/:@#?", POSTGRES_HOST="::1", POSTGRES_PORT="6", POSTGRES_DB="d/b"
    )
    parts = {"user": "a@b", "password": "p%/:@#?", "host": "::1", "port": "6", "dbname": "d/b"}
    assert target.secret_parts() == parts
    again = targets.parse("default", target.secret_url(), {})
    assert again.secret_parts() == parts


def test_the_parts_may_name_a_socket() -> None:
    target = _get(POSTGRES_HOST="/run/my sockets", POSTGRES_DB="d")
    assert target.secret_parts()["host"] == "/run/my sockets"
    assert not target.protected


def test_the_real_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("DATABASE_URL=postgresql:///from_file\nSTAGING_DATABASE_URL=postgresql:///staging\n")
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    assert targets.get().database == "from_file"
    monkeypatch.setenv("DATABASE_URL", "postgresql:///from_environment")
    assert targets.get().database == "from_environment"
    assert targets.names() == ["default", "staging"]


# --- URLs


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg", "postgresql+asyncpg"])
def test_every_spelling_of_the_dialect_means_the_driver_that_is_here(scheme: str) -> None:
    target = targets.parse("x", f"{scheme}://u:p%25%40@h:1/d?sslmode=require", {})
    assert target.dialect == "postgresql"
    assert target.secret_url() == "postgresql+psycopg2://u:p%25%40@h:1/d?sslmode=require"
    assert target.secret_parts()["sslmode"] == "require"
    assert target.secret_parts()["password"] == "p%@"


@pytest.mark.parametrize("url", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_url_is_refused_without_a_trace_of_the_password(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        targets.parse("staging", url, {})
    assert SECRET not in str(caught.value)
    assert caught.value.do.startswith("correct STAGING_DATABASE_URL")
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=6, max_size=12))
def test_no_password_however_it_is_put_in_appears_in_what_is_shown(password: str) -> None:
    mark = f"\u2261{password}\u2261"
    try:
        target = targets.parse("x", f"postgresql://user:{mark}@127.0.0.1:1/db", {})
    except ConfigError as error:
        shown = str(error)
    else:
        shown = f"{target!r} {target.label} {target}"
    assert "\u2261" not in shown


def test_neither_repr_nor_label_nor_error_holds_the_password() -> None:
    target = targets.parse("x", f"postgresql://u:{SECRET}@127.0.0.1:1/d?password={SECRET}", {})
    assert SECRET in target.secret_url()
    with pytest.raises(Unavailable) as caught, target.connect():
        pass
    assert SECRET not in f"{target!r}{target}{target.label}{caught.value}"
    said = targets.cannot_look(target, Exception(f"odd: {SECRET}"))
    assert said.why == "odd: ***"


def test_what_follows_the_question_mark_is_part_of_the_password_only_before_the_at() -> None:
    assert targets.parse("x", "postgresql://u:a?b@h/d", {}).secret_parts()["password"] == "a?b"


def test_a_sqlite_path_is_absolute_so_that_no_step_means_another_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    target = targets.parse("x", "sqlite:///./a@b.db", {})
    assert target.file() == tmp_path / "a@b.db"
    assert target.dialect == "sqlite"


# --- protection


@pytest.mark.parametrize(
    ("url", "protected"),
    [
        ("postgresql:///d", False),
        ("postgresql://u@localhost/d", False),
        ("postgresql://u@127.0.0.1/d", False),
        ("postgresql://u@127.8.9.1/d", False),
        ("postgresql://u@[::1]:5432/d", False),
        ("postgresql:///d?host=/run/postgresql", False),
        ("postgresql:///d?host=@abstract", False),
        ("postgresql:///d?host=localhost&host=/run", False),
        ("postgresql://u@db.example.org/d", True),
        ("postgresql://u@10.0.0.7/d", True),
        ("postgresql://u@0.0.0.0/d", True),
        ("postgresql://u@[2001:db8::1]/d", True),
        ("postgresql://u@localhost.example.org/d", True),
        ("postgresql://u@127.0.0.1.example.org/d", True),
        ("postgresql://u@localhost,db.example.org/d", True),
        ("postgresql:///d?host=localhost&host=db.example.org", True),
        ("postgresql:///d?host=/run,db.example.org", True),
        ("postgresql://u@localhost/d?hostaddr=10.0.0.7", True),
        ("postgresql://u@localhost/d?host=db.example.org", True),
        ("postgresql:///d?service=production", True),
        ("sqlite:////data/production.db", False),
    ],
)
def test_what_is_on_another_machine_is_protected(url: str, protected: bool) -> None:
    assert targets.parse("staging", url, {}).protected is protected


@pytest.mark.parametrize("variable", ["PGHOST", "PGHOSTADDR", "PGSERVICE"])
def test_what_libpq_reads_beside_the_url_counts(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not targets.parse("x", "postgresql:///d", {}).protected
    monkeypatch.setenv(variable, "db.example.org")
    assert targets.parse("x", "postgresql:///d", {}).protected


def test_a_host_in_the_url_is_none_of_pghosts_business(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "db.example.org")
    assert not targets.parse("x", "postgresql://localhost/d", {}).protected


@pytest.mark.parametrize("name", ["production", "PRODUCTION", "Production"])
def test_production_is_protected_wherever_it_is_and_however_it_is_spelt(name: str) -> None:
    settings = {"PRODUCTION_DATABASE_URL": "postgresql://u@localhost/d", "AFDB_UNPROTECTED": "production"}
    target = targets.get(name, settings)
    assert target.protected
    assert target.name == "production"


def test_a_list_protects_and_another_takes_it_off() -> None:
    near, far = "postgresql:///d", "postgresql://u@db.example.org/d"
    assert targets.parse("qa", near, {"AFDB_PROTECTED": "x, QA"}).protected
    assert not targets.parse("qa", near, {"AFDB_PROTECTED": "x"}).protected
    assert not targets.parse("qa", far, {"AFDB_UNPROTECTED": "qa"}).protected
    assert targets.parse("qa", far, {"AFDB_UNPROTECTED": "q"}).protected
    assert targets.parse("qa", far, {"AFDB_UNPROTECTED": "qa", "AFDB_PROTECTED": "qa"}).protected
    assert targets.parse("qa", "sqlite:////x.db", {"AFDB_PROTECTED": "qa"}).protected


# --- connections


WRITES = [
    "CREATE TABLE t (i int)",
    "SELECT nextval('s')",
    "INSERT INTO kept VALUES (2)",
]


def _owner(url: str) -> Any:
    return sa.create_engine(url, poolclass=sa.NullPool)


@pytest.fixture
def kept(database: str) -> str:
    """A database with a table `kept` of one row and a sequence `s`."""
    with _owner(database).begin() as connection:
        connection.exec_driver_sql("CREATE TABLE kept (i int); INSERT INTO kept VALUES (1); CREATE SEQUENCE s")
    return database


@pytest.mark.parametrize("statement", WRITES)
@pytest.mark.parametrize("snapshot", [False, True])
def test_the_server_refuses_every_write(kept: str, statement: str, snapshot: bool) -> None:
    with (
        pytest.raises(Unavailable, match="read-only transaction"),
        targets.parse("x", kept, {}).connect(snapshot=snapshot) as connection,
    ):
        connection.exec_driver_sql(statement)
    with targets.parse("x", kept, {}).connect() as connection:
        assert connection.exec_driver_sql("SELECT i FROM kept").scalars().all() == [1]


def test_settings_in_the_url_do_not_make_it_writable(kept: str) -> None:
    url = f"{kept}&options=-c%20default_transaction_read_only%3Doff%20-c%20work_mem%3D8MB"
    with targets.parse("x", url, {}).connect() as connection:
        assert connection.exec_driver_sql("SHOW work_mem").scalar_one() == "8MB"
        assert connection.exec_driver_sql("SHOW transaction_read_only").scalar_one() == "on"


def test_without_the_guard_the_same_statement_writes(kept: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Target, "_readable", lambda target, name: target._url)
    with targets.parse("x", kept, {}).connect() as connection:
        connection.exec_driver_sql("INSERT INTO kept VALUES (2)")
        assert connection.exec_driver_sql("SELECT count(*) FROM kept").scalar_one() == 2


def test_each_statement_is_its_own_transaction_and_a_snapshot_is_one_moment(kept: str) -> None:
    target = targets.parse("x", kept, {})
    count = "SELECT count(*) FROM kept"
    with target.connect() as plain, target.connect(snapshot=True) as still:
        assert (plain.exec_driver_sql(count).scalar_one(), still.exec_driver_sql(count).scalar_one()) == (1, 1)
        with _owner(kept).begin() as other:
            other.exec_driver_sql("INSERT INTO kept VALUES (2)")
        assert (plain.exec_driver_sql(count).scalar_one(), still.exec_driver_sql(count).scalar_one()) == (2, 1)


def test_the_session_says_whose_it_is(kept: str) -> None:
    with targets.parse("x", kept, {}).connect(application_name="run-1") as connection:
        assert connection.exec_driver_sql("SHOW application_name").scalar_one() == "run-1"


def test_sqlite_is_opened_for_reading_alone(tmp_path: Path) -> None:
    file = tmp_path / "a b%3F.db"
    with contextlib.closing(sqlite3.connect(file)) as made:
        made.execute("CREATE TABLE kept (i)")
    target = targets.parse("x", f"sqlite:///{str(file).replace('%', '%25')}", {})
    with target.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM kept").scalar_one() == 0
    with pytest.raises(Unavailable, match="readonly database"), target.connect() as connection:
        connection.exec_driver_sql("INSERT INTO kept VALUES (1)")


def test_a_missing_sqlite_file_is_not_made(tmp_path: Path) -> None:
    with (
        pytest.raises(Unavailable, match="there is no file"),
        targets.parse("x", f"sqlite:///{tmp_path}/none.db", {}).connect(),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_database_is_named_as_such(tmp_path: Path) -> None:
    (tmp_path / "notes.db").write_text("these are notes, and long enough to be looked at\n" * 30)
    with (
        pytest.raises(Unavailable, match="not a SQLite database"),
        targets.parse("x", f"sqlite:///{tmp_path}/notes.db", {}).connect(),
    ):
        pass


def test_a_damaged_database_is_named_as_such(tmp_path: Path) -> None:
    file = tmp_path / "damaged.db"
    with contextlib.closing(sqlite3.connect(file)) as made:
        made.executescript(
            "BEGIN; CREATE TABLE t (x); "
            + "".join(f"INSERT INTO t VALUES (zeroblob({n}));" for n in range(900))
            + "COMMIT"
        )
    raw = bytearray(file.read_bytes())
    raw[4096:] = b"\xff" * (len(raw) - 4096)
    file.write_bytes(raw)
    with (
        pytest.raises(Unavailable, match="damaged"),
        targets.parse("x", f"sqlite:///{file}", {}).connect() as connection,
    ):
        connection.exec_driver_sql("SELECT sum(length(x)) FROM t").all()


def test_a_locked_sqlite_file_names_the_cause(tmp_path: Path) -> None:
    file = tmp_path / "busy.db"
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("CREATE TABLE t (x)")
        other.execute("BEGIN EXCLUSIVE")
        with (
            pytest.raises(Unavailable, match="another process is writing"),
            targets.parse("x", f"sqlite:///{file}?timeout=0.1", {}).connect(),
        ):
            pass


# --- why it cannot look


@pytest.fixture(scope="module")
def guarded() -> Iterator[Server]:
    """A server on 127.0.0.1 that asks the role `clerk` for a password."""
    with servers.with_password(SECRET) as server:
        yield server


def _fails(url: str) -> Unavailable:
    target = targets.parse("staging", url, {})
    with pytest.raises(Unavailable) as caught, target.connect():
        pass
    assert SECRET not in str(caught.value)
    assert caught.value.__suppress_context__, "a traceback would show the driver's own error"
    return caught.value


def test_the_right_password_is_let_in(guarded: Server) -> None:
    url = f"postgresql://clerk:{SECRET}@127.0.0.1:{guarded.port}/postgres"
    with targets.parse("x", url, {}).connect() as connection:
        assert connection.exec_driver_sql("SELECT current_user").scalar_one() == "clerk"


@pytest.mark.parametrize(
    ("where", "why", "do"),
    [
        (f"clerk:{SECRET}x@127.0.0.1:PORT/postgres", "refused the role's password", "correct user or password"),
        ("clerk@127.0.0.1:PORT/postgres", "no password was given", "put it into the URL"),
        (f"clerk:{SECRET}@127.0.0.1:PORT/nowhere", "no database of that name", "create it"),
        (f"clerk:{SECRET}@127.0.0.1:1/postgres", "nothing listens", "start the server"),
        (f"clerk:{SECRET}@no-such-host.invalid/postgres", "does not resolve", "correct the host"),
        (f"clerk:{SECRET}@127.0.0.1:PORT/postgres?sslmode=require", "TLS", "check sslmode"),
        (f"clerk:{SECRET}@/postgres?host=/nowhere", "nothing listens", "start the server"),
        (f"thief:{SECRET}@127.0.0.1:PORT/postgres", "pg_hba", "log"),
    ],
)
def test_why_a_server_cannot_be_looked_at_is_said_with_what_to_do(
    guarded: Server, where: str, why: str, do: str
) -> None:
    error = _fails(f"postgresql://{where.replace('PORT', str(guarded.port))}")
    assert why in error.why
    assert do in error.do


def test_a_password_that_is_an_everyday_word_does_not_hide_the_cause(guarded: Server) -> None:
    assert (
        "no database of that name"
        in _fails(f"postgresql://postgres:database@/x?host={guarded.socket}&port={guarded.port}").why
    )


def test_a_role_that_does_not_exist_is_named_as_such(postgres: Server) -> None:
    assert "no role of that name" in _fails(postgres.url("postgres").replace("postgres@", "nobody@")).why


def test_a_value_that_libpq_refuses_is_a_matter_of_settings() -> None:
    with (
        pytest.raises(ConfigError) as caught,
        targets.parse("staging", f"postgresql://u:{SECRET}@localhost:1/d?sslmode={SECRET}", {}).connect(),
    ):
        pass
    assert "invalid sslmode value" in caught.value.why
    assert SECRET not in str(caught.value)


def test_a_server_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets, "CONNECT_TIMEOUT", 2)
    with contextlib.closing(socket.socket()) as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        assert "nothing answered" in _fails(f"postgresql://u:{SECRET}@127.0.0.1:{silent.getsockname()[1]}/d").why


def test_a_role_that_may_not_read_is_told_what_to_grant(new_database: Callable[..., str], postgres: Server) -> None:
    url = new_database()
    with _owner(url).begin() as connection:
        connection.exec_driver_sql("CREATE ROLE reader LOGIN; CREATE TABLE closed (i int)")
    try:
        with (
            pytest.raises(Unavailable) as caught,
            targets.parse("x", url.replace("postgres@", "reader@"), {}).connect() as connection,
        ):
            connection.exec_driver_sql("SELECT * FROM closed")
        assert "may not read" in caught.value.why
        assert "grant" in caught.value.do
    finally:
        with _owner(postgres.url("postgres")).begin() as connection:
            connection.exec_driver_sql("DROP ROLE reader")


def _cut_while_looking(url: str) -> None:
    with targets.parse("x", url, {}).connect() as connection, _owner(url).connect() as other:
        ending = sa.text("SELECT pg_terminate_backend(:pid, 5000)")
        other.execute(ending, {"pid": connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()}).all()
        connection.exec_driver_sql("SELECT 1")


def test_a_connection_that_the_server_cuts_is_an_error_of_ours(database: str) -> None:
    with pytest.raises(Unavailable, match="cut the connection"):
        _cut_while_looking(database)


def test_every_cause_names_what_to_do() -> None:
    assert len(targets._CAUSES) > 12
    for pattern, why, do in targets._CAUSES:
        assert re.compile(pattern)
        assert why
        assert do


def test_an_error_that_is_not_the_databases_passes_as_it_is(database: str) -> None:
    with pytest.raises(ZeroDivisionError), targets.parse("x", database, {}).connect():
        raise ZeroDivisionError
    with pytest.raises(DBAPIError), _owner(database).connect() as connection:
        connection.exec_driver_sql("SELECT * FROM nowhere")
