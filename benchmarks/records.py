"""10,000 records: `records list` against `ls -l`, `records verify` against `sha256sum`, and what the engine adds.

Prints medians and ratios; each pair is run in turn, so that a machine whose speed drifts drifts for both. What a user
would do instead: `ls -l`, `sha256sum` over every file, and stock papermill on the same notebook.

    python benchmarks/records.py [--records 10000] [--rounds 5] [--only list,verify,engine] [--signed]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from afdb_helpers import ledger, signing
from afdb_helpers.runbook import attestation, record, shape

BIN = Path(sys.executable).parent
CELLS = ["n = 1", "import time\ntime.sleep(0.1)\nn", "sum(range(1000))", "print('done')"]


def seconds(*command: str, cwd: Path, environment: dict[str, str]) -> float:
    started = time.monotonic()
    subprocess.run(command, check=True, cwd=cwd, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.monotonic() - started


def compare(
    title: str, rounds: int, ours: Callable[[], float], theirs: Callable[[], float], *, plus: float = 0
) -> float:
    """The median ratio of ours (less `plus`) to theirs, printed; each is run once before anything is counted."""
    ours(), theirs()
    pairs = [(ours(), theirs()) for _ in range(rounds)]
    mine, other = (statistics.median(pair[side] for pair in pairs) for side in (0, 1))
    ratio = statistics.median((a - plus) / b for a, b in pairs)
    print(f"{title:44} {mine:8.3f} s {other:8.3f} s   ratio {ratio:5.2f}", flush=True)
    return ratio


def fill(where: Path, number: int, signer: Any) -> None:
    """Records as runs leave them: a journal of some forty lines, a notebook and a page of 20 kB each."""
    where.mkdir()
    entries: list[bytes] = []

    def chain(entry: dict[str, Any]) -> dict[str, Any]:
        written = ledger.following(entries[-1] if entries else b"", entry)
        entries.append(ledger.line(written))
        return written

    for n in range(number):
        _one(where, n, chain, signer)
    (where / record.LEDGER).write_bytes(b"".join(line + b"\n" for line in entries))


def _one(where: Path, n: int, chain: Callable[[dict[str, Any]], dict[str, Any]], signer: Any) -> None:
    id_ = f"20261128T{n // 3600 % 24:02}{n // 60 % 60:02}{n % 60:02}Z-migration-default-{n % 65536:04x}"
    book = {"name": "migration", "path": "/04.ipynb", "sha256": "0" * 64, "committed": True, "steps": ["a", "b"]}
    run: dict[str, Any] = {
        "schema": 1, "id": id_, "mode": "engine", "runbook": book,
        "who": dict.fromkeys(("os_user", "git_author", "ci_actor", "ci_run_url", "database_role"), "ann"),
        "runner": {"host": "h", "pid": 1, "since": 1.0}, "git": {"sha": "0" * 40, "dirty": False},
        "versions": {f"package-{i}": "1.2.3" for i in range(25)}, "parameters": {"target": "default"},
        "parameters_given": [], "approval": dict.fromkeys(("digest", "approver", "change_ref", "reason")),
        "target": {"name": "default"}, "secrets_indistinct": [], "cause": None, "failing_cell": None,
        "started": record.now(), "ended": record.now(), "seconds": 20.0 + n % 7, "outcome": "succeeded", "exit_code": 0,
        "changed": True, "headline": "upgraded", "evidence": [],
    }  # fmt: skip
    run["ledger"] = ledger.position(chain({"event": "intent", "run": id_, "runbook": "migration", "target": "default"}))
    if n == 0:
        shape.check(run)
    folder = where / id_
    folder.mkdir()
    files = {"journal.jsonl": _journal(id_), "run.json": record.as_json(run)}
    files |= {"notebook.ipynb": os.urandom(10000).hex().encode(), "report.html": os.urandom(10000).hex().encode()}
    files |= {name: os.urandom(2000).hex().encode() for name in ("plan.json", "before.json", "after.json")}
    sums = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    text = "".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items())).encode()
    held = {"sha256sums": hashlib.sha256(text).hexdigest()}
    if signer is not None:
        files[attestation.NAME] = attestation.make(run, {**sums, record.SUMS: held["sha256sums"]}, signer, signed={})
        held["attestation"] = hashlib.sha256(files[attestation.NAME]).hexdigest()
    for name, data in {**files, record.SUMS: text}.items():
        (folder / name).write_bytes(data)
    chain({"event": "end", "run": id_, "outcome": "succeeded", "exit_code": 0, **held})


def _journal(id_: str) -> bytes:
    lines: list[bytes] = []
    events: list[dict[str, Any]] = [{"event": "run.intent", "run": id_}]
    for cell in ("a", "b"):
        events.append({"event": "cell.start", "cell": cell})
        events += [{"event": "statements", "events": [{"sql": "ALTER TABLE x " * 10}]} for _ in range(18)]
        events.append({"event": "cell.end", "cell": cell, "status": "completed"})
    for event in events:
        lines.append(ledger.line(ledger.following(lines[-1] if lines else b"", event)))
    return b"".join(line + b"\n" for line in lines)


def listing(where: Path, rounds: int, environment: dict[str, str]) -> None:
    start = statistics.median(
        seconds(sys.executable, "-c", "", cwd=where, environment=environment) for _ in range(rounds)
    )
    print(f"the interpreter's own start: {start:.3f} s")
    compare(
        "records list | ls -l (≤ 3, start taken off)", rounds,
        lambda: seconds(str(BIN / "afdb"), "records", "list", cwd=where, environment=environment),
        lambda: seconds("ls", "-l", str(where), cwd=where, environment=environment), plus=start,
    )  # fmt: skip


def verifying(where: Path, rounds: int, environment: dict[str, str]) -> None:
    compare(
        "records verify | sha256sum (≤ 2)", rounds,
        lambda: seconds(str(BIN / "afdb"), "records", "verify", cwd=where, environment=environment),
        lambda: seconds(
            "sh", "-c", f"find {where} -type f -print0 | xargs -0 sha256sum", cwd=where, environment=environment
        ),
    )  # fmt: skip


def engine(folder: Path, rounds: int, environment: dict[str, str]) -> None:
    """The same notebook, one process each: ours with its record, stock papermill with its output."""
    made = [{"id": "title", "cell_type": "markdown", "metadata": {}, "source": "# Same\n\nThe same."}]
    begin = "from afdb_helpers import runbook\nrun = runbook.begin('same')"
    close = "from afdb_helpers.report import Report\nrun.close(Report(headline='done'))"
    for number, source in enumerate(["n: int = 1  # help: n", begin, *CELLS, close]):
        metadata = {"tags": ["parameters"]} if number == 0 else {}
        made.append({"id": f"c{number}", "cell_type": "code", "metadata": metadata, "source": source, "outputs": [],
                     "execution_count": None})  # type: ignore[dict-item]  # fmt: skip
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    book = {"cells": made, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}
    (folder / "same.ipynb").write_text(json.dumps(book))
    environment = environment | {"AFDB_RECORDS": str(folder / "runs")}
    compare(
        "afdb run | stock papermill, same notebook (≤ 1.1)", rounds,
        lambda: seconds(str(BIN / "afdb"), "run", "same.ipynb", cwd=folder, environment=environment),
        lambda: seconds(str(BIN / "papermill"), "same.ipynb", "out.ipynb", cwd=folder, environment=environment),
    )  # fmt: skip


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--records", type=int, default=10_000)
    asked.add_argument("--rounds", type=int, default=5)
    asked.add_argument("--only", default="list,verify,engine")
    asked.add_argument("--signed", action="store_true")
    given = asked.parse_args()
    only = given.only.split(",")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = {k: v for k, v in os.environ.items() if not k.startswith("AFDB_")}
        environment |= {"AFDB_RECORDS": str(folder / "records"), "XDG_CACHE_HOME": str(folder / "cache")}
        if given.signed:
            public = signing.create(folder / "key.pem")
            (folder / "signers").write_text(f"ann {public}\n")
            environment["AFDB_SIGNERS"] = str(folder / "signers")
        signer = signing.load(str(folder / "key.pem")) if given.signed else None
        if {"list", "verify"} & set(only):
            fill(folder / "records", given.records, signer)
            size = sum(path.stat().st_size for path in (folder / "records").rglob("*") if path.is_file())
            print(f"{given.records} records{', signed' if signer else ''}, {size / 1e6:.0f} MB")
        if "list" in only:
            listing(folder / "records", given.rounds, environment)
        if "verify" in only:
            verifying(folder / "records", max(given.rounds // 2, 1), environment)
        if "engine" in only:
            engine(folder, given.rounds, environment)


if __name__ == "__main__":
    main()
