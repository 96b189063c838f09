"""The sizes of the tables as a picture, and how they grew since the last record."""

from __future__ import annotations

import io
from collections.abc import Sequence

from afdb_helpers.report import Picture, Report, Row

SHOWN = 15  # bars; the rest is one bar more


def growth(tables: Report) -> Picture:
    """Bars of the largest tables in MB, indexes included: what was there at the last record, and what came since."""
    known = [row for row in tables.rows if row["bytes"] is not None]
    shown = [*known[:SHOWN]]
    if rest := known[SHOWN:]:
        came = sum(row.get("growth") or 0 for row in rest)
        shown.append({"table": f"{len(rest)} more", "bytes": sum(row["bytes"] for row in rest), "growth": came})
    title = f"Size of each table: {tables.headline}"
    return Picture(headline=title, rows=tuple(tables.rows), png=_draw(shown, title))


def _draw(shown: Sequence[Row], title: str) -> bytes:
    """A PNG; two colours that every kind of colour vision tells apart."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 1.6 + 0.36 * len(shown)), layout="constrained", dpi=110)
    axes = figure.add_subplot()
    came = [max(0, row.get("growth") or 0) / 1e6 for row in shown]
    before = [row["bytes"] / 1e6 - more for row, more in zip(shown, came, strict=True)]
    axes.barh(range(len(shown)), before, color="#0072B2", label="at the last record")
    if any(came):
        axes.barh(range(len(shown)), came, left=before, color="#E69F00", label="since then")
        axes.legend(loc="lower right", frameon=False)
    for place, row in enumerate(shown):
        axes.annotate(f" {row['bytes'] / 1e6:,.3g}", (row["bytes"] / 1e6, place), va="center", fontsize=9)
    axes.set_yticks(range(len(shown)), [str(row["table"]).replace("$", r"\$") for row in shown])
    axes.invert_yaxis()
    axes.set_xlim(0, max([*(row["bytes"] / 1e6 for row in shown), 0.001]) * 1.15)
    axes.set_xlabel("MB")
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold")
    axes.spines[["top", "right"]].set_visible(False)
    buffer = io.BytesIO()
    FigureCanvasAgg(figure)
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
