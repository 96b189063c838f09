"""What the pages over all records cost: one more record with 100 and with 10,000 there, and the filter in Chromium.

Prints seconds and their ratio, the size of the page packed, and how long a keystroke in the search takes until the page
is laid out again. The limits: a ratio of 1 (within noise), 1 MB, one frame of 16.7 ms.
"""

from __future__ import annotations

import gzip
import itertools
import json
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from afdb_helpers import ledger
from afdb_helpers.runbook import record, shape, site

AFDB = Path(sys.executable).with_name("afdb")
FEW, MANY, ROUNDS = 100, 10_000, 7
BOOKS = ("discovery", "backup", "rehearsal", "migration", "verification")
TARGETS = ("production", "staging", "eu", "us", "default")
OUTCOMES = ("succeeded",) * 8 + ("refused", "failed_unchanged")
FIRST = datetime(2025, 1, 1, tzinfo=UTC)
ASK = """([selector, value]) => { const field = document.querySelector(selector), begun = performance.now();
  field.value = value; field.dispatchEvent(new Event("input")); document.body.getBoundingClientRect();
  return performance.now() - begun; }"""
_numbers = itertools.count()


def leave(where: Path) -> None:
    """A record as a run leaves it, small, one of a few thousand that differ."""
    number = next(_numbers)
    dice = random.Random(number)
    book, target, outcome = dice.choice(BOOKS), dice.choice(TARGETS), dice.choice(OUTCOMES)
    begun = FIRST + timedelta(minutes=50 * number)
    folder = where / f"{begun:%Y%m%dT%H%M%SZ}-{book}-{target}-{dice.randrange(65536):04x}"
    folder.mkdir(parents=True)
    data = run(folder.name, book, target, outcome, begun, dice)
    shape.check(data)
    (folder / "run.json").write_bytes(record.as_json(data))
    (folder / "report.html").write_text("<!doctype html><title>a record</title>")
    for step in ("begin", "plan", "before", "migrate", "after"):
        line = {
            "event": "cell.end",
            "cell": step,
            "status": "completed",
            "seconds": round(dice.lognormvariate(1, 1), 3),
        }
        with (folder / "journal.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")


def run(id_: str, book: str, target: str, outcome: str, begun: datetime, dice: random.Random) -> dict[str, Any]:
    moved = {"from": ["001"], "to": ["002"]} if book == "migration" else None
    code = {"succeeded": 0, "refused": 3, "failed_unchanged": 1}[outcome]
    who = {"os_user": dice.choice(("ada", "bob", "carol", "deploy")), "git_author": None, "ci_actor": None}
    rows, seconds = dice.randrange(10**7), round(dice.lognormvariate(3, 1), 3)
    return {
        "schema": shape.SCHEMA, "id": id_, "mode": "engine", "headline": f"{rows:,} rows in {seconds / 3:.1f} s",
        "runbook": {"name": book, "path": f"/{book}.ipynb", "sha256": "0" * 64, "committed": True, "steps": []},
        "who": who | {"ci_run_url": None, "database_role": None}, "runner": {"host": "h", "pid": 1, "since": 0},
        "git": {"sha": None, "dirty": None}, "versions": {}, "parameters": {}, "parameters_given": [],
        "approval": {"digest": None, "approver": None, "change_ref": f"OPS-{rows % 9000}", "reason": "a reason"},
        "target": {"name": target, "label": f"app@db/{target}", "protected": True}, "revision": moved,
        "secrets_indistinct": [], "started": begun.isoformat(timespec="milliseconds"), "evidence": [],
        "ended": (begun + timedelta(seconds=seconds)).isoformat(timespec="milliseconds"), "seconds": seconds,
        "outcome": outcome, "exit_code": code, "cause": None, "failing_cell": None, "changed": bool(moved) and not code,
    }  # fmt: skip


def one_more(where: Path) -> tuple[float, float]:
    """Seconds for one more record: of the command, and of the call that ends a run."""
    leave(where)
    begun = time.perf_counter()
    subprocess.run([str(AFDB), "records", "site"], env={"AFDB_RECORDS": str(where)}, check=True, stdout=-3)
    command = time.perf_counter() - begun
    leave(where)
    begun = time.perf_counter()
    site.update(where)
    return command, time.perf_counter() - begun


def keystrokes(page: Path) -> list[float]:
    """Milliseconds from a change of a filter until the page is laid out again."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        options = ["--no-sandbox", "--disable-background-networking"]
        browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=options)
        shown = browser.new_page(viewport={"width": 1280, "height": 900})
        shown.goto(page.as_uri())
        asked = [
            ("#by-q", text) for text in ("m", "mi", "mig", "migr", "migr prod", "", "OPS-1", "ops-12", "no such", "")
        ]
        asked += [("#by-target", "staging"), ("#by-outcome", "✓Succeeded"), ("#by-target", ""), ("#by-outcome", "")]
        took = [shown.evaluate(ASK, list(one)) for one in asked * 3]
        browser.close()
    return took


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        few, many = Path(folder, "few"), Path(folder, "many")
        for where, size in ((few, FEW), (many, MANY)):
            for _ in range(size):
                leave(where)
            begun = time.perf_counter()
            site.update(where)
            print(f"all pages of {size:>6,} records anew  {time.perf_counter() - begun:8.3f} s", flush=True)
            ledger.append(where / "ledger.jsonl", {"event": "end"})
        pairs = [(one_more(few), one_more(many)) for _ in range(ROUNDS)]
        for side, what in ((0, "afdb records site"), (1, "as a run ends")):
            a, b = (statistics.median(pair[at][side] for pair in pairs) for at in (0, 1))
            ratio = statistics.median(pair[1][side] / pair[0][side] for pair in pairs)
            print(
                f"one more, {what:18} {a:8.3f} s with {FEW}  {b:8.3f} s with {MANY:,}   ratio {ratio:.2f}", flush=True
            )
        page = (many / "index.html").read_bytes()
        print(f"index.html of {MANY:,} records  {len(gzip.compress(page)):,} bytes gzipped  (limit 1,000,000)")
        took = sorted(keystrokes(many / "index.html"))
        print(f"filter  median {statistics.median(took):.1f} ms, longest {took[-1]:.1f} ms  (a frame is 16.7 ms)")


if __name__ == "__main__":
    main()
