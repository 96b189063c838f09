"""`afdb backups` as an operator types it, and the page that is read at 2 a.m., command by command."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import commandline
import objectstore
import pytest
from commandline import afdb
from objectstore import ObjectStore
from test_backup import session, target_of

from afdb_helpers import backup
from afdb_helpers.backup import Backup, store
from afdb_helpers.embedded_postgres import Server
from afdb_helpers.targets import Target

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "restore.md"


@pytest.fixture
def made(tmp_path: Path) -> Backup:
    with sqlite3.connect(tmp_path / "app.db") as db:
        db.executescript("CREATE TABLE a (i INTEGER PRIMARY KEY); INSERT INTO a VALUES (1), (2)")
    return backup.dump(target_of(f"sqlite:///{tmp_path}/app.db"), store=tmp_path / "backups")


def page(text: str, id_: str, host: str) -> str:
    """The page's shell blocks as one script, with this test's backup and server in place of the examples."""
    script = "\n".join(re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE))
    script, ids = re.subn(r"^ID=\S+", f"ID={id_}", script, flags=re.MULTILINE)
    script, hosts = re.subn(r"PGHOST=\S+ PGPORT=\S+ PGUSER=\S+", f"PGHOST={host} PGUSER=postgres", script)
    assert (ids, hosts) == (1, 1), "the page's examples are others: this test shows nothing"
    return script


def test_every_command_of_the_page_restores_a_database_and_gives_it_back_its_name(
    postgres: Server, tmp_path: Path
) -> None:
    url = postgres.create_database("agent_factory")
    try:
        with session(url) as cursor:
            cursor.execute(
                "CREATE TABLE a AS SELECT generate_series(1, 50) i; CREATE TABLE alembic_version"
                " (version_num varchar(32) PRIMARY KEY); INSERT INTO alembic_version VALUES ('001')"
            )
            source: Target = target_of(url, "production")
            taken = backup.dump(source, store=tmp_path / "backups")
            assert backup.prove(taken).ok
            cursor.execute("DELETE FROM a")  # the damage
        script = page(PAGE.read_text(), taken.id, str(postgres.socket))
        assert script.count("afdb ") >= 6
        environment = commandline.settings(
            PRODUCTION_DATABASE_URL=url, RESTORED_DATABASE_URL=postgres.url("agent_factory_restored"),
            AFDB_BACKUPS=str(tmp_path / "backups"), AFDB_RECORDS=str(tmp_path / "records"),
        )  # fmt: skip
        environment["PATH"] = f"{commandline.AFDB.parent}:{postgres.programs}:{environment['PATH']}"
        done = subprocess.run(["bash", "-eux", "-o", "pipefail", "-c", script], cwd=ROOT, env=environment, text=True,
                              capture_output=True, check=False, stdin=subprocess.DEVNULL)  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.count("schema and every value equal") == 3  # the proof, the restore, the second restore
        with session(postgres.url("agent_factory")) as cursor:
            cursor.execute("SELECT count(*) FROM a")
            assert cursor.fetchall() == [(50,)]
        with session(postgres.url("agent_factory_damaged")) as cursor:
            cursor.execute("SELECT count(*) FROM a")
            assert cursor.fetchall() == [(0,)]
        kept = [json.loads(path.read_bytes()) for path in (tmp_path / "records").glob("*/run.json")]
        assert [(one["outcome"], one["mode"], one["exit_code"]) for one in kept] == [("succeeded", "command", 0)] * 2
        assert {one["target"]["server"]["database"] for one in kept} == {"agent_factory_restored"}
        assert kept[0]["evidence"][0]["sha256"] == taken.seal.removeprefix("sha256:")
    finally:
        for name in ("agent_factory", "agent_factory_restored", "agent_factory_damaged"):
            postgres.drop_database(name)


def test_a_command_of_the_page_that_fails_would_be_seen(tmp_path: Path, made: Backup) -> None:
    script = page(PAGE.read_text(), "20200101T000000Z-none-0000", str(tmp_path))
    environment = commandline.settings(AFDB_BACKUPS=str(tmp_path / "backups"))
    environment["PATH"] = f"{commandline.AFDB.parent}:{environment['PATH']}"
    done = subprocess.run(["bash", "-eu", "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True,
                          check=False)  # fmt: skip
    assert done.returncode == 2
    assert "no backup 20200101T000000Z-none-0000" in done.stderr


def test_an_id_that_names_nothing_is_bad_input_of_a_backup_as_of_a_record(tmp_path: Path, made: Backup) -> None:
    for words in (("backups", "prove"), ("records", "show")):
        done = afdb(*words, "20200101T000000Z-none-0000", cwd=tmp_path)
        assert (done.returncode, "afdb " + words[0] + " list" in done.stderr) == (2, True), done.stderr
    shutil.rmtree(made.path)
    assert afdb("backups", "prove", cwd=tmp_path).returncode == 3, "none is proven: the request is a good one"


def corrupt(made: Backup) -> None:
    (made.path / "database.sqlite").unlink()


def flip(made: Backup) -> None:
    raw = bytearray((made.path / "database.sqlite").read_bytes())
    raw[-1] ^= 1
    (made.path / "database.sqlite").write_bytes(raw)


@pytest.mark.parametrize("damage", [corrupt, flip])
def test_prove_ends_with_0_only_for_a_proven_one(
    made: Backup, tmp_path: Path, damage: Callable[[Backup], None]
) -> None:
    done = afdb("backups", "prove", made.id, cwd=tmp_path)
    assert (done.returncode, store.read(made.path).state) == (0, "proven"), done.stderr
    damage(made)
    done = afdb("backups", "prove", made.id, cwd=tmp_path)
    assert done.returncode == 3, done.stdout
    assert "is not proven" in done.stdout
    assert store.read(made.path).state in ("failed", "corrupt")


def test_list_prune_and_restore_say_what_they_do(made: Backup, tmp_path: Path) -> None:
    listed = afdb("backups", "list", cwd=tmp_path)
    assert made.id in listed.stdout
    assert "unproven" in listed.stdout
    pruned = afdb("backups", "prune", "--keep", "1", "--days", "0", cwd=tmp_path)
    assert "keep: no newer one is proven" in pruned.stdout
    url = f"sqlite:///{tmp_path}/new.db"
    refused = afdb("backups", "restore", made.id, cwd=tmp_path, DATABASE_URL=url)
    assert refused.returncode == 3
    assert f"afdb backups prove {made.id}" in refused.stderr
    assert afdb("backups", "prove", made.id, cwd=tmp_path).returncode == 0
    done = afdb("backups", "restore", made.id, cwd=tmp_path, DATABASE_URL=url)
    assert done.returncode == 0, done.stderr
    assert "schema and every value equal" in done.stdout
    assert (tmp_path / "new.db").exists()


def test_a_restore_and_one_that_was_refused_stand_in_the_ledger(made: Backup, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/new.db"
    for proven in (False, True):
        if proven:
            assert afdb("backups", "prove", made.id, cwd=tmp_path).returncode == 0
        done = afdb("backups", "restore", made.id, "--reason", "a try", cwd=tmp_path, DATABASE_URL=url)
        assert done.returncode == (0 if proven else 3), done.stderr
    folders = sorted((tmp_path / "records").glob("*/run.json"), key=lambda path: path.stat().st_mtime_ns)
    refused, restored = (json.loads(path.read_bytes()) for path in folders)
    assert (refused["outcome"], refused["exit_code"], refused["changed"]) == ("refused", 3, False)
    assert (restored["outcome"], restored["changed"]) == ("succeeded", True)
    assert (restored["parameters"]["backup"], restored["approval"]["reason"]) == (made.id, "a try")
    assert restored["evidence"] == [{"kind": "backup", "id": made.id, "sha256": made.seal.removeprefix("sha256:")}]
    assert f"backup {made.id} is restored" in (folders[1].parent / "report.html").read_text()
    well = afdb("records", "verify", cwd=tmp_path)
    assert (well.returncode, "interactive" in well.stdout) == (0, False), well.stdout
    shutil.rmtree(folders[1].parent)
    gone = afdb("records", "verify", cwd=tmp_path)
    assert gone.returncode == 3, "the deed an auditor asks for most"
    assert f"{restored['id']}" in gone.stdout


def test_a_record_and_the_listing_of_an_object_store_hold_no_credential(
    endpoint: str, made: Backup, tmp_path: Path
) -> None:
    objects = ObjectStore(endpoint, "commands")
    objects.client().create_bucket(Bucket="commands")
    settings = {**objects.settings(), "AFDB_BACKUPS_CACHE": str(tmp_path / "cache")}
    settings["DATABASE_URL"] = f"sqlite:///{tmp_path}/app.db"
    done = commandline.begin("run", "backup", cwd=ROOT, **settings, AFDB_RECORDS=str(tmp_path / "records"))
    said = "".join(done.communicate(timeout=120))
    assert done.returncode == 0, said
    listed = afdb("backups", "list", cwd=tmp_path, **settings)
    assert "1 proven" in listed.stdout
    (folder,) = [path.parent for path in (tmp_path / "records").glob("*/run.json")]
    raw = said.encode() + listed.stdout.encode() + b"".join(p.read_bytes() for p in folder.rglob("*") if p.is_file())
    assert b"s3://commands/backups" in raw, "the store is not in the record: this test shows nothing"
    assert objectstore.SECRET.encode() not in raw
