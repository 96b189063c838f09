"""A record to hang on a ticket: one HTML page that needs nothing beside it, and a zip of all its files."""

from __future__ import annotations

import json
import zipfile
from datetime import datetime
from pathlib import Path

from afdb_helpers import pages, targets
from afdb_helpers.errors import ConfigError, Refused
from afdb_helpers.report import Report
from afdb_helpers.runbook import attestation, leaks, record, records

_FIRST = (1980, 1, 1, 0, 0, 0)  # before which a zip knows no time


def export(folder: Path, into: Path) -> Report:
    """Write `ID.html` and `ID.zip` into a folder. The same record makes the same bytes.

    Refuses a run that goes on, a record that was changed since it was sealed, and one in which a secret of the settings
    is found: one that was never sealed, since its run was killed, was not searched before.
    """
    run = records.read(folder)
    _refuse_unfit(folder, str(run["outcome"]))
    try:
        notebook = json.loads((folder / "notebook.ipynb").read_bytes())
    except FileNotFoundError:
        notebook = {}
    signed = run | {"signed_by": attestation.keyid(folder)}
    page = pages.record(signed, notebook if isinstance(notebook, dict) else {}, home="").encode()
    one, packed = into / f"{folder.name}.html", into / f"{folder.name}.zip"
    try:
        into.mkdir(parents=True, exist_ok=True)
        record.write(one, page)
        _pack(folder, page, packed, str(run.get("ended") or run.get("started")))
    except OSError as error:
        raise ConfigError(
            f"{into} cannot be written", why=error.strerror or str(error), do="choose another with --into"
        ) from None
    rows = tuple({"file": str(path), "bytes": path.stat().st_size} for path in (one, packed))
    sealed = "as its run left it" if (folder / record.SUMS).is_file() else "never sealed: its run was cut off"
    return Report(headline=f"{folder.name}, {sealed}", rows=rows, remedy="attach both to the ticket")


def _refuse_unfit(folder: Path, outcome: str) -> None:
    if outcome == "running":
        raise Refused(f"{folder.name} goes on", why="its run has not ended", do="export it when it has")
    checked = records.check(folder)
    if (folder / record.SUMS).is_file() and not checked.ok:
        raise Refused(
            f"{folder.name} is not what its run left", why=checked.headline, do="`afdb records verify`, and ask who"
        )
    found = leaks.known(targets.environment()).files(folder)
    if found:
        places = "; ".join(f"{', '.join(names)} in {path.name}" for path, names in sorted(found.items()))
        raise Refused(f"{folder.name} holds a secret", why=places, do="do not pass it on; change that secret")


def _pack(folder: Path, page: bytes, path: Path, ended: str) -> None:
    """All files of the record in a folder of its name, and the page; times are the run's own."""
    when = max(datetime.fromisoformat(ended).timetuple()[:6], _FIRST)
    staged = path.with_name(f".{path.name}.part")
    try:
        with zipfile.ZipFile(staged, "w", zipfile.ZIP_DEFLATED) as packed:
            for file in sorted(p for p in folder.rglob("*") if p.is_file() and p.name != ".reserve"):
                name = f"{folder.name}/{file.relative_to(folder).as_posix()}"
                packed.writestr(_entry(name, when), file.read_bytes())
            packed.writestr(_entry(f"{folder.name}.html", when), page)
        staged.replace(path)
    finally:
        staged.unlink(missing_ok=True)


def _entry(name: str, when: tuple[int, ...]) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, (when[0], when[1], when[2], when[3], when[4], when[5]))
    entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
    return entry
