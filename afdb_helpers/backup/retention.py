"""Which backups are kept, and how the others are deleted so that a half-deleted one is never taken for a whole.

What stands in the store when this process dies at each step of a deletion:

    folder   1  rename <id>/ to <id>.partial/      the backup, or what counts as never finished
             2  delete the folder                  a .partial with part of it
    URL      1  the same with the cached copy      the backup in the store
             2  delete manifest.json               what counts as never finished
             3  delete the rest                    a part of that
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from afdb_helpers import catalog, durable, targets
from afdb_helpers.backup import store as stores
from afdb_helpers.backup.remote import Remote
from afdb_helpers.backup.sealed import MANIFEST, PARTIAL, PROOF
from afdb_helpers.backup.states import Backup
from afdb_helpers.errors import ConfigError
from afdb_helpers.report import Report, count

KEEP, DAYS = 7, 30  # of each database: so many proven ones, and whatever is younger than so many days
UNFINISHED = timedelta(days=1)  # before that, a backup may still be being made
Note = Callable[..., object]


@dataclass(frozen=True, kw_only=True, repr=False)
class Pruning(Report):
    """What is deleted, or would be. Rows: every backup with what becomes of it, and why."""

    doomed: tuple[Backup, ...]


def prune(
    store: stores.Store | None = None,
    *,
    keep: int | None = None,
    days: int | None = None,
    unfinished: bool = False,
    yes: bool = False,
    note: Note = lambda event, **facts: None,
) -> Pruning:
    """Delete what need not be kept any longer, the newest first; without `yes` only say what that is.

    Of each database the newest `keep` proven ones stay (AFDB_KEEP) and all that are younger than `days`
    (AFDB_KEEP_DAYS); the last proven one always; and nothing goes while a newer one that stays is not proven.
    `unfinished`: also what was never finished, a day after it was begun. Nothing else in the store is touched.
    """
    keep = _number("AFDB_KEEP", KEEP, keep, least=1)
    days = _number("AFDB_KEEP_DAYS", DAYS, days, least=0)
    found = stores.listing(store).backups
    fates = _fates(found, keep, timedelta(days=days), unfinished, datetime.now(UTC))
    doomed = tuple(one for one, why in fates if why.startswith("delete"))
    for one in doomed if yes else ():
        note("backup.delete", id=one.id, store=one.url or str(one.path.parent))
        _delete(one)
    freed = catalog.human(sum(one.size for one in doomed))
    did = "deleted" if yes else "would be deleted"
    rows = tuple({"id": one.id, "state": one.state, "size": catalog.human(one.size) if one.manifest else None,
                  "fate": why} for one, why in fates)  # fmt: skip
    rest = "" if yes or not doomed else "afdb backups prune --yes"
    head = f"{count(len(doomed), 'backup')} of {len(found)} {did}, {freed}"
    return Pruning(headline=head, rows=rows, remedy=rest, doomed=doomed)


def _fates(
    found: tuple[Backup, ...], keep: int, age: timedelta, unfinished: bool, now: datetime
) -> list[tuple[Backup, str]]:
    """What becomes of each, the newest first. `in_the_way`: by database, the newer one that stays and is not proven."""
    fates: list[tuple[Backup, str]] = []
    proven: dict[str, int] = {}
    in_the_way: dict[str, str] = {}
    for one in found:
        if one.state == "partial":
            gone = unfinished and now - _begun(one) > UNFINISHED
            fates.append((one, "delete: never finished" if gone else "keep: never finished, see --unfinished"))
            continue
        database = _database(one)
        if one.state == "proven":
            proven[database] = proven.get(database, 0) + 1
        unproven = in_the_way.get(database) or in_the_way.get("")
        why = _kept(one, proven.get(database, 0), keep, now - _begun(one) < age, unproven)
        fates.append((one, f"keep: {why}" if why else "delete"))
        if why and one.state != "proven":
            in_the_way[database] = one.id
    return fates


def _kept(one: Backup, rank: int, keep: int, young: bool, unproven: str | None) -> str:
    """Why it stays; empty where nothing speaks for it. `rank`: how many proven ones there are down to it."""
    reasons = [
        (one.state == "corrupt", "corrupt, so not known: look at it yourself"),
        (one.state == "unsent", f"not uploaded: afdb backups upload {one.id}"),
        (rank == 0, "no newer one is proven"),
        (one.state == "proven" and rank == 1, "the last proven one"),
        (one.state == "proven" and rank <= keep, f"one of the newest {keep}"),
        (young, "young"),
        (unproven is not None, f"the newer {unproven} is not proven"),
    ]
    return next((why for holds, why in reasons if holds), "")


def _database(one: Backup) -> str:
    """Which database it is of; empty where the manifest cannot be believed, which then may be of any."""
    return json.dumps(one.manifest["identity"], sort_keys=True) if one.manifest else ""


def _begun(one: Backup) -> datetime:
    return datetime.strptime(one.id[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


def _delete(one: Backup) -> None:
    _delete_folder(one)
    if one.url:
        store = Remote(one.url)
        there = store.ids().get(one.id, {})
        known = [MANIFEST, PROOF, *(one.manifest["files"] if one.manifest else there)]
        store.remove([f"{one.id}/{name}" for name in dict.fromkeys(known) if name in there])


def _delete_folder(one: Backup) -> None:
    folder = one.path
    if folder.is_dir() and not folder.is_symlink() and folder.suffix != PARTIAL:
        folder = folder.rename(folder.with_name(f"{one.id}{PARTIAL}"))
        durable.sync(folder.parent)
    if folder.is_dir() and not folder.is_symlink():
        shutil.rmtree(folder)


def _number(setting: str, default: int, given: int | None, *, least: int) -> int:
    said: Any = given if given is not None else targets.environment().get(setting) or default
    try:
        number = int(said)
    except ValueError:
        number = least - 1
    if number < least:
        raise ConfigError(
            f"{setting} cannot be used",
            why=f"{said!r} is no whole number of at least {least}",
            do=f"set it to a number, for example {setting}={default}",
        )
    return number
