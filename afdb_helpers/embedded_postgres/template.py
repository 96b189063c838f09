"""The data of a new server, copied from what initdb made earlier today: a tenth of its time.

All copies have one system identifier, so they are for servers that stand for no target: those of a proof, a
rehearsal, a replayed chain. What a copy costs is its files, each made and removed: three in ten of them were those of
`template0`, which nobody asks such a server for, so it is not there. A template is of one installation and one day: the
system's cleaning of old temporary files would take it away file by file.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import os
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path

from afdb_helpers.embedded_postgres import owner

_NAME = "initdb-"
_LIGHTEN = "ALTER DATABASE template0 IS_TEMPLATE false\nDROP DATABASE template0\n"


def copy(data: Path, programs: Path, make: Callable[[Path], None]) -> None:
    """Make `data` a copy of the day's template, which `make` makes where it is not there yet."""
    of = hashlib.sha256(f"{programs}{(programs / 'postgres').stat().st_mtime_ns}".encode()).hexdigest()[:12]
    template = owner.scratch() / f"{_NAME}{_day()}-{of}"
    if not template.is_dir():
        partial = owner.scratch() / f"{os.getpid()}-{uuid.uuid4().hex[:8]}"  # swept like a server when this dies
        partial.mkdir(mode=0o700)
        owner.give(partial)
        make(partial / "data")
        owner.run(programs / "postgres", "--single", "-F", "-D", partial / "data", "template1", said=_LIGHTEN)
        with contextlib.suppress(OSError):  # another process was first
            partial.rename(template)
        shutil.rmtree(partial, ignore_errors=True)
    owner.run(Path("/bin/cp"), "-a", template / "data", data)


def sweep() -> None:
    """Remove the templates of other days, but for yesterday's: a copy that was begun before midnight may still read."""
    for folder in owner.scratch().glob(f"{_NAME}*"):
        if folder.name.split("-")[1] not in (_day(), _day(ago=1)):
            shutil.rmtree(folder, ignore_errors=True)


def _day(*, ago: int = 0) -> str:
    return f"{dt.datetime.now(dt.UTC) - dt.timedelta(ago):%Y%m%d}"
