"""What the card's pictures share: one SVG each that needs nothing else and reads on light and dark pages."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from tuner.data.bad_files import printable

BLUE, ORANGE = "#3b82f6", "#f59e0b"
COLORS = (BLUE, ORANGE, "#10a37f", "#a855f7", "#ec4899", "#e5484d", "#64748b", "#a16207")
# The paper is drawn, so that the ink reads wherever the picture stands.
_STYLE = """
text { font-family: system-ui, "Segoe UI", Roboto, sans-serif; fill: #1c1f24; }
.paper { fill: #ffffff; } .soft { fill: #5d6673; } .line { stroke: #d5d8dd; } .strong { stroke: #5d6673; }
.full { fill: #ffffff; } .share { fill: #1d5fd0; }
@media (prefers-color-scheme: dark) {
  text, .full { fill: #e8eaed; } .paper { fill: #1c1f25; } .soft { fill: #a0a8b4; }
  .line { stroke: #3a3f49; } .strong { stroke: #a0a8b4; }
}
"""


def picture(width: float, height: float, title: str) -> Element:
    """An empty picture; ``title`` is for those who do not see it."""
    size = {"viewBox": f"0 0 {width:.0f} {height:.0f}", "width": f"{width:.0f}", "height": f"{height:.0f}"}
    made = Element("svg", {"xmlns": "http://www.w3.org/2000/svg", "role": "img", **size})
    SubElement(made, "title").text = printable(title)
    SubElement(made, "style").text = _STYLE
    rect(made, 0, 0, width, height, "paper", rx="8")
    return made


def written(made: Element) -> str:
    """The picture's file."""
    return ElementTree.tostring(made, encoding="unicode") + "\n"


def rect(parent: Element, x: float, y: float, width: float, height: float, kind: str, **more: str) -> Element:
    place = {"x": f"{x:.1f}", "y": f"{y:.1f}", "width": f"{width:.1f}", "height": f"{height:.1f}"}
    return SubElement(parent, "rect", {**place, "class": kind, **_named(more)})


def line(parent: Element, x1: float, y1: float, x2: float, y2: float, kind: str = "line", **more: str) -> Element:
    place = {"x1": f"{x1:.1f}", "y1": f"{y1:.1f}", "x2": f"{x2:.1f}", "y2": f"{y2:.1f}"}
    return SubElement(parent, "line", {**place, "class": kind, **_named(more)})


def dot(parent: Element, x: float, y: float, radius: float, color: str, kind: str = "") -> Element:
    place = {"cx": f"{x:.1f}", "cy": f"{y:.1f}", "r": f"{radius:.1f}", "fill": color}
    return SubElement(parent, "circle", {**place, **({"class": kind} if kind else {})})


def text(parent: Element, x: float, y: float, words: str, size: float = 12, kind: str = "", **more: str) -> Element:
    """One line of text, its baseline at ``y``; ``anchor`` is ``start``, ``middle`` or ``end``."""
    anchor = {"text-anchor": more.pop("anchor", "start")}
    place = {"x": f"{x:.1f}", "y": f"{y:.1f}", "font-size": f"{size:.1f}", **anchor}
    made = SubElement(parent, "text", {**place, **({"class": kind} if kind else {}), **_named(more)})
    made.text = printable(words)
    return made


def hint(parent: Element, words: str) -> None:
    """What is shown while the mouse is over ``parent``."""
    SubElement(parent, "title").text = printable(words)


def path(points: Iterable[tuple[float, float]]) -> str:
    """A polyline's ``points``."""
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def width_of(words: str, size: float = 12) -> float:
    """About how wide a line of text is: no font is at hand to measure it."""
    wide = sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in printable(words))
    return 0.58 * size * wide


def cut(words: str, most: int) -> str:
    """At most so many letters."""
    plain = printable(words)
    return plain if len(plain) <= most else plain[: most - 1] + "…"


def _named(more: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in more.items()}
