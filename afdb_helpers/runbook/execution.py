"""The cells, one after the other, each with a status that is true: what never ran stays pending."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from afdb_helpers.errors import Unavailable
from afdb_helpers.runbook import leaks
from afdb_helpers.runbook.kernels import Kernel
from afdb_helpers.runbook.outcome import RECORD, Failure
from afdb_helpers.runbook.progress import Progress
from afdb_helpers.runbook.record import Record, now
from afdb_helpers.runbook.request import Request
from afdb_helpers.runbook.signals import Signals

if TYPE_CHECKING:
    from nbclient import NotebookClient
    from nbformat import NotebookNode

GRACE = 8.0  # seconds between interrupting a cell and killing its kernel
_REWRITTEN = re.compile(r"[^\n]*\r(?=[^\n])")


class Execution:
    """One notebook on one kernel. `save` writes the notebook; it is called when a cell starts."""

    def __init__(
        self, request: Request, notebook: NotebookNode, record: Record, kernel: Kernel, signals: Signals
    ) -> None:
        self._request, self._notebook, self._record = request, notebook, record
        self._kernel, self._signals = kernel, signals
        self._stop: asyncio.Task[None]

    async def run(self, save: Callable[[], None], meanwhile: Callable[[], Any]) -> Failure | None:
        """Run every code cell; None when all completed. `meanwhile` is awaited once the kernel works."""
        code = [(i, cell) for i, cell in enumerate(self._notebook.cells) if cell.cell_type == "code"]
        for _, cell in code:
            cell.metadata["papermill"] = {"status": "pending", "exception": None}
        progress = Progress(self._request.runbook.name, len(code), self._kernel.folder)
        self._stop = asyncio.create_task(self._signals.wait())
        try:
            async with progress.shown():
                failure = await self._boot()
                if failure is None:
                    await meanwhile()
                for number, (index, cell) in enumerate(code, 1):
                    if failure is not None:
                        break
                    progress.cell(number, heading(self._notebook, index))
                    failure = await self._recorded(index, cell, save)
        finally:
            self._stop.cancel()
        return failure

    async def _boot(self) -> Failure | None:
        position = str(self._record.data.get("ledger", ""))
        limit = self._request.start_timeout
        ready = asyncio.create_task(self._kernel.ready(self._record.folder, timeout=limit, position=position))
        await asyncio.wait({ready, self._stop}, return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            ready.cancel()
            with suppress(asyncio.CancelledError):
                await ready
            return self._interrupted(None)
        if isinstance(error := ready.exception(), Unavailable):
            return Failure("kernel did not start", str(error))
        ready.result()
        self._client = self._notebook_client()
        return None

    async def _recorded(self, index: int, cell: NotebookNode, save: Callable[[], None]) -> Failure | None:
        """Run a cell between two entries of the journal; a journal that cannot be written stops the run."""
        if self._signals.received:
            return self._interrupted(None)
        about = cell.metadata["papermill"]
        about |= {"status": "running", "start_time": now()}
        begun, completed = time.monotonic(), False
        try:
            save()
            self._record.note("cell.start", cell=cell.id)
            completed, failure = await self._execute(index, cell)
        except OSError as error:
            failure = _not_recorded(error, cell)
        about |= {"status": "completed" if completed else "failed", "exception": not completed, "end_time": now()}
        about["duration"] = round(time.monotonic() - begun, 3)
        cell.outputs, masked = tidy(cell.outputs, self._request.secrets)
        self._client.clear_display_id_mapping(index)  # outputs were merged: a later cell cannot update them by number
        try:
            for setting in sorted(masked):
                self._record.note("secret.masked", place=f"output of cell {cell.id}", settings=[setting])
            self._record.note("cell.end", cell=cell.id, status=about["status"], seconds=about["duration"])
        except OSError as error:
            failure = failure or _not_recorded(error, cell)
        return failure

    async def _execute(self, index: int, cell: NotebookNode) -> tuple[bool, Failure | None]:
        """Whether the cell came to its end, and why the run has to stop."""
        task = asyncio.create_task(self._client.async_execute_cell(cell, index))
        limit = self._request.cell_timeout
        done, _ = await asyncio.wait({task, self._stop}, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
        if task in done:
            failure = self._named(task, cell)
            return failure is None, failure
        timed_out = self._stop not in done
        completed = await self._wind_down(task)
        if timed_out:
            said = f"cell {cell.id} took longer than {limit:g} s and was interrupted"
            return completed, Failure("timeout", said, cell.id)
        return completed, self._interrupted(cell.id)

    async def _wind_down(self, task: asyncio.Task[Any]) -> bool:
        """Interrupt the cell, so that it rolls back; after the grace, or at a second signal, kill the kernel.

        Whether the cell came to its end all the same: it may have been about to, or have caught the interrupt.
        """
        await self._kernel.interrupt()
        again = asyncio.create_task(self._signals.wait(len(self._signals.received) + 1))
        await asyncio.wait({task, again}, timeout=GRACE, return_when=asyncio.FIRST_COMPLETED)
        again.cancel()
        if not task.done():
            self._kernel.kill()
            task.cancel()
            await asyncio.wait({task}, timeout=3)
        return task.done() and not task.cancelled() and task.exception() is None

    def _named(self, task: asyncio.Task[Any], cell: NotebookNode) -> Failure | None:
        """Why a cell that ended by itself failed, None where it completed."""
        from nbclient.exceptions import CellExecutionError, DeadKernelError

        error = task.exception()
        if error is None:
            return self._swallowed(cell)
        if isinstance(error, DeadKernelError):
            said = f"; it said: {self._kernel.said()}" if self._kernel.said() else ""
            ended = f"the kernel died in cell {cell.id} ({self._kernel.ended_by()})"
            return Failure("kernel died", self._masked(ended + said), cell.id)
        if not isinstance(error, CellExecutionError):
            return Failure("exception", self._masked(f"{type(error).__name__}: {error}"), cell.id)
        if error.ename == "KeyboardInterrupt":
            return Failure("interrupted", f"cell {cell.id} was interrupted", cell.id, signum=2)
        cause = "sys.exit" if error.ename == "SystemExit" else "exception"
        ours = f"{error.ename}: {error.evalue}" if error.evalue else str(error.ename)
        return Failure(cause, self._masked(ours), cell.id, ename=error.ename)

    def _swallowed(self, cell: NotebookNode) -> Failure | None:
        """A cell that shows an error and goes on has failed, whatever it says."""
        shown = next((output for output in cell.outputs if output.output_type == "error"), None)
        if shown is None:
            return None
        said = f"{shown.ename}: {shown.evalue} (cell {cell.id} showed it and went on)"
        return Failure("exception", self._masked(said), cell.id)

    def _interrupted(self, cell: str | None) -> Failure:
        signum = self._signals.received[0]
        name = {1: "SIGHUP", 2: "SIGINT", 15: "SIGTERM"}.get(signum, str(signum))
        where = f"in cell {cell}" if cell else "between two cells"
        return Failure("interrupted", f"{name} came {where}", cell, signum=signum)

    def _masked(self, text: str) -> str:
        return self._request.secrets.mask(text)

    def _notebook_client(self) -> NotebookClient:
        from nbclient import NotebookClient

        client = NotebookClient(
            self._notebook,
            km=self._kernel.manager,
            timeout=None,
            force_raise_errors=True,
            skip_cells_with_tag="",
            store_widget_state=False,
            record_timing=False,
        )
        client.kc = self._kernel.client
        return client


def tidy(outputs: list[NotebookNode], secrets: leaks.Known) -> tuple[list[NotebookNode], set[str]]:
    """Outputs as a record keeps them: a stream is one output, a rewritten line its last state, no secret in any."""
    from nbformat import from_dict

    merged: list[NotebookNode] = []
    for output in outputs:
        last = merged[-1] if merged else None
        if last is not None and output.output_type == "stream" == last.output_type and output.name == last.name:
            last.text += output.text
        else:
            merged.append(output)
    for output in merged:
        if output.output_type == "stream":
            output.text = _REWRITTEN.sub("", output.text)
    kept, found = leaks.cleaned(merged, secrets)
    return [from_dict(output) for output in kept], found  # type: ignore[no-untyped-call]


def heading(notebook: NotebookNode, index: int) -> str:
    """The heading above a cell."""
    for cell in reversed(notebook.cells[:index]):
        if cell.cell_type == "markdown" and (found := re.search(r"^#+\s+(.+)$", cell.source, re.MULTILINE)):
            return found[1].strip()
    return "first cells"


def _not_recorded(error: OSError, cell: NotebookNode) -> Failure:
    return Failure(RECORD, f"{error.strerror or error} ({error.filename or 'journal'})", cell.id)
