"""Records as offline HTML: one page a record, one index. No script, nothing loaded from anywhere.

A page is made from the record's own files (`run.json`, `notebook.ipynb`); what a cell put out is cleaned of all but
harmless markup, and a strict Content-Security-Policy keeps whatever slips through inert.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment

_UNSEEN = re.compile(
    r"\x1b\[[0-9:;?]*[A-Za-z]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"  # a terminal's colours, titles and links
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f]"  # control characters but tab and line feed
    r"|[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]"  # of no width, or turning the direction of what follows
)
_IMAGES = ("image/png", "image/jpeg", "image/svg+xml")
_TAGS = {"p", "strong", "em", "code", "pre", "span", "div", "br", "table", "thead", "tbody", "tr", "th", "td", "ul",
         "ol", "li", "h1", "h2", "h3", "h4", "a", "blockquote", "hr", "img", "figure", "figcaption"}  # fmt: skip


def record(run: Mapping[str, Any], notebook: Mapping[str, Any]) -> str:
    """The page of one record: first who, what, when, why and with what result, then the notebook as it ran."""
    title = f"{(run.get('runbook') or {}).get('name', 'run')} · {run.get('id', '')}"
    cells = [_cell(cell) for cell in notebook.get("cells", ()) if "".join(cell.get("source", "")).strip()]
    shown = {"title": title, "run": run, "facts": facts(run), "cells": cells}
    return _environment().get_template("record.html").render(shown)


def index(runs: Iterable[Mapping[str, Any]]) -> str:
    """The page of all records, the newest first."""
    rows = sorted(runs, key=lambda run: str(run.get("id")), reverse=True)
    return _environment().get_template("index.html").render(runs=rows, title="Records")


def facts(run: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The questions that a reader a year later asks, with their answers; a question without one is left out."""
    who, target, approval, book = (run.get(key) or {} for key in ("who", "target", "approval", "runbook"))
    started, ended = run.get("started"), run.get("ended")
    server = target.get("server") or {}
    place = " · ".join(str(p) for p in (target.get("name"), target.get("label"), server.get("version")) if p)
    asked = [
        ("Who", " · ".join(str(v) for v in (who.get("os_user"), who.get("git_author"), who.get("ci_actor")) if v)),
        ("What", f"{book.get('name', '')} ({', '.join(f'{k}={v}' for k, v in parameters(run))})"),
        ("Where", place),
        ("When", f"{started} to {ended or 'no end was recorded'}"),
        ("Took", f"{run['seconds']:.1f} s" if isinstance(run.get("seconds"), int | float) else ""),
        ("Why", " · ".join(str(v) for v in (approval.get("change_ref"), approval.get("reason")) if v)),
        ("Approved", str(approval.get("digest") or "")),
        ("Evidence", ", ".join(str(e.get("id", e)) for e in run.get("evidence") or ())),
        ("Cause", str(run.get("cause") or "")),
        ("Code", str((run.get("git") or {}).get("sha") or "")),
    ]
    return [(question, answer) for question, answer in asked if answer]


def parameters(run: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The parameters that were set to something."""
    return [(k, v) for k, v in (run.get("parameters") or {}).items() if v not in ("", None)]


def plan(plan: Mapping[str, Any], rehearsal: Mapping[str, Any] | None = None, *, form: str = "markdown") -> str:
    """A migration plan to read before it is approved, as `markdown` or as one `html` page."""
    from afdb_helpers.pages import plans

    text = plans.markdown(plan, rehearsal)
    if form == "markdown":
        return text
    title, body = f"Migration plan {plan['digest'][:19]}", clean(_markdown()(text))
    return _environment().get_template("plan.html").render(title=title, body=body)


def _cell(cell: Mapping[str, Any]) -> dict[str, Any]:
    source = "".join(cell.get("source", ""))
    if cell["cell_type"] == "markdown":
        return {"kind": "markdown", "html": clean(_markdown()(source))}
    status = cell.get("metadata", {}).get("papermill", {}).get("status", "")
    outputs = [shown for output in cell.get("outputs", ()) if (shown := _output(output))]
    return {"kind": "code", "source": source, "status": status, "outputs": outputs}


def _output(output: Mapping[str, Any]) -> dict[str, str] | None:
    """The richest form of an output that is harmless: picture, markup, text."""
    if output["output_type"] == "stream":
        return {"text": plain("".join(output["text"])), "name": output["name"]}
    if output["output_type"] == "error":
        return {"text": plain("\n".join(output["traceback"])), "name": "error"}
    data = {kind: "".join(v) if isinstance(v, list) else v for kind, v in output.get("data", {}).items()}
    for kind in _IMAGES:
        if kind in data:
            raw = data[kind] if kind != "image/svg+xml" else base64.b64encode(data[kind].encode()).decode()
            return {"image": f"data:{kind};base64,{re.sub(r'[^A-Za-z0-9+/=]', '', raw)}"}
    if "text/html" in data:
        return {"html": clean(data["text/html"])}
    return {"text": plain(data["text/plain"]), "name": "result"} if "text/plain" in data else None


def plain(text: str) -> str:
    """Text without what is not seen but acts: terminal sequences, control characters, turned directions."""
    return _UNSEEN.sub("", text)


def clean(markup: str) -> str:
    """Markup with known tags, inline layout and embedded pictures alone; everything else is escaped."""
    import bleach
    from bleach.css_sanitizer import CSSSanitizer

    layout = [
        "border-bottom",
        "border-collapse",
        "color",
        "font-variant-numeric",
        "padding",
        "text-align",
        "vertical-align",
        "white-space",
    ]
    cleaned: str = bleach.clean(
        markup, tags=_TAGS, attributes=_attribute, css_sanitizer=CSSSanitizer(allowed_css_properties=layout),
        protocols=["https", "data", "http"],
    )  # fmt: skip
    return cleaned


def _attribute(tag: str, name: str, value: str) -> bool:
    """Layout anywhere, links that are no documents themselves, pictures that stand in the page: nothing is loaded."""
    if tag == "a" and name == "href":
        return not value.strip().lower().startswith("data:")
    return name == "style" or (tag == "img" and (name == "alt" or (name == "src" and value.startswith("data:image/"))))


@cache
def _markdown() -> Any:
    import mistune

    return mistune.create_markdown(escape=True, plugins=["table"])


@cache
def _environment() -> Environment:
    from jinja2 import ChainableUndefined, Environment, FileSystemLoader

    folder = Path(__file__).parent
    made = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=ChainableUndefined,  # the record of a run that was killed lacks a part or two
        trim_blocks=True,
        finalize=lambda value: plain(value) if type(value) is str else value,
    )
    made.filters["outcome"] = lambda value: str(value or "no end").replace("_", " ")
    return made
