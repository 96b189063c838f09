"""The six runbooks of the demo against six runs of an empty notebook by stock papermill, in one run.

What a user would pick instead of our engine is `papermill in.ipynb out.ipynb`, one process a notebook. Ours does the
demo's whole work (discover, back up, prove, rehearse, migrate, verify, price) besides running six notebooks.
Prints both times, round by round, and the ratio; aims for 1.5, must be ≤ 2.0.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROUNDS = 3
BIN = Path(sys.executable).parent


def seconds(*command: str, cwd: Path) -> float:
    started = time.monotonic()
    subprocess.run(command, check=True, cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.monotonic() - started


def stock(folder: Path) -> float:
    """Six runs of an empty notebook, as a user would start them."""
    empty = folder / "empty.ipynb"
    cell: dict[str, object] = {
        "cell_type": "code",
        "id": "one",
        "source": "1",
        "metadata": {},
        "outputs": [],
        "execution_count": None,
    }
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    empty.write_text(json.dumps({"cells": [cell], "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}))
    return sum(seconds(str(BIN / "papermill"), str(empty), str(folder / "out.ipynb"), cwd=folder) for _ in range(6))


def main() -> None:
    root = Path(__file__).resolve().parents[1]
    ratios = []
    print("round   six runbooks   six empty, stock   ratio")
    with tempfile.TemporaryDirectory() as folder:
        for number in range(1, ROUNDS + 1):
            theirs = stock(Path(folder))
            ours = seconds(str(BIN / "afdb"), "demo", cwd=root)
            ratios.append(ours / theirs)
            print(f"{number:5}   {ours:10.1f} s   {theirs:14.1f} s   {ratios[-1]:5.2f}", flush=True)
    print(f"median ratio {statistics.median(ratios):.2f} (must be ≤ 2.00)")


if __name__ == "__main__":
    main()
