"""The backup store: one folder a backup, named by its id, complete from the moment it has that name.

    backups/20261122T154233Z-production-7f3a/
        manifest.json    what the backup says of itself: every other file by size and SHA-256, and a seal over itself
        catalogue.json   the schema at the moment of the dump
        dump/            pg_dump's directory archive (SQLite: database.sqlite)
        proof.json       the last attempt to restore it; names the manifest by its seal

The proof stands beside the manifest, not in it: it is made later and may be made again, while the manifest's seal,
which plans and records cite, has to stay. A seal is the SHA-256 of a JSON file's content, written into it; the file's
bytes have to be exactly what the content gives when written again, so a flipped byte anywhere in it is found.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from afdb_helpers import catalog, targets
from afdb_helpers.catalog import Identity
from afdb_helpers.errors import ConfigError, Refused
from afdb_helpers.report import Report, count

MANIFEST, PROOF, PARTIAL = "manifest.json", "proof.json", ".partial"
_ID = re.compile(r"\d{8}T\d{6}Z-[A-Za-z0-9_-]+-[0-9a-f]{4}")


@dataclass(frozen=True, kw_only=True, repr=False)
class Backup(Report):
    """One backup. `state`: proven, unproven, failed (the last proof was no), corrupt, partial.

    `manifest` is empty where it cannot be believed. Rows: each table with its rows at the moment of the dump.
    """

    id: str
    path: Path
    state: str
    manifest: Mapping[str, Any]

    @property
    def seal(self) -> str:
        """What the manifest is cited by."""
        return str(self.manifest["seal"])


@dataclass(frozen=True, kw_only=True, repr=False)
class Listing(Report):
    """Every backup of a store, the newest first."""

    backups: tuple[Backup, ...]


def home(store: Path | None = None) -> Path:
    """The folder of the backups: `store`, else AFDB_BACKUPS, else backups/ in this folder."""
    named = str(store or targets.environment().get("AFDB_BACKUPS") or "backups")
    if store is None and "://" in named:
        raise ConfigError(
            "AFDB_BACKUPS is a URL",
            why="backups are written to a folder; object stores are not supported",
            do="set AFDB_BACKUPS to a folder",
        )
    return Path(named).expanduser().absolute()


@contextlib.contextmanager
def draft(store: Path | None, name: str) -> Iterator[tuple[str, Path]]:
    """A new id and its empty `.partial` folder; gone again when the block raises. `publish` gives it its name."""
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


def publish(folder: Path, facts: Mapping[str, Any]) -> Backup:
    """Hash and store every file, write the manifest, and give the folder its final name: the last step of a dump."""
    write(folder / MANIFEST, {**facts, "files": files(folder, sync=True)})
    for inner in (path for path in folder.rglob("*") if path.is_dir()):
        _sync(inner)
    _sync(folder)
    final = folder.with_suffix("")
    folder.rename(final)
    _sync(final.parent)
    return read(final)


def files(folder: Path, *, sync: bool = False) -> dict[str, dict[str, Any]]:
    """Size and SHA-256 of every file of a backup but manifest and proof; what is no plain file has neither."""
    found: dict[str, dict[str, Any]] = {}
    for path in _entries(folder):
        plain = path.is_file() and not path.is_symlink()
        found[path.relative_to(folder).as_posix()] = _hash(path, sync=sync) if plain else {"size": None, "sha256": None}
    return found


def differences(backup: Backup) -> list[dict[str, Any]]:
    """Every file that is not as the manifest says, by reading all of them. Nothing is restored before this is empty."""
    if not backup.manifest:
        return [{"object": MANIFEST, "differs": backup.headline}]
    listed, present = backup.manifest["files"], files(backup.path)
    rows = []
    for name in sorted({*listed, *present}):
        if name not in present or name not in listed:
            rows.append({"object": name, "differs": "missing" if name in listed else "added"})
        elif listed[name] != present[name]:
            size = listed[name]["size"], present[name]["size"]
            rows.append({"object": name, "differs": "content" if size[0] == size[1] else f"size {size[0]} → {size[1]}"})
    return rows


def read(folder: Path) -> Backup:
    """The backup in a folder, with its state. Sizes are compared, contents are not: `differences` does that."""
    if folder.suffix == PARTIAL:
        rest = f"rm -r {folder}   (when no backup is being made)"
        return Backup(id=folder.stem, path=folder, state="partial", manifest={}, ok=False, remedy=rest,
                      headline=f"backup {folder.stem}: never finished")  # fmt: skip
    try:
        manifest = unseal((folder / MANIFEST).read_bytes())
        if manifest["id"] != folder.name:
            raise ValueError(f"the manifest is that of {manifest['id']}")
    except (OSError, ValueError, KeyError) as error:
        return _corrupt(folder, f"{MANIFEST}: {error}")
    sizes = {path.relative_to(folder).as_posix(): path.lstat().st_size for path in _entries(folder)}
    if sizes != {name: facts["size"] for name, facts in manifest["files"].items()}:
        return _corrupt(folder, "files are missing, added or of another size", manifest)
    state, why = _proven(folder, manifest)
    tables = manifest["fingerprint"]["tables"]
    rows = tuple({"table": name, "rows": table["rows"]} for name, table in sorted(tables.items()))
    total = f"{count(sum(row['rows'] for row in rows), 'row')} in {count(len(rows), 'table')}"
    head = f"backup {folder.name}: {total}, {catalog.human(sum(sizes.values()))}, {state}{why}"
    return Backup(id=folder.name, path=folder, state=state, manifest=manifest, headline=head, rows=rows,
                  ok=state != "failed")  # fmt: skip


def listing(store: Path | None = None) -> Listing:
    """Every backup of the store, the newest first, with its state."""
    where = home(store)
    folders = [path for path in where.iterdir() if path.is_dir()] if where.is_dir() else []
    known = [path for path in folders if _ID.fullmatch(path.name.removesuffix(PARTIAL))]
    found = tuple(read(path) for path in sorted(known, reverse=True))
    proven = sum(one.state == "proven" for one in found)
    return Listing(headline=f"{count(len(found), 'backup')} in {where}, {proven} proven", rows=tuple(map(_line, found)),
                   ok=all(one.ok for one in found), backups=found)  # fmt: skip


def find(reference: str = "latest", *, identity: Identity | None = None, store: Path | None = None) -> Backup:
    """A backup by its id, or the latest proven one; of the database that `identity` names, where one is given.

    Raises `Refused` when there is none, or when the named one is of another database. One named by its id may be in any
    state: `state` says which.
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
    raise Refused(f"{kind} in {home(store)}", why=f"there: {have}", do="afdb run backup --target NAME")


def write(path: Path, data: Mapping[str, Any], *, via: Path | None = None) -> None:
    """A sealed JSON file, on disk when this returns. It appears under its name complete or not at all."""
    partial = via or path.with_name(f"{path.name}{PARTIAL}")
    with partial.open("wb") as file:
        file.write(sealed(data))
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    _sync(path.parent)


def sealed(data: Mapping[str, Any]) -> bytes:
    content = {key: value for key, value in data.items() if key != "seal"}
    return (json.dumps({**content, "seal": catalog.digest(content)}, indent=1, sort_keys=True) + "\n").encode()


def unseal(raw: bytes) -> dict[str, Any]:
    """The content of a sealed file. Raises `ValueError` when one byte of it is another."""
    data = json.loads(raw)
    if not isinstance(data, dict) or sealed(data) != raw:
        raise ValueError("its content is not what its seal says")
    return data


def _proven(folder: Path, manifest: Mapping[str, Any]) -> tuple[str, str]:
    try:
        proof = unseal((folder / PROOF).read_bytes())
    except FileNotFoundError:
        return "unproven", ""
    except (OSError, ValueError):
        return "unproven", " (its proof was altered)"
    if proof.get("manifest") != manifest["seal"]:
        return "unproven", " (its proof is of another manifest)"
    return ("proven", f" {proof['when']}") if proof.get("ok") is True else ("failed", f": {proof.get('headline')}")


def _corrupt(folder: Path, why: str, manifest: Mapping[str, Any] | None = None) -> Backup:
    return Backup(id=folder.name, path=folder, state="corrupt", manifest=manifest or {}, ok=False,
                  headline=f"backup {folder.name}: corrupt: {why}", remedy="use another backup")  # fmt: skip


def _line(backup: Backup) -> dict[str, Any]:
    facts = backup.manifest
    size = sum(file["size"] for file in facts["files"].values()) if facts else None
    return {
        "id": backup.id,
        "state": backup.state,
        "database": facts["identity"]["database"] if facts else None,
        "revision": ", ".join(facts["revision"]) if facts else None,
        "size": catalog.human(size) if size is not None else None,
    }


def _entries(folder: Path) -> Iterator[Path]:
    """Everything in a backup's folder that is no folder, but manifest and proof; links are not followed."""
    for where, folders, names in os.walk(folder):
        links = [name for name in folders if Path(where, name).is_symlink()]
        yield from (p for p in (Path(where, n) for n in sorted([*names, *links])) if p not in _own(folder))


def _own(folder: Path) -> tuple[Path, Path]:
    return folder / MANIFEST, folder / PROOF


def _hash(path: Path, *, sync: bool) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        if sync:
            os.fsync(file.fileno())
        return {"size": os.fstat(file.fileno()).st_size, "sha256": digest}


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
