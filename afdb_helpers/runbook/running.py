"""One run from its record's first byte to its seal: whatever happens in between, run.json and the exit code agree."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from afdb_helpers import signing, targets
from afdb_helpers.errors import AfdbError
from afdb_helpers.report import Report
from afdb_helpers.runbook import attestation, closing, leaks, outcome, parameters, provenance, record, records, shelf
from afdb_helpers.runbook.execution import Execution
from afdb_helpers.runbook.kernels import Kernel, Kernels
from afdb_helpers.runbook.outcome import LEAK, RECORD, Ending, Failure
from afdb_helpers.runbook.record import Record
from afdb_helpers.runbook.request import Request
from afdb_helpers.runbook.signals import Signals

if TYPE_CHECKING:
    from nbformat import NotebookNode
    from securesystemslib.signer import CryptoSigner

    Signer = CryptoSigner | None

NEWEST = 50  # runs whose records are fetched from an object store before a run, as its evidence


@dataclass(frozen=True, kw_only=True, repr=False)
class RunResult(Report):
    """How a run ended. `said` is the headline the notebook closed its run with, or what stopped it."""

    runbook: str
    said: str
    id: str
    folder: Path
    outcome: str
    exit_code: int
    changed: bool | None
    cause: str | None
    failing_cell: str | None
    seconds: float


class Running:
    """A run that has begun: it has a record and a kernel, and it will be ended whatever comes."""

    def __init__(
        self, request: Request, kept: Record, kernel: Kernel, pool: Kernels, signals: Signals, signer: Signer = None,
        *, begun: float,
    ) -> None:  # fmt: skip
        self.request, self.record = request, kept
        self._kernel, self._pool, self._signals, self._signer = kernel, pool, signals, signer
        self._begun, self._seconds = begun, 0.0
        self.notebook = _prepared(request)
        self.outputs: list[Path] = [kept.folder / "notebook.ipynb"]
        self.result: RunResult | None = None

    def perform(self, outputs: Sequence[Path] = ()) -> RunResult:
        """Run the cells and end the record. The notebook is also written to `outputs`, each time in one step."""
        self.outputs.extend(outputs)
        work = Execution(self.request, self.notebook, self.record, self._kernel, self._signals)
        failure: Failure | None = Failure("exception", "the engine itself failed")
        try:
            failure = self._pool.runner.run(work.run(self._save, self._meanwhile))
        finally:
            result = self.end(failure)
        return result

    def end(self, failure: Failure | None) -> RunResult:
        """Stop the kernel, decide how the run ended, seal the record."""
        self._stop_kernel()
        events, failure = self._journal(failure)
        ending = outcome.judge(events, failure, self.request.runbook.steps)
        try:
            self.record.release()
            ending = self._seal(ending, events)
        except Exception as error:  # a full disk above all; whatever it is, the run did not leave its record
            ending = outcome.judge(events, Failure(RECORD, f"{type(error).__name__}: {error}", ending.cell))
            with contextlib.suppress(Exception):
                self._seal(ending, events, upload=False)
        self.result = _result(self.request, self.record, ending, self._seconds)
        write_index(self.record.folder.parent)
        return self.result

    def _stop_kernel(self) -> None:
        """The record is sealed only when nothing can write into it any more."""
        try:
            self._pool.runner.run(self._kernel.stop())
        except Exception:  # whatever the messaging layer has to complain about, the process must go
            self._kernel.kill()

    def _journal(self, failure: Failure | None) -> tuple[list[dict[str, Any]], Failure | None]:
        """What happened, and the failure it amounts to: a secret that had to be masked makes any run fail.

        Where the journal cannot be read, nobody can tell that nothing was changed.
        """
        try:
            events = self.record.events()
        except AfdbError as error:
            return [{"event": "change.intent"}], failure or Failure(RECORD, str(error))
        return events, failure or outcome.masked(events)

    def _seal(self, ending: Ending, events: list[dict[str, Any]], *, upload: bool = True) -> Ending:
        """Write everything that is still missing, the hashes last. A secret found on the way changes the ending."""
        self._write(ending, events)
        if (leak := self._withhold()) is not None:
            ending = outcome.judge(events, leak)
            self._write(ending, events)
            self._withhold()
        closing.tell(self.record, ending, self._signer, attestation.signed(events), upload=upload)
        return ending

    def _write(self, ending: Ending, events: list[dict[str, Any]]) -> None:
        """The notebook, the content of run.json and the page, all telling the same ending."""
        closing.finish_notebook(self.notebook, ending)
        self._save()
        self._set_end(ending, events)
        closing.write_page(self.record, self.notebook, self._signer)

    def _set_end(self, ending: Ending, events: list[dict[str, Any]]) -> None:
        self._seconds = round(time.monotonic() - self._begun, 3)
        closing.end(self.record.data, ending, events)
        self.record.data["seconds"] = self._seconds
        self.record.data = leaks.cleaned(self.record.data, self.request.secrets)[0]

    def _withhold(self) -> Failure | None:
        """Remove every file of the record that holds a secret: what is not there cannot be published."""
        found = self.request.secrets.files(self.record.folder)
        for path in found:
            path.unlink()
        if not found:
            return None
        if any(path.name == "notebook.ipynb" for path in found):
            for output in self.outputs[1:]:
                output.unlink(missing_ok=True)
        places = "; ".join(f"{', '.join(settings)} in {path.name}" for path, settings in found.items())
        names = {path.name for path in found}
        self.record.data["withheld"] = sorted(names | set(self.record.data.get("withheld", ())))
        return Failure(LEAK, f"{places}; removed from the record")

    def _save(self) -> None:
        from nbformat import writes

        data = writes(self.notebook).encode()  # type: ignore[no-untyped-call]
        for path in self.outputs:
            record.write(path, data)

    async def _meanwhile(self) -> None:
        await self._pool.launch_next()
        asyncio.get_running_loop().run_in_executor(None, _import_pages)


def begin(request: Request, pool: Kernels, signals: Signals) -> Running:
    """Open the record and launch the kernel. Where the record cannot be written or signed, nothing is launched."""
    where = record.root(targets.environment())
    signer = make_ready(where)
    book = request.runbook
    values = request.values
    data = {
        "mode": request.mode,
        "runbook": {
            "name": book.name,
            "path": str(book.path),
            "sha256": request.sha256,
            "committed": request.committed,
            "steps": list(book.steps),
        },
        "who": provenance.who(),
        "runner": provenance.runner(),
        "git": provenance.git(book.path.absolute()),
        "versions": provenance.versions(),
        "parameters": values,
        "parameters_given": sorted(request.given),
        "approval": {
            "approver": None,
            "digest": values.get("approve") or None,
            "change_ref": values.get("change_ref") or None,
            "reason": values.get("reason") or None,
        },
        "target": {"name": request.target} if request.target else None,
        "secrets_indistinct": list(request.secrets.indistinct),
        "started": record.now(),
        "ended": None,
        "outcome": None,
        "exit_code": None,
        "cause": None,
        "failing_cell": None,
    }
    begun = time.monotonic()  # as `started`: the kernel's boot is part of the run
    kept = record.begin(where, runbook=book.name, target=request.target, data=data)
    return Running(request, kept, pool.take(), pool, signals, signer, begun=begun)


def make_ready(where: Path) -> Signer:
    """Complete records that were cut off; the key that signs the next, that there is none said where others are."""
    signer = signing.own()
    if signer is None and records.any_signed(where):
        sys.stderr.write(f"{signing.SETTING} is not set: this run is not signed, as records before it are\n")
    _close_abandoned(where)
    return signer


def write_index(where: Path) -> None:
    """Bring the pages of all records up to date; what goes wrong with them is said, and costs no record."""
    from afdb_helpers.runbook import site

    try:
        site.update(where)
    except Exception as error:  # the pages are a view of all records, and no part of this one
        sys.stderr.write(f"{where / 'index.html'} was not written: {type(error).__name__}: {error}\n")


def _close_abandoned(where: Path) -> None:
    """Complete the records of runs that were killed; that one cannot be is said, and stops no other run."""
    try:
        shelf.fetch(where, newest=NEWEST)
        for run in shelf.send_rest(where):
            sys.stderr.write(f"record {run} was not in the store yet; it is now\n")
        closed = closing.close_all(where)
    except Exception as error:
        sys.stderr.write(f"a record without an end was not closed: {type(error).__name__}: {error}\n")
    else:
        for run in closed:
            sys.stderr.write(f"record {run} had no end, since its process was killed; it is closed as interrupted\n")


def _prepared(request: Request) -> NotebookNode:
    """The notebook as it will run: the given values in a cell of their own after the parameters."""
    from nbformat.v4 import new_code_cell

    notebook = copy.deepcopy(request.notebook)
    notebook.metadata["papermill"] = {"parameters": dict(request.given), "start_time": record.now()}
    if request.given:
        source = parameters.injected(request.given)
        cell = new_code_cell(source, id="injected-parameters", metadata={"tags": ["injected-parameters"]})  # type: ignore[no-untyped-call]
        at = next(i for i, c in enumerate(notebook.cells) if "parameters" in c.metadata.get("tags", []))
        notebook.cells.insert(at + 1, cell)
    return notebook


def _result(request: Request, kept: Record, ending: Ending, seconds: float) -> RunResult:
    said = ending.message.splitlines() or [""]
    headline = f"{request.runbook.name}: {ending.outcome.replace('_', ' ')}"
    headline += f" ({ending.cause})" if ending.cause not in (None, "exception") else ""  # `said` holds the exception
    why, do = (_part(said, part) for part in ("why", "do"))
    facts = {"said": said[0], "why": why, "record": kept.id, "exit code": ending.exit_code, "took": f"{seconds:.1f} s"}
    rows = [{"fact": fact, "value": value} for fact, value in facts.items() if value != ""]
    found = records.found(kept.folder, kept.data)
    do = do or (found[0].remedy if found else "")
    return RunResult(
        headline=headline,
        ok=ending.exit_code == 0,
        parts=found,
        runbook=request.runbook.name,
        said=said[0],
        rows=tuple(rows),
        remedy=do or ("" if ending.exit_code == 0 else f"afdb records show {kept.id}"),
        id=kept.id,
        folder=kept.folder,
        outcome=ending.outcome,
        exit_code=ending.exit_code,
        changed=ending.changed,
        cause=ending.cause,
        failing_cell=ending.cell,
        seconds=seconds,
    )


def _part(said: list[str], part: str) -> str:
    """The `why:` or `do:` of an error's text."""
    lines = (line.strip() for line in said)
    return next((line.removeprefix(f"{part}:").strip() for line in lines if line.startswith(f"{part}:")), "")


def _import_pages() -> None:
    from afdb_helpers import pages

    pages.record({}, {"cells": [{"cell_type": "markdown", "source": "."}]})
