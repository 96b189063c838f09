"""Backups on their way to an object store and back: what is missing is moved, and what was moved is read back.

What stands in the store when this process dies (kill -9, power) at each step of `send`:

    1  upload each file but the manifest    a folder without a manifest: listed as unsent (elsewhere: partial)
    2  read each back, compare its hash     the same; a file that is not what was sent ends it here
    3  upload the manifest, read it back    the whole backup, or the folder without a manifest
    4  upload the proof                     the whole backup, proven or not yet

A rerun reads back what is there and uploads what lacks or differs. A manifest that is there is never written again.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from afdb_helpers.backup import meter, room, sealed
from afdb_helpers.backup.remote import Remote
from afdb_helpers.backup.sealed import MANIFEST, PARTIAL, PROOF
from afdb_helpers.errors import AfdbError, Incomplete, Refused, Unavailable

if TYPE_CHECKING:
    from afdb_helpers.backup.states import Backup

Note = Callable[..., object]
Files = Mapping[str, Mapping[str, Any]]


def send(backup: Backup, url: str, *, note: Note) -> None:
    """Have the store hold the backup of this machine's folder, manifest last. The folder's files are hashed first."""
    store, there = Remote(url), Remote(url).ids().get(backup.id, {})
    _refuse_changed(backup)
    files: Files = backup.manifest["files"]
    try:
        missing = _missing(store, backup.id, files, there)
        note("upload.begin", id=backup.id, store=url, files=len(missing), present=len(files) - len(missing))
        total, moved = sum(files[name]["size"] for name in missing), meter.Counter()
        with meter.shown(f"upload of {backup.id}", total, lambda: moved.done):
            for name in missing:
                store.put(backup.path / name, f"{backup.id}/{name}", moved)
        _insist(store, backup.id, {name: files[name] for name in missing})
        put_sealed(store, backup.path, backup.id, MANIFEST)
        if (backup.path / PROOF).is_file():
            put_sealed(store, backup.path, backup.id, PROOF)
    except AfdbError as error:
        raise Incomplete(
            f"backup {backup.id} is made, and is not in the store {url} yet",
            why=f"{error.what}: {error.why}",
            do=f"afdb backups upload {backup.id}   (it sends what is missing; the backup is whole in {backup.path})",
        ) from None
    note("upload.end", id=backup.id, bytes=total)


def put_sealed(store: Remote, folder: Path, id_: str, name: str) -> None:
    """Upload the manifest or the proof, and read it back."""
    store.put(folder / name, f"{id_}/{name}", lambda _: None)
    wanted = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    _insist(store, id_, {name: {"sha256": wanted, "size": 0}})


def fetch(backup: Backup, url: str, *, anew: bool) -> None:
    """Have the backup's folder on this machine hold what the store holds; what is there already and right stays.

    With `anew` the store is read back for that too: what is proven then is what the store holds now. Files that the
    store does not have or has in another content are left for `store.differences` to name.
    """
    store, files = Remote(url), backup.manifest["files"]
    with _alone(backup.path.parent):
        here = backup.path if backup.path.is_dir() else backup.path.with_name(f"{backup.id}{PARTIAL}")
        here.mkdir(exist_ok=True, mode=0o700)
        for name in set(sealed.sizes(here)) - set(files):
            (here / name).unlink()
        there = store.ids().get(backup.id, {})
        held = {name: facts for name, facts in files.items() if _holds(here / name, facts)}
        gone = set(_missing(store, backup.id, held, there)) if anew else set()
        wanted = [name for name in files if name not in held or name in gone]
        _download(store, backup, here, {name: there[name] for name in wanted if name in there})
        for name in gone - set(there):
            (here / name).unlink()
        (here / PROOF).unlink(missing_ok=True)  # the store's is the one that counts
        (here / MANIFEST).write_bytes(sealed.seal(backup.manifest))
        here.rename(backup.path)


def _download(store: Remote, backup: Backup, here: Path, wanted: Mapping[str, int]) -> None:
    total, moved = sum(wanted.values()), meter.Counter()
    room.for_download(backup.id, total, backup.path.parent)
    with meter.shown(f"download of {backup.id}", total, lambda: moved.done):
        for name in wanted:
            store.get(f"{backup.id}/{name}", here / name, moved)


def _missing(store: Remote, id_: str, files: Files, there: Mapping[str, int]) -> list[str]:
    """The files to upload: those that are not there, or not as they should be."""
    likely = [name for name in files if there.get(name) == files[name]["size"]]
    read, total = meter.Counter(), sum(files[name]["size"] for name in likely)
    with meter.shown(f"reading back {id_}", total, lambda: read.done):
        right = {name for name in likely if store.sha256(f"{id_}/{name}", read) == files[name]["sha256"]}
    return [name for name in files if name not in right]


def _insist(store: Remote, id_: str, files: Files) -> None:
    """Every file is in the store as it was sent, by reading it back."""
    read, total = meter.Counter(), sum(facts["size"] for facts in files.values())
    with meter.shown(f"reading back {id_}", total, lambda: read.done):
        lies = [name for name in files if store.sha256(f"{id_}/{name}", read) != files[name]["sha256"]]
    if lies:
        raise Unavailable(
            f"the store {store.url} does not hold what was sent",
            why=f"read back, {lies[0]} has another SHA-256 than the file here",
            do="run again; where it happens again, use another store",
        )


def _refuse_changed(backup: Backup) -> None:
    found, wanted = sealed.files(backup.path), backup.manifest["files"]
    if found != wanted:
        name = next(name for name in sorted({*found, *wanted}) if found.get(name) != wanted.get(name))
        raise Refused(
            f"backup {backup.id} in {backup.path} is not sent",
            why=f"{name} is not as its manifest says",
            do="make a new one: afdb run backup --target NAME",
        )


def _holds(path: Path, facts: Mapping[str, Any]) -> bool:
    if not path.is_file() or path.is_symlink() or path.stat().st_size != facts["size"]:
        return False
    with path.open("rb") as file:
        return bool(hashlib.file_digest(file, "sha256").hexdigest() == facts["sha256"])


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One download at a time into this folder; the kernel frees the lock with its holder."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
