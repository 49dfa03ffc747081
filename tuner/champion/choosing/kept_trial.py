"""Which trial of a study is exported."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from storage import leaderboard, leases
from storage.artifact_store import Artifact
from storage.artifacts import StudyArtifacts
from storage.errors import DamagedArtifact, MissingArtifact
from storage.leaderboard import TrialDetail
from tuner.champion.records.request import ExportRequest
from tuner.champion.records.trial_curve import TrialCurve
from tuner.errors import ExportError
from tuner.study.open_study import OpenStudy


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
            # Of several executions the best one's model is kept; the trial's value is their mean.
            value=(summary.metrics or {}).get(f"{spec.objective.metric}_best", summary.value),
            metrics=summary.metrics,
            params=summary.params,
            class_names=tuple(study.record.summary["class_names"]),
            data_fingerprint=study.record.fingerprint,
            cache=study.cache,
            history=(TrialCurve.of(trial, spec.objective),),
        )


@contextmanager
def _fetched(artifacts: StudyArtifacts, model: Artifact, trial: int) -> Iterator[Path]:
    with ExitStack() as stack:
        try:
            file = stack.enter_context(artifacts.fetched(model))
        except (MissingArtifact, DamagedArtifact) as error:
            raise ExportError(f"the kept model of trial {trial}: {error}; export another trial with --trial") from None
        yield file


def _no_model(study: OpenStudy, detail: TrialDetail) -> str:
    kept = leases.checkpoints(study.database, study.id, study.record.objectives)
    listed = ", ".join(str(number) for number in kept) or "none"
    ended = detail.summary.outcome or detail.summary.state
    return (
        f"trial {detail.summary.trial} ({ended}) has no kept model; keep_checkpoints is {study.spec.keep_checkpoints}, "
        f"and the trials with one are: {listed}"
    )
