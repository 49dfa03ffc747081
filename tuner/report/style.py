"""What the charts share: colours that read on light and dark paper, labels, and what each chart says of itself."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from plotly.graph_objects import Figure

BLUE, ORANGE, GREEN, RED, GREY = "#3b82f6", "#f59e0b", "#10a37f", "#e5484d", "rgba(128,128,128,0.35)"
BEST = (BLUE, ORANGE, GREEN, "#a855f7", "#ec4899")
OUTCOMES = {
    "complete": GREEN,
    "pruned": ORANGE,
    "diverged": "#a16207",
    "infeasible": "#94a3b8",
    "out_of_memory": "#a855f7",
    "timed_out": "#ec4899",
    "failed": RED,
    "running": BLUE,
    "paused": "#0891b2",
    "waiting": "#64748b",
}
_LONGEST = 60


@dataclass(frozen=True)
class Chart:
    """A figure with a sentence on how to read it, or, without a figure, why there is none.

    Attributes:
        name: unique on the page; letters, digits and hyphens.
    """

    name: str
    title: str
    reading: str
    figure: Figure | None = None
    height: int = 380


def label(value: Any) -> str:
    """Text for a figure: plotly takes tags in labels for markup, so that they are escaped, and cut if long."""
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return html.escape(text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…", quote=False)


def thinned(count: int, most: int) -> Sequence[int]:
    """At most ``most`` indices of ``count``, evenly spread, the first and the last among them."""
    if count <= most:
        return range(count)
    return sorted({round(index * (count - 1) / (most - 1)) for index in range(most)})


def figure(x: str = "", y: str = "", **layout: Any) -> Figure:
    """An empty figure with its axes' titles; fonts and colours come from the page."""
    made = Figure()
    made.update_layout(template="none", margin={"l": 64, "r": 16, "t": 16, "b": 52}, hovermode="closest", **layout)
    made.update_xaxes(title_text=label(x), automargin=True)
    made.update_yaxes(title_text=label(y), title_standoff=10, automargin=True)
    return made
