"""Pages: what a record holds is shown, and whatever it holds, nothing of it runs and nothing is loaded."""

from __future__ import annotations

import base64
import re
from typing import Any

import bs4
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from afdb_helpers import pages

RUN: dict[str, Any] = {
    "id": "20261122T154233Z-migration-production-7f3a",
    "mode": "engine",
    "runbook": {"name": "migration"},
    "target": {"name": "production", "label": "app@db/agents", "server": {"version": "18.1"}},
    "who": {"os_user": "ada", "git_author": "Ada <ada@example.org>", "ci_actor": ""},
    "approval": {"digest": "sha256:abc", "change_ref": "OPS-12", "reason": "billing"},
    "parameters": {"target": "production", "revision": "1975e0837120", "approve": ""},
    "evidence": [{"kind": "backup", "id": "b-1"}],
    "git": {"sha": "0123abcd"},
    "started": "2026-11-22T15:42:33Z",
    "ended": "2026-11-22T15:43:00Z",
    "seconds": 27.04,
    "outcome": "failed_changed",
    "headline": "not all of it was done",
    "cause": "cell 4: Incomplete",
    "page": True,
}
BAD = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<img src=http://evil.example/x.png>",
    "<svg onload=alert(1)><script>alert(1)</script></svg>",
    "<a href='javascript:alert(1)'>x</a>",
    "<a href=' JaVa\nScript:alert(1)'>x</a>",
    "<a href='&#106;avascript:alert(1)'>x</a>",
    "<a href='data:text/html;base64,PHNjcmlwdD4='>x</a>",
    "<a href='vbscript:x'>x</a>",
    "<iframe src=http://evil.example></iframe>",
    "<object data=http://evil.example></object><embed src=http://evil.example>",
    "<base href=http://evil.example/>",
    "<meta http-equiv=refresh content='0;url=http://evil.example'>",
    "<link rel=stylesheet href=http://evil.example/x.css>",
    "<style>@import url(http://evil.example/x.css); body{display:none}</style>",
    "<p style='background:url(http://evil.example/x.png);position:fixed;color:red'>x</p>",
    "<form action=http://evil.example><input name=password><button>go</button></form>",
    "<video src=http://evil.example autoplay></video>",
    "<div onclick=alert(1) onmouseover=alert(1)>x</div>",
    "<math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    "</pre></div></main></body><script>alert(1)</script>",
    "<!--><script>alert(1)</script-->",
    "{{ 7 * 7 }}{% include 'page.html' %}",
]
LOADING = {"script", "iframe", "object", "embed", "base", "link", "form", "input", "button", "video", "audio", "svg",
           "math", "source", "track", "frame", "applet"}  # fmt: skip


def _cell(*outputs: dict[str, Any], source: str = "run.close(report)", status: str = "completed") -> dict[str, Any]:
    papermill = {"papermill": {"status": status}}
    return {"cell_type": "code", "source": source, "metadata": papermill, "outputs": list(outputs)}


def _markup(text: str) -> dict[str, Any]:
    return {"output_type": "display_data", "data": {"text/html": text, "text/plain": "plain"}, "metadata": {}}


def _stream(text: str) -> dict[str, Any]:
    return {"output_type": "stream", "name": "stdout", "text": text}


def _page(*cells: dict[str, Any], run: dict[str, Any] | None = None) -> str:
    return pages.record(RUN if run is None else run, {"cells": list(cells)})


def _inert(page: str) -> bs4.BeautifulSoup:
    """The page, once it is shown to run nothing and to load nothing."""
    read = bs4.BeautifulSoup(page, "html.parser")
    assert not LOADING & {tag.name for tag in read.find_all(True)}
    assert len(read.find_all("style")) == 1, "the page's own"
    assert "url(" not in str(read.find("style"))
    assert "@import" not in str(read.find("style"))
    assert [m["http-equiv"] for m in read.find_all("meta") if m.get("http-equiv")] == ["Content-Security-Policy"]
    for tag in read.find_all(True):
        assert not [name for name in tag.attrs if name.startswith("on")]
        assert str(tag.get("src", "data:image/")).startswith("data:image/")
        assert not re.match(r"\s*(javascript|data|vbscript):", str(tag.get("href", "")), re.IGNORECASE)
        assert not {"srcset", "action", "formaction", "background", "poster", "ping"} & set(tag.attrs)
        assert not re.search(r"background|position|url|expression", str(tag.get("style", "")))
    return read


def test_the_policy_allows_nothing_but_the_pages_own_styles_and_embedded_pictures() -> None:
    for page in (_page(), pages.index([RUN])):
        policy = bs4.BeautifulSoup(page, "html.parser").find("meta", attrs={"http-equiv": "Content-Security-Policy"})
        assert isinstance(policy, bs4.Tag)
        rules = str(policy["content"]).split("; ")
        assert rules == ["default-src 'none'", "style-src 'unsafe-inline'", "img-src data:", "base-uri 'none'",
                         "form-action 'none'"]  # fmt: skip
        assert page.index("Content-Security-Policy") < page.index("<style"), "it is read before anything else"


@pytest.mark.parametrize("bad", BAD)
def test_hostile_markup_is_inert_wherever_it_stands(bad: str) -> None:
    plain = ("id", "outcome", "headline", "cause", "started", "ended", "mode")
    hostile: dict[str, Any] = dict.fromkeys(plain, bad)
    hostile |= {"runbook": {"name": bad}, "target": {"name": bad, "label": bad, "server": {"version": bad}},
                "who": {"os_user": bad, "git_author": bad, "ci_actor": bad}, "git": {"sha": bad}, "page": True,
                "approval": {"digest": bad, "change_ref": bad, "reason": bad}, "evidence": [{"id": bad}],
                "parameters": {bad: bad}}  # fmt: skip
    cells = [
        {"cell_type": "markdown", "source": bad},
        {"cell_type": "markdown", "source": f"[x]({bad})\n\n![x]({bad})\n\n<{bad}>"},
        _cell(_markup(bad), _markup(f"<table><tr><td>{bad}</td></tr></table>"), _stream(bad), source=bad, status=bad),
        _cell({"output_type": "error", "ename": bad, "evalue": bad, "traceback": [bad]}),
        _cell({"output_type": "display_data", "data": {"image/png": bad}}),
        _cell({"output_type": "display_data", "data": {"image/svg+xml": bad}}),
    ]
    shown = _inert(_page(*cells, run=hostile))
    _inert(pages.index([hostile]))
    assert "49" not in shown.get_text(), "no template within a template"


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60), st.sampled_from(BAD), st.text(max_size=20))
def test_no_text_around_it_sets_it_free(before: str, bad: str, after: str) -> None:
    _inert(
        _page(
            _cell(_markup(before + bad + after), _stream(before + bad)),
            {"cell_type": "markdown", "source": before + bad},
        )
    )


def test_the_control_without_cleaning_it_would_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "clean", lambda markup: markup)
    with pytest.raises(AssertionError):
        _inert(_page(_cell(_markup(BAD[0]))))


def test_a_link_in_the_index_leads_into_its_folder_whatever_the_record_is_called() -> None:
    for id_ in ("javascript:alert(1)//", "//evil.example", "data:text/html,x", "../../x?y#z"):
        page = bs4.BeautifulSoup(pages.index([{**RUN, "id": id_}]), "html.parser")
        assert [str(link["href"])[:2] for link in page.find_all("a")] == ["./"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b[38:2::255:0:0mred\x1b[0m", "red"),
        ("\x1b]0;a title\x07seen", "seen"),
        ("\x1b]8;;http://evil.example\x1b\\link\x1b]8;;\x1b\\ and more", "link and more"),
        ("\x1b]8;;x\x1b\\what matters\x07 is kept", "what matters is kept"),
        ("\x1b]never closed, and kept", "]never closed, and kept"),
        ("a\x00b\x08c\x7fd\x9b31me", "abcd31me"),
        ("abc\u202edcba\u2066x", "abcdcbax"),
        ("one\ttwo\nthree", "one\ttwo\nthree"),
        ("rewritten\rover", "rewrittenover"),
    ],
)
def test_what_a_terminal_would_obey_is_taken_out_and_the_rest_is_kept(text: str, shown: str) -> None:
    assert pages.plain(text) == shown
    page = _page(_cell(_stream(text), source=f"# {text}"), run={**RUN, "headline": text, "parameters": {"x": text}})
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", page)


def test_what_is_harmless_stays() -> None:
    kept = (
        '<table style="border-collapse:collapse;"><thead><tr><th>table</th></tr></thead><tbody><tr>'
        '<td style="text-align:right;">1,234</td></tr></tbody></table>'
    )
    assert pages.clean(kept) == kept
    assert pages.clean('<a href="https://example.org/x">x</a>') == '<a href="https://example.org/x">x</a>'


def test_a_picture_stands_in_the_page() -> None:
    raw = base64.b64encode(b"\x89PNG picture").decode()
    page = _inert(
        _page(
            _cell({"output_type": "display_data", "data": {"image/png": [raw[:5], raw[5:] + "\n"], "text/plain": "F"}})
        )
    )
    (picture,) = page.find_all("img")
    assert picture["src"] == f"data:image/png;base64,{raw}"
    assert picture["alt"]


def test_a_reader_a_year_later_finds_who_what_where_when_and_why() -> None:
    read = _inert(_page()).get_text(" ", strip=True)
    for said in ("migration of production", "failed changed", "not all of it was done", "ada · Ada <ada@example.org>",
                 "migration (target=production, revision=1975e0837120)", "production · app@db/agents · 18.1",
                 "2026-11-22T15:42:33Z to 2026-11-22T15:43:00Z", "27.0 s", "OPS-12 · billing", "sha256:abc", "b-1",
                 "cell 4: Incomplete", "0123abcd", "SHA256SUMS"):  # fmt: skip
        assert said in read
    assert "approve=" not in read, "what was not given is left out"


def test_cells_are_shown_in_order_and_those_that_never_ran_are_marked() -> None:
    read = _inert(_page(
        {"cell_type": "markdown", "source": "## Preconditions\n\n| a | b |\n|---|---|\n| 1 | 2 |"},
        _cell(_stream("it ran"), source="first()"),
        _cell(source="second()", status="pending"),
        _cell(source="   "),
    ))  # fmt: skip
    text = read.get_text(" ", strip=True)
    assert text.index("Preconditions") < text.index("first()") < text.index("it ran") < text.index("second()")
    assert text.count("This step never ran.") == 1
    assert len(read.find_all("details")) == 2, "an empty cell is left out"
    assert read.find("table") is not None


def test_an_interactive_run_says_that_it_is_no_audit_record() -> None:
    assert "not an audit record" in _page(run={**RUN, "mode": "interactive"})
    assert "not an audit record" not in _page()
    assert "(interactive)" in pages.index([{**RUN, "mode": "interactive"}])


@pytest.mark.parametrize(
    "run",
    [
        {},
        {"id": "x"},
        {"id": "x", "runbook": None, "target": None, "who": None, "outcome": None},
        {"id": "x", "started": "2026-11-22T15:42:33Z", "runbook": {"name": "backup"}},
    ],
)
def test_the_record_of_a_run_that_was_killed_is_shown_as_far_as_it_goes(run: dict[str, Any]) -> None:
    for page in (_page(run=run), pages.index([run])):
        assert "no end" in _inert(page).get_text()


def test_the_index_lists_the_newest_first() -> None:
    page = pages.index({**RUN, "id": f"2026112{n}T000000Z-x", "headline": f"run {n}"} for n in (1, 3, 2))
    assert [page.index(f"run {n}<") for n in (3, 2, 1)] == sorted(page.index(f"run {n}<") for n in (1, 2, 3))
    assert "3 runs" in page
    assert "0 runs" in pages.index([])
