"""Tables as bars: how large each is, what came since, what a migration did to rows and bytes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from afdb_helpers.report import Picture, Report, Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHOWN = 15  # bars; the rest is one bar more
FIRST, SECOND = "#0072B2", "#E69F00"  # every kind of colour vision tells them apart, and both from the paper


def sizes(tables: Report) -> Picture:
    """The largest tables in MB (1 MB is 1,000,000 bytes), indexes included; a row's `growth` in a colour of its own."""
    known = [row for row in tables.rows if row["bytes"] is not None]
    shown = _cut(known, ("bytes", "growth"))
    came = [max(0, row.get("growth") or 0) / 1e6 for row in shown]
    stood = [row["bytes"] / 1e6 - more for row, more in zip(shown, came, strict=True)]
    title = f"Size of each table with its indexes: {tables.headline}"
    figure, (axes,) = _figure(len(shown), 1, title)
    axes.barh(range(len(shown)), stood, color=FIRST, label="at the last record")
    if any(came):
        axes.barh(range(len(shown)), came, left=stood, color=SECOND, label="since then")
        axes.legend(loc="lower right", frameon=False)
    _named(axes, shown, [row["bytes"] / 1e6 for row in shown], "MB")
    return Picture(headline=title, rows=tuple(tables.rows), png=_png(figure))


def changed(rows: Sequence[Row], title: str) -> Picture:
    """Rows and MB of a table, before and now side by side: `rows before`, `rows now`, `bytes before`, `bytes now`."""
    largest = sorted(rows, key=lambda row: -max(row["bytes before"] or 0, row["bytes now"] or 0))
    shown = _cut(largest, ("rows before", "rows now", "bytes before", "bytes now"))
    figure, panels = _figure(len(shown) * 1.6, 2, title)
    for axes, (what, unit, by) in zip(panels, (("rows", "rows", 1), ("bytes", "MB", 1e6)), strict=True):
        both = [[(row[f"{what} {when}"] or 0) / by for row in shown] for when in ("before", "now")]
        for at, numbers, colour, label in ((-0.2, both[0], FIRST, "before"), (0.2, both[1], SECOND, "now")):
            axes.barh([place + at for place in range(len(shown))], numbers, height=0.38, color=colour, label=label)
        _named(axes, shown, [max(pair) for pair in zip(*both, strict=True)], unit)
    panels[1].set_yticks([])
    panels[1].legend(loc="lower right", frameon=False)
    return Picture(headline=title, rows=tuple(rows), png=_png(figure))


def _cut(rows: Sequence[Row], sums: Sequence[str]) -> list[Row]:
    rest = rows[SHOWN:]
    more = {"table": f"{len(rest)} more"} | {name: sum(row.get(name) or 0 for row in rest) for name in sums}
    return [*rows[:SHOWN], *([more] if rest else [])]


def _figure(bars: float, panels: int, title: str) -> tuple[Any, list[Axes]]:
    """A figure without any window system."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 1.6 + 0.36 * bars), layout="constrained", dpi=110)
    FigureCanvasAgg(figure)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    return figure, list(figure.subplots(1, panels, squeeze=False)[0])


def _named(axes: Axes, shown: Sequence[Row], lengths: Sequence[float], unit: str) -> None:
    """Each bar with its table's name and its number."""
    for place, length in enumerate(lengths):
        said = f" {length:,.0f}" if unit == "rows" else f" {length:,.3g}"
        axes.annotate(said, (length, place), va="center", fontsize=9)
    axes.set_yticks(range(len(shown)), [str(row["table"]).replace("$", r"\$") for row in shown])
    axes.invert_yaxis()
    axes.set_xlim(0, max([*lengths, 0.001]) * 1.15)
    axes.set_xlabel(unit)
    axes.spines[["top", "right"]].set_visible(False)


def _png(figure: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
