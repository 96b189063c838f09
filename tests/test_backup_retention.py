"""What need not be kept goes, the last proven one never, and a deletion that dies leaves nothing that looks whole."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from objectstore import ObjectStore

from afdb_helpers import backup, targets
from afdb_helpers.backup import Backup, remote, retention, sealed, store
from afdb_helpers.errors import ConfigError

pytestmark = pytest.mark.xdist_group("objects")


@pytest.fixture(scope="module")
def seed(tmp_path_factory: pytest.TempPathFactory) -> Backup:
    """A proven backup that the others are copies of."""
    import sqlite3

    folder = tmp_path_factory.mktemp("seed")
    with sqlite3.connect(folder / "app.db") as db:
        db.execute("CREATE TABLE a (i INTEGER PRIMARY KEY)")
    made = backup.dump(targets.parse("default", f"sqlite:///{folder}/app.db", {}), store=folder / "store")
    assert backup.prove(made).ok
    return store.read(made.path)


class Shelf:
    """A store that backups of any age and state are put into."""

    def __init__(self, seed: Backup, folder: Path) -> None:
        self.seed, self.folder, self.made = seed, folder, 0

    def put(self, age: int, state: str = "proven", database: str = "a.db") -> str:
        """A backup so many days old; returns its id."""
        self.made += 1
        when = datetime.now(UTC) - timedelta(days=age, minutes=self.made)
        id_ = f"{when:%Y%m%dT%H%M%SZ}-default-{self.made:04x}"
        path = self.folder / id_
        if state == "partial":
            path.with_name(f"{id_}.partial").mkdir(parents=True)
            return id_
        shutil.copytree(self.seed.path, path)
        identity = {**self.seed.manifest["identity"], "database": database}
        sealed.write(path / "manifest.json", {**self.seed.manifest, "id": id_, "identity": identity})
        proof = sealed.unseal((path / "proof.json").read_bytes())
        seal = sealed.unseal((path / "manifest.json").read_bytes())["seal"]
        sealed.write(path / "proof.json", {**proof, "manifest": seal, "ok": state == "proven"})
        if state == "unproven":
            (path / "proof.json").unlink()
        if state == "corrupt":
            (path / "catalogue.json").unlink()
        if state == "unreadable":
            (path / "manifest.json").write_text("{}")
        assert store.read(path).state == {"unreadable": "corrupt"}.get(state, state)
        return id_

    def doomed(self, **given: Any) -> list[str]:
        return [one.id for one in backup.prune(self.folder, **given).doomed]


@pytest.fixture
def shelf(seed: Backup, tmp_path: Path) -> Shelf:
    (tmp_path / "store").mkdir()
    return Shelf(seed, tmp_path / "store")


def test_a_backup_goes_when_it_is_old_and_enough_newer_ones_are_proven(shelf: Shelf) -> None:
    newest, second, third, fourth = (shelf.put(age) for age in (1, 40, 50, 60))
    assert shelf.doomed(keep=2, days=30) == [third, fourth]
    assert shelf.doomed(keep=3, days=30) == [fourth]  # the control: count alone keeps it
    assert shelf.doomed(keep=2, days=55) == [fourth]  # and so does age alone
    assert shelf.doomed(keep=1, days=0) == [second, third, fourth]
    assert newest not in shelf.doomed(keep=1, days=0)


def test_nothing_is_deleted_without_yes_and_with_it_only_what_was_shown(shelf: Shelf) -> None:
    newest, old = shelf.put(1), shelf.put(90)
    (shelf.folder / "notes.txt").write_text("mine")
    (shelf.folder / "20200101T000000Z").mkdir()
    shown = backup.prune(shelf.folder, keep=1)
    assert shown.headline.startswith("1 backup of 2 would be deleted")
    assert shown.remedy == "afdb backups prune --yes"
    assert (shelf.folder / old).is_dir()
    done = backup.prune(shelf.folder, keep=1, yes=True)
    assert [one.id for one in done.doomed] == [old]
    assert sorted(path.name for path in shelf.folder.iterdir()) == sorted(["20200101T000000Z", newest, "notes.txt"])


def test_the_last_proven_one_stays_however_old_and_of_each_database(shelf: Shelf) -> None:
    one, other = shelf.put(400), shelf.put(500, database="b.db")
    assert shelf.doomed(keep=1, days=0) == []
    newer = shelf.put(10)
    assert shelf.doomed(keep=1, days=0) == [one]
    assert {newer, other} <= {row["id"] for row in backup.prune(shelf.folder).rows}


@pytest.mark.parametrize("state", ["unproven", "failed", "corrupt"])
def test_nothing_goes_while_a_newer_one_is_not_proven(shelf: Shelf, state: str) -> None:
    proven, old = shelf.put(50), shelf.put(60)
    assert shelf.doomed(keep=1, days=30) == [old]  # the control
    newer = shelf.put(1, state)
    assert shelf.doomed(keep=1, days=30) == []
    fates = {row["id"]: row["fate"] for row in backup.prune(shelf.folder, keep=1, days=30).rows}
    assert fates[old] == f"keep: the newer {newer} is not proven"
    assert fates[proven] == "keep: the last proven one"
    shutil.rmtree(shelf.folder / newer)
    shelf.put(1, state, database="another.db")  # of another database it is in nobody's way
    assert shelf.doomed(keep=1, days=30) == [old]


def test_one_whose_manifest_cannot_be_read_may_be_of_any_database(shelf: Shelf) -> None:
    shelf.put(50)
    old = shelf.put(60)
    shelf.put(1, "unreadable")
    assert shelf.doomed(keep=1, days=30) == []
    assert (shelf.folder / old).is_dir()


def test_an_old_failed_one_goes_once_newer_ones_are_proven(shelf: Shelf) -> None:
    shelf.put(1)
    failed, old = shelf.put(50, "failed"), shelf.put(60)
    assert shelf.doomed(keep=1, days=30) == [failed, old]
    assert shelf.doomed(keep=1, days=55) == []  # while it stays, what is older stays


def test_corrupt_ones_and_those_being_made_are_never_touched(shelf: Shelf) -> None:
    shelf.put(1)
    shelf.put(90, "corrupt")
    fresh, stale = shelf.put(0, "partial"), shelf.put(3, "partial")
    assert shelf.doomed(keep=1, days=0) == []
    assert shelf.doomed(keep=1, days=0, unfinished=True) == [stale]
    backup.prune(shelf.folder, keep=1, days=0, unfinished=True, yes=True)
    assert (shelf.folder / f"{fresh}.partial").is_dir()
    assert not (shelf.folder / f"{stale}.partial").exists()


@pytest.mark.parametrize(("setting", "value"), [("AFDB_KEEP", "0"), ("AFDB_KEEP", "many"), ("AFDB_KEEP_DAYS", "-1")])
def test_the_settings_are_read_and_nonsense_refused(
    shelf: Shelf, setting: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = [shelf.put(age) for age in (40, 50, 60)][1:]
    monkeypatch.setenv("AFDB_KEEP", "1")
    monkeypatch.setenv("AFDB_KEEP_DAYS", "30")
    assert shelf.doomed() == old
    monkeypatch.setenv(setting, value)
    with pytest.raises(ConfigError, match=setting):
        backup.prune(shelf.folder)


DYING = """
import os, shutil, signal, sys
from pathlib import Path
from afdb_helpers import backup
from afdb_helpers.backup import remote
def die(*_): os.kill(os.getpid(), signal.SIGKILL)
def half(folder):
    next(path for path in Path(folder).rglob("*") if path.is_file()).unlink(); die()
def first(self, names):
    remove(self, names[:1]); die()
remove = remote.Remote.remove
if sys.argv[1] == "folder": shutil.rmtree = half
else: remote.Remote.remove = first
backup.prune(keep=1, days=0, yes=True)
"""


def test_a_deletion_killed_half_way_leaves_nothing_that_looks_whole(shelf: Shelf) -> None:
    newest, old = shelf.put(1), shelf.put(90)
    environment = {**os.environ, "AFDB_BACKUPS": str(shelf.folder)}
    died = subprocess.run([sys.executable, "-c", DYING, "folder"], check=False, env=environment)
    assert died.returncode == -signal.SIGKILL
    assert {one.id: one.state for one in backup.listing(shelf.folder).backups} == {newest: "proven", old: "partial"}
    backup.prune(shelf.folder, unfinished=True, yes=True)
    assert [path.name for path in shelf.folder.iterdir()] == [newest]


def test_without_the_rename_a_half_deleted_backup_would_be_listed(shelf: Shelf) -> None:
    """The control: a manifest that still stands there is one that somebody reads."""
    old = shelf.put(90)
    (shelf.folder / old / "database.sqlite").unlink()
    assert store.read(shelf.folder / old).manifest


def test_in_an_object_store_the_manifest_goes_first(
    endpoint: str, shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects = ObjectStore(endpoint, "pruned")
    objects.client().create_bucket(Bucket="pruned")
    for name, value in {**objects.settings(), "AFDB_BACKUPS_CACHE": str(tmp_path / "cache")}.items():
        monkeypatch.setenv(name, value)
    ids = [shelf.put(1), shelf.put(90)]
    for id_ in ids:
        shutil.copytree(shelf.folder / id_, store.home() / id_)
        backup.upload(store.read(store.home() / id_))
    objects.client().put_object(Bucket="pruned", Key="backups/mine.txt", Body=b"mine")
    died = subprocess.run([sys.executable, "-c", DYING, "url"], check=False, env=dict(os.environ))
    assert died.returncode == -signal.SIGKILL
    left = {name for name in objects.objects() if name.startswith(ids[1])}
    assert left
    assert f"{ids[1]}/manifest.json" not in left
    assert {one.id: one.state for one in backup.listing().backups} == {ids[0]: "proven", ids[1]: "partial"}
    assert not (store.home() / ids[1]).exists(), "the cached copy stayed: it would be taken for one to upload"
    backup.prune(unfinished=True, yes=True)
    kept = {f"{ids[0]}/{name}" for name in ("manifest.json", "proof.json", "catalogue.json", "database.sqlite")}
    assert set(objects.objects()) == kept | {"mine.txt"}
    monkeypatch.setattr(remote.Remote, "remove", lambda *_: None)
    assert backup.prune(keep=1, days=0, yes=True).doomed == ()
    assert retention.KEEP == 7
