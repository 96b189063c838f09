"""Whether there is room on a disk for what is about to be written to it, asked before anything is."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from afdb_helpers import hazards
from afdb_helpers.backup.states import Backup
from afdb_helpers.catalog import human
from afdb_helpers.errors import Refused, Unavailable
from afdb_helpers.targets import Target

PACKED = 10  # a dump of a database that was never dumped takes a tenth of it at least; nothing else is known


def free(folder: Path) -> int:
    """Bytes that this user may still write there."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def for_dump(folder: Path, database: Mapping[str, Any], last: int | None) -> None:
    """Raises `Refused` where the last backup of this database (else a tenth of its size) would not fit."""
    needed, here = last if last is not None else database["bytes"] // PACKED, free(folder)
    if needed > here:
        said = "the last backup of this database took" if last is not None else "even well packed, it takes about"
        raise Refused(
            f"there is no room for a backup in {folder.parent}",
            why=f"{said} {human(needed)}, {human(here)} are free",
            do="free space there (afdb backups prune shows what can go), or name another folder in AFDB_BACKUPS",
        )


def for_copy(id_: str, database: Mapping[str, Any], folder: Path) -> None:
    """Raises `Unavailable`, which says nothing about the backup, where the database as it was would not fit."""
    needed, here = database.get("bytes", 0), free(folder)
    if needed > here:
        raise Unavailable(
            f"backup {id_} cannot be restored on this machine",
            why=f"the database took {human(needed)}, and where private servers live {human(here)} are free",
            do="free space there, or name another folder in AFDB_SCRATCH",
        )


def for_target(backup: Backup, target: Target, note: Callable[..., object]) -> None:
    """Raises `Refused` where the database as it was would not fit into the target. Where its disk is another machine's,
    nobody can ask it: then the journal's `room` says that None is known to be free."""
    here: int | None
    if target.dialect == "sqlite":
        needed, here = backup.size, free(target.file().parent)
    else:
        needed = backup.manifest["database"].get("bytes", 0)
        with target.connect() as connection:
            here = hazards.free(connection)
    note("room", needed=needed, free=here)
    if here is not None and needed > here:
        raise Refused(
            f"there is no room for backup {backup.id} in target {target.name}",
            why=f"the database took {human(needed)}, and where the target is {human(here)} are free",
            do="make room there, or name a target on another disk",
        )


def for_download(id_: str, needed: int, folder: Path) -> None:
    """Raises `Unavailable` where what is to be downloaded would not fit."""
    here = free(folder)
    if needed > here:
        raise Unavailable(
            f"backup {id_} does not fit on this machine",
            why=f"{human(needed)} are to be downloaded to {folder}, {human(here)} are free",
            do="free space there, or name another folder in AFDB_BACKUPS_CACHE",
        )
