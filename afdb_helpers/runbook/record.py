"""The folder that a run leaves: written so that whenever the writer dies, what stands there can be read and is true.

    run.json        who, what, where, when, why, with what outcome; without an end until the run has ended
    journal.jsonl   what happened, in order; the kernel and the engine both append
    notebook.ipynb  the notebook as far as it ran
    SHA256SUMS      the hash of every other file, written last
    attestation.json  a signed statement about all of them, where there is a key

Beside the folders, `ledger.jsonl` chains the intent and the end of every run.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from afdb_helpers import durable, ledger
from afdb_helpers.errors import AfdbError, ConfigError, Unavailable
from afdb_helpers.runbook import attestation, shape, shelf

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner

RESERVE = 262_144  # bytes kept for the end of the run, so that a disk that fills up meanwhile still holds it
SUMS = "SHA256SUMS"
LEDGER = shelf.LEDGER
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG}


@dataclass
class Record:
    """A record being written. `data` is the content of run.json."""

    folder: Path
    data: dict[str, Any]

    @property
    def id(self) -> str:
        return self.folder.name

    def note(self, event: str, **facts: Any) -> None:
        """Append to the journal; on the disk when this returns."""
        ledger.append(self.folder / "journal.jsonl", {"event": event, **facts})

    def events(self) -> list[dict[str, Any]]:
        return ledger.read(self.folder / "journal.jsonl")

    def save(self) -> None:
        """Write run.json. Raises `ValueError` where it is not as its schema says."""
        shape.check(self.data)
        write(self.folder / "run.json", as_json(self.data))

    def release(self) -> None:
        """Give the space back that was kept for the end."""
        (self.folder / ".reserve").unlink(missing_ok=True)

    def seal(
        self,
        *,
        ledger_entry: Mapping[str, Any] | None = None,
        signer: CryptoSigner | None = None,
        signed: Mapping[str, Any] | None = None,
        upload: bool = True,
    ) -> None:
        """Write the final run.json, SHA256SUMS and, with a key, the attestation.

        All are on the disk before the ledger is told, and appear after it: so the ledger never names an end that the
        folder cannot show, and the other way round. Records of an object store are there before the ledger is told;
        without `upload` they stay here, and go with the next run.
        """
        shape.check(self.data)
        final = as_json(self.data)
        sums = _sums(self.folder, {"run.json": final})
        new = {"run.json": final, SUMS: sums}
        if signer is not None:
            files = {**listed(sums), SUMS: hashlib.sha256(sums).hexdigest()}
            new[attestation.NAME] = attestation.make(self.data, files, signer, signed=signed or {})
        staged = {name: _stage(self.folder / name, data) for name, data in new.items()}
        try:
            if ledger_entry is not None:
                keys = {SUMS: "sha256sums", attestation.NAME: "attestation"}
                held = {keys[name]: hashlib.sha256(data).hexdigest() for name, data in new.items() if name in keys}
                self._tell({**ledger_entry, **held}, staged, upload=upload)
            for name, part in staged.items():
                part.replace(self.folder / name)
        finally:
            for part in staged.values():
                part.unlink(missing_ok=True)
        durable.sync(self.folder)

    def _tell(self, entry: Mapping[str, Any], staged: Mapping[str, Path], *, upload: bool) -> None:
        """Append the run's end to the ledger; in an object store the record has to be there first."""
        where = self.folder.parent
        if shelf.behind(where) is None:
            ledger.append(where / LEDGER, entry)
        elif upload:
            shelf.send(self.folder, staged)
            shelf.append(where, entry)
        else:
            shelf.keep_for_later(self.folder, entry)


def root(settings: Mapping[str, str]) -> Path:
    """The folder of all records: AFDB_RECORDS, else `records` where the command is run; of a URL the copy here."""
    where = settings.get("AFDB_RECORDS") or "records"
    return shelf.folder(where, settings) if "://" in where else Path(where).absolute()


def begin(where: Path, *, runbook: str, target: str | None, data: Mapping[str, Any], engine: bool = True) -> Record:
    """Make the folder of a new run with run.json, journal and, under the engine, the ledger's intent.

    Raises `ConfigError` or `Unavailable` where the disk does not take it: whoever cannot write a record runs nothing.
    """
    folder = None
    try:
        where.mkdir(parents=True, exist_ok=True)
        folder = _new_folder(where, runbook, target)
        record = Record(folder, {"schema": shape.SCHEMA, "id": folder.name, **data})
        if engine:
            _stage(folder / "x", b"\0" * RESERVE).replace(folder / ".reserve")
        record.save()
        record.note("run.intent", run=folder.name, runbook=runbook, target=target, mode=data.get("mode"))
        durable.sync(where)
        if engine:
            entry = {"event": "intent", "run": folder.name, "runbook": runbook, "target": target}
            record.data["ledger"] = ledger.position(shelf.append(where, entry))
    except (OSError, AfdbError) as error:
        if folder is not None:
            discard(folder)
        raise (not_writable(where, error) if isinstance(error, OSError) else error) from None
    return record


def write(path: Path, data: bytes) -> None:
    """Replace a file in one step: whoever reads it sees the old content or the new, also after a crash."""
    staged = _stage(path, data)
    try:
        staged.replace(path)
    except OSError:
        staged.unlink(missing_ok=True)
        raise
    durable.sync(path.parent)


def as_json(data: Any) -> bytes:
    """JSON as records hold it: sorted keys, two spaces, dates and paths as text."""
    return (json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False, default=str) + "\n").encode()


def discard(folder: Path) -> None:
    """Remove the folder of a run that never began."""
    with suppress(OSError):
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()


def now() -> str:
    return ledger.clock().isoformat(timespec="milliseconds")


def not_writable(where: Path, error: OSError) -> AfdbError:
    """What an operator is told when records cannot be written."""
    why = f"{error.strerror or error} ({error.filename or where})"
    if error.errno in _FULL:
        return Unavailable(
            "the record cannot be written, so nothing was run",
            why=why,
            do=f"make room on the disk of {where}, run again",
        )
    return ConfigError(
        "the record cannot be written, so nothing was run",
        why=why,
        do="set AFDB_RECORDS to a folder that can be written, run again",
    )


def _new_folder(where: Path, runbook: str, target: str | None) -> Path:
    parts = [runbook, *([target] if target else [])]
    label = "-".join(re.sub(r"[^A-Za-z0-9_]+", "_", part)[:40] for part in parts)
    while True:
        stamp = ledger.clock().strftime("%Y%m%dT%H%M%SZ")
        folder = where / f"{stamp}-{label}-{secrets.token_hex(2)}"
        with suppress(FileExistsError):
            folder.mkdir()
            return folder


def listed(sums: bytes) -> dict[str, str]:
    """The hashes that SHA256SUMS holds, by file."""
    lines = (line.partition("  ") for line in sums.decode(errors="replace").splitlines())
    return {name: digest for digest, _, name in lines}


def _sums(folder: Path, instead: Mapping[str, bytes]) -> bytes:
    """Lines as sha256sum writes them, over every file there is; `instead` holds content that is not in place yet."""
    names = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file() and not _is_ours(p.name)}
    lines = []
    for name in sorted((names | set(instead)) - {SUMS, attestation.NAME}):
        data = instead[name] if name in instead else (folder / name).read_bytes()
        lines.append(f"{hashlib.sha256(data).hexdigest()}  {name}\n")
    return "".join(lines).encode()


def _is_ours(name: str) -> bool:
    """The reserve and staged files: they are gone when the record is complete."""
    return name == ".reserve" or (name.startswith(".") and name.endswith(".part"))


def _stage(path: Path, data: bytes) -> Path:
    """A file beside `path` with its new content, on the disk."""
    staged = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with staged.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        with suppress(OSError):
            staged.unlink(missing_ok=True)
        raise
    return staged
