"""The proof of a backup: its files are what they were, it restores, and what is restored is what was dumped."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from afdb_helpers import catalog, drift, fingerprint
from afdb_helpers.backup import beside, reserved, restoring
from afdb_helpers.backup import store as stores
from afdb_helpers.backup.dumping import CATALOGUE, DATABASE, Note
from afdb_helpers.backup.restoring import Copy, NotRestorable
from afdb_helpers.backup.states import Backup
from afdb_helpers.catalog import Catalog
from afdb_helpers.errors import Refused
from afdb_helpers.fingerprint import Fingerprint
from afdb_helpers.report import Report, count
from afdb_helpers.targets import Target

Rows = list[dict[str, Any]]


@dataclass(frozen=True, kw_only=True, repr=False)
class Proof(Report):
    """Whether a backup restores to what was dumped. Rows: what differs, none when it is proven."""

    backup: str
    manifest: str
    seconds: float


def prove(backup: Backup, *, jobs: int = 2, run_id: str = "", note: Note = lambda event, **facts: None) -> Proof:
    """Hash every file, restore into a private server, compare schema and content with the manifest; store the answer.

    A no is stored too, so that a backup which was proven once does not stay so. Raises `Unavailable` when the backup
    could not be tried here, which says nothing about it.
    """
    note("proof.begin", id=backup.id)
    started = time.monotonic()
    rows, restored = _try(backup, jobs)
    proof = _answer(backup, rows, restored, round(time.monotonic() - started, 3))
    if backup.manifest:
        when = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        facts = {"backup": backup.id, "manifest": backup.seal, "when": when, "run": run_id, "seconds": proof.seconds}
        stores.keep_proof(backup, proof.as_dict() | facts | {"restored": restored})
    note("proof.end", id=backup.id, ok=proof.ok)
    return proof


def _try(backup: Backup, jobs: int) -> tuple[Rows, dict[str, Any]]:
    """What differs, and what it was restored into."""
    try:
        with restoring.open_copy(backup, jobs=jobs, only_read=True) as copy:
            found = list(compare(backup, copy, jobs=jobs))
            return found, {"version": copy.version, "seconds": round(copy.seconds, 3)}
    except NotRestorable as error:
        return list(error.rows), {}


def schema(backup: Backup) -> Catalog | None:
    """The schema at the moment of the dump; None where another version kept it, or it is in the object store only.

    Raises `Refused` where it is not the one that the manifest says.
    """
    file = backup.path / CATALOGUE
    kept = json.loads(file.read_text()) if file.is_file() else {}
    if kept.get("shape") != catalog.SHAPE:
        return None
    found = Catalog.from_dict(kept)
    if found.digest != backup.manifest["catalogue"]:
        raise Refused(
            f"backup {backup.id} cannot be compared with",
            why=f"its {CATALOGUE} is not what its manifest says",
            do="afdb backups list, and take another one",
        )
    return found


def compare(backup: Backup, copy: Copy | Target, *, jobs: int = 1) -> Iterator[dict[str, Any]]:
    """What of schema, revision and content is not as it was at the moment of the dump."""
    facts = backup.manifest
    before = Fingerprint.from_dict(facts["fingerprint"])
    with copy.connect() as connection:
        schema = reserved.without(catalog.snapshot(connection), facts["excluded"])
        tables = reserved.tables(connection, facts["excluded"])
        if schema.digest != facts["catalogue"]:
            then = Catalog.from_dict(json.loads((backup.path / CATALOGUE).read_text()))
            yield _row("schema", "not as it was")
            yield from (_row(r["object"], f"{r['chain']} → {r['live']}") for r in drift.compare(schema, then).rows)
        if list(catalog.heads(connection)) != facts["revision"]:
            yield _row(catalog.VERSION_TABLE, f"not {', '.join(facts['revision'])}")
        if facts["dialect"] == "sqlite":
            said = connection.exec_driver_sql("PRAGMA integrity_check").scalars().first()
            yield from [_row(DATABASE, said)] if said != "ok" else []
        else:
            left_out = reserved.schemas(facts["excluded"])
            yield from (_row(*one) for one in beside.compare(backup.path, connection, left_out))
        if fingerprint.take(connection, tables=tables, jobs=jobs) != before:
            yield _row("data", "not as it was")
            found = fingerprint.compare(before, connection, jobs=jobs).rows
            yield from (_row(row["table"], row["differs"]) for row in found if row["differs"])


def _answer(backup: Backup, rows: Rows, restored: Mapping[str, Any], seconds: float) -> Proof:
    seal = str(backup.manifest.get("seal", ""))
    if rows:
        first = f"{rows[0]['object']} {rows[0]['differs']}"
        return Proof(
            headline=f"backup {backup.id} is not proven: {count(len(rows), 'difference')}, first: {first}",
            ok=False,
            rows=tuple(rows),
            remedy="use another backup, or make a new one: afdb run backup",
            backup=backup.id,
            manifest=seal,
            seconds=seconds,
        )
    where = f"PostgreSQL {restored['version']}" if backup.manifest["dialect"] == "postgresql" else "a copy"
    head = f"backup {backup.id} is proven: restored into {where}, schema and every value equal"
    return Proof(headline=f"{head} ({seconds:.1f} s)", backup=backup.id, manifest=seal, seconds=seconds)


def _row(what: str, differs: Any) -> dict[str, Any]:
    return {"object": what, "differs": str(differs)}
