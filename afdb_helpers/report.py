"""The one shape of every result: a headline, whether it is well, and rows; the same in Jupyter and in a terminal."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from afdb_helpers.errors import ConfigError, Refused

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console, ConsoleOptions, RenderResult

Row = Mapping[str, Any]

_TABLE = "border-collapse:collapse;font-variant-numeric:tabular-nums"
# A click on a head sorts by its column, numbers as numbers, empty cells last; a record's page drops this, and is inert.
_SORT = (
    "const h=event.target.closest('th');if(!h)return;const b=this.parentNode.tBodies[0],i=h.cellIndex,"
    "d=h.dataset.d=h.dataset.d==='1'?'-1':'1',t=r=>r.cells[i].textContent,n=s=>Number(s.replace(/,/g,''));"
    "[...b.rows].sort((x,y)=>{const p=t(x),q=t(y);return p===''||q===''?(p==='')-(q===''):"
    "d*(isNaN(n(p))||isNaN(n(q))?p.localeCompare(q):n(p)-n(q))}).forEach(r=>b.append(r))"
)
WIDE = 44  # characters from which on a cell is not squeezed into a narrow column
_CELL = "padding:.2em .8em;text-align:{};border-bottom:1px solid #8884;vertical-align:top"


@dataclass(frozen=True, kw_only=True, repr=False)
class Report:
    """A result. `ok` False means it was looked at and found wanting; a failure to look raises instead.

    `rows` share their keys; `remedy` is the next command or step; `parts` are further reports shown below. `brief`
    are the rows as people see them, where there is a shorter form; data, files and frames hold `rows`.
    """

    headline: str
    ok: bool = True
    rows: tuple[Row, ...] = ()
    remedy: str = ""
    parts: tuple[Report, ...] = field(default=())
    brief: tuple[Row, ...] = ()

    @property
    def seen(self) -> tuple[Row, ...]:
        """The rows to show."""
        return self.brief or self.rows

    @property
    def mark(self) -> str:
        return "✓" if self.ok else "✗"

    def frame(self) -> pd.DataFrame:
        """The rows as a DataFrame: one row a mapping, columns in order of first appearance."""
        import pandas as pd

        return pd.DataFrame([dict(row) for row in self.rows], columns=list(columns(self.rows)))

    def to_csv(self, path: str | Path) -> Path:
        """Write the rows as CSV, a header first, values as they are (no thousands apart)."""
        self.frame().convert_dtypes().to_csv(path, index=False)  # numbers stay whole beside empty cells
        return Path(path)

    def to_json(self, path: str | Path) -> Path:
        """Write the whole result as JSON: what `as_dict` holds, parts included."""
        Path(path).write_text(json.dumps(self.as_dict(), indent=1, ensure_ascii=False) + "\n")
        return Path(path)

    def to_parquet(self, path: str | Path) -> Path:
        """Write the rows as Parquet; a column of several types becomes text. Needs the extra `parquet`."""
        frame = self.frame().convert_dtypes()
        for name in frame.columns[frame.dtypes == "object"]:
            frame[name] = frame[name].map(lambda value: None if value is None else str(plain(value))).astype("string")
        try:
            frame.to_parquet(path, index=False)
        except ImportError:
            raise ConfigError(
                "Parquet cannot be written",
                why="the package pyarrow is not installed",
                do="pip install 'afdb-helpers[parquet]', or write CSV with to_csv",
            ) from None
        return Path(path)

    def raise_unless_ok(self) -> Self:
        """Return self, or raise `Refused` with the headline and the remedy."""
        if self.ok:
            return self
        wanting = next((part for part in self.parts if not part.ok), self)
        first = ", ".join(str(value) for value in self.rows[0].values() if value not in ("", None)) if self.rows else ""
        why = first if wanting is self and first else wanting.headline
        raise Refused(self.headline, why=why, do=self.remedy or wanting.remedy or "see the rows above")

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON: headline, ok, remedy, rows, parts."""
        return {
            "headline": self.headline,
            "ok": self.ok,
            "remedy": self.remedy,
            "rows": [{key: plain(value) for key, value in row.items()} for row in self.rows],
            "parts": [part.as_dict() for part in self.parts],
        }

    def __repr__(self) -> str:
        return text(self)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.table import Table
        from rich.text import Text

        verdict = (self.mark, "bold green" if self.ok else "bold red")
        yield Text.assemble(verdict, " ", (show(self.headline), "bold"))
        if self.seen:
            table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
            for name in filled(self.seen):
                table.add_column(
                    Text(show(name)),
                    justify="right" if numeric(self.seen, name) else "left",
                    overflow="fold",
                    min_width=len(name),
                )
            for row in self.seen:
                table.add_row(*(Text(show(row.get(name))) for name in filled(self.seen)))
            yield table
        if self.remedy:
            yield Text.assemble(("next: ", "dim"), show(self.remedy))
        for part in self.parts:
            yield Text()
            yield part

    def _repr_html_(self) -> str:
        """Inline styles only and every value escaped, so that a record page stays inert."""
        hue = "#1a7f37" if self.ok else "#cf222e"
        mixed = f"color:{hue};color:color-mix(in srgb,{hue} 60%,currentcolor)"  # with the theme's ink: dark ones too
        sign = f'<span style="{mixed}">{self.mark}</span>'
        out = [f"<p><strong>{sign} {html.escape(show(self.headline))}</strong></p>"]
        if self.seen:
            out.append(_html_table(self.seen))
        if self.remedy:
            out.append(f"<p>next: <code>{html.escape(show(self.remedy))}</code></p>")
        out.extend(part._repr_html_() for part in self.parts)
        return "\n".join(out)


@dataclass(frozen=True, kw_only=True, repr=False)
class Aside(Report):
    """A report of what nobody looked at: neither good nor wanting."""

    mark = "·"


@dataclass(frozen=True, kw_only=True, repr=False)
class Picture(Report):
    """A report that a browser shows as an image; the rows are what is drawn, for the terminal and for the blind."""

    png: bytes

    def _repr_html_(self) -> str:
        image = base64.b64encode(self.png).decode("ascii")
        alt = html.escape(self.headline, quote=True)
        return f'<img src="data:image/png;base64,{image}" alt="{alt}" style="max-width:100%;height:auto">'


def columns(rows: Iterable[Row]) -> tuple[str, ...]:
    """Every key of every row, in order of first appearance."""
    return tuple(dict.fromkeys(key for row in rows for key in row))


def filled(rows: Iterable[Row]) -> tuple[str, ...]:
    """The columns to show: those that hold something in at least one row, or all where none does."""
    rows = tuple(rows)
    names = columns(rows)
    return tuple(name for name in names if any(row.get(name) not in (None, "") for row in rows)) or names


def numeric(rows: Iterable[Row], name: str) -> bool:
    """Whether a column holds numbers only (empty cells aside), so that it is aligned right."""
    values = [row[name] for row in rows if row.get(name) is not None]
    return bool(values) and all(isinstance(v, int | float | Decimal) and not isinstance(v, bool) for v in values)


def show(value: Any) -> str:
    """A cell as a person reads it: thousands apart, yes and no, nothing for None, control characters visible."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, Decimal):
        return f"{value:,.2f}"
    if isinstance(value, float):
        return f"{value:,.3f}" if abs(value) < 10 else f"{value:,.1f}"
    said = str(value)
    return said if said.isprintable() else "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in said)


def count(number: int, noun: str, plural: str = "") -> str:
    """`1 table`, `2 tables`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def executed(statements: Iterable[str]) -> str:
    """`3 statements`, or `2 different statements, 3 executed` where one ran more than once."""
    ran = list(statements)
    different = len(set(ran))
    if different == len(ran):
        return count(different, "statement")
    return f"{count(different, 'different statement')}, {len(ran):,} executed"


def places(texts: Iterable[str]) -> dict[str, int]:
    """The number of each different one, in the order in which they first come: what a statement is cited by."""
    return {text: place for place, text in enumerate(dict.fromkeys(texts), 1)}


def folded(rows: Iterable[Row], same: Iterable[object]) -> tuple[Row, ...]:
    """Rows whose `same` is equal as one: how many `times`, its first `n`, other numbers added up, texts joined.

    Empty where no two are equal.
    """
    groups: dict[object, list[Row]] = {}
    for row, key in zip(rows, same, strict=True):
        groups.setdefault(key, []).append(row)
    if all(len(group) == 1 for group in groups.values()):
        return ()
    return tuple(_as_one(group) for group in groups.values())


def _as_one(group: list[Row]) -> Row:
    one: dict[str, Any] = {}
    for name, first in group[0].items():
        values = [value for row in group if (value := row[name]) is not None]
        if name == "n" or len(values) < 2:
            one[name] = first if name == "n" or not values else values[0]
        elif numeric(group, name):
            one[name] = sum(values)
        else:
            one[name] = ", ".join(dict.fromkeys(filter(None, map(show, values))))
        if name == "statement":
            one["times"] = len(group)
    return one


def plain(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def text(report: Report) -> str:
    """The report as plain text, columns aligned."""
    lines = [f"{report.mark} {show(report.headline)}"]
    names = filled(report.seen)
    cells = [[show(row.get(name)).replace("\n", " ") for name in names] for row in report.seen]
    widths = [max(map(len, column)) for column in zip(names, *cells, strict=True)] if names else []
    right = [numeric(report.seen, name) for name in names]
    for line in [[show(name) for name in names], *cells] if names else []:
        padded = (c.rjust(w) if r else c.ljust(w) for c, w, r in zip(line, widths, right, strict=True))
        lines.append("  " + "  ".join(padded).rstrip())
    if report.remedy:
        lines.append(f"  next: {show(report.remedy)}")
    lines.extend(f"\n{text(part)}" for part in report.parts)
    return "\n".join(lines)


def _html_table(rows: tuple[Row, ...]) -> str:
    names = filled(rows)
    align = {name: _CELL.format("right" if numeric(rows, name) else "left") for name in names}
    head = "".join(f'<th style="{align[name]}">{html.escape(show(name))}</th>' for name in names)
    body = "".join(
        "<tr>"
        + "".join(f'<td style="{align[n]}{_tight(row.get(n))}">{html.escape(show(row.get(n)))}</td>' for n in names)
        + "</tr>"
        for row in rows
    )
    clicked = f'<thead onclick="{html.escape(_SORT)}" title="click to sort"><tr>{head}</tr></thead>'
    return f'<table style="{_TABLE}">{clicked}<tbody>{body}</tbody></table>'


def _tight(value: Any) -> str:
    """Keeps a number, a date or a short name on one line, and the lines of what has several, as SQL with comments."""
    text = show(value)
    wide = ";min-width:16em" if len(text) > WIDE else ""
    if "\n" in text:
        return f";white-space:pre-line{wide}"
    return ";white-space:nowrap" if len(text) <= 28 and not set(text) & set(" /") else wide
