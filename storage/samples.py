"""A study's trials thinned out for charts: as many as can be drawn, however many there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from optuna.storages._rdb.models import TrialModel
from sqlalchemy import Integer, case, cast, func, select

from storage.database import Database
from storage.summaries import StudyKey, find_study, joined, ranks, state_column, value_column, with_infinities
from storage.tables import TrialRow


@dataclass(frozen=True)
class Point:
    """A trial as a point of the optimisation history.

    Attributes:
        trial: number of the trial.
        value: value of the leading objective; for a trial that is not complete, the best value that it reached.
        ended: the trial's outcome, or its state if it has no outcome.
        keeps: whether the trial is ranked among the best ones and keeps the constraints.
    """

    trial: int
    value: float
    ended: str
    keeps: bool


@dataclass(frozen=True)
class Points:
    """The points of an optimisation history.

    Attributes:
        metric: name of the leading objective.
        maximize: whether higher values of the metric are better.
        every: number of neighbouring trials of which each point is the best.
        points: points of the history, in the order of the trials.
    """

    metric: str
    maximize: bool
    every: int
    points: list[Point]


def points(db: Database, study: str, most: int) -> Points:
    """At most about ``most`` trials with a value, by number: of each group of neighbours the best.

    Raises:
        UnknownStudy: there is none of this name.
    """
    with db.reading() as session:
        key = find_study(session, study)
        last = session.scalar(select(func.max(TrialModel.number)).where(TrialModel.study_id == key.study_id))
        every = -(-((last or 0) + 1) // most)
        rows = session.execute(_best_of_each(key, every), {"study": key.study_id}).all()
        found = [Point(row.number, with_infinities(row.value), row.ended, bool(row.keeps)) for row in rows]
    return Points(_metric(key), key.maximize[0], every, found)


def _best_of_each(key: StudyKey, every: int) -> Any:
    value = value_column()
    keeps = case((ranks() & (func.coalesce(TrialRow.violation, 0.0) <= 0), 1), else_=0)
    better = value.desc() if key.maximize[0] else value.asc()
    group = cast(func.floor(TrialModel.number / every), Integer)
    place = func.row_number().over(partition_by=group, order_by=(keeps.desc(), better, TrialModel.number))
    ended = func.coalesce(TrialRow.outcome, state_column())
    each = (
        joined(
            TrialModel.number, value.label("value"), ended.label("ended"), keeps.label("keeps"), place.label("place")
        )
        .where(TrialModel.study_id == key.study_id, value.is_not(None))
        .subquery()
    )
    return select(each).where(each.c.place == 1).order_by(each.c.number)


def _metric(key: StudyKey) -> str:
    return str(key.row.objectives[0]["metric"]) if key.row else "value"
