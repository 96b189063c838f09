"""Which cell runs, shown on standard error once a run has gone on for two seconds."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from afdb_helpers.backup import meter

QUIET = 2.0  # seconds before anything is said
EVERY = 5.0  # seconds between two lines about the same cell where the output is no terminal


class Progress:
    """Follows a run: one live line in a terminal; elsewhere a line a cell, and more for a long one."""

    def __init__(self, runbook: str, total: int, kernel: Path | None = None) -> None:
        self.runbook, self.total, self._kernel = runbook, total, kernel
        self._begun = time.monotonic()
        self._number, self._heading = 0, "starting"

    def cell(self, number: int, heading: str) -> None:
        """The cell that runs from now on."""
        self._number, self._heading = number, heading

    @contextlib.asynccontextmanager
    async def shown(self) -> AsyncIterator[None]:
        """Show it while the body runs."""
        task = asyncio.create_task(self._terminal() if sys.stderr.isatty() else self._lines())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def _text(self) -> str:
        seconds = time.monotonic() - self._begun
        said = f"{self.runbook} {self._number}/{self.total} {self._heading} ({seconds:.0f} s)"
        return f"{said}: {moved}" if (moved := meter.left(self._kernel)) else said

    async def _terminal(self) -> None:
        await asyncio.sleep(QUIET)
        from rich.console import Console

        with Console(stderr=True, highlight=False).status(self._text()) as status:
            while True:
                status.update(self._text())
                await asyncio.sleep(0.2)

    async def _lines(self) -> None:
        await asyncio.sleep(QUIET)
        said: tuple[Any, ...] = ()
        while True:
            now = (self._number, int((time.monotonic() - self._begun) // EVERY))
            if now != said:
                said = now
                sys.stderr.write(self._text() + "\n")
                sys.stderr.flush()
            await asyncio.sleep(0.2)
