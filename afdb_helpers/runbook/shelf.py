"""Records in an object store: worked on in a folder of this machine, each uploaded once, chained by conditional writes.

    ledger/00000001.json   one object an entry, never written over: the store itself decides who writes the next one
    ID/run.json …          a record's files, uploaded before the ledger is told of its end

The folder of this machine holds a copy of the ledger and the records that ran or were read here. A file `.store` in it
says where it belongs. What could not be uploaded stands in `.unsent/ID`, and goes with the next run or command.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from afdb_helpers import ledger
from afdb_helpers.errors import Unavailable

if TYPE_CHECKING:
    from afdb_helpers.backup.remote import Remote

MARK, UNSENT, LEDGER = ".store", ".unsent", "ledger.jsonl"
_NAMED = {"what": "store of the records", "setting": "AFDB_RECORDS"}
_AHEAD = 16  # entries asked for at once


def folder(url: str, settings: Mapping[str, str]) -> Path:
    """The folder of this machine for the records at a URL. Raises `ConfigError` where the URL holds a password."""
    from afdb_helpers.backup.remote import checked

    url = checked(url, **_NAMED)
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "afdb" / "records"
    root = Path(settings.get("AFDB_RECORDS_CACHE") or default).expanduser().absolute()
    where = root / hashlib.sha256(url.encode()).hexdigest()[:12]
    if not (where / MARK).is_file():
        with suppress(OSError):  # whoever then writes a record is told why it cannot be
            where.mkdir(parents=True, exist_ok=True, mode=0o700)
            (where / MARK).write_text(url)
    return where


def behind(where: Path) -> Remote | None:
    """The store that a folder of records belongs to; None for a folder of its own."""
    try:
        url = (where / MARK).read_text()
    except (FileNotFoundError, NotADirectoryError):
        return None
    from afdb_helpers.backup.remote import Remote

    return Remote(url, **_NAMED)


def append(where: Path, entry: Mapping[str, Any]) -> dict[str, Any]:
    """Add an entry to the ledger of a folder and, first, of its store; it is durable there when this returns.

    In the store the next number is taken by writing an object that must not be there yet; who comes second reads what
    the first has written, and chains to that. Raises `Unavailable` where the store does not answer, or would let an
    entry be written over.
    """
    store = behind(where)
    if store is None:
        return ledger.append(where / LEDGER, entry)
    while True:
        last = pull_ledger(where, store)
        written = ledger.following(last, entry)
        if store.create(_name(written["seq"]), ledger.line(written)):
            ledger.copy(where / LEDGER, [ledger.line(written)])
            return written


def pull_ledger(where: Path, store: Remote) -> bytes:
    """Copy the entries that are in the store and not here yet; the last line there is, empty where there is none."""
    mine = ledger.lines(where / LEDGER) if (where / LEDGER).exists() else []
    if not mine:
        _insist_on_conditions(store)
    for start in itertools.count(len(mine) + 1, _AHEAD):
        names = [_name(number) for number in range(start, start + _AHEAD)]
        found = store.small(names)
        new = list(itertools.takewhile(lambda raw: raw is not None, (found.get(name) for name in names)))
        ledger.copy(where / LEDGER, [raw for raw in new if raw is not None])
        mine += [raw for raw in new if raw is not None]
        if len(new) < _AHEAD:
            return mine[-1] if mine else b""
    raise AssertionError("count never ends")


def send(record: Path, staged: Mapping[str, Path] = MappingProxyType({})) -> None:
    """Upload a record's files, each once, run.json and what seals it last; `staged` are not in place yet."""
    store = behind(record.parent)
    assert store is not None
    last = ["run.json", "SHA256SUMS", "attestation.json"]
    files = {path.relative_to(record).as_posix(): path for path in record.rglob("*") if path.is_file()}
    files |= staged
    for name in sorted(files, key=lambda name: (last.index(name) if name in last else -1, name)):
        if not name.startswith("."):
            store.put(files[name], f"{record.name}/{name}", lambda _: None)


def keep_for_later(record: Path, entry: Mapping[str, Any]) -> None:
    """Remember the end of a run that the store has not been told of."""
    (record.parent / UNSENT).mkdir(exist_ok=True)
    (record.parent / UNSENT / record.name).write_text(json.dumps(dict(entry)))


def send_rest(where: Path) -> list[str]:
    """Upload what could not be uploaded before; the ids of the records that are in the store now."""
    sent = []
    for path in sorted((where / UNSENT).glob("*")):
        send(where / path.name)
        append(where, json.loads(path.read_bytes()))
        path.unlink()
        sent.append(path.name)
    return sent


def fetch(where: Path, *, newest: int | None = None) -> Path:
    """Copy the entries and records from the store that are not here yet, of the `newest` runs only or of all."""
    store = behind(where)
    if store is None:
        return where
    pull_ledger(where, store)
    begun = [entry["run"] for entry in ledger.read(where / LEDGER) if entry.get("event") == "intent"]
    wanted = set(begun[-newest:] if newest else begun)
    for name, files in store.ids().items():
        if "-" in name and not (where / name).is_dir() and (newest is None or name in wanted):
            part = where / f".fetching-{os.getpid()}-{name}"
            for file in files:
                store.get(f"{name}/{file}", part / file, lambda _: None)
            part.rename(where / name)
    return where


def copy(where: Path, to: Path) -> Path:
    """All that the store holds now, in a new folder: what stands there is checked, not what was copied before."""
    (to / MARK).write_text((where / MARK).read_text())
    return fetch(to)


def _name(number: int) -> str:
    return f"ledger/{number:08d}.json"


def _insist_on_conditions(store: Remote) -> None:
    """A store that writes over an object although it was told not to would lose entries: it is refused."""
    name, said = _name(0), b'{"afdb": "ledger", "format": 1}\n'
    if store.create(name, said) and store.create(name, said):
        raise Unavailable(
            f"the store of the records {store.url} cannot hold a ledger",
            why="it wrote over an object although it was asked not to (If-None-Match), so entries could be lost",
            do="use a store with conditional writes, as S3 has them, or a folder",
        )
