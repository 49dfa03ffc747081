"""Charts of which worker worked when, and of how the trials ended."""

from __future__ import annotations

from datetime import datetime

from plotly.graph_objects import Bar, Scatter

from storage.history import StudyHistory, TrialHistory
from tuner.report.facts import ended
from tuner.report.style import GREY, OUTCOMES, Chart, figure, label

_MOST_WORKERS = 40


def timeline_chart(history: StudyHistory) -> Chart:
    name, title = "timeline", "Timeline of the workers"
    begun = sorted(
        (each for each in history.trials if each.started_at), key=lambda each: each.started_at or history.now
    )
    if not begun:
        return Chart(name, title, "No trial has begun yet.")
    rows, ticks = _rows(history, begun)
    made = figure("time (UTC)")
    for outcome in dict.fromkeys(ended(trial) for trial in begun):
        x: list[datetime | None] = []
        y: list[float | None] = []
        text: list[str | None] = []
        for trial in begun:
            if ended(trial) == outcome and trial.summary.trial in rows:
                row = rows[trial.summary.trial]
                x += [trial.started_at, _end(trial, history), None]
                y += [row, row, None]
                text += [f"trial {trial.summary.trial}, {label(outcome)}"] * 2 + [None]
        line = {"color": OUTCOMES.get(outcome, GREY), "width": 9}
        shown = {"text": text, "hovertemplate": "%{text}<br>%{x}<extra></extra>"}
        made.add_trace(Scatter(x=x, y=y, mode="lines", name=label(outcome.replace("_", " ")), line=line, **shown))
    made.update_yaxes(tickvals=list(ticks), ticktext=list(ticks.values()), showgrid=False, autorange="reversed")
    reading = "Each bar is a trial, in the row of the worker that ran it last. Gaps are times without training."
    return Chart(name, title, reading, made, height=150 + 22 * (max(rows.values()) + 1))


def _rows(history: StudyHistory, begun: list[TrialHistory]) -> tuple[dict[int, int], dict[int, str]]:
    """Of each trial its row, as many to a worker as it had trials at once; of each worker's first row its name."""
    by_worker: dict[str, list[TrialHistory]] = {}
    for trial in begun:
        by_worker.setdefault(trial.worker or "without a worker", []).append(trial)
    hosts = {worker.id: f"{worker.host}:{worker.pid}" for worker in history.status.workers}
    rows: dict[int, int] = {}
    ticks: dict[int, str] = {}
    base = 0
    for worker in list(by_worker)[:_MOST_WORKERS]:
        free: list[datetime] = []
        for trial in by_worker[worker]:
            start = trial.started_at or history.now
            lane = next((index for index, until in enumerate(free) if until <= start), len(free))
            free[lane : lane + 1] = [_end(trial, history)]
            rows[trial.summary.trial] = base + lane
        ticks[base] = label(hosts.get(worker, worker))[:28]
        base += len(free)
    return rows, ticks


def _end(trial: TrialHistory, history: StudyHistory) -> datetime:
    return trial.ended_at or history.now


def outcome_chart(history: StudyHistory) -> Chart:
    name, title = "outcomes", "How the trials ended"
    counts: dict[str, int] = {}
    for trial in history.trials:
        counts[ended(trial)] = counts.get(ended(trial), 0) + 1
    if not counts:
        return Chart(name, title, "No trial has begun yet.")
    order = sorted(counts, key=lambda each: counts[each])
    made = figure("trials", showlegend=False)
    bar = Bar(x=[counts[each] for each in order], y=[label(each.replace("_", " ")) for each in order], orientation="h")
    bar.update(marker_color=[OUTCOMES.get(each, GREY) for each in order], text=[counts[each] for each in order])
    made.add_trace(bar)
    return Chart(name, title, "Number of trials by outcome.", made, height=120 + 34 * len(order))
