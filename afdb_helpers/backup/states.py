"""What a backup is, judged by what its own files say: proven, unproven, failed, corrupt, partial or unsent."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from afdb_helpers import catalog
from afdb_helpers.backup import manifest as manifests
from afdb_helpers.backup import sealed
from afdb_helpers.backup.sealed import MANIFEST
from afdb_helpers.report import Report, count


@dataclass(frozen=True, kw_only=True, repr=False)
class Backup(Report):
    """One backup. `state`: proven, unproven, failed (the last proof was no), corrupt, partial, unsent (not uploaded).

    `manifest` is empty where it cannot be believed. `url`: the object store that holds it, `path` is then where it is
    on this machine once it was fetched. Rows: each table with its rows at the moment of the dump.
    """

    id: str
    path: Path
    state: str
    manifest: Mapping[str, Any]
    url: str = ""

    @property
    def seal(self) -> str:
        """What the manifest is cited by."""
        return str(self.manifest["seal"])

    @property
    def size(self) -> int:
        """Bytes of all files that the manifest names."""
        return sum(file["size"] for file in self.manifest["files"].values()) if self.manifest else 0


def judged(id_: str, path: Path, raw: bytes | None, proof: bytes | None, sizes: Mapping[str, int]) -> Backup:
    """A backup by what its manifest and proof say, and by the sizes of the files that are there."""
    try:
        manifest = sealed.unseal(raw or b"null")
        manifests.check(manifest)
        if manifest["id"] != id_:
            raise ValueError(f"the manifest is that of {manifest['id']}")
    except ValueError as error:
        return _corrupt(id_, path, f"{MANIFEST}: {error if raw is not None else 'it is not there'}")
    if sizes != {name: facts["size"] for name, facts in manifest["files"].items()}:
        return _corrupt(id_, path, "files are missing, added or of another size", manifest)
    state, why = _proven(proof, manifest)
    tables = manifest["fingerprint"]["tables"]
    rows = tuple({"table": name, "rows": table["rows"]} for name, table in sorted(tables.items()))
    total = f"{count(sum(row['rows'] for row in rows), 'row')} in {count(len(rows), 'table')}"
    head = f"backup {id_}: {total}, {catalog.human(sum(sizes.values()))}, {state}{why}"
    return Backup(id=id_, path=path, state=state, manifest=manifest, headline=head, rows=rows, ok=state != "failed")


def _proven(raw: bytes | None, manifest: Mapping[str, Any]) -> tuple[str, str]:
    if raw is None:
        return "unproven", ""
    try:
        proof = sealed.unseal(raw)
    except ValueError:
        return "unproven", " (its proof was altered)"
    if proof.get("manifest") != manifest["seal"]:
        return "unproven", " (its proof is of another manifest)"
    return ("proven", f" {proof['when']}") if proof.get("ok") is True else ("failed", f": {proof.get('headline')}")


def partial(id_: str, path: Path, rest: str, url: str = "") -> Backup:
    """A folder without its name, or without a manifest: `rest` says how it is removed."""
    return Backup(id=id_, path=path, state="partial", manifest={}, ok=False, remedy=rest, url=url,
                  headline=f"backup {id_}: never finished")  # fmt: skip


def unsent(backup: Backup) -> Backup:
    """A whole backup of this machine that its object store does not have yet."""
    return dataclasses.replace(backup, state="unsent", ok=False, remedy=f"afdb backups upload {backup.id}",
                               headline=f"backup {backup.id}: made on this machine, not uploaded yet")  # fmt: skip


def _corrupt(id_: str, path: Path, why: str, manifest: Mapping[str, Any] | None = None) -> Backup:
    return Backup(id=id_, path=path, state="corrupt", manifest=manifest or {}, ok=False,
                  headline=f"backup {id_}: corrupt: {why}", remedy="use another backup")  # fmt: skip
