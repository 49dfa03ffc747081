"""The learning curves of a champion's trial as a picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element, SubElement

from tuner.champion.card.svg import BLUE, COLORS, ORANGE, cut, dot, line, path, picture, text, width_of, written
from tuner.champion.records.trial_curve import TrialCurve
from tuner.spec.objective import Objective

_VALIDATION = "val_"
_MOST_PANELS = 3
_MOST_DOTS, _MOST_POINTS = 30, 400
# Values that no axis can have.
_SMALLEST, _LARGEST = 1e-30, 1e30
_PANEL, _PLOT, _LEFT, _TOP, _HEIGHT = 430.0, 345.0, 66.0, 66.0, 210.0


@dataclass(frozen=True)
class _Series:
    """One metric of one trial; ``points`` are (epoch, value), and None where a value is missing."""

    name: str
    trial: int
    points: tuple[tuple[int, float] | None, ...]
    best: int | None

    @property
    def known(self) -> list[tuple[int, float]]:
        return [point for point in self.points if point is not None]


def curves_picture(curves: Sequence[TrialCurve], objective: Objective) -> str | None:
    """Objective and loss of training and validation by epoch, the best epoch marked; None if no value is known."""
    panels = [found for base in _bases(curves, objective) if (found := _series(curves, base))]
    if not panels:
        return None
    several = len(curves) > 1
    height = _TOP + _HEIGHT + (84 if several else 60)
    made = picture(_PANEL * len(panels), height, "Learning curves: objective and loss by epoch")
    for index, series in enumerate(panels):
        _draw_panel(SubElement(made, "g", {"transform": f"translate({index * _PANEL:.0f} 0)"}), series, curves)
    x = _LEFT
    for index, curve in enumerate(curves if several else ()):
        words = f"trial {curve.trial}"
        line(made, x, height - 24, x + 22, height - 24, "", stroke=COLORS[index % len(COLORS)], stroke_width="3")
        text(made, x + 28, height - 20, words)
        x += 44 + width_of(words)
    return written(made)


def _bases(curves: Sequence[TrialCurve], objective: Objective) -> list[str]:
    """What the panels show, without ``val_``: the objective, and the loss or, where there are several, the losses."""
    logged = dict.fromkeys(name.removeprefix(_VALIDATION) for curve in curves for name in curve.metrics)
    losses = [name for name in logged if name.endswith("loss")]
    shown = [objective.metric.removeprefix(_VALIDATION), *(["loss"] if "loss" in losses else losses)]
    return list(dict.fromkeys(shown))[:_MOST_PANELS]


def _series(curves: Sequence[TrialCurve], base: str) -> list[_Series]:
    found = []
    for curve in curves:
        for name in (base, _VALIDATION + base):
            pairs = zip(curve.epochs, curve.metrics.get(name, ()), strict=False)
            points = tuple(
                (epoch, value) if value is not None and abs(value) < _LARGEST else None for epoch, value in pairs
            )
            # The last one stays: the curve's end is looked for.
            step = math.ceil(len(points) / _MOST_POINTS)
            points = points[:: -max(1, step)][::-1]
            if any(point is not None for point in points):
                found.append(_Series(name, curve.trial, points, curve.best_epoch))
    return found


def _draw_panel(panel: Element, series: list[_Series], curves: Sequence[TrialCurve]) -> None:
    points = [point for each in series for point in each.known]
    ended = max(epoch for epoch, _ in points)
    last = max(2, ended)
    low, high, step = _scale([value for _, value in points])

    def place(epoch: float, value: float) -> tuple[float, float]:
        return _LEFT + (epoch - 1) / (last - 1) * _PLOT, _TOP + (high - value) / (high - low) * _HEIGHT

    for index in range(round((high - low) / step) + 1):
        value = low + index * step
        _, y = place(1, value)
        line(panel, _LEFT, y, _LEFT + _PLOT, y)
        text(panel, _LEFT - 8, y + 4, f"{round(value, 12):.5g}", 11, "soft", anchor="end")
    for epoch in _epoch_ticks(ended):
        text(panel, place(epoch, low)[0], _TOP + _HEIGHT + 18, str(epoch), 11, "soft", anchor="middle")
    text(panel, _LEFT + _PLOT / 2, _TOP + _HEIGHT + 36, "epoch", 12, "soft", anchor="middle")
    numbers = [curve.trial for curve in curves]
    _draw_names(panel, series, several=len(curves) > 1)
    for each in series:
        color = COLORS[numbers.index(each.trial) % len(COLORS)] if len(curves) > 1 else _color(each.name)
        _draw_series(
            panel,
            _is_solid(each.name, series),
            [None if point is None else place(*point) for point in each.points],
            color,
        )
        best = next((point for point in each.known if point[0] == each.best), None)
        if best is not None and _is_solid(each.name, series):
            x, y = place(*best)
            if len(curves) == 1:
                line(panel, x, _TOP, x, _TOP + _HEIGHT, "strong", stroke_dasharray="2 3")
                side = "end" if x > _LEFT + _PLOT / 2 else "start"
                shift = -6 if side == "end" else 6
                text(panel, x + shift, _TOP - 6, f"best epoch {best[0]}: {best[1]:.4g}", 11, "soft", anchor=side)
            dot(panel, x, y, 5, color, "strong")


def _draw_names(panel: Element, series: list[_Series], several: bool) -> None:
    x = _LEFT
    for name in dict.fromkeys(each.name for each in series):
        kind, color = ("strong", {}) if several else ("", {"stroke": _color(name)})
        dashes = {} if _is_solid(name, series) else {"stroke_dasharray": "5 4"}
        line(panel, x, 26, x + 22, 26, kind, stroke_width="2.5", **color, **dashes)
        shown = cut(name, 22)
        text(panel, x + 28, 30, shown, 12, font_weight="600")
        x += 48 + width_of(shown)


def _draw_series(panel: Element, solid: bool, places: Sequence[tuple[float, float] | None], color: str) -> None:
    dashes = {} if solid else {"stroke-dasharray": "5 4"}
    runs: list[list[tuple[float, float]]] = [[]]
    for place in places:
        if place is None:
            runs.append([])
        else:
            runs[-1].append(place)
    look = {"fill": "none", "stroke": color, "stroke-width": "2", "stroke-linejoin": "round"}
    for run in runs:
        if len(run) > 1:
            SubElement(panel, "polyline", {"points": path(run), **look, **dashes})
        for x, y in run if len(run) == 1 or len(places) <= _MOST_DOTS else ():
            dot(panel, x, y, 2.5, color)


def _is_solid(name: str, series: Sequence[_Series]) -> bool:
    """Validation is drawn solid, and training too where it stands alone."""
    return name.startswith(_VALIDATION) or not any(each.name.startswith(_VALIDATION) for each in series)


def _color(name: str) -> str:
    return ORANGE if name.startswith(_VALIDATION) else BLUE


def _scale(values: Sequence[float]) -> tuple[float, float, float]:
    """The least and the largest value of an axis, and the step between its lines: round numbers."""
    low, high = min(values), max(values)
    largest = max(abs(low), abs(high))
    spread = high - low
    if spread <= 1e-9 * largest or largest < _SMALLEST:
        spread = largest if largest >= _SMALLEST else 1.0
    power = 10.0 ** math.floor(math.log10(spread / 5))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= spread / 5)
    bottom, top = math.floor(low / step) * step, math.ceil(high / step) * step
    return (bottom, top, step) if top > bottom else (bottom - step, top + step, step)


def _epoch_ticks(last: int) -> list[int]:
    step = max(1, math.ceil(last / 6))
    return [1, *range(max(2, step), last + 1, step)]
