"""A store behind a URL: nothing counts before its manifest is there, what was uploaded is read back, lies are found."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import objectstore
import pytest
from objectstore import ObjectStore
from test_backup import target_of

from afdb_helpers import backup
from afdb_helpers.backup import Backup, manifest, meter, remote, sealed, store, transfer
from afdb_helpers.errors import AfdbError, ConfigError, Incomplete, Refused, Unavailable
from afdb_helpers.targets import Target

pytestmark = pytest.mark.xdist_group("objects")
_numbers = itertools.count()


@pytest.fixture
def objects(endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    """An empty bucket that AFDB_BACKUPS names, with a cache of the test's own."""
    made = ObjectStore(endpoint, f"bucket-{next(_numbers)}")
    made.client().create_bucket(Bucket=made.bucket)
    for name, value in made.settings().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AFDB_BACKUPS_CACHE", str(tmp_path / "cache"))
    return made


@pytest.fixture
def lite(tmp_path: Path) -> Target:
    with contextlib.closing(sqlite3.connect(tmp_path / "app.db")) as db:
        db.executescript("CREATE TABLE a (id INTEGER PRIMARY KEY, t TEXT); INSERT INTO a VALUES (1, 'x'), (2, NULL)")
    return target_of(f"sqlite:///{tmp_path}/app.db")


def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """From here on on another machine: its cache is empty."""
    monkeypatch.setenv("AFDB_BACKUPS_CACHE", str(tmp_path / f"other-{next(_numbers)}"))


def died(monkeypatch: pytest.MonkeyPatch, lite: Target, name: str = "manifest.json") -> Backup:
    """A backup whose upload broke off when it came to the named file."""
    put = remote.Remote.put

    def cut(self: remote.Remote, path: Path, key: str, count: Any) -> None:
        if key.endswith(name):
            raise Unavailable("the store cannot be written", why="the line was cut", do="run again")
        put(self, path, key, count)

    monkeypatch.setattr(remote.Remote, "put", cut)
    with pytest.raises(Incomplete, match="not in the store"):
        backup.dump(lite)
    monkeypatch.setattr(remote.Remote, "put", put)
    return backup.listing().backups[0]


# --- there and back --------------------------------------------------------------------------------------------------


def test_a_backup_goes_to_the_store_is_proven_there_and_restores_on_another_machine(
    objects: ObjectStore, lite: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = backup.dump(lite)
    assert (made.state, made.url) == ("unproven", objects.url)
    assert set(objects.objects()) == {f"{made.id}/{n}" for n in ("catalogue.json", "database.sqlite", "manifest.json")}
    assert backup.prove(made).ok
    assert f"{made.id}/proof.json" in objects.objects()
    elsewhere(monkeypatch, tmp_path)
    found = backup.find("latest")
    assert (found.id, found.state, found.url) == (made.id, "proven", objects.url)
    assert not found.path.exists(), "a listing downloaded the dump"
    assert str(tmp_path / "other") in str(found.path)
    with backup.open_copy(found) as copy, copy.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM a").scalar_one() == 2
    assert oct(found.path.parent.stat().st_mode)[-3:] == "700"


def test_a_listing_reads_manifests_and_proofs_and_nothing_else(
    objects: ObjectStore, lite: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [backup.dump(lite).id for _ in range(2)]
    objects.client().put_object(Bucket=objects.bucket, Key="backups/notes/readme.txt", Body=b"not ours")
    elsewhere(monkeypatch, tmp_path)

    def tripped(*_: object) -> None:
        raise AssertionError("a file was downloaded")

    monkeypatch.setattr(remote.Remote, "get", tripped)
    listed = backup.listing()
    assert sorted(row["id"] for row in listed.rows) == sorted(made)
    assert objects.url in listed.headline
    with pytest.raises(AssertionError, match="downloaded"):  # the control: a restore does
        backup.prove(listed.backups[0])


# --- uploads that break off ------------------------------------------------------------------------------------------


def test_without_its_manifest_nothing_counts_and_a_rerun_uploads_only_what_is_missing(
    objects: ObjectStore, lite: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = died(monkeypatch, lite, "database.sqlite")
    assert broken.state == "unsent"
    assert broken.remedy == f"afdb backups upload {broken.id}"
    before = objects.objects()
    assert set(before) == {f"{broken.id}/catalogue.json"}
    with pytest.raises(Refused, match="no proven backup"):
        backup.find("latest")
    said: list[dict[str, Any]] = []
    sent = backup.upload(broken, note=lambda event, **facts: said.append({"event": event, **facts}))
    assert (said[0]["files"], said[0]["present"]) == (1, 1)
    assert objects.objects()[f"{broken.id}/catalogue.json"] == before[f"{broken.id}/catalogue.json"]
    assert backup.find(broken.id).state == "unproven"
    assert backup.prove(sent).ok
    elsewhere(monkeypatch, tmp_path)
    assert backup.find("latest").id == broken.id


def test_on_another_machine_an_unfinished_upload_is_partial(
    objects: ObjectStore, lite: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = died(monkeypatch, lite)
    elsewhere(monkeypatch, tmp_path)
    assert backup.find(broken.id).state == "partial"
    with pytest.raises(Refused, match="never finished"):
        backup.upload(backup.find(broken.id))


KILLED = """
import os, signal, sys
from afdb_helpers import backup
from afdb_helpers.backup import remote
at, when, seen, put = int(sys.argv[2]), sys.argv[3], [0], remote.Remote.put
def dying(self, *given):
    seen[0] += 1
    if seen[0] == at and when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    put(self, *given)
    if seen[0] == at:
        os.kill(os.getpid(), signal.SIGKILL)
remote.Remote.put = dying
backup.upload(backup.find(sys.argv[1]))
"""


@pytest.mark.parametrize(("at", "when", "whole"), [(2, "after", False), (3, "after", True)])
def test_kill_9_during_an_upload_leaves_a_whole_backup_or_none(
    objects: ObjectStore, lite: Target, monkeypatch: pytest.MonkeyPatch, at: int, when: str, whole: bool
) -> None:
    broken = died(monkeypatch, lite, "catalogue.json")  # nothing is there yet
    command = [sys.executable, "-c", KILLED, broken.id, str(at), when]
    assert subprocess.run(command, check=False, env=dict(os.environ)).returncode == -signal.SIGKILL
    assert (f"{broken.id}/manifest.json" in objects.objects()) == whole
    assert backup.find(broken.id).state == ("unproven" if whole else "unsent")
    backup.upload(backup.find(broken.id))
    assert backup.find(broken.id).state == "unproven"
    assert backup.prove(backup.find(broken.id)).ok


def test_with_the_manifest_first_a_broken_upload_would_be_listed(
    objects: ObjectStore, lite: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control of the tests above: with the manifest there, the rest is judged by it, and found wanting."""
    broken = died(monkeypatch, lite, "database.sqlite")
    transfer.put_sealed(remote.Remote(objects.url), broken.path, broken.id, sealed.MANIFEST)
    assert backup.find(broken.id).state == "corrupt"


def test_a_folder_that_was_changed_here_is_not_uploaded(
    objects: ObjectStore, lite: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = died(monkeypatch, lite)
    path = broken.path / "database.sqlite"
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(Refused, match="not sent") as caught:
        backup.upload(broken)
    assert "database.sqlite is not as its manifest says" in caught.value.why


# --- stores that lie -------------------------------------------------------------------------------------------------


def lying(monkeypatch: pytest.MonkeyPatch, objects: ObjectStore, name: str) -> None:
    """From here on the store keeps another byte than it was sent, and says nothing."""
    put = remote.Remote.put

    def put_and_flip(self: remote.Remote, path: Path, key: str, count: Any) -> None:
        put(self, path, key, count)
        if key.endswith(name):
            objects.flip(key)

    monkeypatch.setattr(remote.Remote, "put", put_and_flip)


@pytest.mark.parametrize("name", ["database.sqlite", "catalogue.json", "manifest.json"])
def test_a_store_that_keeps_something_else_is_found_by_reading_back(
    objects: ObjectStore, lite: Target, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    lying(monkeypatch, objects, name)
    with pytest.raises(Incomplete) as caught:
        backup.dump(lite)
    assert "does not hold what was sent" in caught.value.why
    assert name in caught.value.why
    assert "afdb backups upload" in caught.value.do
    assert backup.listing().backups[0].state in ("unsent", "corrupt")


def test_without_reading_back_a_lie_would_be_believed(
    objects: ObjectStore, lite: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    lying(monkeypatch, objects, "database.sqlite")
    monkeypatch.setattr(transfer, "_insist", lambda *_: None)
    assert backup.dump(lite).state == "unproven"


@pytest.mark.parametrize("cached", [True, False])
def test_a_byte_that_turned_in_the_store_is_found_before_a_restore(
    objects: ObjectStore, lite: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cached: bool
) -> None:
    made = backup.dump(lite)
    assert backup.prove(made).ok
    objects.flip(f"{made.id}/database.sqlite")
    if not cached:
        elsewhere(monkeypatch, tmp_path)
    found = backup.find(made.id)
    assert found.state == "proven"  # a listing cannot know
    backup.fetch(found, anew=True)
    proof = backup.prove(found)
    assert not proof.ok
    assert proof.rows[0]["object"] == "database.sqlite"
    assert backup.find(made.id).state == "failed"


def test_a_byte_that_turned_in_the_cache_is_fetched_again(objects: ObjectStore, lite: Target) -> None:
    made = backup.dump(lite)
    path = made.path / "database.sqlite"
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    (made.path / "stray").touch()
    assert store.differences(made) != []
    assert backup.prove(made).ok


@pytest.mark.parametrize(
    "tamper",
    [
        lambda objects, id_: objects.delete(f"{id_}/database.sqlite"),
        lambda objects, id_: objects.client().put_object(
            Bucket=objects.bucket, Key=f"backups/{id_}/more.dat", Body=b"x"
        ),
        lambda objects, id_: objects.flip(f"{id_}/manifest.json"),
    ],
    ids=["deleted", "added", "manifest"],
)
def test_what_was_tampered_with_in_the_store_is_corrupt_and_not_proven(
    objects: ObjectStore, lite: Target, tamper: Callable[[ObjectStore, str], None]
) -> None:
    made = backup.dump(lite)
    assert backup.prove(made).ok
    tamper(objects, made.id)
    found = backup.find(made.id)
    assert found.state == "corrupt"
    assert not backup.prove(found).ok
    with pytest.raises(Refused, match="cannot be restored"), backup.open_copy(found):
        pass


# --- stores that do not answer, and secrets --------------------------------------------------------------------------


def test_a_store_that_is_not_there_is_found_before_the_dump(objects: ObjectStore, lite: Target) -> None:
    with pytest.raises(Unavailable, match="cannot be listed") as caught:
        backup.dump(lite, store="s3://no-such-bucket/backups")
    assert "credentials" in caught.value.do


def test_nobody_listening_and_wrong_credentials_are_said_without_the_secret(
    objects: ObjectStore, lite: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    objectstore.ask_once(monkeypatch)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:1/{objectstore.SECRET}")
    with pytest.raises(Unavailable, match="cannot be listed") as caught:
        backup.listing()
    assert "127.0.0.1" in caught.value.why
    assert objectstore.SECRET not in str(caught.value)
    assert "***" in str(caught.value)


def test_credentials_may_stand_in_the_settings_file(
    objects: ObjectStore, lite: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name)
    said = "".join(f"{name}={value}\n" for name, value in objects.settings().items() if name.startswith("AWS_"))
    (tmp_path / ".env").write_text(said)
    monkeypatch.chdir(tmp_path)
    assert backup.listing().headline.startswith("0 backups")


@pytest.mark.parametrize(
    "url",
    ["s3://key:canary-7x@bucket/x", "https://h/x?token=canary-7x", "s3://bucket/a canary-7x", "s3://b/#canary-7x"],
)
def test_a_url_with_a_secret_is_refused_and_not_quoted(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFDB_BACKUPS", url)
    with pytest.raises(ConfigError) as caught:
        backup.listing()
    assert "canary-7x" not in str(caught.value)
    assert "AWS_SECRET_ACCESS_KEY" in caught.value.do


def test_no_file_of_a_backup_and_no_object_holds_the_credentials(objects: ObjectStore, lite: Target) -> None:
    made = backup.dump(lite)
    backup.prove(made)
    raw = b"".join(path.read_bytes() for path in made.path.rglob("*") if path.is_file())
    assert b"manifest" in raw
    assert objectstore.SECRET.encode() not in raw


def test_a_folder_has_nothing_to_upload(lite: Target, tmp_path: Path) -> None:
    made = backup.dump(lite, store=tmp_path / "store")
    with pytest.raises(ConfigError, match="nowhere to upload"):
        backup.upload(made, store=tmp_path / "store")


def test_any_url_of_fsspec_will_do(lite: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFDB_BACKUPS_CACHE", str(tmp_path / "cache"))
    url = f"file://{tmp_path}/there"
    made = backup.dump(lite, store=url)
    assert backup.prove(made).ok
    assert (tmp_path / "there" / made.id / "manifest.json").is_file()
    assert backup.find("latest", store=url).id == made.id


# --- the manifest's schema -------------------------------------------------------------------------------------------


def without(name: str) -> Callable[[dict[str, Any]], None]:
    return lambda facts: facts.pop(name)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (without("files"), "must contain ['files']"),
        (without("identity"), "must contain ['identity']"),
        (lambda f: f.update(more=1), "must not contain {'more'}"),
        (lambda f: f.update(format=2), "its format is 2, and this afdb reads 1"),
        (lambda f: f["files"].update({"../x": {"size": 1, "sha256": "0" * 64}}), "files"),
        (lambda f: f["files"]["database.sqlite"].update(size=-1), "files.database.sqlite.size"),
        (lambda f: f["files"]["database.sqlite"].update(sha256="abc"), "files.database.sqlite.sha256"),
        (lambda f: f["fingerprint"]["tables"]["a"].update(rows="2"), "fingerprint.tables.a.rows"),
        (lambda f: f.update(dialect="oracle"), "dialect"),
        (lambda f: f.update(dialect="postgresql"), "must contain ['database'"),
        (lambda f: f.update(made="yesterday"), "made"),
    ],
)
def test_a_manifest_that_is_not_as_its_schema_says_is_neither_written_nor_believed(
    lite: Target, tmp_path: Path, change: Callable[[dict[str, Any]], None], said: str
) -> None:
    made = backup.dump(lite, store=tmp_path / "store")
    facts = sealed.unseal((made.path / "manifest.json").read_bytes())
    manifest.check(facts)
    change(facts)
    with pytest.raises(ValueError, match=r"schema says|its format is") as caught:
        manifest.check(facts)
    assert said in str(caught.value)
    sealed.write(made.path / "manifest.json", facts)  # a good seal does not help
    found = store.read(made.path)
    assert found.state == "corrupt"
    assert said in found.headline


def test_a_dump_whose_manifest_is_wrong_leaves_nothing(
    lite: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("afdb_helpers.backup.dumping._user", lambda: 7)
    with pytest.raises(ValueError, match=r"who\.os_user"):
        backup.dump(lite, store=tmp_path / "store")
    assert list((tmp_path / "store").iterdir()) == []


def test_the_schema_is_one() -> None:
    from jsonschema import Draft202012Validator

    Draft202012Validator.check_schema(manifest.schema())
    assert all("description" in facts or "$ref" in facts for facts in manifest.schema()["properties"].values())


# --- progress --------------------------------------------------------------------------------------------------------


def test_progress_says_bytes_rate_and_time_left() -> None:
    assert meter.line("upload", 12_000_000, 48_000_000, 3.0) == "upload 12.0 MB of 48.0 MB (25 %), 4.0 MB/s, 9 s left"
    assert meter.line("dump", 500, None, 0.5) == "dump 500 B, 1.0 kB/s"
    assert meter.line("dump", 10**9, 10**12, 10.0).endswith("2.8 h left")


def test_progress_is_said_line_by_line_and_in_a_kernel_left_for_the_runner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import threading

    monkeypatch.setattr(meter, "QUIET", 0.0)
    monkeypatch.setattr(meter, "OFTEN", 0.01)
    asked = threading.Event()

    def done() -> int:
        asked.set()
        return 5

    with meter.shown("upload", 10, done):
        assert asked.wait(10)
    said = capsys.readouterr().err
    assert said.startswith("upload 5 B of 10 B (50 %)")
    assert said.count("\n") == 1, "lines are not coalesced"
    monkeypatch.setenv("AFDB_KERNEL_DIR", str(tmp_path))
    with meter.shown("upload", 10, done):
        asked.clear()
        assert asked.wait(10)
        while not (tmp_path / meter.FILE).exists():
            pass
        assert (tmp_path / meter.FILE).read_text().startswith("upload 5 B of 10 B")
    assert (tmp_path / meter.FILE).read_text() == ""
    assert capsys.readouterr().err == ""


def test_progress_that_cannot_be_seen_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meter, "QUIET", 0.0)
    monkeypatch.setattr(meter, "OFTEN", 0.0)

    def broken() -> int:
        raise AfdbError("x", why="y", do="z")

    with meter.shown("upload", 10, broken):
        pass
