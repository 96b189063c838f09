"""Reports: one shape, the same in Jupyter, in a terminal and as JSON, and inert whatever a value holds."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from dataclasses import FrozenInstanceError
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afdb_helpers import pages, report
from afdb_helpers.errors import Refused
from afdb_helpers.report import Report, executed

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>\x1b]0;owned\x07\x1b[31m\u202e"
ROWS = ({"table": "customer", "rows": 12345, "ok": True}, {"table": "invoice", "rows": None, "ok": False})


def _terminal(shown: Report, width: int = 200) -> str:
    from rich.console import Console

    stream = io.StringIO()
    Console(file=stream, width=width, color_system=None, force_terminal=True, highlight=False).print(shown)
    return stream.getvalue()


def test_a_report_that_is_well_passes_on_itself() -> None:
    good = Report(headline="fine")
    assert good.raise_unless_ok() is good


def test_a_report_that_is_not_well_refuses_with_headline_and_remedy() -> None:
    with pytest.raises(Refused) as caught:
        Report(headline="two tables differ", ok=False, remedy="compare them").raise_unless_ok()
    assert (caught.value.what, caught.value.do) == ("two tables differ", "compare them")


def test_the_part_that_is_wanting_gives_the_reason() -> None:
    parts = (Report(headline="schema equal"), Report(headline="data: customer changed", ok=False, remedy="restore"))
    with pytest.raises(Refused, match="why: data: customer changed\n  do:  restore"):
        Report(headline="not as before", ok=False, parts=parts).raise_unless_ok()


def test_without_such_a_part_the_first_row_gives_the_reason() -> None:
    rows = ({"severity": "high", "rule": "drop-trigger", "seconds": None}, {"severity": "low", "rule": "other"})
    with pytest.raises(Refused, match="why: high, drop-trigger\n"):
        Report(headline="lint: 1 high, 1 low", ok=False, rows=rows, remedy="see there").raise_unless_ok()


def test_a_report_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        Report(headline="fine").ok = False  # type: ignore[misc]


def test_the_frame_has_the_rows_and_the_columns_in_order_of_appearance() -> None:
    frame = Report(headline="x", rows=({"b": 1}, {"b": 2, "a": 3})).frame()
    assert list(frame.columns) == ["b", "a"]
    assert frame["b"].tolist() == [1, 2]
    assert Report(headline="x").frame().empty


def test_the_terminal_and_a_file_get_the_same_words() -> None:
    shown = Report(headline="2 tables", rows=ROWS, remedy="go on", parts=(Report(headline="inner", ok=False),))
    for word in ("✓ 2 tables", "12,345", "customer", "yes", "no", "next: go on", "✗ inner"):
        assert word in report.text(shown)
        assert word in _terminal(shown)


def test_numbers_stand_right_and_columns_line_up() -> None:
    lines = report.text(Report(headline="x", rows=({"t": "a", "n": 5}, {"t": "bb", "n": 1234}))).splitlines()
    assert lines[1:] == ["  t       n", "  a       5", "  bb  1,234"]


def test_brackets_are_text_and_not_markup() -> None:
    shown = _terminal(Report(headline="[red]h[/red]", rows=({"[b]": "[link=x]v[/link]"},), remedy="[i]r"))
    for word in ("[red]h[/red]", "[b]", "[link=x]v[/link]", "[i]r"):
        assert word in shown


@pytest.mark.parametrize(
    ("value", "said"),
    [(None, ""), (True, "yes"), (1234567, "1,234,567"), (0.5, "0.500"), (1234.56, "1,234.6"), ("a\nb", "a\nb"),
     ("a\x1b[31m", "a\\x1b[31m"), (Decimal("1.50"), "1.50"), (date(2026, 1, 2), "2026-01-02"), (float("nan"), "nan")],
)  # fmt: skip
def test_a_cell_reads_as_a_person_writes_it(value: Any, said: str) -> None:
    assert report.show(value) == said


@pytest.mark.parametrize(("number", "said"), [(0, "0 tables"), (1, "1 table"), (2000, "2,000 tables")])
def test_counting_knows_one_from_many(number: int, said: str) -> None:
    assert report.count(number, "table") == said


def test_the_dictionary_is_json_of_the_whole_report() -> None:
    whole = Report(headline="x", rows=({"when": date(2026, 1, 2), "n": 1},), parts=(Report(headline="y", ok=False),))
    data = json.loads(json.dumps(whole.as_dict()))
    assert data["rows"] == [{"when": "2026-01-02", "n": 1}]
    assert data["parts"][0]["ok"] is False


def test_hostile_text_is_inert_wherever_it_stands() -> None:
    hostile = Report(headline=HOSTILE, remedy=HOSTILE, rows=({HOSTILE: HOSTILE},), parts=(Report(headline=HOSTILE),))
    markup = hostile._repr_html_()
    assert "<script" not in markup
    assert "<img" not in markup
    assert "&lt;script&gt;" in markup, "what was there is shown, not dropped"
    for shown in (markup, report.text(hostile), _terminal(hostile).replace("\x1b[0m", "")):
        assert not set("\x1b\x07\u202e") & set(shown)


@given(st.text(), st.text(), st.text())
def test_no_text_gets_out_of_its_place(headline: str, name: str, value: str) -> None:
    import bs4

    shown = Report(headline=headline, rows=({name: value},))
    page = bs4.BeautifulSoup(shown._repr_html_(), "html.parser")
    used = {tag.name for tag in page.find_all(True)}
    assert used == {"p", "strong", "span", "table", "thead", "tbody", "tr", "th", "td"}
    assert all(character.isprintable() or character == "\n" for character in report.text(shown))


# --- tables that can be sorted, and taken along

MANY = (
    {"table": "b", "rows": 10, "at": date(2026, 1, 2), "value": "x, y"},
    {"table": "a", "rows": 9000, "at": None, "value": 7},
    {"table": "c", "rows": None, "at": date(2026, 1, 1), "value": None},
)


def test_a_table_is_sorted_by_a_click_on_its_head_without_a_network() -> None:
    """In a real browser, as JupyterLab shows it: numbers as numbers, again the other way round, empty cells last."""
    if not Path("/usr/bin/chromium").exists():
        pytest.skip("no Chromium on this machine")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page()
        page.set_content(Report(headline="x", rows=MANY)._repr_html_())

        def order() -> list[str]:
            return page.locator("tbody tr td:first-child").all_inner_texts()

        assert order() == ["b", "a", "c"]
        page.click("th:has-text('rows')")
        assert order() == ["b", "a", "c"], "10 before 9,000"
        page.click("th:has-text('rows')")
        assert order() == ["a", "b", "c"]
        page.click("th:has-text('table')")
        assert order() == ["a", "b", "c"]
        browser.close()


def test_in_a_records_page_the_table_is_inert() -> None:
    from afdb_helpers import pages

    assert "onclick" in Report(headline="x", rows=MANY)._repr_html_(), "the control"
    cleaned = pages.clean(Report(headline="x", rows=MANY)._repr_html_())
    assert "onclick" not in cleaned
    assert "closest" not in cleaned
    assert "<th" in cleaned


def test_a_result_is_taken_along_as_csv_json_and_parquet(tmp_path: Path) -> None:
    import pandas as pd

    found = Report(headline="x", rows=MANY, parts=(Report(headline="y"),))
    csv = found.to_csv(tmp_path / "x.csv").read_text().splitlines()
    assert csv == ["table,rows,at,value", 'b,10,2026-01-02,"x, y"', "a,9000,,7", "c,,2026-01-01,"]
    assert json.loads(found.to_json(tmp_path / "x.json").read_text()) == found.as_dict()
    pytest.importorskip("pyarrow")
    read = pd.read_parquet(found.to_parquet(tmp_path / "x.parquet"))
    assert list(read["table"]) == ["b", "a", "c"]
    assert read["rows"].dropna().tolist() == [10, 9000]
    assert read["value"].dropna().tolist() == ["x, y", "7"]


def test_without_pyarrow_parquet_says_what_to_install(tmp_path: Path) -> None:
    """In a process of its own: pandas that has met pyarrow once does not look for it again."""
    code = (
        "import sys; sys.modules['pyarrow'] = sys.modules['fastparquet'] = None\n"
        "from afdb_helpers.report import Report, executed\n"
        "Report(headline='x', rows=({'a': 1},)).to_parquet('x.parquet')"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "ConfigError: Parquet cannot be written" in done.stderr
    assert "pip install 'afdb-helpers[parquet]'" in done.stderr
    assert not list(tmp_path.iterdir())


def test_sql_of_several_lines_keeps_them_in_jupyter_and_on_a_page_or_its_comment_would_swallow_it() -> None:
    shown = Report(headline="h", rows=({"safe": "-- first this\nDROP TABLE t"}, {"safe": "one"}))._repr_html_()
    assert shown.count("white-space:pre-line") == 1
    assert re.search(r'<td class="[^"]*lines[^"]*">-- first this\nDROP', pages.clean(shown))


def test_people_see_equal_statements_as_one_and_the_data_keeps_each() -> None:
    rows = [
        {"n": n, "statement": "UPDATE t" if n % 2 else "RESET x", "seconds": 0.5, "rows": n if n % 2 else None,
         "locks": f"t{n}"}
        for n in range(1, 6)
    ]  # fmt: skip
    brief = report.folded(rows, (row["statement"] for row in rows))
    assert brief == (
        {"n": 1, "statement": "UPDATE t", "times": 3, "seconds": 1.5, "rows": 9, "locks": "t1, t3, t5"},
        {"n": 2, "statement": "RESET x", "times": 2, "seconds": 1.0, "rows": None, "locks": "t2, t4"},
    )  # fmt: skip
    assert report.folded(rows, range(5)) == (), "the control: where no two are equal, nothing is shorter"
    done = Report(headline="done", rows=tuple(rows), brief=brief)
    for said in (_terminal(done), repr(done), done._repr_html_()):
        assert said.count("UPDATE t") == 1
    assert len(done.as_dict()["rows"]) == len(done.frame()) == 5


def test_statements_that_ran_again_are_told_from_different_ones() -> None:
    assert [executed(ran) for ran in ([], ["a"], ["a", "b"], ["a", "b", "a"])] == [
        "0 statements", "1 statement", "2 statements", "2 different statements, 3 executed",
    ]  # fmt: skip


def test_a_column_that_is_empty_in_every_row_is_not_shown_and_stays_in_the_data() -> None:
    report = Report(headline="two", rows=({"a": 1, "bb": None, "cc": ""}, {"a": 0, "bb": None, "cc": "x"}))
    for shown in (str(report), report._repr_html_()):
        assert ("bb" in shown, "cc" in shown) == (False, True)
    assert list(report.frame().columns) == ["a", "bb", "cc"]
