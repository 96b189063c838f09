"""The rows of the page of all records: each made once and kept, so that a page of ten thousand is joined, not made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from afdb_helpers.pages import facts, outcomes
from afdb_helpers.pages.facts import part
from afdb_helpers.pages.markup import escape

NAME, HEADLINE = 60, 180  # characters; the record's page has the rest
TOOK = 5  # the column of numbers
_MODES = {"interactive": "Interactive, not an audit record. ", "trial": "A trial, not an audit record. "}


def row(run: Mapping[str, Any], page: str) -> str:
    """One record as a table row on one line. `page` is its page, from where the index stands."""
    name = _short(part(run, "runbook").get("name") or "unknown")
    seconds, mode = run.get("seconds"), run.get("mode")
    outcome = f'<span class="sign">{outcomes.sign(run)}</span>{_short(outcomes.said(run))}'
    cells = [
        _short(facts.moment(run.get("started"))),
        f'<a href="./{quote(page, safe="/._-")}">{name}</a>' if page else name,
        _short(part(run, "target").get("name")),
        f'<span class="outcome {outcomes.colour(run)}">{outcome}</span>',
        _short(facts.actor(run)),
        f"{seconds:,.1f} s" if facts.number(seconds) else "",
        _short(part(run, "approval").get("change_ref")),
        escape(_MODES.get(str(mode), "")) + _short(outcomes.brief(run), HEADLINE),
    ]
    tags = ["<td class=right>" if at == TOOK else "<td>" for at in range(len(cells))]
    return f"<tr>{''.join(f'{tag}{cell}</td>' for tag, cell in zip(tags, cells, strict=True))}</tr>"


def _short(value: Any, limit: int = NAME) -> str:
    """A value as text on one line."""
    text = " ".join(str(value or "")[: 4 * limit].split())
    return escape(text if len(text) <= limit else f"{text[:limit]}…")
