"""A backup goes into an empty target only, into a protected one only with its seal, and is compared there."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url
from test_backup import hostile, session, target_of, wait_for, waiting

from afdb_helpers import backup, targets
from afdb_helpers.backup import Backup, dumping, proving, recovery, sealed, store
from afdb_helpers.embedded_postgres import Server
from afdb_helpers.errors import Incomplete, Refused
from afdb_helpers.targets import Target

pytestmark = pytest.mark.xdist_group("recovery")


@pytest.fixture(scope="module")
def rich(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backup]:
    """A backup of a database with everything that is easily lost; marked proven, which test_backup shows it is."""
    source = hostile(postgres)
    made = backup.dump(source, store=tmp_path_factory.mktemp("rich"))
    yield proven(made)
    postgres.drop_database(source.database)
    with session(postgres.url("postgres")) as cursor:
        cursor.execute('DROP ROLE IF EXISTS "App Owner"; DROP ROLE IF EXISTS reader')


@pytest.fixture
def lite(tmp_path: Path) -> Backup:
    with contextlib.closing(sqlite3.connect(tmp_path / "app.db")) as db:
        db.executescript("CREATE TABLE a (id INTEGER PRIMARY KEY, t TEXT); INSERT INTO a VALUES (1, 'x'), (2, NULL)")
    return proven(backup.dump(target_of(f"sqlite:///{tmp_path}/app.db"), store=tmp_path / "store"))


def proven(made: Backup) -> Backup:
    store.keep_proof(made, {"manifest": made.seal, "ok": True, "when": "now"})
    return store.read(made.path)


def file(path: Path) -> Target:
    return target_of(f"sqlite:///{path}")


def protected(url: str) -> Target:
    return targets.parse("production", url, {})


# --- PostgreSQL ------------------------------------------------------------------------------------------------------


def test_everything_comes_back_and_is_compared(rich: Backup, database: str) -> None:
    seen: list[tuple[str, dict[str, Any]]] = []
    done = backup.restore(rich, target_of(database), note=lambda event, **facts: seen.append((event, facts)))
    assert "schema and every value equal" in done.headline
    assert "ANALYZE" in done.remedy
    assert "docs/restore.md, step 5: change names" in done.remedy
    assert "\n## 5. Change names" in (Path(__file__).parents[1] / "docs/restore.md").read_text()
    assert [event for event, _ in seen] == ["evidence", "room", "change.intent", "change.result"]
    assert seen[0][1]["sha256"] == rich.seal.removeprefix("sha256:")
    with session(database) as cursor:
        cursor.execute("SELECT count(*) FROM mv")
        assert cursor.fetchall() == [(1,)]
        cursor.execute("SELECT tableowner FROM pg_tables WHERE tablename = 'User'")
        assert cursor.fetchall() == [("App Owner",)]
    with pytest.raises(Refused, match="is not empty"):  # a second time is refused
        backup.restore(rich, target_of(database))


@pytest.mark.parametrize(
    ("what", "named"),
    [
        ("CREATE TABLE t (i int)", "relation t"),
        ("CREATE SCHEMA s", "schema s"),
        ("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'", "function f()"),
        ("CREATE TYPE e AS ENUM ('a')", "type e"),
        ("CREATE SEQUENCE q", "relation q"),
        ("SELECT lo_create(4711)", "large object 4711"),
    ],
)
def test_a_target_that_is_not_empty_is_refused_and_stays_as_it_was(
    rich: Backup, database: str, what: str, named: str
) -> None:
    with session(database) as cursor:
        cursor.execute(what)
    with pytest.raises(Refused, match="is not empty") as caught:
        backup.restore(rich, target_of(database))
    assert named in caught.value.why
    assert "DROP DATABASE" in caught.value.do
    with session(database) as cursor:
        cursor.execute("SELECT count(*) FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')")
        assert cursor.fetchone()[0] == what.count("TABLE")


def test_a_fresh_database_and_one_with_an_extension_count_as_empty(database: str) -> None:
    recovery._empty_database(target_of(database))
    with session(database) as cursor:
        cursor.execute("CREATE EXTENSION IF NOT EXISTS vector")
    recovery._empty_database(target_of(database))


def test_without_the_guard_a_restore_would_meet_what_is_there(
    rich: Backup, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with session(database) as cursor:
        cursor.execute("CREATE TABLE stray (i int)")
    monkeypatch.setattr(recovery, "_empty_database", lambda *_: None)
    with pytest.raises(Incomplete, match="holds a part of it") as caught:
        backup.restore(rich, target_of(database))
    assert "schema not as it was" in caught.value.why
    assert "DROP DATABASE" in caught.value.do


def test_a_protected_target_needs_the_backups_seal_a_number_and_a_reason(rich: Backup, database: str) -> None:
    target = protected(database)
    assert target.protected
    with pytest.raises(Refused, match="is not approved") as caught:
        backup.restore(rich, target)
    assert f"--approve {rich.seal}" in caught.value.do
    with pytest.raises(Refused, match="is not approved") as caught:
        backup.restore(rich, target, approve="sha256:" + "0" * 64, change_ref="OPS-1", reason="why")
    assert "approved was sha256:000" in caught.value.why
    with pytest.raises(Refused, match="--change-ref and --reason not given"):
        backup.restore(rich, target, approve=rich.seal)
    with session(database) as cursor:
        cursor.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
        assert cursor.fetchone()[0] == 0
    assert backup.restore(rich, target, approve=rich.seal, change_ref="OPS-1", reason="why").ok
    with pytest.raises(Refused, match="is not empty") as caught:  # no approval overwrites what is there
        backup.restore(rich, target, approve=rich.seal, change_ref="OPS-1", reason="why")
    assert "DROP DATABASE" not in caught.value.do, "nobody is told to drop a protected one"
    assert "an empty database beside it" in caught.value.do
    with pytest.raises(Refused, match="is not empty"):  # which is said before an approval is asked for
        backup.restore(rich, target)


def test_roles_that_the_server_lacks_are_named_and_made_only_when_asked(rich: Backup, postgres16: Server) -> None:
    facts = {**rich.manifest, "server": {**rich.manifest["server"], "version": "16.0"}}
    old = Backup(id=rich.id, path=rich.path, state="proven", manifest=facts, headline="")
    url = postgres16.create_database("bare")
    try:
        with session(url) as cursor:
            cursor.execute('DROP ROLE IF EXISTS "App Owner"; DROP ROLE IF EXISTS reader')
        with pytest.raises(Refused, match="is older than backup"):
            backup.restore(rich, target_of(url))
        with pytest.raises(Refused, match="lacks roles") as caught:
            backup.restore(old, target_of(url))
        assert "App Owner, reader" in caught.value.why
        with recovery._writing(target_of(url)) as cursor:
            recovery._create(cursor, recovery._prepared(cursor, old, target_of(url), True))
            cursor.execute("SELECT rolcanlogin FROM pg_roles WHERE rolname IN ('App Owner', 'reader')")
            assert cursor.fetchall() == [(False,), (False,)]
            assert recovery._prepared(cursor, old, target_of(url), False) == []
            cursor.execute('DROP ROLE "App Owner"; DROP ROLE reader')
    finally:
        postgres16.drop_database("bare")


def test_only_a_proven_backup_of_the_same_kind_is_restored(rich: Backup, lite: Backup, database: str) -> None:
    with pytest.raises(Refused, match="does not fit"):
        backup.restore(lite, target_of(database))
    (lite.path / "proof.json").unlink()
    with pytest.raises(Refused, match="it is unproven") as caught:
        backup.restore(store.read(lite.path), file(lite.path.with_name("x.db")))
    assert caught.value.do == f"afdb backups prove {lite.id}"


class Full:
    f_bavail, f_frsize = 1, 512


@pytest.mark.parametrize("kind", ["postgresql", "sqlite"])
def test_a38_a_target_without_room_is_refused_before_it_is_touched(
    kind: str, rich: Backup, lite: Backup, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, target = (rich, target_of(database)) if kind == "postgresql" else (lite, file(tmp_path / "new.db"))
    noted: dict[str, dict[str, Any]] = {}
    with monkeypatch.context() as full:
        full.setattr(os, "statvfs", lambda path: Full)
        with pytest.raises(Refused, match="there is no room for backup") as caught:
            backup.restore(made, target, note=lambda event, **facts: noted.update({event: facts}))
    assert "512 B are free" in caught.value.why
    assert noted["room"]["free"] == 512
    assert "change.intent" not in noted
    backup.restore(made, target)  # the control: it is empty, and nothing else was in the way


def test_a38_the_room_on_another_machines_disk_is_said_not_to_be_known(
    rich: Backup, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # as a data folder that is not here
    noted: dict[str, dict[str, Any]] = {}
    backup.restore(rich, target_of(database), note=lambda event, **facts: noted.update({event: facts}))
    assert noted["room"] == {"needed": rich.manifest["database"]["bytes"], "free": None}


def test_a_changed_file_is_found_before_the_target_is_touched(
    rich: Backup, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = rich.path / "dump" / "toc.dat"
    sound = path.read_bytes()
    path.write_bytes(sound[:-1] + bytes([sound[-1] ^ 1]))
    try:
        with pytest.raises(Refused, match="cannot be restored"):
            backup.restore(rich, target_of(database))
        with session(database) as cursor:
            cursor.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
            assert cursor.fetchone()[0] == 0
    finally:
        path.write_bytes(sound)


def test_another_content_than_the_manifests_is_found_afterwards(
    rich: Backup, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    compare = proving.compare

    def altered(made: Backup, restored: Target) -> Any:
        with session(database) as cursor:
            cursor.execute("""UPDATE "User" SET "Name" = 'another' WHERE "select" = 1""")
        return compare(made, restored)

    monkeypatch.setattr(proving, "compare", altered)
    with pytest.raises(Incomplete, match="did not end well") as caught:
        backup.restore(rich, target_of(database))
    assert "difference" in caught.value.why


RESTORING = """
import sys
from pathlib import Path
from afdb_helpers import backup, targets
from afdb_helpers.backup import store
backup.restore(store.read(Path(sys.argv[1])), targets.parse('default', sys.argv[2], {}))
"""


def test_kill_9_in_the_middle_leaves_a_target_that_a_rerun_refuses_and_says_how_to_go_on(
    rich: Backup, new_database: Callable[..., str], postgres: Server
) -> None:
    url = new_database("killed")
    with session(url) as holder:
        holder.execute(
            "CREATE FUNCTION slow() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_advisory_lock(7); END'"
        )
        holder.execute(
            "CREATE EVENT TRIGGER slow ON ddl_command_end WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION slow()"
        )
        holder.execute("SELECT pg_advisory_lock(7)")
        code = RESTORING.replace("backup.restore(", "from afdb_helpers.backup import recovery; "
                                 "recovery._empty_database = lambda *_: None; backup.restore(")  # fmt: skip
        process = subprocess.Popen([sys.executable, "-c", code, str(rich.path), url])
        wait_for(lambda: waiting(url), 30)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        wait_for(lambda: waiting(url) == 0)  # pg_restore went with it
    with pytest.raises(Refused, match="is not empty") as caught:
        backup.restore(rich, target_of(url))
    assert "restore that died" in caught.value.why.replace("\n", " ")
    assert 'DROP DATABASE "killed" WITH (FORCE); CREATE DATABASE "killed"' in caught.value.do
    with session(postgres.url("postgres")) as cursor:  # what it says to do, done
        for statement in caught.value.do.split("server: ")[1].split("; then")[0].split("; "):
            cursor.execute(statement)
    assert backup.restore(rich, target_of(url)).ok


def test_a_password_is_in_no_error(rich: Backup, postgres: Server) -> None:
    url = make_url(postgres.url("postgres")).set(username="nobody", password="canary-9d").render_as_string(False)
    with pytest.raises(Exception, match="no role of that name") as caught:
        backup.restore(rich, target_of(url))
    assert "canary-9d" not in str(caught.value)


# --- SQLite ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("before", ["absent", "no bytes", "no tables"])
def test_a_file_comes_back_under_its_name_only_when_it_is_right(lite: Backup, tmp_path: Path, before: str) -> None:
    path = tmp_path / "new.db"
    if before == "no bytes":
        path.touch()
    if before == "no tables":
        with contextlib.closing(sqlite3.connect(path)) as db:
            db.executescript("CREATE TABLE t (i); DROP TABLE t")
    assert backup.restore(lite, file(path)).ok
    with contextlib.closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT count(*) FROM a").fetchall() == [(2,)]
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_a_file_with_a_table_or_with_a_journal_beside_it_is_refused(lite: Backup, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="is not empty") as caught:
        backup.restore(lite, file(tmp_path / "app.db"))
    assert "table a" in caught.value.why
    assert "mv " in caught.value.do
    (tmp_path / "new.db-wal").write_bytes(b"of another database")
    with pytest.raises(Refused, match="in the middle of something") as caught:
        backup.restore(lite, file(tmp_path / "new.db"))
    assert "new.db-wal" in caught.value.why
    assert not (tmp_path / "new.db").exists()


def test_a_file_that_is_not_what_the_manifest_says_never_gets_the_name(lite: Backup, tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(lite.path / dumping.DATABASE)) as db:
        db.execute("UPDATE a SET t = 'y' WHERE id = 1")
        db.commit()
    sealed.write(lite.path / "manifest.json", {**lite.manifest, "files": sealed.files(lite.path)})
    lying = proven(store.read(lite.path))
    with pytest.raises(Incomplete, match="is as it was"):
        backup.restore(lying, file(tmp_path / "new.db"))
    assert not (tmp_path / "new.db").exists()


def test_kill_9_before_the_rename_leaves_the_target_absent_and_a_rerun_goes(lite: Backup, tmp_path: Path) -> None:
    code = "import os, signal; from afdb_helpers.backup import recovery; " \
        "recovery._compared = lambda *_: os.kill(os.getpid(), signal.SIGKILL); " + RESTORING  # fmt: skip
    url = f"sqlite:///{tmp_path}/new.db"
    died = subprocess.run([sys.executable, "-c", code, str(lite.path), url], check=False)
    assert died.returncode == -signal.SIGKILL
    assert not (tmp_path / "new.db").exists()
    assert backup.restore(lite, file(tmp_path / "new.db")).ok
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []
