"""The records that runs have left: read, found, listed, checked. Changes none of them."""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from afdb_helpers import ledger, signing
from afdb_helpers.errors import ConfigError, Refused
from afdb_helpers.report import Report, count
from afdb_helpers.runbook import attestation, checking, listing, record
from afdb_helpers.runbook.record import SUMS
from afdb_helpers.targets import Target, environment

_MODES = {"interactive": "interactive, not an audit record", "trial": "a trial, not an audit record"}
_ID = re.compile(r"\d{8}T\d{6}Z-")
_END = re.compile(rb'^\{"seq": \d+, "at": "[^"]*", "event": "end", "run": "([^"]+)"', re.MULTILINE)
_INTENT = re.compile(rb'^\{"seq": (\d+), "at": "[^"]*", "event": "intent", "run": "([^"]+)"', re.MULTILINE)


def read(folder: Path) -> dict[str, Any]:
    """run.json of a record. Without an end its outcome is `running` while its process lives, else `interrupted`."""
    try:
        data = json.loads((folder / "run.json").read_bytes())
        _sane(data)
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{folder} is not a record", why=f"run.json: {error}", do="`afdb records list`") from None
    if data.get("ended") is None:
        alive = _is_alive(data.get("runner") or {})
        data["outcome"] = "running" if alive else "interrupted"
        data["cause"] = None if alive else "no end was recorded: the process that ran it was killed"
    return dict(data)


def readable(folder: Path) -> dict[str, Any]:
    """The same; one whose run.json is missing or damaged has the outcome `corrupt`, and stops nobody."""
    try:
        return read(folder)
    except ConfigError as error:
        return {"id": folder.name, "outcome": "corrupt", "cause": error.why}


def each(where: Path) -> Iterator[dict[str, Any]]:
    """Every record under `where`, the newest by the ledger's numbers first."""
    for name in ordered(where, names(where)):
        yield readable(where / name)


def ordered(where: Path, found: Iterable[str]) -> list[str]:
    """Ids of records, the newest by the ledger's numbers first."""
    numbers = _numbers(where)
    return listing.ordered({name: numbers.get(name, 0) for name in found})


def names(where: Path) -> list[str]:
    """The folders that are, or were, records."""
    try:
        with os.scandir(where) as entries:
            return [one.name for one in entries if _ID.match(one.name) and one.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []


def is_id(name: str) -> bool:
    """Whether a name is a record's."""
    return bool(_ID.match(name))


def find(where: Path, wanted: str) -> Path:
    """The folder of a record by its id, its path or a unique part of the id."""
    if (Path(wanted) / "run.json").is_file():
        return Path(wanted).resolve()
    found = [p for p in where.glob("*") if wanted in p.name and (p / "run.json").is_file()] if wanted else []
    if len(found) == 1:
        return found[0]
    why = f"{len(found)} of them hold it in their name" if found else f"none in {where} has it in its name"
    raise ConfigError(f"{wanted!r} does not name one record", why=why, do="`afdb records list` shows their ids")


def latest(
    where: Path, runbook: str, *, target: str | None, audited: bool, server: Mapping[str, Any] | None = None
) -> Path | None:
    """The newest record of a runbook that succeeded on a target (None: any); with `audited`, under the engine.

    With `server`, what the server said of itself then has to agree: a name may stand for another database by now.
    """
    for data in each(where):
        known = data.get("target") or {}
        same = target is None or (known.get("name") == target and agrees(data, server or {}))
        good = data["outcome"] == "succeeded" and (data.get("mode") == "engine" or not audited)
        if same and good and data.get("runbook", {}).get("name") == runbook:
            return where / str(data["id"])
    return None


def history(where: Path, runbook: str, which: str, name: str) -> list[dict[str, Any]]:
    """What a record kept as `name`, and before it the same of the oldest one of that database: id, started, data.

    `which` is a record's id, `latest`, or `none`, for which it is empty. Refuses a record that is not what was sealed.
    """
    if which in ("", "none"):
        return []
    chosen = latest(where, runbook, target=None, audited=False) if which == "latest" else find(where, which)
    said = read(chosen) if chosen else {}
    if chosen is None or said.get("runbook", {}).get("name") != runbook:
        why = f"{chosen.name} is a {said['runbook']['name']}" if chosen else f"none in {where} has succeeded"
        raise Refused(f"there is no {runbook} to go by", why=why, do=f"afdb run {runbook}, or name one of its records")
    server = (said.get("target") or {}).get("server") or {}
    key = {fact: server.get(fact) for fact in ("dialect", "system_identifier", "database", "oid")}
    older = [
        data
        for data in each(where)
        if data["outcome"] == "succeeded" and data.get("runbook", {}).get("name") == runbook
        and agrees(data, key) and data["started"] < said["started"] and (where / str(data["id"]) / name).is_file()
    ]  # fmt: skip
    return [
        {"id": data["id"], "started": data["started"], "data": evidence(folder, name)[0]}
        for data, folder in [*((old, where / str(old["id"])) for old in older[-1:]), (said, chosen)]
    ]


def agrees(data: Mapping[str, Any], server: Mapping[str, Any]) -> bool:
    """Whether a record is about the database that says these things of itself."""
    said = (data.get("target") or {}).get("server") or {}
    return all(said.get(key) == value for key, value in server.items())


def table(where: Path) -> Report:
    """All records as a result to show."""
    return listing.table(where, names(where), readable)


def show(folder: Path) -> Report:
    """One record: its facts, and whether its files are still what was sealed."""
    data = read(folder)
    approval, target = data.get("approval") or {}, data.get("target") or {}
    facts = {
        "runbook": data.get("runbook", {}).get("name"),
        "target": target.get("name"),
        "database": target.get("label"),
        "mode": _MODES.get(str(data.get("mode")), data.get("mode")),
        "outcome": data["outcome"],
        "exit code": data.get("exit_code"),
        "cause": data.get("cause"),
        "failing cell": data.get("failing_cell"),
        "started": data.get("started"),
        "ended": data.get("ended"),
        "who": (data.get("who") or {}).get("os_user"),
        "change": approval.get("change_ref"),
        "reason": approval.get("reason"),
        "approved": approval.get("digest"),
        "approved by": approval.get("approver") and f"{approval['approver']} ({_signed(approval)})",
        "evidence": ", ".join(dict.fromkeys(entry["id"] for entry in data.get("evidence") or ())),
        "commit": (data.get("git") or {}).get("sha"),
        "signed by": _signer(folder),
    }
    rows = tuple({"fact": key, "value": value} for key, value in facts.items() if value not in (None, ""))
    checked = check(folder)
    headline = f"{data['id']}: {str(data['outcome']).replace('_', ' ')}"
    if data.get("headline"):
        headline += f", {data['headline']}"
    if data.get("ended") and not checked.ok:  # first of all, as what is shown may be what somebody wrote into it
        headline = f"{checked.headline}: {data['id']} is not what its run left"
    parts = (checked, *(found(folder, data) if checked.ok else ()))
    return Report(headline=headline, ok=checked.ok, rows=rows, remedy=checked.remedy, parts=parts)


def found(folder: Path, data: Mapping[str, Any]) -> tuple[Report, ...]:
    """What a verification found wanting, row by row; nothing of another runbook, or where it did not come to it."""
    if data.get("runbook", {}).get("name") != "verification" or not (folder / "report.json").is_file():
        return ()
    parts = [part for part in json.loads((folder / "report.json").read_bytes())["parts"] if not part["ok"]]
    rows = [tuple(row for row in part["rows"] if row.get("differs", True)) for part in parts]
    return tuple(
        Report(headline=p["headline"], ok=False, rows=r, remedy=p["remedy"]) for p, r in zip(parts, rows, strict=True)
    )


def _signed(approval: Mapping[str, Any]) -> str:
    return "signed" if approval.get("signed") else "not signed"


def _signer(folder: Path) -> str:
    """The name of the listed key that a record is signed by, else the key's id; empty where it is not signed."""
    keyid, listed = attestation.keyid(folder), environment().get("AFDB_SIGNERS")
    if not keyid:
        return ""
    try:
        keys = signing.believed(Path(listed).expanduser()) if listed else {}
        return f"{attestation.read((folder / attestation.NAME).read_bytes(), keys)[2]} (key {keyid[:16]}…)"
    except Refused:
        return f"key {keyid}, which AFDB_SIGNERS does not list"


def check(folder: Path) -> Report:
    """Whether a record is whole: every file with the hash that was sealed, none added, and its journal a chain."""
    if not (folder / SUMS).is_file():
        state = "goes on" if read(folder)["outcome"] == "running" else "was cut off"
        return Report(headline=f"not sealed: the run {state}", ok=False, remedy="afdb records list")
    sealed = record.listed((folder / SUMS).read_bytes())
    if wrong := [{"file": name, "state": state} for name, state in checking.changed(folder, sealed)]:
        headline = f"{wrong[0]['file']} is {wrong[0]['state']} since the record was sealed"
        return Report(headline=headline, ok=False, rows=tuple(wrong), remedy=checking.COPY)
    chain = ledger.check(folder / "journal.jsonl") if "journal.jsonl" in sealed else None
    if chain and not chain.ok:
        return chain
    return Report(headline=f"sealed: {count(len(sealed), 'file')}, as the run left them")


def rehearsed(target: Target, *names: str) -> dict[str, dict[str, Any]]:
    """What the newest good rehearsal for a target, the one that runbook 04 takes, left under these names; empty
    without one.
    """
    folder = latest(record.root(environment()), "rehearsal", target=target.name, audited=target.protected)
    return {name: evidence(folder, name)[0] for name in names} if folder else {}


def evidence(folder: Path, name: str) -> tuple[dict[str, Any], str]:
    """A JSON file of a record with its hash, which must be the sealed one; `Refused` where it is missing or changed."""
    checked = check(folder)
    if not checked.ok or not (folder / name).is_file():
        why = checked.headline if not checked.ok else f"the record holds no {name}"
        raise Refused(f"record {folder.name} is no evidence", why=why, do="make it anew: run that runbook again")
    return json.loads((folder / name).read_bytes()), _sha256(folder / name)


def without_end(where: Path) -> list[str]:
    """The runs that the ledger has an intent of, and no end."""
    try:
        lines = ledger.raw(where / record.LEDGER)
    except OSError:
        return []
    ended = set(_END.findall(lines))
    return [run.decode() for _, run in _INTENT.findall(lines) if run not in ended]


def any_signed(where: Path) -> bool:
    """Whether the ledger names a record that is signed."""
    try:
        return b'"attestation": ' in ledger.raw(where / record.LEDGER)
    except OSError:
        return False


def position(folder: Path) -> str:
    """Where in the ledger a run's intent stands."""
    entries = ledger.read(folder.parent / record.LEDGER)
    found = (one for one in entries if one.get("event") == "intent" and one.get("run") == folder.name)
    return ledger.position(next(found))


def _numbers(where: Path) -> dict[str, int]:
    """The number of every run's intent in the ledger."""
    try:
        lines = ledger.raw(where / record.LEDGER)
    except OSError:
        return {}
    return {run.decode(): int(number) for number, run in _INTENT.findall(lines)}


def _sane(data: Any) -> None:
    """Raise `ValueError` on what is no record's run.json at all; what it says is checked by `records verify`."""
    parts = ("runbook", "who", "target", "approval", "git", "runner")
    if not isinstance(data, dict) or not all(isinstance(data.get(key) or {}, dict) for key in parts):
        raise ValueError("it is not what a run writes")
    if not isinstance(data.get("id"), str) or not isinstance(data.get("outcome"), str | None):
        raise ValueError("it is not what a run writes")


def _is_alive(runner: dict[str, Any]) -> bool:
    """Whether the process that runs it goes on; a process on another host cannot be seen from here."""
    if runner.get("host") != socket.gethostname() or not isinstance(runner.get("pid"), int):
        return False
    try:
        os.kill(runner["pid"], 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not _reused(runner)


def _reused(runner: dict[str, Any]) -> bool:
    """Whether the process id meanwhile belongs to a process that started later than the run."""
    import psutil

    try:
        return bool(psutil.Process(runner["pid"]).create_time() > runner.get("since", float("inf")) + 1)
    except psutil.Error:
        return True


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
