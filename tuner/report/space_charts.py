"""Hyperparameters against the objective: parallel coordinates, and a slice for each."""

from __future__ import annotations

from math import log10
from typing import Any

from plotly.graph_objects import Scatter

from storage.history import StudyHistory, TrialHistory
from tuner.queries.measures import Measure, measures
from tuner.report.facts import keeps_constraints
from tuner.report.style import BLUE, GREEN, GREY, ORANGE, RED, Chart, figure, label, thinned

MOST_AXES = 10
_MOST_TRIALS = 400
_MOST_POINTS = 250
_NOT_USED = -0.12


def ordered_names(history: StudyHistory, shares: dict[str, float]) -> list[str]:
    """Hyperparameters by their public names, the most important first."""
    public = {name.split("[")[0]: share for name, share in reversed(list(shares.items()))}
    names = dict.fromkeys(name for trial in history.trials for name in trial.summary.params)
    return sorted(names, key=lambda name: -public.get(name, 0.0))


def _valued(history: StudyHistory) -> tuple[Measure, list[tuple[TrialHistory, float]]]:
    leading = measures(history)[0]
    complete = [trial for trial in history.trials if trial.summary.state == "complete"]
    return leading, [(trial, value) for trial in complete if (value := leading.of(trial)) is not None]


class _Axis:
    """Places the values of one hyperparameter between 0 and 1; one that a trial does not have is below."""

    def __init__(self, values: list[Any]) -> None:
        given = [value for value in values if value is not None]
        self.numeric = all(isinstance(each, int | float) and not isinstance(each, bool) for each in given)
        self._order: list[Any] = sorted(set(given)) if self.numeric else sorted({label(each) for each in given})
        self._log = self.numeric and bool(given) and min(given) > 0 and max(given) / min(given) >= 100

    def place(self, value: Any) -> float:
        if value is None:
            return _NOT_USED
        if not self.numeric:
            return (self._order.index(label(value)) + 0.5) / len(self._order)
        low, high = self._scaled(self._order[0]), self._scaled(self._order[-1])
        return 0.5 if high == low else (self._scaled(value) - low) / (high - low)

    def _scaled(self, value: float) -> float:
        return log10(value) if self._log else float(value)

    def ticks(self) -> list[tuple[float, str]]:
        shown = [self._order[0], self._order[-1]] if self.numeric else self._order[:8]
        if not self.numeric:
            return [((index + 0.5) / len(self._order), text[:14]) for index, text in enumerate(shown)]
        return [(self.place(value), label(float(value))) for value in dict.fromkeys(shown)]


def parallel_chart(history: StudyHistory, names: list[str]) -> Chart:
    """Lines of SVG and not plotly's parcoords: those need WebGL, and cannot show a value that is not there."""
    name, title = "parallel", "Parallel coordinates"
    leading, valued = _valued(history)
    names = names[:MOST_AXES]
    if len(valued) < 2 or not names:
        return Chart(name, title, "There are too few complete trials to compare.")
    ranked = sorted(valued, key=lambda each: each[1], reverse=leading.maximize)
    chosen = [ranked[index] for index in thinned(len(ranked), _MOST_TRIALS)]
    axes = {each: _Axis([trial.summary.params.get(each) for trial, _ in chosen]) for each in names}
    worth = _Axis([value for _, value in chosen])
    made = figure()
    groups = (
        ("the other half", 0.5, 1.0, GREY, 0.6),
        ("best half", 0.1, 0.5, ORANGE, 0.8),
        ("best tenth", 0.0, 0.1, BLUE, 1.8),
    )
    for group, start, end, color, width in groups:
        members = chosen[-(-int(start * 1000) * len(chosen) // 1000) : -(-int(end * 1000) * len(chosen) // 1000)]
        x: list[float | None] = []
        y: list[float | None] = []
        for trial, value in members:
            x += [*range(len(names) + 1), None]
            y += [*(axes[each].place(trial.summary.params.get(each)) for each in names), worth.place(value), None]
        line = {"color": color, "width": width}
        made.add_trace(Scatter(x=x, y=y, mode="lines", name=group, line=line, opacity=0.7, hoverinfo="skip"))
    for index, axis in enumerate([*axes.values(), worth]):
        for y_place, text in axis.ticks():
            made.add_annotation(x=index, y=y_place, text=text, showarrow=False, xanchor="left", xshift=3)
        made.add_shape(type="line", x0=index, x1=index, y0=0, y1=1, line={"color": "rgba(128,128,128,0.8)", "width": 1})
    ticks = [label(each)[:18] for each in (*names, leading.name)]
    made.update_xaxes(tickvals=list(range(len(ticks))), ticktext=ticks, range=[-0.2, len(names) + 0.7], showgrid=False)
    made.update_yaxes(visible=False, range=[-0.2, 1.08])
    reading = (
        "Each line is a complete trial. A value matters where the blue lines of the best tenth come together. Lines "
        "below an axis are trials that do not have the hyperparameter."
    )
    return Chart(name, title, reading, made, height=440)


def slice_charts(history: StudyHistory, names: list[str]) -> list[Chart]:
    """A chart for each of the most important hyperparameters."""
    leading, valued = _valued(history)
    chosen = [valued[index] for index in thinned(len(valued), _MOST_POINTS)]
    return [_slice(index, name, leading, chosen) for index, name in enumerate(names[:MOST_AXES]) if chosen]


def _slice(index: int, name: str, leading: Measure, chosen: list[tuple[TrialHistory, float]]) -> Chart:
    having = [(trial, value) for trial, value in chosen if name in trial.summary.params]
    values = [trial.summary.params[name] for trial, _ in having]
    axis = _Axis(values)
    marker = {"color": [GREEN if keeps_constraints(trial) else RED for trial, _ in having], "size": 5, "opacity": 0.6}
    made = figure(name, leading.name, showlegend=False)
    made.add_trace(
        Scatter(
            x=values if axis.numeric else [label(each) for each in values],
            y=[value for _, value in having],
            mode="markers",
            marker=marker,
            text=[f"trial {trial.summary.trial}" for trial, _ in having],
            hovertemplate="%{text}: %{x}, %{y:.5g}<extra></extra>",
        )
    )
    if axis._log:
        made.update_xaxes(type="log")
    elif not axis.numeric:
        made.update_xaxes(type="category")
    return Chart(f"slice-{index}", name, f"{leading.better} is better", made, height=280)
