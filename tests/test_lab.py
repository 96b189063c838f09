"""JupyterLab in a real Chromium, as `afdb lab` starts it: a runbook opened, Run All, and what it left."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from servers import free_port
from test_pages_browser import CHROMIUM

from afdb_helpers import demo

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).resolve().parents[1]
pytestmark = [
    pytest.mark.skipif(not CHROMIUM, reason="no Chromium on this machine (apt-get install chromium)"),
    pytest.mark.xdist_group("lab"),
]
LAST = "() => [...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')].at(-1)?.textContent"


@contextlib.contextmanager
def _scratch() -> Iterator[Path]:
    """A short path that a server's own user can reach."""
    with tempfile.TemporaryDirectory(prefix="afdb-lab-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@contextlib.contextmanager
def _lab(folder: Path, scratch: Path) -> Iterator[str]:
    """The address of JupyterLab on a copy of the runbooks and the chain, with its token."""
    for name in ("runbooks", "alembic"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "alembic.ini", folder)
    port = free_port()
    program = Path(sys.executable).with_name("afdb")
    running = subprocess.Popen(
        [program, "lab", "--new", "--no-browser", "--port", str(port)], cwd=folder, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "AFDB_SCRATCH": str(scratch), "JUPYTER_CONFIG_DIR": str(folder / "jupyter")},
        start_new_session=True,
    )  # fmt: skip
    try:
        assert running.stderr
        said = (line.split()[-1] for line in running.stderr if f"127.0.0.1:{port}/" in line and "token=" in line)
        url = next(said)
        threading.Thread(target=lambda: list(said), daemon=True).start()  # or the pipe fills
        yield url
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGINT)  # as a terminal sends one Ctrl-C, to the whole group
        assert running.wait(30) == 0
    assert not list(scratch.glob("*/*/data/postmaster.pid")), "the demo's server has ended with it"
    assert not _living_in(folder), "and so have JupyterLab and its kernels"


def _living_in(folder: Path) -> list[int]:
    """The processes that have their working directory in a folder."""
    found = []
    for cwd in Path("/proc").glob("[0-9]*/cwd"):
        with contextlib.suppress(OSError):
            if cwd.readlink().is_relative_to(folder):
                found.append(int(cwd.parent.name))
    return found


def _run_all(browser: Browser, url: str, name: str) -> None:
    """As a person would: open it, Run, Run All Cells, wait for the last cell, save."""
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    page.goto(url.replace("01_discovery", name) + "&reset", timeout=60_000)
    page.get_by_text("| Idle").wait_for(timeout=60_000)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_text("Run All Cells", exact=True).click()
    page.wait_for_function(f"() => /\\d/.test(({LAST})() ?? '')", timeout=90_000)
    sorts = _sorted_by_a_click(page)
    page.keyboard.press("Control+s")
    page.wait_for_function(
        "() => !document.querySelector('.lm-TabBar-tab.lm-mod-current.jp-mod-dirty')", timeout=20_000
    )
    page.close()
    assert sorts[0] != sorts[1] == sorts[0][::-1], "a click sorts, another turns it round"


def _sorted_by_a_click(page: Page) -> list[list[str]]:
    """The first column of the last table with several rows, after one click on its head and after two."""
    table = page.locator(".jp-OutputArea table", has=page.locator("tbody tr:nth-child(3)")).last
    seen = []
    for _ in range(2):
        table.locator("th").first.click()
        seen.append(table.locator("tbody tr td:first-child").all_inner_texts())
    return seen


def test_runbooks_run_to_their_end_in_jupyterlab(tmp_path: Path) -> None:
    from playwright.sync_api import sync_playwright

    with _scratch() as scratch, _lab(tmp_path, scratch) as url, sync_playwright() as play:
        assert _living_in(tmp_path), "the control: where one is, it is found"
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"], timeout=120_000)
        for name in sorted(path.stem for path in (ROOT / "runbooks").glob("*.ipynb")):
            _run_all(browser, url, name)
            cells = json.loads((tmp_path / "runbooks" / f"{name}.ipynb").read_text())["cells"]
            code = [cell for cell in cells if cell["cell_type"] == "code"]
            assert [cell["id"] for cell in code if cell["execution_count"] is None] == [], "each cell was executed"
            outputs = [output for cell in code for output in cell["outputs"]]
            assert [output for output in outputs if output["output_type"] == "error"] == []
            assert any("<table" in "".join(output.get("data", {}).get("text/html", "")) for output in outputs)
            pictures = re.search(r"image/(png|svg)|<svg ", json.dumps(outputs))
            assert pictures or name in ("04_migration", "05_verification")
        browser.close()
        ran = [json.loads(path.read_text()) for path in sorted((tmp_path / "records").glob("*/run.json"))]
        assert [run["runbook"]["name"] for run in ran] == list(demo.RUNS)
        assert {run["outcome"] for run in ran} == {"succeeded"}
