"""Small notebooks that really run, and what a test asks of the record they leave."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from afdb_helpers import ledger
from afdb_helpers.runbook import records

PARAMETERS = "target: str | None = None  # help: a target\nn: int = 1  # help: a number\ntext: str = ''  # help: a text"
BEGIN = "from afdb_helpers import runbook\nrun = runbook.begin('small', target=target)\nrun"
CLOSE = "from afdb_helpers.report import Report\nrun.close(Report(headline='all done'))"


def small(
    folder: Path,
    *cells: str,
    name: str = "small",
    parameters: str = PARAMETERS,
    begin: str = BEGIN,
    close: str | None = CLOSE,
    kernel: str = "python3",
    tags: dict[int, str] | None = None,
    steps: list[str] | None = None,
) -> Path:
    """A notebook of the given cells (ids step-1, step-2 …) between one that begins the run and one that closes it."""
    made = [
        cell("title", "# Small\n\nA small notebook."),
        cell("parameters", parameters, tags=["parameters"]),
        cell("begin", begin),
    ]
    for number, source in enumerate(cells, 1):
        made.append(cell(f"about-{number}", f"## Step {number}"))
        made.append(cell(f"step-{number}", source, tags=[(tags or {})[number]] if number in (tags or {}) else None))
    if close is not None:
        made.append(cell("close", close))
    spec = {"name": kernel, "display_name": kernel, "language": "python"}
    metadata: dict[str, Any] = {"kernelspec": spec, "language_info": {"name": "python"}}
    if steps is not None:
        metadata["afdb"] = {"steps": steps}
    path = folder / f"{name}.ipynb"
    path.write_text(json.dumps({"cells": made, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}))
    return path


def commit(folder: Path) -> None:
    """Make the folder a git repository, its notebooks committed."""
    identity = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
    for arguments in (["init", "-q"], ["add", "*.ipynb"], ["commit", "-qm", "reviewed"]):
        subprocess.run(["git", *identity, *arguments], cwd=folder, check=True)


def cell(name: str, source: str, *, tags: list[str] | None = None) -> dict[str, Any]:
    """Markdown where the source opens with a heading, else code."""
    made: dict[str, Any] = {"id": name, "metadata": {"tags": tags} if tags else {}, "source": source}
    if source.startswith("#") and not tags:
        return made | {"cell_type": "markdown"}
    return made | {"cell_type": "code", "outputs": [], "execution_count": None}


class Left:
    """What one run left: the only record in a folder of records, or the only one of a `runbook`."""

    def __init__(self, where: Path, runbook: str = "") -> None:
        found = [path for path in where.iterdir() if path.is_dir() and path.name != "site" and runbook in path.name]
        assert len(found) == 1, f"{len(found)} records in {where}"
        self.folder = found[0]
        self.run: dict[str, Any] = json.loads((self.folder / "run.json").read_bytes())
        self.ledger = ledger.read(where / "ledger.jsonl")

    @property
    def notebook(self) -> dict[str, Any]:
        return dict(json.loads((self.folder / "notebook.ipynb").read_bytes()))

    @property
    def journal(self) -> list[dict[str, Any]]:
        return ledger.read(self.folder / "journal.jsonl")

    def statuses(self) -> dict[str, str]:
        """Cell id to status, code cells only."""
        return {
            cell["id"]: cell["metadata"]["papermill"]["status"]
            for cell in self.notebook["cells"]
            if cell["cell_type"] == "code"
        }

    def ended(self, code: int, outcome: str, cause: str | None) -> None:
        """run.json, journal, ledger and notebook all say how the run ended, and the record is sealed."""
        said = (self.run["exit_code"], self.run["outcome"], self.run["cause"])
        assert said == (code, outcome, cause), self.run["headline"]
        for entry in (self.journal[-1], self.ledger[-1]):
            assert (entry["exit_code"], entry["outcome"]) == (code, outcome)
        about = self.notebook["metadata"]["papermill"]
        assert (about["exit_code"], about["cause"], about["exception"]) == (code, cause, code != 0)
        assert records.check(self.folder).ok, records.check(self.folder)

    def text(self) -> str:
        """All files of the record, one after the other."""
        return "\n".join(path.read_text() for path in sorted(self.folder.rglob("*")) if path.is_file())


def outputs(left: Left, cell: str) -> str:
    """Everything a cell put out, as JSON text."""
    return json.dumps(next(c for c in left.notebook["cells"] if c["id"] == cell)["outputs"])
