"""The pictures of the cost comparison, drawn without any window system; each title says what is seen.

Okabe and Ito's colours are told apart with every kind of colour vision, and lines differ by their dashes too. The paper
is white in light and in dark pages. Amounts that differ by an order are on a logarithmic scale, and the axis says so.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from afdb_helpers.report import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from afdb_helpers.pricing.curves import Curve

BARS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000", "#999999")
LINES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#7F7F7F")
DASHES: tuple[Any, ...] = ("-", (0, (6, 2)), (0, (2, 1.5)), (0, (6, 2, 1, 2)), "-", (0, (6, 2)), (0, (2, 1.5)), "-")
_LOW, _HIGH, _GREY = "#0072B2", "#D55E00", "#666666"


def stacked(
    names: Sequence[str], parts: Mapping[str, tuple[int, Sequence[float]]], said: Sequence[str], title: str
) -> bytes:
    """Bars of USD a month, one an offer; `parts` are group → (its colour, its amounts), `said` stands at the ends."""
    figure, axes = _figure(9, 1.6 + 0.42 * len(names))
    starts = [0.0] * len(names)
    for group, (colour, widths) in parts.items():
        axes.barh(range(len(names)), widths, left=starts, color=BARS[colour % len(BARS)], edgecolor="white",
                  linewidth=0.8, label=group)  # fmt: skip
        starts = [start + width for start, width in zip(starts, widths, strict=True)]
    for place, words in enumerate(said):
        axes.annotate(f" {_plain(words)}", (starts[place], place), va="center", fontsize=9)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlim(0, max([*starts, 1.0]) * 1.28)
    axes.set_xlabel("USD per month")
    if parts:
        axes.legend(fontsize=9, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0), title="paid for")
    return _png(figure, title)


def growth(lines: Mapping[str, Any], title: str) -> bytes:
    """Total cost over months; a line ends with a cross where its offer no longer fits."""
    import numpy as np

    figure, axes = _figure(9, 4.8)
    for number, (name, cost) in enumerate(lines.items()):
        months, known = np.arange(1, len(cost) + 1), np.flatnonzero(np.isfinite(cost))
        look = _look(number)
        if name.startswith("always"):
            look = {"color": _GREY, "linestyle": ":", "linewidth": 4, "zorder": 1}
        end = (
            f"{cost[-1]:,.0f}"
            if np.isfinite(cost[-1])
            else f"fits {len(known)} months"
            if len(known)
            else "does not fit"
        )
        axes.plot(months, cost, label=f"{name}: {end}", **look)
        if 0 < len(known) < len(cost):
            axes.plot(months[known[-1]], cost[known[-1]], "x", color=look["color"], markersize=9, markeredgewidth=2)
    axes.set_xlim(1, max(2, *(len(cost) for cost in lines.values())))
    axes.set_xlabel("month (×: the last in which the offer fits)")
    scale = _scaled(axes, "y", list(lines.values()))
    axes.set_ylabel(f"USD in total since the first month{scale}")
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.legend(fontsize=9, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0), title="USD at the end")
    axes.grid(axis="y", color="#DDDDDD", linewidth=0.7)
    return _png(figure, title)


def panels(curves: Sequence[Curve], title: str) -> bytes:
    """A panel a curve: bills as one input grows; dotted uprights where the cheapest changes, named above."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.2 * ((len(curves) + 1) // 2)), layout="constrained", dpi=110)
    FigureCanvasAgg(figure)
    grid = figure.subplots((len(curves) + 1) // 2, 2, squeeze=False)
    for curve, axes in zip(curves, grid.flat, strict=False):
        for number, (name, bills) in enumerate(curve.bills.items()):
            axes.plot(curve.values, bills, label=name, **_look(number))
        _turns(axes, curve)
        if curve.logarithmic:  # over many decades the labels between them would run together
            _logarithmic(axes, "x", steps=(1,) if curve.values[-1] > 300 * curve.values[0] else (1, 2, 5))
        axes.set_xlim(curve.values[0], curve.values[-1])
        axes.set_xlabel(curve.label)
        axes.xaxis.set_major_formatter(lambda x, _: f"{x:,.0f}" if x >= 1 else f"{x:g}")
        scale = _scaled(axes, "y", list(curve.bills.values()))
        axes.set_ylabel(f"USD per month{scale}")
        axes.yaxis.set_major_formatter("{x:,.0f}")
        low, high = axes.get_ylim()
        axes.set_ylim(low if scale else 0, high * (high / low) ** 0.35 if scale else high * 1.35)
        axes.spines[["top", "right"]].set_visible(False)
    handles, labels = grid.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(4, len(labels)), frameon=False, fontsize=9)
    return _png(figure, title)


def intervals(rows: Sequence[Row], title: str) -> bytes:
    """From the 5th to the 95th percentile with the median, and how often an offer is the cheapest."""
    names = ("USD, 1 in 20 below", "half below", "1 in 20 above")
    shown = [row for row in rows if row["half below"] is not None]
    figure, axes = _figure(9, 1.5 + 0.42 * max(1, len(shown)))
    scale = _scaled(axes, "x", [[float(row[name]) for name in names] for row in shown])
    for place, row in enumerate(shown):
        low, middle, high = (float(row[name]) for name in names)
        axes.plot([low, high], [place, place], color=_LOW, linewidth=7, alpha=0.45, solid_capstyle="butt")
        axes.plot(middle, place, "o", color=_LOW, markersize=7)
        words = "never the cheapest" if row["cheapest in"] == "0 %" else f"cheapest in {row['cheapest in']}"
        fits = "" if row["fits in"] == "100 %" else f", fits in {row['fits in']}"
        axes.annotate(f"{words}{fits}", (high, place), va="center", fontsize=9, xytext=(9, 0),
                      textcoords="offset points")  # fmt: skip
    axes.set_yticks(range(len(shown)), [row["offer"] for row in shown])
    axes.invert_yaxis()
    low, high = axes.get_xlim()
    axes.set_xlim(low if scale else 0, high * (high / low) ** 0.45 if scale else high * 1.45)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_xlabel(f"USD per month, labour included{scale}; the dot: half of the months are below")
    axes.grid(axis="x", color="#DDDDDD", linewidth=0.7)
    return _png(figure, title)


def tornado(rows: Sequence[Row], title: str, most: int = 10) -> bytes:
    """A panel an offer: bars from the stated bill to that at either end of an input, the widest on top."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    offers = list(dict.fromkeys(row["offer"] for row in rows)) or [""]
    by_offer = {offer: [row for row in rows if row["offer"] == offer][:most] for offer in offers}
    heights = [max(1, len(found)) + 1.4 for found in by_offer.values()]
    figure = Figure(figsize=(9, 1.0 + 0.42 * sum(heights)), layout="constrained", dpi=110)
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(offers), 1, squeeze=False, height_ratios=heights)
    for axes, (offer, found) in zip(grid.flat, by_offer.items(), strict=True):
        _bars(axes, offer, found)
    handles = [Patch(color=_LOW, label="at the low end"), Patch(color=_HIGH, label="at the high end, or with the need")]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    return _png(figure, title)


def _bars(axes: Axes, offer: str, rows: Sequence[Row]) -> None:
    stated = float(rows[0]["stated"]) if rows else 0.0
    ends = [stated]
    still = [str(row["input"]) for row in rows if str(row["input"]).startswith("no effect")]
    rows = [row for row in rows if str(row["input"]) not in still]
    for place, row in enumerate(rows):
        for name, colour in (("USD at the low end", _LOW), ("USD at the high end", _HIGH)):
            if row[name] is not None:
                axes.barh(place, float(row[name]) - stated, left=stated, color=colour, height=0.7)
                ends.append(float(row[name]))
        high = row["USD at the high end"]
        words = row[""] if high is None else f"{float(high):,.2f}"
        axes.annotate(f" {words}", (max(stated, float(high or 0)), place), va="center", fontsize=9)
    axes.axvline(stated, color="black", linewidth=1)
    axes.set_yticks(range(len(rows)), [_plain(str(row["input"])) for row in rows], fontsize=9)
    axes.invert_yaxis()
    span = max(ends) - min(ends) or 1.0
    axes.set_xlim(max(0.0, min(ends) - 0.08 * span), max(ends) + 0.22 * span)
    axes.set_xlabel("\n".join(["USD per month", *(textwrap.fill(words, 110) for words in still)]), fontsize=9)
    axes.set_title(f"{offer}: {stated:,.2f} as stated", loc="left", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)


def _turns(axes: Axes, curve: Curve) -> None:
    """Uprights where the cheapest settled offer changes, each with the new one, and where the workload stands."""
    paper = {"facecolor": "white", "edgecolor": "none", "pad": 0.8, "alpha": 0.85}
    for number, (at, offer) in enumerate(curve.turns):
        if number:
            axes.axvline(at, color=_GREY, linestyle=":", linewidth=1.2)
        axes.annotate(f"{offer}" if number else f"cheapest: {offer}", (at, 0.98 - 0.065 * number), fontsize=8,
                      xycoords=("data", "axes fraction"), xytext=(4, 0), textcoords="offset points", va="top",
                      ha="left", bbox=paper, annotation_clip=False)  # fmt: skip
    if curve.values[0] <= curve.stated <= curve.values[-1]:
        axes.axvline(curve.stated, color="black", linewidth=1, zorder=1)
        axes.annotate("as stated", (curve.stated, 0.02), xycoords=("data", "axes fraction"), xytext=(4, 0),
                      textcoords="offset points", fontsize=8, bbox=paper)  # fmt: skip


def _scaled(axes: Axes, which: str, values: Sequence[Any]) -> str:
    """Makes an axis logarithmic where its amounts differ by an order, and says so."""
    import numpy as np

    found = np.concatenate([np.ravel(np.asarray(each, dtype=float)) for each in values]) if len(values) else np.ones(1)
    found = found[np.isfinite(found)]
    if not len(found) or found.min() <= 0 or found.max() < 10 * found.min():
        return ""
    _logarithmic(axes, which, steps=(1, 2, 5))
    return " (logarithmic)"


def _logarithmic(axes: Axes, which: str, steps: tuple[int, ...]) -> None:
    from matplotlib.ticker import LogLocator, NullLocator

    axes.set(**{f"{which}scale": "log"})
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(LogLocator(subs=steps, numticks=12))
    axis.set_minor_locator(NullLocator())


def _look(number: int) -> dict[str, Any]:
    return {"color": LINES[number % len(LINES)], "linestyle": DASHES[number % len(DASHES)], "linewidth": 2}


def _plain(text: str) -> str:
    """Text that matplotlib does not take for mathematics."""
    return text.replace("$", r"\$")


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    """A Figure of its own with one plot, so that nothing global is touched."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", dpi=110)
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _png(figure: Figure, title: str) -> bytes:
    figure.suptitle(_plain(title), x=0.01, ha="left", fontsize=11, fontweight="bold")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
