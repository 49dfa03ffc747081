"""Which trial of a study is its champion."""

from __future__ import annotations

from storage import leaderboard, leases
from storage.leaderboard import TrialSummary
from tuner.errors import ExportError
from tuner.spec.constraints import broken
from tuner.spec.search_spec import SearchSpec
from tuner.study.open_study import OpenStudy


def candidates(study: OpenStudy, trial: int | None, prefer: str | None, most: int) -> list[int]:
    """The trials to choose the champion from, the best first: ``trial`` alone, or the best that keep the constraints.

    With several objectives there is one. The best is there even if its model is not kept, the others only if theirs is.

    Args:
        most: no more than so many.
        prefer: one of the objectives: the best of the Pareto front by it. It or ``trial`` is needed if there are
            several.

    Raises:
        ExportError: no complete trial keeps the constraints, or it is not clear which one is meant.
    """
    if trial is not None and prefer is not None:
        raise ExportError("--trial chooses a trial, --prefer the best of several by a metric: give one of them")
    if trial is not None:
        return [trial]
    spec = study.spec
    names = [each.metric for each in spec.objectives]
    if prefer is None and len(names) > 1:
        raise ExportError(
            f"study {study.name} has several objectives: choose a trial of `tuner best {study.name}` with --trial N, "
            f"or the best one by a metric with --prefer METRIC ({', '.join(names)})"
        )
    if prefer is not None and prefer not in names:
        raise ExportError(f"--prefer {prefer}: it is not an objective of study {study.name}; one of {', '.join(names)}")
    best = leaderboard.best(study.database, study.name, None if prefer else most)
    if not best:
        raise ExportError(f"study {study.name} has no complete trial yet")
    if best[0].violation:
        raise ExportError(_none_is_feasible(study, best[0]))
    if len(names) > 1 and prefer is not None:
        return [_by(spec, prefer, best).trial]
    kept = leases.checkpoints(study.database, study.id, study.record.objectives)
    others = [each.trial for each in best[1:most] if not each.violation and each.trial in kept]
    return [best[0].trial, *others]


def broken_by(study: OpenStudy, trial: int) -> tuple[str, ...]:
    """The study's constraints that a trial breaks, in words."""
    summary = leaderboard.trial(study.database, study.name, trial).summary
    return tuple(broken(study.spec.limits, summary.measures))


def _by(spec: SearchSpec, prefer: str, front: list[TrialSummary]) -> TrialSummary:
    objective = next(each for each in spec.objectives if each.metric == prefer)
    sign = -1 if objective.direction == "maximize" else 1
    return min(front, key=lambda each: (sign * each.measures[prefer], each.trial))


def _none_is_feasible(study: OpenStudy, nearest: TrialSummary) -> str:
    breaks = "; ".join(broken(study.spec.limits, nearest.measures))
    return (
        f"no complete trial of study {study.name} keeps the constraints; the nearest is trial {nearest.trial}: "
        f"{breaks}. Export it all the same with --trial {nearest.trial}"
    )
