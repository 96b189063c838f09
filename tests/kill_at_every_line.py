"""Run by test_backup: a dump killed by SIGKILL at every n-th line of the package that makes it, each in a fork.

Arguments: the target's URL, the store, the step between two lines. Writes how many forks were killed.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from afdb_helpers import backup, targets

OURS = str(Path(backup.__file__).parent)


def dump_dying_at(line: int, url: str, store: Path) -> int:
    """Dump while counting the lines of ours that are executed; dies at the given one. Returns the count."""
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
        backup.dump(targets.parse("default", url, {}), store=store)
    finally:
        sys.settrace(None)
    return seen


def main() -> None:
    url, store, step = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    total = dump_dying_at(0, url, store)
    killed = 0
    for line in range(1, total + 1, step):
        child = os.fork()
        if child == 0:
            dump_dying_at(line, url, store)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        killed += os.WIFSIGNALED(status)
    sys.stdout.write(f"{killed}\n")


if __name__ == "__main__":
    main()
