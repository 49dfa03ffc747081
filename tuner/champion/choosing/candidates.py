"""Which trials of a study may become its champion, and what exporting one of them needs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from storage import leaderboard, leases
from storage.artifact_store import Artifact
from storage.artifacts import StudyArtifacts
from storage.errors import DamagedArtifact, MissingArtifact
from storage.leaderboard import TrialDetail, TrialSummary
from tuner.champion.records.request import ExportRequest
from tuner.champion.records.trial_curve import TrialCurve
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
    if trial is not None:
        return [trial]
    spec = study.spec
    names = [each.metric for each in spec.objectives]
    if prefer is None and len(names) > 1:
        raise ExportError(
            f"study {study.name} has several objectives: name a trial of its Pareto front by its number (trial), or "
            f"the objective by which the best of them is taken (prefer), one of {', '.join(names)}"
        )
    if prefer is not None and prefer not in names:
        raise ExportError(f"{prefer} is not an objective of study {study.name}: prefer one of {', '.join(names)}")
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
        f"{breaks}. To export it all the same, ask for trial {nearest.trial} by its number"
    )


def kept_trial(study: OpenStudy, trial: int) -> TrialDetail:
    """A trial whose model is kept.

    Raises:
        ExportError: it is not.
        UnknownTrial: there is no such trial.
    """
    detail = leaderboard.trial(study.database, study.name, trial)
    if detail.checkpoint is None or detail.summary.value is None:
        raise ExportError(_no_model(study, detail))
    return detail


@contextmanager
def export_request(study: OpenStudy, trial: TrialDetail) -> Iterator[ExportRequest]:
    """What exporting a kept trial needs; the model is on this machine while the block lasts.

    Raises:
        ExportError: the trial's model is missing or damaged.
    """
    assert trial.checkpoint is not None and trial.summary.value is not None
    spec, summary = study.spec, trial.summary
    model = Artifact(study.artifacts.key_of(trial.checkpoint), trial.checkpoint_size, trial.checkpoint_sha256)
    with _fetched(study.artifacts, model, summary.trial) as checkpoint:
        yield ExportRequest(
            spec=spec,
            study=study.name,
            trial=summary.trial,
            checkpoint=checkpoint,
            value=own_score(summary, spec.objective.metric),
            metrics=summary.metrics,
            params=summary.params,
            data_fingerprint=study.record.fingerprint,
            cache=study.cache,
            history=(TrialCurve.of(trial),),
        )


def own_score(summary: TrialSummary, objective: str) -> float:
    """What the kept model itself scored: the trial's value is a mean over epochs, and over executions.

    Of several executions the best one's model is kept.
    """
    assert summary.value is not None
    metrics = summary.metrics or {}
    return metrics.get(f"{objective}_best", metrics.get(objective, summary.value))


@contextmanager
def _fetched(artifacts: StudyArtifacts, model: Artifact, trial: int) -> Iterator[Path]:
    with ExitStack() as stack:
        try:
            file = stack.enter_context(artifacts.fetched(model))
        except (MissingArtifact, DamagedArtifact) as error:
            raise ExportError(f"the kept model of trial {trial}: {error}; name another trial to export") from None
        yield file


def _no_model(study: OpenStudy, detail: TrialDetail) -> str:
    kept = leases.checkpoints(study.database, study.id, study.record.objectives)
    listed = ", ".join(str(number) for number in kept) or "none"
    ended = detail.summary.outcome or detail.summary.state
    return (
        f"trial {detail.summary.trial} ({ended}) has no kept model; keep_checkpoints says how many are kept, and the "
        f"trials with one are: {listed}"
    )
