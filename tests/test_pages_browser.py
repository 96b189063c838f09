"""The pages in a real Chromium: no violation of their policy, hostile content inert, with and without scripts."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pdftext import pages as printed
from test_pages import BAD, RUN, _cell, _index, _markup, _page, _stream, _target

from afdb_helpers import pages
from afdb_helpers.report import Report

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), ""
)
pytestmark = [
    pytest.mark.skipif(not CHROMIUM, reason="no Chromium on this machine (apt-get install chromium)"),
    pytest.mark.xdist_group("browser"),
]
Shown = Callable[..., "Page"]
# every text with the ground it stands on, as the browser has computed them
CONTRAST = """() => {
  const light = (c) => { const [r, g, b] = c.match(/[\\d.]+/g).slice(0, 3)
      .map((v) => c.startsWith("color(") ? +v : v / 255)
      .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
      return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const ground = (e) => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor;
      if (!/, 0\\)$/.test(c)) return c; } return "rgb(255, 255, 255)"; };
  const low = []; let seen = 0;
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const e = walk.currentNode.parentElement, text = walk.currentNode.textContent.trim();
    if (!text || !e.checkVisibility() || ["SCRIPT", "STYLE"].includes(e.tagName) || e.closest("svg")) continue;
    const [a, b] = [light(getComputedStyle(e).color), light(ground(e))].sort((x, y) => y - x);
    seen += 1; if ((a + 0.05) / (b + 0.05) < 4.5) low.push(text);
  }
  return [seen, low];
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        started = play.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-background-networking"], timeout=120_000
        )
        yield started
        started.close()


@pytest.fixture
def shown(browser: Browser, tmp_path: Path) -> Iterator[Shown]:
    """Opens a page from a file; at the end nothing was said on its console and nothing asked of the network."""
    said: list[str] = []
    opened: list[Page] = []

    def show(page: str, **context: Any) -> Page:
        path = tmp_path / f"{len(opened)}.html"
        path.write_text(page, encoding="utf-8")
        made = browser.new_page(**context)
        made.on("console", lambda message: said.append(message.text))
        made.on("pageerror", lambda error: said.append(str(error)))
        made.on("dialog", lambda dialog: said.append(dialog.message))
        made.on(
            "request", lambda asked: said.append(asked.url) if not asked.url.startswith(("file:", "data:")) else None
        )
        made.goto(path.as_uri())
        opened.append(made)
        return made

    yield show
    for made in opened:
        made.close()
    assert said == []


def _runs(count: int) -> list[dict[str, Any]]:
    books, outcomes = ("backup", "migration"), ("succeeded", "refused", "failed_unchanged")
    return [
        {**RUN, "id": f"r{n}", "started": f"2026-11-{30 - n % 28:02}T10:00:00+00:00", "headline": f"item{n:02}",
         "runbook": {"name": books[n % 2]}, "outcome": outcomes[n % 3], "seconds": float(n),
         "target": {"name": f"db{n % 4}"}, "who": {"os_user": ("ada", "bob")[n % 2]}}
        for n in range(count)
    ]  # fmt: skip


def _numbers(page: Page) -> list[int]:
    return [int(text.removeprefix("item")) for text in page.locator("#records tbody td:last-child").all_inner_texts()]


def test_hostile_outputs_are_inert_in_the_browser_too(shown: Shown) -> None:
    hostile = {**RUN, "headline": BAD[0], "target": {"name": BAD[1]}, "who": {"os_user": BAD[3]}}
    cells = [_cell(_markup(bad), _stream(bad + "\x1b[31mred\x07"), source=bad) for bad in BAD]
    page = shown(_page(*cells, {"cell_type": "markdown", "source": "\n\n".join(BAD)}, run=hostile))
    assert page.locator("footer").bounding_box() is not None, "the page's own end is still there, and seen"
    assert page.locator("body > *").evaluate_all("all => all.map(e => e.tagName)")[-2:] == ["MAIN", "FOOTER"]
    assert page.locator("script, iframe, form, object, embed, link").count() == 0
    shown(_index(hostile))
    shown(_target(hostile))


def test_the_control_the_policy_stops_what_would_slip_through(browser: Browser, tmp_path: Path) -> None:
    slipped = (
        "<script>document.title = 'ran'</script><p style='color:red' onclick='x'>x</p><img src='http://127.0.0.1:9/x'>"
    )
    page = _page().replace("<footer>", f"{slipped}<footer>")
    said: list[str] = []
    for policed in (True, False):
        (tmp_path / "x.html").write_text(page if policed else page.replace("Content-Security-Policy", "x-nothing"))
        made = browser.new_page()
        made.on("console", lambda message: said.append(message.text))
        made.goto((tmp_path / "x.html").as_uri())
        assert (made.title() == "ran") is not policed
        made.close()
    assert sum("Content Security Policy" in text for text in said) >= 3


def test_search_filters_and_sorting_find_what_is_asked_for(shown: Shown) -> None:
    page = shown(_index(*_runs(60)))
    assert len(_numbers(page)) == 20
    page.get_by_role("button", name="Show more (40 left)").click()
    assert len(_numbers(page)) == 60
    page.get_by_label("Search").fill("ITEM1 ada")
    assert _numbers(page) == [n for n in range(60) if n % 2 == 0 and n // 10 == 1]
    assert page.locator("#count").inner_text() == "5 of 60 records"
    page.get_by_role("button", name="Show all").click()
    for label, value, fits in (("Target", "db1", 4), ("Runbook", "migration", 2), ("Outcome", "⊘Refused", 3)):
        page.get_by_label(label).select_option(value)
        assert _numbers(page) == [n for n in range(60) if n % fits == 1][:20], label
        page.get_by_label(label).select_option("")
    page.get_by_label("Who").select_option("bob")
    page.get_by_label("From").fill("2026-11-29")
    assert _numbers(page) == [1, 29, 57]
    page.get_by_label("To").fill("2026-11-28")
    assert page.locator("#count").inner_text() == "0 of 60 records"
    page.goto(page.url.partition("#")[0] + "#target=db2")
    assert _numbers(page) == [n for n in range(60) if n % 4 == 2]
    page.get_by_role("button", name="Took").click()
    page.get_by_role("button", name="Took").click()
    assert _numbers(page) == sorted(_numbers(page), reverse=True)
    assert page.locator("th[aria-sort]").inner_text() == "Took"


def test_the_keyboard_is_enough(shown: Shown) -> None:
    page = shown(_index(*_runs(3)))
    page.keyboard.press("/")
    page.keyboard.type("item02")
    assert _numbers(page) == [2]
    reached = []
    for _ in range(30):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.tagName + ' ' + document.activeElement.textContent"))
    assert [one for one in reached if one.startswith("BUTTON Started")]
    assert [one for one in reached if one.startswith("A backup")]


def test_without_scripts_all_rows_are_there_and_no_dead_controls(shown: Shown) -> None:
    page = shown(_index(*_runs(60)), java_script_enabled=False)
    assert len(page.locator("#records tbody tr").all()) == 60
    assert page.locator("button, input, select").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_the_contrast_of_aa_as_the_browser_paints_it(shown: Shown, scheme: Any) -> None:
    report = '<p><span style="color:#1a7f37">✓</span> well <span style="color:#cf222e">✗</span></p>'
    record = _page(_cell(_markup(report), _stream("text")), _cell(status="pending"), run={**RUN, "mode": "interactive"})
    for made in (record, _index(*_runs(6)), _target(*_runs(3))):
        page = shown(made, color_scheme=scheme)
        seen, low = page.evaluate(CONTRAST)
        assert (seen > 20, low) == (True, [])
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
        assert dark is (scheme == "dark")


def test_printed_the_first_page_answers_the_eight_questions(shown: Shown) -> None:
    cells = [_cell(_stream(f"line {n}\n" * 30)) for n in range(4)]
    evidence = [*RUN["evidence"], {"kind": "rehearsal", "id": "20261122T154233Z-rehearsal-production-7ff1"}]
    page = shown(_page(*cells, run={**RUN, "evidence": evidence}), color_scheme="dark")
    first, *rest = printed(page.pdf(format="A4"))
    for said in ("Migration of production", "Failed after changes began", "revision 001 → 002", "ada", "app@db/agents",
                 "2026-11-22 15:42:33 to 15:43:00 UTC", "OPS-12 · billing", "Grace (signed)", "sha256:abc",
                 "backup b-1", "-7ff1", "ledger entry 12"):  # fmt: skip
        assert said in first, first
    assert "line 3" in "".join(rest), "the notebook follows"
    assert "line 3" not in first


def _beyond(page: Page) -> int:
    """By how many pixels the widest table is wider than an A4 page between its margins."""
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 695, "height": 1000})
    return int(page.evaluate("Math.max(...[...document.querySelectorAll('table')].map(t => t.offsetWidth)) - 695"))


def test_printed_a_table_of_eight_columns_is_no_wider_than_the_page(shown: Shown) -> None:
    long = "https://www.digitalocean.com/pricing/droplets"
    row = {"item": "Plan", "from": "cloudflare-r2-standard-one", "quantity": "1 month",
           "file": "001_initial_migration.py", "USD": 300.0, "as of": "2026-09-20", "source": long,
           "note": "as stated in the workload, and not asked of anybody else"}  # fmt: skip
    made = _page(_cell(_markup(Report(headline="a bill", rows=(row, row))._repr_html_())))
    assert _beyond(shown(made)) <= 0
    kept = made.replace("white-space: normal;", "").replace("Content-Security-Policy", "x-nothing")
    assert _beyond(shown(kept)) > 0, "the control: names kept on one line run over the edge"


def test_printed_the_list_of_records_wastes_no_paper(shown: Shown) -> None:
    runs = [{**run, "headline": "every value preserved; " * 8} for run in _runs(6)]
    for scheme in ("light", "dark"):
        sheets = printed(shown(_index(*runs), color_scheme=scheme).pdf(format="A4"))
        assert len(sheets) == 1
        said = " ".join(sheets[0].split())
        assert all(word in said for word in ("nothing changed", "every value preserved", "migration")), said


@pytest.mark.parametrize(("ground", "ink"), [("#ffffff", "#1c1c1c"), ("#111111", "#e0e0e0")])
def test_marks_are_seen_on_the_ground_of_both_themes_of_jupyterlab(shown: Shown, ground: str, ink: str) -> None:
    both = "".join(Report(headline="looked at", ok=ok)._repr_html_() for ok in (True, False)) * 6
    page = shown(f"<meta charset=utf-8><body style='background:{ground};color:{ink}'>{both}")
    assert page.evaluate(CONTRAST) == [24, []]


def test_a_narrow_screen_needs_no_scrolling_sideways(shown: Shown) -> None:
    for made in (_page(_cell(_stream("x" * 400))), _index(*_runs(3)), _target(*_runs(3))):
        page = shown(made, viewport={"width": 400, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= 400


def test_an_exported_page_and_a_plan_break_no_policy_either(shown: Shown) -> None:
    content = {"direction": "upgrade", "target": {"database": "d"}, "revisions": [], "sql": ["SELECT 1"]}
    plan = {"digest": "sha256:" + "0" * 64, "headline": "001 → 002", "content": content}
    shown(pages.record(RUN, {"cells": [_cell(_stream("x"))]}, home=""))
    assert shown(pages.plan(plan, form="html")).locator("pre").count() == 1


def test_the_book_is_searched_where_it_is_opened_from_a_folder(browser: Browser, tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[1]
    command = [sys.executable, "-m", "mkdocs", "build", "-q", "-f", str(root / "mkdocs.yml"), "-d", str(tmp_path)]
    subprocess.run(command, check=True)
    page, asked = browser.new_page(), list[str]()
    page.on("request", lambda request: asked.append(request.url))
    page.goto((tmp_path / "index.html").as_uri())
    page.focus("input.md-search__input")
    page.keyboard.type("restore backup")
    page.wait_for_selector(".md-search-result__item")
    assert page.locator(".md-search-result__item h1").first.inner_text() == "Restore at 2 a.m."
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    page.close()
