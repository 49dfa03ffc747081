"""Learning curves: the best trials in colour, all others in two traces."""

from __future__ import annotations

from plotly.graph_objects import Scatter

from storage.history import StudyHistory, TrialHistory
from tuner.queries.measures import finite, measures
from tuner.report.style import BEST, GREY, Chart, figure, label, thinned

_MOST_CURVES = 1000
_MOST_EPOCHS = 40


def curve_chart(history: StudyHistory) -> Chart:
    name, title = "curves", "Learning curves"
    metric = _metric(history)
    curves = {trial.summary.trial: points for trial in history.trials if (points := _points(trial, metric))}
    if not curves:
        return Chart(name, title, "No trial has reported an epoch yet.")
    best = [number for number in history.best if number in curves][: len(BEST)]
    pruned = {trial.summary.trial for trial in history.trials if trial.summary.state == "pruned"}
    others = [number for number in curves if number not in best]
    others = [others[index] for index in thinned(len(others), _MOST_CURVES)]
    made = figure("epoch", metric)
    for group, color, members in (
        ("other trials", GREY, [each for each in others if each not in pruned]),
        ("pruned", "rgba(245,158,11,0.35)", [each for each in others if each in pruned]),
    ):
        if members:
            made.add_trace(_joined([curves[each] for each in members], group, color))
    for color, number in zip(BEST, best, strict=False):
        x, y = zip(*curves[number], strict=True)
        line = {"color": color, "width": 2.5}
        made.add_trace(Scatter(x=x, y=y, mode="lines+markers", name=f"trial {number}", line=line, marker={"size": 4}))
    reading = (
        f"{metric} by epoch. The best trials are in colour, pruned trials in orange until they were stopped, and all "
        "others in grey."
    )
    return Chart(name, title, reading, made, height=420)


def _metric(history: StudyHistory) -> str:
    logged = {name for trial in history.trials for metrics in trial.curve.metrics for name in metrics}
    wanted = [each.name for each in measures(history)]
    return next((name for name in (*wanted, "val_loss", "loss", "value") if name in logged), wanted[0])


def _points(trial: TrialHistory, metric: str) -> list[tuple[int, float]]:
    pairs = zip(trial.curve.epochs, trial.curve.metrics, strict=True)
    found = [(epoch, metrics[metric]) for epoch, metrics in pairs if finite(metrics.get(metric))]
    return [found[index] for index in thinned(len(found), _MOST_EPOCHS)]


def _joined(curves: list[list[tuple[int, float]]], group: str, color: str) -> Scatter:
    x: list[int | None] = []
    y: list[float | None] = []
    for points in curves:
        x += [*(epoch for epoch, _ in points), None]
        y += [*(value for _, value in points), None]
    return Scatter(x=x, y=y, mode="lines", name=label(group), line={"color": color, "width": 1}, hoverinfo="skip")
