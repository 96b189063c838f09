"""Records as offline HTML: a page for each, one for each target, and one of all. Nothing is loaded from anywhere.

    facts         the eight questions that a reader a year later asks, answered
    outcomes      how an outcome is said and marked
    cells         a notebook's cells and outputs, harmless and of bounded size
    markup        text and markup from anywhere made harmless
    listing       the rows of the page of all records
    history       a target's timeline, its revision over time, how long its steps take
    plans         a migration plan to read before it is approved

Each page forbids itself everything but its own style (and, on the page of all records, its own script), both named by
their hashes in its Content-Security-Policy: whatever else finds a way in stays inert.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from afdb_helpers.pages import facts, history, outcomes
from afdb_helpers.pages.listing import row as row
from afdb_helpers.pages.markup import clean as clean
from afdb_helpers.pages.markup import plain as plain
from afdb_helpers.pages.outcomes import told as told
from afdb_helpers.report import count

if TYPE_CHECKING:
    from jinja2 import Environment

_SEALED = "Its files and their hashes stand beside this page in SHA256SUMS."
_OPEN = "It was never sealed: the run that it is of has no end."
_EXPORTED = "Made for a ticket; the record's own files and their hashes are in the zip beside it."


def record(run: Mapping[str, Any], notebook: Mapping[str, Any], *, home: str = "../") -> str:
    """The page of one record: the eight questions answered, then the notebook as it ran.

    `home` leads to the folder of the records; empty for a page that stands alone.
    """
    from afdb_helpers.pages.cells import Cells

    name = facts.part(run, "target").get("name")
    sealed = _EXPORTED if not home else _SEALED if run.get("ended") else _OPEN
    return _page(
        "record.html", "style.css", title=facts.title(run), run=run, facts=facts.facts(run), home=home, sealed=sealed,
        warnings=facts.warnings(run), cells=Cells().shown(notebook), target=name and history.file_name(str(name)),
        sign=outcomes.sign(run), colour=outcomes.colour(run), said=outcomes.said(run), change=outcomes.change(run),
        told=outcomes.told(run), empty=_empty(run),
    )  # fmt: skip


def index(total: int, targets: Iterable[str] = ()) -> tuple[str, str]:
    """The page of all records around its table's body, which is of rows as `row` makes them, one a line."""
    links = [(name, history.file_name(name)) for name in sorted(targets)]
    page = _page("index.html", "style.css", "index.css", script="index.js", title="Records", targets=links,
                 count=count(total, "record"))  # fmt: skip
    head, _, tail = page.partition("<tbody></tbody>")
    return head, tail


def target(name: str, runs: Sequence[history.Short], moves: Sequence[history.Short], total: int) -> str:
    """The page of one target, of what `history.short` took of its newest runs and of those that moved its revision."""
    return _page("target.html", "style.css", "target.css", title=name, total=total, brief=history.BRIEF,
                 **history.view(name, runs, moves))  # fmt: skip


def plan(
    plan: Mapping[str, Any],
    rehearsal: Mapping[str, Any] | None = None,
    findings: Mapping[str, Any] | None = None,
    *,
    form: str = "markdown",
    **about: str,
) -> str:
    """A migration plan to read before it is approved, as `markdown` or as one `html` page.

    `rehearsal` and `findings` are what its rehearsal's record holds as rehearsal.json and findings.json;
    `about` what `plans.markdown` takes of the target beside what is approved.
    """
    from afdb_helpers.pages import plans
    from afdb_helpers.pages.cells import markdown

    text = plans.markdown(plan, rehearsal, findings, **about)
    if form == "markdown":
        return text
    title = f"Migration plan {plan['digest'][:19]}"
    return _page("plan.html", "style.css", title=title, body=markdown(text))


@cache
def version() -> str:
    """A hash of everything that pages are made by: kept parts of another version are made anew."""
    made = hashlib.sha256()
    for path in sorted(Path(__file__).parent.iterdir()):
        made.update(path.read_bytes() if path.is_file() else b"")
    return made.hexdigest()[:16]


def policy(style: str, script: str = "") -> str:
    """The Content-Security-Policy of a page that holds this style and this script, and may hold pictures as data."""
    scripts = f"script-src {_source(script)}; " if script else ""
    return (f"default-src 'none'; style-src {_source(style)}; {scripts}img-src data:; base-uri 'none'; "
            "form-action 'none'")  # fmt: skip


def _page(template: str, *styles: str, script: str = "", **shown: Any) -> str:
    style, code = "".join(_part(name) for name in styles), _part(script) if script else ""
    made = _environment().get_template(template)
    return made.render(style=style, script=code, policy=policy(style, code), **shown)


@cache
def _part(name: str) -> str:
    return (Path(__file__).parent / name).read_text()


@cache
def _source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _empty(run: Mapping[str, Any]) -> str:
    known = {"interactive": "JupyterLab has its notebook", "command": "it was a command, which has no notebook"}
    kept = known.get(str(run.get("mode")), "it left no notebook")
    return f"No cells are shown: {kept}."


@cache
def _environment() -> Environment:
    from jinja2 import ChainableUndefined, Environment, FileSystemLoader

    return Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=ChainableUndefined,  # the record of a run that was killed lacks a part or two
        trim_blocks=True,
        finalize=lambda value: plain(value) if type(value) is str else value,
    )
