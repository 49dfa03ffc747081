"""Questions about studies, answered from the database alone.

Apart from ``tuner.api``, which has them too, so that asking imports nothing that launching needs: `tuner best` answers
in well under a second.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from storage import leaderboard, progress, studies, workers
from storage.artifact_store import Artifact
from storage.artifacts import StudyArtifacts
from storage.database import Database, connect
from storage.errors import StorageError
from storage.leaderboard import TrialDetail, TrialSummary
from storage.progress import StudyOverview, StudyStatus
from storage.schema import upgrade_at
from storage.studies import StudyRecord
from storage.workers import Worker
from tuner.errors import DataError, TunerError
from tuner.places import storage_url, study_artifacts
from tuner.trial.outcome import Outcome
from tuner.versions import DATA, differences

USUAL_BEST = 5
TRIAL_STATES = ("running", "waiting", *(outcome.value for outcome in Outcome if outcome is not Outcome.INTERRUPTED))


@dataclass(frozen=True)
class SplitRecord:
    """One example of a split.

    Attributes:
        file: its own, or the one that it is a row of.
        label: a class's name, a list of labels, or numbers; None without labels.
        row: counted from 1, without the header; None for a file of its own.
    """

    file: str
    label: Any
    row: int | None = None


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


@dataclass(frozen=True)
class WorkerView:
    """A worker of a study.

    Attributes:
        gpus: as it named them; empty for none.
        trials: numbers of those that it has now.
        seen_seconds: since it was last seen, by the database's clock.
        state: ``live``, ``left``, or ``lost`` without a word.
        drift: what it runs that is not what the study was launched with, in words.
    """

    worker: str
    host: str
    pid: int
    gpus: list[Any]
    slots: int
    trials: list[int]
    seen_seconds: float
    version: str
    state: str
    started_at: datetime
    seen_at: datetime
    left_at: datetime | None
    drift: list[str]


def list_workers(study: str, *, storage: str | None = None) -> list[WorkerView]:
    """Every worker that ever worked on a study, in the order of their start."""
    with open_storage(storage) as database:
        record = studies.load_study(database, study)
        return [_worker_view(record, worker) for worker in workers.list_workers(database, record.study_id)]


def _worker_view(record: StudyRecord, worker: Worker) -> WorkerView:
    same = {name: getattr(worker, name) for name in WorkerView.__dataclass_fields__ if hasattr(worker, name)}
    expected = {**record.versions, DATA: record.fingerprint}
    known = worker.versions or {}
    differing = differences({name: value for name, value in expected.items() if name in known}, known)
    return WorkerView(worker=worker.id, drift=[str(each) for each in differing], **same)


def upgrade_storage(*, storage: str | None = None) -> tuple[str | None, str]:
    """Brings a database that an older version made to this version. Gives its revision before and now.

    Raises:
        StorageError: there is no database, or a newer version made it.
    """
    return upgrade_at(storage_url(storage))


def best_trials(study: str, k: int | None = None, *, storage: str | None = None) -> list[TrialSummary]:
    """The best complete trials, the best first; with several objectives the Pareto front, by the leading one.

    Trials that break a constraint come last, and are on the front only if every complete trial breaks one.

    Args:
        k: at most so many; None for 5, or for the whole front.
    """
    with open_storage(storage) as database:
        return leaderboard.best(database, study, k if k is not None else _usual_number(database, study))


def _usual_number(database: Database, study: str) -> int | None:
    return None if leaderboard.number_of_objectives(database, study) > 1 else USUAL_BEST


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
    """The files or rows of ``train``, ``validation`` or ``test``, in order, with their labels.

    Raises:
        DataError: the study has no such split, or its record is gone.
    """
    with open_storage(storage) as database:
        record = studies.load_study(database, study)
    return [SplitRecord(**item) for item in _read_split(study_artifacts(record.artifacts, study), split)]


def _read_split(artifacts: StudyArtifacts, split: str) -> list[dict[str, Any]]:
    """The examples of a split, as the study recorded them.

    Raises:
        DataError: there is no such split, or the record cannot be read.
    """
    try:
        records = json.loads(artifacts.splits())
    except (StorageError, OSError, ValueError) as error:
        raise DataError(f"the study's record of its splits cannot be read: {error}") from None
    if not records.get(split):
        raise DataError(f"the study has no {split!r} split; it has {', '.join(records)}")
    found = records[split]
    # Version 0.1.0 wrote a list of examples.
    if isinstance(found, list):
        return found
    from tuner.data.prepared import examples_of

    return list(examples_of(found))


def stop(study: str, *, storage: str | None = None) -> str:
    """Asks every worker of a study to leave after its epoch. Gives the study's state."""
    with open_storage(storage) as database:
        return studies.request_stop(database, study)
