"""Questions about studies, answered from the database alone.

Apart from ``tuner.api``, which has them too, so that asking imports nothing that launching needs: `tuner best` answers
in well under a second.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from storage import leaderboard, progress, studies
from storage.artifact_store import Artifact
from storage.artifacts import StudyArtifacts
from storage.database import Database, connect
from storage.errors import StorageError
from storage.leaderboard import TrialDetail, TrialSummary
from storage.progress import StudyOverview, StudyStatus
from tuner.errors import DataError, TunerError
from tuner.places import storage_url, study_artifacts
from tuner.trial.outcome import Outcome

TRIAL_STATES = ("running", "waiting", *(outcome.value for outcome in Outcome if outcome is not Outcome.INTERRUPTED))


@dataclass(frozen=True)
class SplitRecord:
    """One example of a split: its file and its label."""

    file: str
    label: str


@contextmanager
def open_storage(storage: str | None, *, create: bool = False) -> Iterator[Database]:
    database = connect(storage_url(storage), create=create)
    try:
        yield database
    finally:
        database.close()


def list_studies(*, storage: str | None = None) -> list[StudyOverview]:
    """Every study in the database, the newest first."""
    with open_storage(storage) as database:
        return progress.overview(database)


def study_status(study: str, *, storage: str | None = None) -> StudyStatus:
    """A study's progress, its running trials and its workers."""
    with open_storage(storage) as database:
        return progress.status(database, study)


def best_trials(study: str, k: int = 5, *, storage: str | None = None) -> list[TrialSummary]:
    """The ``k`` best complete trials, the best first."""
    with open_storage(storage) as database:
        return leaderboard.best(database, study, k)


def list_trials(
    study: str,
    *,
    state: str | None = None,
    sort: str = "trial",
    descending: bool = False,
    limit: int | None = None,
    storage: str | None = None,
) -> list[TrialSummary]:
    """Trials of a study.

    Args:
        state: only those in this state, or with this outcome: one of ``TRIAL_STATES``.
        sort: trial, value, state, outcome, epochs, seconds, a metric or a hyperparameter; trials without it come last.
        descending: the greatest first.
        limit: at most this many.

    Raises:
        TunerError: there is no such state.
        StorageError: there is no such study, or nothing of the name ``sort``.
    """
    if state is not None and state not in TRIAL_STATES:
        raise TunerError(f"no trial can be {state!r}: one of {', '.join(TRIAL_STATES)}")
    with open_storage(storage) as database:
        return leaderboard.trials(database, study, state=state, sort=sort, descending=descending, limit=limit)


def show_trial(study: str, number: int, *, storage: str | None = None) -> TrialDetail:
    """Everything known about one trial."""
    with open_storage(storage) as database:
        return leaderboard.trial(database, study, number)


def trial_log(study: str, number: int, *, storage: str | None = None) -> Iterator[bytes]:
    """What the trial's processes printed, of one attempt after another, in pieces.

    Raises:
        TunerError: there is no log, or none that can be reached from this machine.
    """
    with open_storage(storage) as database:
        leaderboard.trial(database, study, number)
        record = studies.load_study(database, study)
    artifacts = study_artifacts(record.artifacts, study)
    logs = artifacts.logs(number)
    if not logs:
        raise TunerError(f"trial {number} of study {study} has no log in {artifacts.place_of('')}")
    return _pieces(artifacts, logs)


def _pieces(artifacts: StudyArtifacts, logs: list[Artifact]) -> Iterator[bytes]:
    for log in logs:
        with artifacts.fetched(log) as path, path.open("rb") as file:
            yield from iter(lambda: file.read(65536), b"")


def split_records(study: str, split: str, *, storage: str | None = None) -> list[SplitRecord]:
    """The files of ``train``, ``validation`` or ``test``, in order, with their labels.

    Raises:
        DataError: the study has no such split, or its record is gone.
    """
    with open_storage(storage) as database:
        record = studies.load_study(database, study)
    return [SplitRecord(**item) for item in _read_split(study_artifacts(record.artifacts, study), split)]


def _read_split(artifacts: StudyArtifacts, split: str) -> list[dict[str, str]]:
    """The files and labels of a split, as the study recorded them.

    Raises:
        DataError: there is no such split, or the record cannot be read.
    """
    try:
        records = json.loads(artifacts.splits())
    except (StorageError, OSError, ValueError) as error:
        raise DataError(f"the study's record of its splits cannot be read: {error}") from None
    if not records.get(split):
        raise DataError(f"the study has no {split!r} split; it has {', '.join(records)}")
    return list(records[split])


def stop(study: str, *, storage: str | None = None) -> str:
    """Asks every worker of a study to leave after its epoch. Gives the study's state."""
    with open_storage(storage) as database:
        return studies.request_stop(database, study)
