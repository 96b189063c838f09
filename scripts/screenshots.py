"""The docs' screenshots, in headless Chromium, of the records that `make demo` left: python scripts/screenshots.py."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

FIGURES = Path(__file__).resolve().parents[1] / "docs" / "figures"
NAMES = ("chromium", "chromium-browser", "google-chrome")


def take(browser: Browser, page: Path, name: str, *, dark: bool = False, height: int = 900) -> None:
    """One page as a reader first sees it."""
    shown = browser.new_page(
        viewport={"width": 1200, "height": height}, color_scheme="dark" if dark else "light", reduced_motion="reduce"
    )
    shown.goto(page.resolve().as_uri())
    shown.screenshot(path=FIGURES / f"{name}.png", animations="disabled")
    shown.close()
    print(FIGURES / f"{name}.png")


def newest(records: Path, runbook: str) -> Path:
    """The page of the newest successful record of a runbook."""
    runs = [(json.loads(path.read_bytes()), path.parent) for path in sorted(records.glob("*/run.json"))]
    found = [folder for run, folder in runs if run["runbook"]["name"] == runbook and run["outcome"] == "succeeded"]
    if not found:
        sys.exit(f"{records} has no {runbook} that succeeded: run `make demo` first")
    return found[-1] / "report.html"


def main() -> None:
    from playwright.sync_api import sync_playwright

    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--records", type=Path, default=Path("records"))
    records = asked.parse_args().records
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        sys.exit("no Chromium on this machine: apt-get install chromium")
    FIGURES.mkdir(exist_ok=True)
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=program, args=["--no-sandbox"])
        take(browser, newest(records, "migration"), "record")
        take(browser, newest(records, "verification"), "record-dark", dark=True)
        take(browser, records / "index.html", "records-index", height=560)
        take(browser, next((records / "site").glob("target-*.html")), "records-target", height=760)
        browser.close()


if __name__ == "__main__":
    main()
