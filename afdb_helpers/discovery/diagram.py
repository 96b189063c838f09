"""Pictures that are text: the tables and their relations, the revisions; as Mermaid, and as SVG without script."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from afdb_helpers.catalog import Catalog, keys
from afdb_helpers.report import Report, count
from afdb_helpers.revisions import Graph, Revision

MOST = 60  # tables in a picture: those with the most relations
_LINE, _TEXT = 17, "font:12px sans-serif"


@dataclass(frozen=True, kw_only=True, repr=False)
class Drawing(Report):
    """A report that is shown as an SVG; with `markdown`, JupyterLab shows that instead."""

    svg: str
    markdown: str = ""

    def _repr_html_(self) -> str | None:  # type: ignore[override]
        if self.markdown:
            return None  # JupyterLab would prefer it to the Markdown
        data = base64.b64encode(self.svg.encode()).decode("ascii")
        return f'<img src="data:image/svg+xml;base64,{data}" alt="{html.escape(self.headline, quote=True)}">'

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        shown = {"text/plain": repr(self), "image/svg+xml": self.svg}
        return shown | ({"text/markdown": self.markdown} if self.markdown else {})


def relations(live: Catalog) -> list[tuple[str, str, str, bool]]:
    """(table, column, table referred to, whether the column may be NULL), one a foreign key."""
    found = []
    for name, table in live.tables.items():
        for key in keys.foreign_keys(table):
            null = any(table["columns"].get(one, {}).get("nullable", True) for one in key.columns)
            found.append((name, ", ".join(key.columns), key.table, null))
    return found


def entities(live: Catalog) -> Drawing:
    """The tables with their keys, and a line for each foreign key."""
    found = relations(live)
    shown = _largest(live, found)
    kept = [one for one in found if one[0] in shown and one[2] in shown]
    headline = f"{count(len(live.tables), 'table')}, {count(len(found), 'foreign key')}"
    if len(shown) < len(live.tables):
        headline += f"; the {len(shown)} with the most relations are drawn"
    rows = tuple({"table": t, "column": c, "refers to": r, "may be null": n} for t, c, r, n in found)
    return Drawing(headline=headline, rows=rows, svg=_boxes(live, shown, kept), markdown=mermaid(live, shown, kept))


def mermaid(live: Catalog, shown: Sequence[str], found: Sequence[tuple[str, str, str, bool]]) -> str:
    """The same as Mermaid, fenced for Markdown."""
    lines = ["erDiagram"]
    for name in shown:
        table = live.tables[name]
        marked = [(c, mark) for c in table["columns"] if (mark := _mark(table, c))]
        body = [f"        {_word(table['columns'][c]['type'])} {_word(c)} {mark}" for c, mark in marked]
        lines += [f"    {_entity(name)} {{", *body, "    }"] if body else [f"    {_entity(name)}"]
    for table_name, column, referred, null in found:
        lines.append(f'    {_entity(referred)} {"|o" if null else "||"}--o{{ {_entity(table_name)} : "{_said(column)}"')
    return "```mermaid\n" + "\n".join(lines) + "\n```\n"


def graph(found: Graph, *, stamped: Sequence[str] = ()) -> Drawing:
    """The revisions, the oldest at the bottom, each with a line to what it builds on; stamped ones are marked."""
    order = list(reversed(found.revisions))
    place = {one.id: number for number, one in enumerate(order)}
    lane: dict[str, int] = {}
    for one in order:
        lane.setdefault(one.id, 0 if not lane else max(lane.values()) + 1)
        for number, down in enumerate(one.down):
            lane.setdefault(down, lane[one.id] if number == 0 else max(lane.values()) + 1)
    left = 30 + 24 * (max(lane.values(), default=0) + 1)
    out = [part for one in order for part in _node(one, found, place, lane, left, stamped)]
    where = f"the database is at {', '.join(stamped)}" if stamped else "none stamped"
    rows = tuple(
        {"revision": r.id, "after": ", ".join(r.down), "head": r.id in found.heads, "here": r.id in stamped}
        for r in order
    )
    svg = _svg(900, 30 + 30 * len(order), out)
    return Drawing(headline=f"{count(len(order), 'revision')}; {where}", rows=rows, svg=svg)


def _node(
    one: Revision, found: Graph, place: Mapping[str, int], lane: Mapping[str, int], left: int, stamped: Sequence[str]
) -> Iterator[str]:
    x, y = 20 + 24 * lane[one.id], 20 + 30 * place[one.id]
    for down in one.down:
        yield f'<line x1="{x}" y1="{y}" x2="{20 + 24 * lane[down]}" y2="{20 + 30 * place[down]}" stroke="#888"/>'
    here = one.id in stamped
    marks = [word for word, holds in (("head", one.id in found.heads), ("the database is here", here)) if holds]
    fill = "#0072B2" if here else "#fff"
    yield f'<circle cx="{x}" cy="{y}" r="6" fill="{fill}" stroke="#0072B2" stroke-width="2"/>'
    said = one.doc.splitlines()[0] if one.doc else ""
    label = f"{one.id}  {said}" + (f"  ({', '.join(marks)})" if marks else "")
    yield f'<text x="{left}" y="{y + 4}" style="{_TEXT}">{html.escape(label)}</text>'


def _largest(live: Catalog, found: Sequence[tuple[str, str, str, bool]]) -> list[str]:
    if len(live.tables) <= MOST:
        return list(live.tables)
    weight = dict.fromkeys(live.tables, 0)
    for table, _, referred, _ in found:
        weight[table] += 1
        weight[referred] = weight.get(referred, 0) + 1
    chosen = sorted(live.tables, key=lambda name: -weight[name])[:MOST]
    return [name for name in live.tables if name in set(chosen)]


def _boxes(live: Catalog, shown: Sequence[str], found: Sequence[tuple[str, str, str, bool]]) -> str:
    """Boxes in columns, a table right of those it refers to, as far as there is no circle."""
    depth = dict.fromkeys(shown, 0)
    for _ in range(min(len(shown), 8)):
        for table, _column, referred, _null in found:
            if table != referred:
                depth[table] = min(8, max(depth[table], depth[referred] + 1))
    at: dict[str, tuple[int, int, int]] = {}
    bottom: dict[int, int] = {}
    out = []
    for name in shown:
        lines = [c for c in live.tables[name]["columns"] if _mark(live.tables[name], c)]
        height = _LINE * (len(lines) + 1) + 8
        x, y = 10 + 260 * depth[name], bottom.get(depth[name], 10)
        bottom[depth[name]], at[name] = y + height + 18, (x, y, height)
        out.append(f'<rect x="{x}" y="{y}" width="200" height="{height}" rx="4" fill="#fff" stroke="#0072B2"/>')
        out.append(f'<text x="{x + 8}" y="{y + 15}" style="{_TEXT};font-weight:bold">{html.escape(name[:30])}</text>')
        for number, column in enumerate(lines, 1):
            label = html.escape(f"{column[:22]} {_mark(live.tables[name], column)}")
            out.append(f'<text x="{x + 8}" y="{y + 15 + _LINE * number}" style="{_TEXT}">{label}</text>')
    curves = []
    for table, _column, referred, null in found:
        (x1, y1, h1), (x2, y2, h2) = at[table], at[referred]
        dash = ' stroke-dasharray="4 3"' if null else ""
        left, right, one, other = x1, x2 + 200, y1 + h1 // 2, y2 + h2 // 2
        way = f"M{left} {one} C{left - 40} {one} {right + 40} {other} {right} {other}"
        curves.append(f'<path d="{way}" fill="none" stroke="#888"{dash}/>')
    width = 260 * (max(depth.values(), default=0) + 1)
    return _svg(width, max(bottom.values(), default=20), [*curves, *out])


def _svg(width: int, height: int, parts: Sequence[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
    return "\n".join([head, f'<rect width="{width}" height="{height}" fill="#fff"/>', *parts, "</svg>"])


def _mark(table: dict[str, Any], column: str) -> str:
    referring = any(column in key.columns for key in keys.foreign_keys(table))
    unique = [column] in keys.uniques(table) or (True, (column,)) in map(keys.index, table["indexes"].values())
    marks = {"PK": column in keys.primary_key(table), "FK": referring, "UK": unique}
    return ", ".join(mark for mark, holds in marks.items() if holds)


def _entity(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) else f'"{_said(name)}"'


def _said(text: str) -> str:
    return re.sub(r'["\\\x00-\x1f`{}]', "'", text)


def _word(text: str) -> str:
    """As Mermaid takes an attribute: a letter, then letters, digits, underscores."""
    plain = re.sub(r"\W+", "_", text, flags=re.ASCII).strip("_").lower() or "unnamed"
    return plain if plain[0].isalpha() else f"_{plain}"
