"""Signals to the runner, taken while a run goes on: it is wound down, its record is ended, then the process leaves."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

TAKEN = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Signals:
    """A context in which SIGINT, SIGTERM and SIGHUP are noted instead of ending the process.

    A signal that is ignored already (nohup, a background job) stays ignored. Outside the main thread, where Python
    allows no handlers, nothing is taken.
    """

    def __init__(self) -> None:
        self.received: list[int] = []
        self._before: dict[int, Any] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._arrived: asyncio.Event | None = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for signum in TAKEN:
                if signal.getsignal(signum) is not signal.SIG_IGN:
                    self._before[signum] = signal.signal(signum, self._take)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for signum, handler in self._before.items():
            signal.signal(signum, handler)

    async def wait(self, number: int = 1) -> None:
        """Return when at least `number` signals have come."""
        self._loop, self._arrived = asyncio.get_running_loop(), self._arrived or asyncio.Event()
        while len(self.received) < number:
            await self._arrived.wait()
            self._arrived.clear()

    def _take(self, signum: int, frame: FrameType | None) -> None:
        self.received.append(signum)
        if self._loop is not None and self._arrived is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: the run has ended
                self._loop.call_soon_threadsafe(self._arrived.set)
