"""How far something long is: bytes, rate and time left, on standard error or handed to the runner of a notebook.

In a terminal one line is written again and again; elsewhere a line every few seconds. A runbook's kernel has no
terminal: what it would say is left in a file of its own folder, and the runner shows it with the cell.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from afdb_helpers.catalog import human

QUIET = 2.0  # seconds before anything is said
EVERY = 5.0  # seconds between two lines where the output is no terminal
OFTEN = 0.5  # seconds between two looks
FILE = "progress"  # in AFDB_KERNEL_DIR


class Counter:
    """Bytes done, counted by whoever moves them, from any thread."""

    def __init__(self) -> None:
        self.done = 0
        self._lock = threading.Lock()

    def __call__(self, size: int) -> None:
        with self._lock:
            self.done += size


@contextlib.contextmanager
def shown(what: str, total: int | None, done: Callable[[], int | None]) -> Iterator[None]:
    """Say every now and then how far the block is. `done` is asked in a thread; None where it cannot tell.

    `total` None: how much there will be is not known, so no time left is said.
    """
    over = threading.Event()
    say = _speaker()
    thread = threading.Thread(target=_watch, args=(what, total, done, over, say), daemon=True, name=f"afdb-{what}")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        say("")


def line(what: str, done: int, total: int | None, seconds: float) -> str:
    """`upload 12.0 MB of 48.0 MB (25 %), 4.0 MB/s, 9 s left`."""
    rate = done / seconds if seconds > 0 else 0.0
    said = f"{what} {human(done)}"
    if total:
        said += f" of {human(total)} ({min(100, round(100 * done / total))} %)"
    said += f", {human(rate)}/s"
    if total and rate and done < total:
        said += f", {_left((total - done) / rate)} left"
    return said


def _left(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _watch(
    what: str,
    total: int | None,
    done: Callable[[], int | None],
    over: threading.Event,
    say: Callable[[str], None],
) -> None:
    begun = time.monotonic()
    while not over.wait(OFTEN):
        seconds = time.monotonic() - begun
        if seconds < QUIET:
            continue
        try:
            moved = done()
        except Exception:  # noqa: S112 (what cannot be seen at the moment is no reason to end the work)
            continue
        if moved is not None:
            say(line(what, moved, total, seconds))


def _speaker() -> Callable[[str], None]:
    """Where lines go; an empty one ends the last."""
    folder = os.environ.get("AFDB_KERNEL_DIR")
    if folder and Path(folder).is_dir():
        return lambda said: _leave(Path(folder), said)
    return _live() if sys.stderr.isatty() else _lines()


def left(kernel: Path | None) -> str:
    """What a kernel's own folder says about how far it is; empty where nothing is going on."""
    with contextlib.suppress(OSError):
        return (kernel / FILE).read_text() if kernel else ""
    return ""


def _leave(folder: Path, said: str) -> None:
    with contextlib.suppress(OSError):
        partial = folder / f"{FILE}.new"
        partial.write_text(said)
        partial.replace(folder / FILE)


def _live() -> Callable[[str], None]:
    from rich.console import Console

    status = Console(stderr=True, highlight=False).status("")

    def say(said: str) -> None:
        if said:
            status.start()
            status.update(said)
        else:
            status.stop()

    return say


def _lines() -> Callable[[str], None]:
    last = [-EVERY]

    def say(said: str) -> None:
        now = time.monotonic()
        if said and now - last[0] >= EVERY:
            last[0] = now
            sys.stderr.write(f"{said}\n")
            sys.stderr.flush()

    return say
