"""The sizes of a database's tables as a picture: what a dump will spend its time on."""

from __future__ import annotations

import io
from collections.abc import Sequence

from afdb_helpers.report import Picture, Report, Row

SHOWN = 15  # bars; the rest is one bar more


def sizes(tables: Report) -> Picture:
    """Bars of the largest tables in MB (1 MB is 1,000,000 bytes), indexes included; `tables` is `catalog.sizes`."""
    known = [row for row in tables.rows if row["bytes"] is not None]
    shown = known[:SHOWN]
    if rest := known[SHOWN:]:
        shown = [*shown, {"table": f"{len(rest)} more", "bytes": sum(row["bytes"] for row in rest)}]
    title = f"Size of each table with its indexes: {tables.headline}"
    return Picture(headline=title, rows=tuple(tables.rows), png=_draw(shown, title))


def _draw(shown: Sequence[Row], title: str) -> bytes:
    """A PNG without any window system; one colour that every kind of colour vision tells from the paper."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 1.6 + 0.36 * len(shown)), layout="constrained", dpi=110)
    axes = figure.add_subplot()
    megabytes = [row["bytes"] / 1e6 for row in shown]
    names = [str(row["table"]).replace("$", r"\$") for row in shown]
    axes.barh(range(len(shown)), megabytes, color="#0072B2")
    for place, size in enumerate(megabytes):
        axes.annotate(f" {size:,.1f}" if size >= 1 else f" {size:.3f}", (size, place), va="center", fontsize=9)
    axes.set_yticks(range(len(shown)), names)
    axes.invert_yaxis()
    axes.set_xlim(0, max([*megabytes, 0.001]) * 1.15)
    axes.set_xlabel("MB")
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold")
    axes.spines[["top", "right"]].set_visible(False)
    buffer = io.BytesIO()
    FigureCanvasAgg(figure)
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
