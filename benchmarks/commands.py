"""What a command costs before it does anything: `--help`, and an upgrade with nothing to do, against `alembic`.

Prints each pair's median and their ratio; both in turn, so that a machine whose speed drifts drifts for both.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROUNDS = 9
ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent


def seconds(environment: dict[str, str], *command: str) -> float:
    started = time.monotonic()
    subprocess.run(
        [str(BIN / command[0]), *command[1:]], check=True, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    return time.monotonic() - started


def compare(title: str, limit: float, environment: dict[str, str], ours: list[str], theirs: list[str]) -> None:
    for command in (ours, theirs):
        seconds(environment, *command)  # a first run reads files that later ones find in memory
    pairs = [(seconds(environment, *ours), seconds(environment, *theirs)) for _ in range(ROUNDS)]
    mine, other = (statistics.median(pair[side] for pair in pairs) for side in (0, 1))
    ratio = statistics.median(a / b for a, b in pairs)
    print(f"{title:32} {mine:6.3f} s   {other:6.3f} s   {ratio:5.2f}   (must be ≤ {limit})", flush=True)


def main() -> None:
    print(f"{'':32} {'afdb':>8}   {'alembic':>8}   ratio")
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "DATABASE_URL": f"sqlite:///{folder}/up_to_date.db"}
        seconds(environment, "alembic", "upgrade", "head")
        compare("--help", 0.5, environment, ["afdb", "--help"], ["alembic", "--help"])
        compare("upgrade, nothing to do", 1.8, environment, ["afdb", "upgrade"], ["alembic", "upgrade", "head"])


if __name__ == "__main__":
    main()
