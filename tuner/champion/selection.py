"""Which trial of a study is exported."""

from __future__ import annotations

from pathlib import Path

from storage import leaderboard, leases
from storage.database import Database
from storage.leaderboard import TrialDetail
from storage.studies import StudyRecord
from tuner.champion.request import ExportRequest
from tuner.errors import ExportError
from tuner.spec import SearchSpec


def export_request(database: Database, record: StudyRecord, trial: int | None, cache: Path) -> ExportRequest:
    """What exporting the best trial, or a chosen one, needs.

    Raises:
        ExportError: no trial is complete, or the chosen one's model is not kept.
        UnknownTrial: there is no such trial.
    """
    spec = SearchSpec.model_validate(record.spec)
    detail = _detail(database, record, trial)
    summary = detail.summary
    if detail.checkpoint is None or summary.value is None:
        raise ExportError(_no_model(database, record, spec, detail))
    return ExportRequest(
        spec=spec,
        study=record.name,
        trial=summary.trial,
        checkpoint=Path(detail.checkpoint),
        value=summary.value,
        metrics=summary.metrics,
        params=summary.params,
        class_names=tuple(record.summary["class_names"]),
        data_fingerprint=record.fingerprint,
        cache=cache,
    )


def _detail(database: Database, record: StudyRecord, trial: int | None) -> TrialDetail:
    if trial is None:
        best = leaderboard.best(database, record.name, 1)
        if not best:
            raise ExportError(f"study {record.name} has no complete trial yet")
        trial = best[0].trial
    return leaderboard.trial(database, record.name, trial)


def _no_model(database: Database, record: StudyRecord, spec: SearchSpec, detail: TrialDetail) -> str:
    kept = leases.checkpoints(database, record.study_id, spec.objective.direction)
    listed = ", ".join(str(number) for number in kept) or "none"
    ended = detail.summary.outcome or detail.summary.state
    return (
        f"trial {detail.summary.trial} ({ended}) has no kept model; keep_checkpoints is {spec.keep_checkpoints}, "
        f"and the trials with one are: {listed}"
    )
