"""The picture of a rehearsal's locks: a lane a relation, a bar from when a lock was taken until it was let go."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from afdb_helpers.rehearsal.watch import Hold

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LANES = 24  # relations shown; more are counted
# Okabe and Ito's palette, told apart with every kind of colour vision; the height says it once more.
LOOKS = {
    "reads and writes": ("#D55E00", 0.8),
    "writes": ("#E69F00", 0.55),
    "schema changes and vacuum": ("#56B4E9", 0.3),
}


def draw(holds: Sequence[Hold], blocks: Mapping[str, str], total: float, *, title: str, said: str) -> bytes:
    """A PNG without any window system: a Figure of its own, so nothing global is touched."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    lanes = _lanes(holds, blocks)
    shown = lanes[:LANES]
    figure = Figure(figsize=(10, 1.9 + 0.34 * len(shown)), layout="constrained", dpi=110)
    axes = figure.add_subplot()
    for kind, (colour, height) in reversed(LOOKS.items()):  # the strongest on top
        for hold in holds:
            if blocks[hold.lock] == kind and hold.relation in shown:
                _bar(axes, shown.index(hold.relation), hold, colour, height)
    for lane, relation in enumerate(shown):
        axes.annotate(_longest(relation, holds, blocks), (total, lane), va="center", fontsize=8, xytext=(6, 0),
                      textcoords="offset points", annotation_clip=False)  # fmt: skip
    axes.set_yticks(range(len(shown)), shown)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.set_xlim(0, total)
    more = f"; {len(lanes) - LANES} more relations are not shown" if len(lanes) > LANES else ""
    axes.set_xlabel(f"seconds since the migration began, as predicted for the target ({said}){more}")
    figure.suptitle(title.replace("; ", "\n", 1), x=0.01, ha="left", fontsize=11, fontweight="bold")
    axes.spines[["top", "right"]].set_visible(False)
    _legend(axes)
    buffer = io.BytesIO()
    FigureCanvasAgg(figure)
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _lanes(holds: Sequence[Hold], blocks: Mapping[str, str]) -> list[str]:
    """The relations, those first that wait longest for the strongest lock."""
    worst: dict[str, tuple[int, float]] = {}
    for hold in holds:
        rank = (list(LOOKS).index(blocks[hold.lock]), hold.begin - hold.end)
        worst[hold.relation] = min(worst.get(hold.relation, rank), rank)
    return sorted(worst, key=lambda relation: (worst[relation], relation))


def _bar(axes: Axes, lane: int, hold: Hold, colour: str, height: float) -> None:
    """A line around it keeps a hold of milliseconds to be seen in a migration of hours."""
    axes.barh(
        lane, hold.end - hold.begin, left=hold.begin, height=height, color=colour, edgecolor=colour, linewidth=1.2
    )


def _longest(relation: str, holds: Sequence[Hold], blocks: Mapping[str, str]) -> str:
    found: dict[str, float] = {}
    for hold in holds:
        if hold.relation == relation:
            kind = blocks[hold.lock]
            found[kind] = max(found.get(kind, 0.0), hold.end - hold.begin)
    kind = next(kind for kind in LOOKS if kind in found)
    return f"{found[kind]:.3f} s {kind if kind != 'schema changes and vacuum' else 'schema changes'}"


def _legend(axes: Axes) -> None:
    from matplotlib.patches import Patch

    patches = [Patch(color=colour, label=f"blocks {kind}") for kind, (colour, _) in LOOKS.items()]
    axes.legend(handles=patches, fontsize=8, frameon=False, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=3)
