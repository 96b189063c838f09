"""The pages over all records, kept up to date: `index.html`, and in `site/` a page for each target.

A record is read once, and again only while it has no end: a sealed record does not change, and whether somebody
changed it is for `afdb records verify` to say. Its row is kept in the index itself, and of a target as much as its page
shows, so one more record costs the same however many there are. A record without a page of its own, since it was cut
off or is interactive, gets one in `site/`.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from afdb_helpers import pages
from afdb_helpers.errors import ConfigError
from afdb_helpers.pages import facts, history
from afdb_helpers.report import Report, count
from afdb_helpers.runbook import records

FOLDER = "site"
_STATE, _NAMES = "state.json", "names.txt"
_Kept = tuple[list[str], list[bytes | memoryview], set[str], set[str]]  # ids, their rows, without an end, targets
_BEGIN, _END = b"<tbody>\n", b"\n</tbody>"


class Site:
    """The pages of one folder of records while they are brought up to date."""

    def __init__(self, where: Path, *, anew: bool = False) -> None:
        self.where, self.folder = where, where / FOLDER
        nothing: _Kept = ([], [], set(), set())
        self.known, self.rows, self.open, self.names = nothing if anew else self._kept() or nothing
        self.targets: dict[str, dict[str, Any]] = {}
        self.read = 0

    def update(self) -> Report:
        """Read the records that are new or had no end yet, and write the pages that this changes."""
        there = set(os.listdir(self.where))
        others = there.difference(self.known)
        if len(there) - len(others) < len(self.known):  # one is gone: what it left here is found by making all anew
            self.known, self.rows, self.open, self.names, others = [], [], set(), set(), there
        new = [name for name in others if records.is_id(name) and (self.where / name).is_dir()]
        new = new if len(new) < 2 else records.ordered(self.where, new)[::-1]
        for id_ in sorted(self.open):
            self._take(id_, new=False)
        for id_ in new:
            self._take(id_, new=True)
        self.known += new
        if self.read or not (self.where / "index.html").is_file():
            self._write()
        return Report(
            headline=f"{count(len(self.known), 'record')}, {self.read:,} of them read anew",
            rows=({"page": str(self.where / "index.html"), "targets": len(self.names)},),
            remedy=f"open {self.where / 'index.html'}",
        )

    def _kept(self) -> _Kept | None:
        """What an earlier call kept, the rows in one piece; None if another version made it, or one that was killed."""
        try:
            state = json.loads((self.folder / _STATE).read_bytes())
            known = (self.folder / _NAMES).read_text().split()
            page = (self.where / "index.html").read_bytes()
            begin, end = page.index(_BEGIN) + len(_BEGIN), page.rindex(_END)
            good = state["version"] == pages.version() and page.count(b"\n<tr>", begin - 1, end) == len(known)
            found: _Kept = (known, [memoryview(page)[begin:end]], set(state["open"]), set(state["targets"]))
            return found if good else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _take(self, id_: str, *, new: bool) -> None:
        """Take from a record what the pages need of it."""
        run = records.readable(self.where / id_) | {"id": id_}
        own = (self.where / id_ / "report.html").is_file() and bool(run.get("ended"))
        if not own:
            notebook = _json(self.where / id_ / "notebook.ipynb")
            _write(self.folder / f"{id_}.html", pages.record(run, notebook).encode())
        page = f"{id_}/report.html" if own else f"{FOLDER}/{id_}.html"
        row = pages.row(run, page).encode()
        if new:
            self.rows.insert(0, row)
        else:
            self.rows = [*b"\n".join(self.rows).split(b"\n")]
            self.rows[len(self.known) - 1 - self.known.index(id_)] = row
        (self.open.discard if run.get("ended") else self.open.add)(id_)
        if target := facts.part(run, "target").get("name"):
            self._remember(
                str(target), history.short(run, f"../{page}", steps(self.where / id_)) | {"id": id_}, new=new
            )
        self.read += 1

    def _remember(self, target: str, short: dict[str, Any], *, new: bool) -> None:
        """Keep of a target what its page shows: so many of the newest runs, so many of the changes."""
        if target not in self.targets:
            path = self.folder / history.file_name(target).replace(".html", ".json")
            kept = _json(path) if len(self.known) and path.is_file() else {}
            self.targets[target] = {"total": 0, "runs": [], "moves": [], **kept}
        kept = self.targets[target]
        kept["total"] += new
        for name, wanted, most in (("runs", True, history.SHOWN), ("moves", short["changed"], history.MOVES)):
            at = next((n for n, one in enumerate(kept[name]) if one["id"] == short["id"]), None)
            if at is not None:
                kept[name][at : at + 1] = [short] if wanted else []
            elif wanted:
                kept[name] = [short, *kept[name]][:most]

    def _write(self) -> None:
        """There is no state while anything is written: a call that is killed is followed by one from scratch."""
        (self.folder / _STATE).unlink(missing_ok=True)
        if len(self.known) == self.read:
            for path in self.folder.glob("target-*"):
                path.unlink()
        for name, kept in self.targets.items():
            page = self.folder / history.file_name(name)
            _write(page.with_suffix(".json"), json.dumps({"name": name, **kept}).encode())
            _write(page, pages.target(name, kept["runs"], kept["moves"], kept["total"]).encode())
        self.names |= set(self.targets)
        head, tail = (part.encode() for part in pages.index(len(self.known), self.names))
        _write(self.where / "index.html", head, _BEGIN, b"\n".join(self.rows), _END, tail)
        _write(self.folder / _NAMES, "\n".join(self.known).encode())
        state = {"version": pages.version(), "open": sorted(self.open), "targets": sorted(self.names)}
        _write(self.folder / _STATE, json.dumps(state).encode())


def update(where: Path, *, anew: bool = False) -> Report:
    """Bring the pages of a folder of records up to date; `anew` takes nothing from what an earlier call kept.

    Several processes may call this at the same time. Changes no record.
    """
    if not where.is_dir():
        raise ConfigError(f"{where} is no folder", why="no run has left a record there", do="afdb run discovery")
    (where / FOLDER).mkdir(exist_ok=True)
    with _alone(where / FOLDER / ".lock"):
        return Site(where, anew=anew).update()


def _json(path: Path) -> Mapping[str, Any]:
    """A notebook; empty where it is missing or damaged, since the page is of the record that lacks it."""
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def steps(folder: Path) -> dict[str, float]:
    """How long each step of a record took, of the entries of its journal that can be read."""
    found: dict[str, float] = {}
    try:
        lines = (folder / "journal.jsonl").read_bytes().split(b"\n")
    except OSError:
        return found
    for line in lines:
        if b'"cell.end"' in line:
            try:
                entry = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(entry, dict) and entry.get("event") == "cell.end" and entry.get("status") == "completed":
                found[str(entry.get("cell"))[:60]] = entry.get("seconds", 0.0)
    return found


def _write(path: Path, *data: bytes) -> None:
    """In one step, but not to the disk at once: pages can be made again."""
    staged = path.with_name(f".{path.name}.{os.getpid()}.part")
    with staged.open("wb") as file:
        file.writelines(data)
    staged.replace(path)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
