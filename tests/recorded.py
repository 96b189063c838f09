"""Records of tests' own, written by the engine's code without a kernel; and what a forger can do to them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from afdb_helpers import ledger
from afdb_helpers.runbook import attestation, provenance, record, steps
from afdb_helpers.runbook.record import LEDGER, SUMS, Record

STEPS = ["begin", "look: before.json", "close"]


def begun(runbook: str = "backup", target: str | None = "staging") -> dict[str, Any]:
    """What run.json says of a run of the engine that has begun."""
    return {
        "mode": "engine",
        "runbook": {"name": runbook, "path": f"/{runbook}.ipynb", "sha256": "0" * 64, "committed": True, "steps": []},
        "who": {"os_user": "ann", "git_author": None, "ci_actor": None, "ci_run_url": None, "database_role": None},
        "runner": provenance.runner(),
        "git": {"sha": None, "dirty": None},
        "versions": {"python": "3"},
        "parameters": {},
        "parameters_given": [],
        "approval": {"digest": None, "approver": None, "change_ref": None, "reason": None},
        "target": {"name": target} if target else None,
        "secrets_indistinct": [],
        "started": record.now(),
        "ended": None,
        "outcome": None,
        "exit_code": None,
        "cause": None,
        "failing_cell": None,
    }


def ended(outcome: str = "succeeded") -> dict[str, Any]:
    """What is added when it has ended."""
    code = {"succeeded": 0, "refused": 3, "failed_unchanged": 1, "failed_changed": 5, "interrupted": 130}[outcome]
    said = {"ended": record.now(), "seconds": 1.5, "outcome": outcome, "exit_code": code, "changed": False}
    return said | {"headline": "done", "evidence": [], "cause": None if code == 0 else "exception"}


def whole(
    where: Path, *, signer: Any = None, skip: str = "", files: Mapping[str, str] | None = None, **data: Any
) -> Record:
    """A record with every file that a run leaves, and `files`, sealed; `skip` names a step that is not done."""
    kept = record.begin(where, runbook="backup", target="staging", data=begun())
    kept.data["runbook"]["steps"] = STEPS
    for step, marks in steps.parsed(STEPS).items():
        if step != skip:
            kept.note("cell.start", cell=step)
            for mark in marks:
                record.write(kept.folder / mark, record.as_json({"rows": 3}))
                kept.note("kept", file=mark, sha256="0" * 64)
            kept.note("cell.end", cell=step, status="completed", seconds=0.1)
    for name, text in {"notebook.ipynb": '{"cells": []}', "report.html": "<p>done</p>", **(files or {})}.items():
        record.write(kept.folder / name, text.encode())
    kept.release()
    kept.data |= ended() | data
    said = {key: kept.data[key] for key in ("outcome", "exit_code")}
    kept.note("run.end", **said)
    kept.seal(ledger_entry={"event": "end", "run": kept.id, **said}, signer=signer, signed=attestation.signed([]))
    return kept


def sum_anew(folder: Path) -> None:
    """Write SHA256SUMS over what stands there now, as a forger would."""
    names = sorted(p.name for p in folder.iterdir() if p.name not in (SUMS, attestation.NAME))
    lines = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    (folder / SUMS).write_text("".join(lines))


def chain_anew(where: Path, entries: list[dict[str, Any]] | None = None) -> None:
    """Write the ledger so that it holds the sums as they stand now, and its chain is whole."""
    entries = ledger.read(where / LEDGER) if entries is None else entries
    (where / LEDGER).unlink()
    for entry in entries:
        sums = where / str(entry.get("run")) / SUMS
        if "sha256sums" in entry and sums.exists():
            entry["sha256sums"] = hashlib.sha256(sums.read_bytes()).hexdigest()
        ledger.append(where / LEDGER, entry)


def edit(path: Path, **facts: Any) -> None:
    """Change what a JSON file says."""
    path.write_bytes(record.as_json(json.loads(path.read_bytes()) | facts))
