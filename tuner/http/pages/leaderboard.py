"""A study's trials as a table: which columns it has, and which links sort it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from storage.leaderboard import TrialSummary
from storage.progress import StudyStatus
from tuner.presentation.views import flat_trial, trial_columns
from tuner.queries.paging import Page

# Wider tables tell nobody anything; a trial's own page has all of its hyperparameters.
_MOST_PARAMETERS = 30


@dataclass(frozen=True)
class Order:
    """How the table is sorted and filtered, as its URL has it."""

    sort: str
    state: str | None

    @property
    def key(self) -> str:
        return self.sort.removeprefix("-")

    @property
    def descending(self) -> bool:
        return self.sort.startswith("-")

    def other_way(self, key: str) -> str:
        """What the link of a column sorts by: the other way if the table is sorted by it already."""
        return f"-{key}" if key == self.key and not self.descending else key


@dataclass(frozen=True)
class Column:
    """A column: its key among the row's values, and what sorts by it."""

    title: str
    key: str
    sort: str
    is_number: bool


@dataclass(frozen=True)
class Leaderboard:
    """A page of trials.

    Attributes:
        rows: values by column key; ``ended`` is the outcome, or the state without one.
        left_out: number of hyperparameters without a column.
        cursor: of the next page; None at the end.
    """

    order: Order
    columns: list[Column]
    rows: list[dict[str, Any]]
    left_out: int
    cursor: str | None


def usual_sort(status: StudyStatus) -> str:
    """The best first; of a plain Optuna study, of which the direction is not told here, the newest."""
    if not status.objectives:
        return "-trial"
    return "-value" if status.objectives[0]["direction"] == "maximize" else "value"


def leaderboard(status: StudyStatus, trials: Page[TrialSummary], order: Order) -> Leaderboard:
    records = [asdict(each) for each in trials.items]
    parameters = _parameters(trials.items)
    shown = parameters[:_MOST_PARAMETERS]
    rows = [_row(record) for record in records]
    columns = [_column(key, status) for key in trial_columns(records, "ended") if key != "trial"]
    columns += [_parameter(name, rows) for name in shown]
    return Leaderboard(order, columns, rows, len(parameters) - len(shown), trials.cursor)


def _row(record: dict[str, Any]) -> dict[str, Any]:
    given = {_key(name): value for name, value in record["params"].items()}
    return flat_trial(record) | given | {"ended": record["outcome"] or record["state"]}


def _parameters(trials: list[TrialSummary]) -> list[str]:
    """Those that most trials have come first."""
    counts: dict[str, int] = {}
    for trial in trials:
        for name in trial.params:
            counts[name] = counts.get(name, 0) + 1
    return sorted(counts, key=lambda name: -counts[name])


def _key(parameter: str) -> str:
    # A hyperparameter may be called as a column.
    return f"parameter {parameter}"


def _parameter(name: str, rows: list[dict[str, Any]]) -> Column:
    values = [row.get(_key(name)) for row in rows]
    is_number = all(isinstance(value, int | float | None) and not isinstance(value, bool) for value in values)
    return Column(name, _key(name), name, is_number)


def _column(key: str, status: StudyStatus) -> Column:
    if key == "value" and status.objectives:
        return Column(status.objectives[0]["metric"], key, key, True)
    if key == "ended":
        return Column(key, key, "outcome" if status.objectives else "state", False)
    return Column(key, key, key, True)
