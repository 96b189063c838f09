"""nbdime shows what was changed in a runbook, and none of what running it changes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def _diff(folder: Path) -> str:
    command = [str(Path(sys.executable).with_name("nbdiff")), "--no-color", "a.ipynb", "b.ipynb"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False).stdout


def test_nbdiff_shows_the_changed_line_and_no_metadata(tmp_path: Path) -> None:
    notebook = json.loads((ROOT / "runbooks" / "04_migration.ipynb").read_text())
    (tmp_path / "a.ipynb").write_text(json.dumps(notebook))
    for cell in notebook["cells"]:
        cell["metadata"]["papermill"] = {"duration": 1.5}
        if cell["cell_type"] == "code":
            cell |= {"execution_count": 7, "outputs": [{"output_type": "stream", "name": "stdout", "text": "noise"}]}
    notebook["cells"][-1]["source"] = "run.close(altered)"
    (tmp_path / "b.ipynb").write_text(json.dumps(notebook))
    assert "noise" in _diff(tmp_path), "the control: without the settings it shows everything"
    shutil.copy(ROOT / "nbdime_config.json", tmp_path)
    said = _diff(tmp_path)
    assert "+  run.close(altered)" in said
    assert said.count("## modified") == 1
    assert "noise" not in said
    assert "duration" not in said
