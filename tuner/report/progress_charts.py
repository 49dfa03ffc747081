"""How the objectives developed, and the Pareto front."""

from __future__ import annotations

from typing import Any

from plotly.graph_objects import Scatter

from storage.history import StudyHistory, TrialHistory
from tuner.queries.measures import Measure, measures
from tuner.report.facts import ended, keeps_constraints
from tuner.report.style import BLUE, GREY, OUTCOMES, RED, Chart, figure, label

NO_TRIAL = "No trial has a value yet."


def history_charts(history: StudyHistory) -> list[Chart]:
    """A chart for each objective."""
    return [_history(history, each) for each in measures(history)]


def _history(history: StudyHistory, measure: Measure) -> Chart:
    name, title = f"history-{measure.index}", f"Optimisation history: {measure.name}"
    valued = [(trial, value) for trial in history.trials if (value := measure.of(trial)) is not None]
    if not valued:
        return Chart(name, title, NO_TRIAL)
    made = figure("trial", measure.name)
    groups: dict[str, list[tuple[TrialHistory, float]]] = {}
    for trial, value in valued:
        group = ended(trial) if keeps_constraints(trial) else "breaks a constraint"
        groups.setdefault(group, []).append((trial, value))
    for group, members in groups.items():
        made.add_trace(_points(group, [(trial.summary.trial, value, trial) for trial, value in members]))
    best = set(history.best)
    ranked = [(trial, value) for trial, value in valued if _is_complete(trial) or trial.summary.trial in best]
    made.add_trace(_best_so_far(ranked, measure, last=valued[-1][0]))
    reading = (
        f"Each point is a trial. The line shows the best {measure.name} so far, of complete trials and of"
        f" pruned ones whose models are kept ({measure.better} is better)."
    )
    return Chart(name, title, reading, made)


def _points(group: str, points: list[tuple[Any, float, TrialHistory]]) -> Scatter:
    broken = group == "breaks a constraint"
    marker = {"color": RED if broken else OUTCOMES.get(group, GREY), "size": 6, "opacity": 0.75}
    return Scatter(
        x=[x for x, _, _ in points],
        y=[y for _, y, _ in points],
        mode="markers",
        name=label(group.replace("_", " ")),
        marker=marker | {"symbol": "x" if broken else "circle"},
        text=[f"trial {trial.summary.trial}, {label(ended(trial))}" for *_, trial in points],
        hovertemplate="%{text}<br>%{x}, %{y:.5g}<extra></extra>",
    )


def _is_complete(trial: TrialHistory) -> bool:
    return trial.summary.state == "complete"


def _best_so_far(ranked: list[tuple[TrialHistory, float]], measure: Measure, last: TrialHistory) -> Scatter:
    x: list[int] = []
    y: list[float] = []
    for trial, value in ranked:
        if not keeps_constraints(trial):
            continue
        if not y or (value > y[-1] if measure.maximize else value < y[-1]):
            x.append(trial.summary.trial)
            y.append(value)
    if y:
        x.append(last.summary.trial)
        y.append(y[-1])
    return Scatter(x=x, y=y, mode="lines", name="best so far", line={"color": BLUE, "shape": "hv", "width": 2.5})


def front_charts(history: StudyHistory) -> list[Chart]:
    """The front of the leading objective with each other one; none for a single objective."""
    leading, *others = measures(history)
    return [_front(history, leading, other) for other in others]


def _front(history: StudyHistory, first: Measure, second: Measure) -> Chart:
    name, title = f"front-{second.index}", f"Pareto front: {first.name} and {second.name}"
    complete = [
        (x, y, trial)
        for trial in history.trials
        if trial.summary.state == "complete" and (x := second.of(trial)) is not None
        if (y := first.of(trial)) is not None
    ]
    if not complete:
        return Chart(name, title, "No trial is complete yet.")
    best = set(history.best)
    made = figure(second.name, first.name)
    groups: dict[str, list[tuple[Any, float, TrialHistory]]] = {"other trials": [], "breaks a constraint": []}
    for point in complete:
        if point[2].summary.trial not in best:
            groups["other trials" if keeps_constraints(point[2]) else "breaks a constraint"].append(point)
    for group, points in groups.items():
        if points:
            made.add_trace(_points(group, points))
    front = sorted((point for point in complete if point[2].summary.trial in best), key=lambda each: each[0])
    trace = _points("Pareto front", front)
    trace.update(mode="lines+markers" if len(measures(history)) == 2 else "markers", marker={"color": BLUE, "size": 9})
    made.add_trace(trace)
    reading = (
        f"{first.name}: {first.better} is better; {second.name}: {second.better} is better. No other trial is at "
        "least as good as one of the front in every objective and better in one."
    )
    return Chart(name, title, reading, made)
