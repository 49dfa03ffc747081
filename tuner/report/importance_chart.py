"""How much each hyperparameter mattered, as bars."""

from __future__ import annotations

from plotly.graph_objects import Bar

from storage.history import StudyHistory
from tuner.queries.importances import FEWEST_TRIALS
from tuner.report.style import BEST, Chart, figure, label

_MOST = 20


def importance_chart(history: StudyHistory, found: dict[str, dict[str, float]] | None) -> Chart:
    name, title = "importances", "Importance of the hyperparameters"
    if found is None:
        return Chart(name, title, f"There are too few complete trials to tell. At least {FEWEST_TRIALS} are needed.")
    if not any(found.values()):
        return Chart(name, title, "No hyperparameter made a measurable difference.")
    totals: dict[str, float] = {}
    for shares in found.values():
        for hyperparameter, share in shares.items():
            totals[hyperparameter] = totals.get(hyperparameter, 0.0) + share
    order = sorted(totals, key=lambda each: (-totals[each], each))[:_MOST][::-1]
    made = figure("share of the importance", barmode="group")
    for index, (objective, shares) in enumerate(found.items()):
        x = [shares.get(each, 0.0) for each in order]
        bar = Bar(x=x, y=[label(each) for each in order], orientation="h", name=label(objective))
        made.add_trace(bar.update(marker_color=BEST[index % len(BEST)], hovertemplate="%{y}: %{x:.1%}<extra></extra>"))
    made.update_xaxes(tickformat=".0%")
    reading = (
        "The bars show how much each hyperparameter separates the best trials from all trials (PED-ANOVA). A name in "
        "brackets is the condition under which the hyperparameter exists."
    )
    return Chart(name, title, reading, made, height=140 + 26 * len(order) * max(1, len(found)))
