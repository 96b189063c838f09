"""What a record gets at its end: from the engine, or afterwards, where the process that ran it was killed.

A run that was killed outright (SIGKILL, no memory, no power) leaves a record without an end. The next run on that
machine, or `afdb records close`, completes it from its journal: interrupted, in the cell that was running.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from afdb_helpers import pages, signing, targets
from afdb_helpers.errors import ConfigError, Refused
from afdb_helpers.runbook import attestation, leaks, outcome, provenance, record, records, session
from afdb_helpers.runbook.outcome import Ending
from afdb_helpers.runbook.record import Record

if TYPE_CHECKING:
    from nbformat import NotebookNode
    from securesystemslib.signer import CryptoSigner

KILLED = 137  # what a shell says of a process that was ended by signal 9
_SIGNS = re.compile(r"[\\`*_{}\[\]<>#|!&]")  # what Markdown would act upon
_MARK = "papermill-error-cell-tag"  # papermill's own name for the cell that says what went wrong


def finish_notebook(notebook: NotebookNode, ending: Ending) -> None:
    """Let the notebook say how its run ended, in its metadata and, where it is no success, in a cell at its top."""
    from nbformat.v4 import new_markdown_cell

    about = notebook.metadata.setdefault("papermill", {})
    about |= {"end_time": record.now(), "exception": ending.exit_code != 0, "cause": ending.cause}
    about |= {"outcome": ending.outcome, "exit_code": ending.exit_code, "failing_cell": ending.cell}
    notebook.cells = [c for c in notebook.cells if _MARK not in c.metadata.get("tags", [])]
    if ending.exit_code:
        told = pages.told({"headline": ending.message, "cause": ending.cause})
        said = (_SIGNS.sub(r"\\\g<0>", line) for line in told)
        where = f" in cell `{ending.cell}`, and cells after it never ran" if ending.cell else ""
        text = f"**{ending.outcome.replace('_', ' ')}**{where}:\n\n" + "  \n".join(said)
        mark = new_markdown_cell(text, id="outcome-mark", metadata={"tags": [_MARK]})  # type: ignore[no-untyped-call]
        notebook.cells.insert(0, mark)


def end(data: dict[str, Any], ending: Ending, events: list[dict[str, Any]]) -> None:
    """Let run.json say how the run ended, and what its journal adds."""
    data |= session.facts(events)
    if data.get("target"):
        data["who"]["database_role"] = (data["target"].get("server") or {}).get("role")
    data |= {"ended": record.now(), "outcome": ending.outcome, "exit_code": ending.exit_code}
    data |= {"changed": ending.changed, "cause": ending.cause, "failing_cell": ending.cell, "headline": ending.message}


def write_page(kept: Record, notebook: Mapping[str, Any], signer: CryptoSigner | None) -> None:
    """report.html, a view of the record, which `signer` will sign: a defect in it must not cost the record."""
    try:
        page = pages.record(kept.data | {"signed_by": signer.public_key.keyid if signer else ""}, notebook)
    except Exception as error:
        kept.data["page_error"] = f"not made: {type(error).__name__}"
    else:
        record.write(kept.folder / "report.html", page.encode())


def seal(kept: Record, ending: Ending, signer: CryptoSigner | None, signed: Mapping[str, Any], **more: Any) -> None:
    """Take out what holds a secret, then seal the record."""
    found = leaks.known(targets.environment()).files(kept.folder)
    for path in found:
        path.unlink()
    if found:
        kept.data["withheld"] = sorted(path.name for path in found)
    tell(kept, ending, signer, signed, **more)


def tell(
    kept: Record, ending: Ending, signer: CryptoSigner | None, signed: Mapping[str, Any], *, upload: bool = True,
    **more: Any,
) -> None:  # fmt: skip
    """Let the journal and the ledger say how the run ended, and seal the record; `more` goes into both."""
    said = {"outcome": ending.outcome, "exit_code": ending.exit_code}
    kept.note("run.end", **said, cause=ending.cause, **more)
    entry = {"event": "end", "run": kept.id, **said, **more}
    kept.seal(ledger_entry=entry, signer=signer, signed=signed, upload=upload)


def abandoned(where: Path) -> list[Path]:
    """Records that the ledger has no end of, and whose process on this machine is dead."""
    return [where / run for run in records.without_end(where) if _is_abandoned(where / run)]


def close(folder: Path) -> Record:
    """Complete the record of a run that was killed. Raises `Refused` where it goes on, or has ended."""
    with _alone(folder):
        if not _is_abandoned(folder):
            raise Refused(
                f"record {folder.name} is not closed",
                why="its run has ended or goes on, or another machine ran it, which alone can tell",
                do=f"afdb records show {folder.name}",
            )
        return _close(Record(folder, json.loads((folder / "run.json").read_bytes())))


def close_all(where: Path) -> list[str]:
    """Complete every record whose process was killed; returns their ids."""
    closed = []
    for folder in abandoned(where):
        with contextlib.suppress(Refused):  # another process was quicker
            closed.append(close(folder).id)
    return closed


def _close(kept: Record) -> Record:
    import nbformat

    kept.release()
    for part in kept.folder.glob(".*.part"):
        part.unlink()
    events = kept.events()
    running = _running_cell(events)
    said = f"the process that ran it was killed{f' in cell {running}' if running else ''}"
    signer = signing.own()
    ending = Ending(outcome.INTERRUPTED, KILLED, outcome.changed(events), "killed", running, said)
    end(kept.data, ending, events)
    closed = {"by": provenance.who()["os_user"], "host": socket.gethostname(), "at": record.now()}
    kept.data |= {"ended": events[-1]["at"], "closed": closed}
    kept.data.setdefault("ledger", records.position(kept.folder))
    with contextlib.suppress(OSError, ValueError):  # killed before its first cell, it has no notebook
        notebook = nbformat.read(kept.folder / "notebook.ipynb", as_version=4)  # type: ignore[no-untyped-call]
        for cell in notebook.cells:
            about = cell.metadata.get("papermill", {})
            if about.get("status") == "running":
                about |= {"status": "failed", "exception": True}
        finish_notebook(notebook, ending)
        record.write(kept.folder / "notebook.ipynb", nbformat.writes(notebook).encode())  # type: ignore[no-untyped-call]
        write_page(kept, notebook, signer)
    seal(kept, ending, signer, attestation.signed([]), closed=True)
    return kept


def _running_cell(events: list[dict[str, Any]]) -> str | None:
    """The cell whose start is in the journal without its end."""
    begun = [event["cell"] for event in events if event["event"] == "cell.start"]
    ended = {event["cell"] for event in events if event["event"] == "cell.end"}
    return next((cell for cell in reversed(begun) if cell not in ended), None)


def _is_abandoned(folder: Path) -> bool:
    try:
        data = records.read(folder)
    except ConfigError:
        return False
    here = (data.get("runner") or {}).get("host") == socket.gethostname()
    return here and data.get("ended") is None and data["outcome"] != "running"


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Whoever closes a record is the only one; a second waits, and then finds it closed."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
