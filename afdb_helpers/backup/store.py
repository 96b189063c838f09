"""The backup store: one folder a backup, named by its id, complete from the moment it has that name.

    backups/20261122T154233Z-production-7f3a/
        manifest.json    what the backup says of itself: every other file by size and SHA-256, and a seal over itself
        catalogue.json   the schema at the moment of the dump
        dump/            pg_dump's directory archive (SQLite: database.sqlite)
        proof.json       the last attempt to restore it; names the manifest by its seal

The proof stands beside the manifest, not in it: it is made later and may be made again, while the manifest's seal,
which plans and records cite, has to stay.

An object store (`s3://…`) holds the same files under the same names. Backups are made and restored in a folder of this
machine, the cache; an upload ends with the manifest, so what has none is no backup.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from afdb_helpers import catalog, durable, targets
from afdb_helpers.backup import manifest as manifests
from afdb_helpers.backup import remote, sealed, states, transfer
from afdb_helpers.backup.sealed import MANIFEST, PARTIAL, PROOF
from afdb_helpers.backup.states import Backup
from afdb_helpers.catalog import Identity
from afdb_helpers.errors import ConfigError, Refused
from afdb_helpers.report import Report, count

_ID = re.compile(r"\d{8}T\d{6}Z-[A-Za-z0-9_-]+-[0-9a-f]{4}")
Store = Path | str
Note = Callable[..., object]


@dataclass(frozen=True, kw_only=True, repr=False)
class Listing(Report):
    """Every backup of a store, the newest first."""

    backups: tuple[Backup, ...]


def home(store: Store | None = None) -> Path:
    """The folder of the backups: `store`, else AFDB_BACKUPS, else backups/ in this folder. Of a URL, its cache."""
    url = address(store)
    return remote.cache(url) if url else Path(_named(store)).expanduser().absolute()


def address(store: Store | None = None) -> str:
    """The object store's URL, empty where backups are kept in a folder. Raises `ConfigError` when it holds a secret."""
    named = _named(store)
    return remote.checked(named) if "://" in named else ""


def _named(store: Store | None) -> str:
    return str(store or targets.environment().get("AFDB_BACKUPS") or "backups")


@contextlib.contextmanager
def draft(store: Store | None, name: str) -> Iterator[tuple[str, Path]]:
    """A new id and its empty `.partial` folder; gone again when the block raises. `publish` gives it its name."""
    if url := address(store):
        remote.Remote(url).ids()  # one that cannot be reached or read is found before an hour of dumping, not after
    where = home(store)
    slug = re.sub(r"[^A-Za-z0-9_]+", "-", name).strip("-") or "target"
    id_ = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{slug}-{secrets.token_hex(2)}"
    folder = where / f"{id_}{PARTIAL}"
    try:
        where.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700)
    except OSError as error:
        raise ConfigError(
            f"no backup can be written to {where}",
            why=error.strerror or str(error),
            do="name a folder that can be written to in AFDB_BACKUPS",
        ) from None
    try:
        yield id_, folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def publish(
    folder: Path, facts: Mapping[str, Any], *, store: Store | None = None, note: Note = lambda event, **facts: None
) -> Backup:
    """Hash every file, write the manifest, give the folder its final name, upload it where the store is a URL.

    The last step of a dump. Raises `Incomplete` when the upload did not end: the backup is whole on this machine then.
    """
    facts = {**facts, "files": sealed.files(folder, sync=True)}
    manifests.check(sealed.unseal(sealed.seal(facts)))
    sealed.write(folder / MANIFEST, facts)
    for inner in (path for path in folder.rglob("*") if path.is_dir()):
        durable.sync(inner)
    durable.sync(folder)
    final = folder.with_suffix("")
    folder.rename(final)
    durable.sync(final.parent)
    made = read(final)
    return upload(made, store=store, note=note) if address(store) else made


def upload(backup: Backup, *, store: Store | None = None, note: Note = lambda event, **facts: None) -> Backup:
    """Have the object store hold this machine's copy of the backup; where it does already, nothing is done.

    A part that was uploaded before is read back and stays. Raises `ConfigError` where backups are kept in a folder.
    """
    url = address(store)
    if not url:
        raise ConfigError(
            f"there is nowhere to upload {backup.id}",
            why=f"backups are kept in a folder, {home(store)}",
            do="set AFDB_BACKUPS to a URL like s3://BUCKET/FOLDER",
        )
    if backup.state in ("partial", "corrupt"):
        raise Refused(backup.headline, why="only a whole backup is uploaded", do=backup.remedy)
    if not backup.url:
        transfer.send(backup, url, note=note)
    return dataclasses.replace(backup, url=url)


def fetch(backup: Backup, *, anew: bool = False) -> None:
    """Have the files of a backup of an object store on this machine, in `backup.path`; `differences` checks them."""
    if backup.url and backup.manifest:
        transfer.fetch(backup, backup.url, anew=anew)


def keep_proof(backup: Backup, proof: Mapping[str, Any]) -> None:
    """Write the proof beside the manifest, here and in the object store."""
    # Written outside the folder and moved in: left there by a killed process, it would be a file too many.
    via = backup.path.with_name(f"{backup.id}.proof{PARTIAL}")
    sealed.write(backup.path / PROOF, proof, via=via)
    if backup.url:
        transfer.put_sealed(remote.Remote(backup.url), backup.path, backup.id, PROOF)


def differences(backup: Backup) -> list[dict[str, Any]]:
    """Every file that is not as the manifest says, by reading all of them. Nothing is restored before this is empty."""
    if not backup.manifest:
        return [{"object": MANIFEST, "differs": backup.headline}]
    listed, present = backup.manifest["files"], sealed.files(backup.path)
    rows = []
    for name in sorted({*listed, *present}):
        if name not in present or name not in listed:
            rows.append({"object": name, "differs": "missing" if name in listed else "added"})
        elif listed[name] != present[name]:
            size = listed[name]["size"], present[name]["size"]
            rows.append({"object": name, "differs": "content" if size[0] == size[1] else f"size {size[0]} → {size[1]}"})
    if not rows and backup.url and backup.state == "corrupt":
        rows.append({"object": backup.id, "differs": "in the store files were added"})
    return rows


def read(folder: Path) -> Backup:
    """The backup in a folder, with its state. Sizes are compared, contents are not: `differences` does that."""
    if folder.suffix == PARTIAL:
        return states.partial(folder.stem, folder, f"rm -r {folder}   (when no backup is being made)")
    manifest, proof = (_content(folder / name) for name in (MANIFEST, PROOF))
    return states.judged(folder.name, folder, manifest, proof, sealed.sizes(folder))


def listing(store: Store | None = None) -> Listing:
    """Every backup of the store, the newest first, with its state. Of an object store only the manifests are read."""
    where, url = home(store), address(store)
    folders = [path for path in where.iterdir() if path.is_dir()] if where.is_dir() else []
    known = [path for path in folders if _ID.fullmatch(path.name.removesuffix(PARTIAL))]
    backups = [read(path) for path in known] if not url else _remote(url, where, known)
    found = tuple(sorted(backups, key=lambda one: one.id, reverse=True))
    proven = sum(one.state == "proven" for one in found)
    there = bool(url) or where.is_dir()
    remedy = (
        "" if there else "afdb run backup, which makes it; where there are backups already, name it with AFDB_BACKUPS"
    )
    headline = f"{count(len(found), 'backup')} in {url or where}, {proven} proven"
    return Listing(headline=headline if there else f"{headline}: there is no such folder", remedy=remedy,
                   rows=tuple(map(_line, found)), ok=all(one.ok for one in found), backups=found)  # fmt: skip


def _remote(url: str, where: Path, known: list[Path]) -> list[Backup]:
    """What the object store holds, and what this machine has made and not uploaded yet."""
    store = remote.Remote(url)
    there = {id_: names for id_, names in store.ids().items() if _ID.fullmatch(id_)}
    own = [f"{id_}/{name}" for id_, names in there.items() for name in (MANIFEST, PROOF) if name in names]
    raw = store.small(own)
    whole = {id_: names for id_, names in there.items() if f"{id_}/{MANIFEST}" in raw}
    found = []
    for id_, names in whole.items():
        sizes = {name: size for name, size in names.items() if name not in (MANIFEST, PROOF)}
        one = states.judged(id_, where / id_, raw[f"{id_}/{MANIFEST}"], raw.get(f"{id_}/{PROOF}"), sizes)
        found.append(dataclasses.replace(one, url=url))
    here = {path.name: read(path) for path in known if path.name not in whole}
    found += [states.unsent(one) if one.state in ("proven", "unproven", "failed") else one
              for one in here.values() if one.state != "partial" or one.id not in whole]  # fmt: skip
    return found + [states.partial(id_, where / id_, f"afdb backups prune --unfinished (it is in {url})", url)
                    for id_ in there if id_ not in whole and id_ not in here]  # fmt: skip


def last_size(where: Path, identity: Mapping[str, Any]) -> int | None:
    """Bytes of the newest backup of that database in this folder, by which the next one's length is guessed."""
    known = sorted((path for path in where.iterdir() if _ID.fullmatch(path.name)), reverse=True)
    fitting = (one for one in map(read, known) if one.manifest and one.manifest["identity"] == identity)
    return next((one.size for one in fitting), None)


def find(reference: str = "latest", *, identity: Identity | None = None, store: Store | None = None) -> Backup:
    """A backup by its id, or the latest proven one; of the database that `identity` names, where one is given.

    Raises `ConfigError` when no backup has that id, `Refused` when none is proven, or the named one is of another
    database. One named by its id may be in any state: `state` says which.
    """
    found = listing(store).backups
    wanted = [one for one in found if one.id == reference or (reference == "latest" and one.state == "proven")]
    fitting = [one for one in wanted if identity is None or one.manifest.get("identity") == identity.key()]
    if fitting:
        return fitting[0]
    have = ", ".join(f"{one.id} ({one.state})" for one in found[:5]) or "none"
    kind = "no proven backup" if reference == "latest" else f"no backup {reference}"
    if wanted and identity:
        raise Refused(
            f"{kind} of database {identity.database}",
            why=f"{wanted[0].id} is of another database or server",
            do="afdb run backup --target NAME for the target at hand",
        )
    what, why = f"{kind} in {address(store) or home(store)}", f"there: {have}"
    if reference == "latest":
        raise Refused(what, why=why, do="afdb run backup --target NAME")
    raise ConfigError(what, why=why, do="afdb backups list")


def _content(path: Path) -> bytes | None:
    """None where there is no such file; nothing of it where it cannot be read, which no seal fits."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError:
        return b""


def _line(backup: Backup) -> dict[str, Any]:
    facts = backup.manifest
    return {
        "id": backup.id,
        "state": backup.state,
        "database": facts["identity"]["database"] if facts else None,
        "revision": ", ".join(facts["revision"]) if facts else None,
        "size": catalog.human(backup.size) if facts else None,
    }
