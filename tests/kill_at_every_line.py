"""Run by test_backup: a dump or a proof killed by SIGKILL at every n-th line of the package, each in a fork.

Arguments: dump or prove, the target's URL, the store, the step between two lines. Writes how many forks were killed,
then, for proofs, the states that the backup was seen in after each.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from afdb_helpers import backup, targets
from afdb_helpers.backup import Backup, sealed, store

OURS = str(Path(backup.__file__).parent)


def dying_at(line: int, work: Callable[[], object]) -> int:
    """Work while counting the lines of ours that are executed; dies at the given one. Returns the count."""
    seen = 0

    def tracer(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal seen
        if not frame.f_code.co_filename.startswith(OURS):
            return None
        if event == "line":
            seen += 1
            if seen == line:
                os.kill(os.getpid(), signal.SIGKILL)
        return tracer

    sys.settrace(tracer)
    try:
        work()
    finally:
        sys.settrace(None)
    return seen


def killed_at_every(step: int, work: Callable[[], object], after: Callable[[], None]) -> int:
    """The number of forks that were killed, one for every `step`-th line."""
    killed = 0
    for line in range(1, dying_at(0, work) + 1, step):
        after()
        child = os.fork()
        if child == 0:
            dying_at(line, work)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        killed += os.WIFSIGNALED(status)
    return killed


def main() -> None:
    what, url, folder, step = sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4])
    target = targets.parse("default", url, {})
    states: set[str] = set()

    def dump() -> Backup:
        return backup.dump(target, store=folder)

    def look() -> None:
        states.add(store.read(made.path).state)
        (made.path / sealed.PROOF).unlink(missing_ok=True)

    if what == "dump":
        killed = killed_at_every(step, dump, lambda: None)
    else:
        made = dump()
        killed = killed_at_every(step, lambda: backup.prove(made), look)
        look()
    sys.stdout.write(" ".join([str(killed), *sorted(states)]))


if __name__ == "__main__":
    main()
