"""Questions about studies, answered from the database alone.

Apart from ``tuner.api``, which has them too, so that asking imports nothing that launching needs: `tuner best` answers
in well under a second.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from math import isfinite
from typing import TYPE_CHECKING, Any

from storage import deletion, leaderboard, lease_list, progress, studies, workers
from storage import launches as stored_launches
from storage.artifact_store import Artifact
from storage.artifacts import StudyArtifacts
from storage.database import Database, connect
from storage.errors import StorageError, UnknownStudy
from storage.leaderboard import SORT_COLUMNS, Position, TrialDetail, TrialSummary, position_of
from storage.lease_list import LeaseView
from storage.progress import StudyOverview, StudyStatus
from storage.schema import upgrade_at
from storage.standing import StandingPool, standing_pools
from storage.studies import StudyRecord
from storage.workers import Worker
from tuner.errors import ConfirmationError, CursorError, DataError, LaunchError, TunerError
from tuner.paging import Page, cursor_after, paged, position_in, whole_number
from tuner.places import storage_url, study_artifacts
from tuner.trial.outcome import Outcome
from tuner.versions import DATA, differences

if TYPE_CHECKING:
    from tuner.launch.launches import LaunchView

USUAL_BEST = 5
USUAL_PAGE = 50
_MOST_TRIALS = 2**31
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


# A database URL, or a database that is open already and stays so.
Storage = str | Database | None


@contextmanager
def open_storage(storage: Storage, *, create: bool = False) -> Iterator[Database]:
    if isinstance(storage, Database):
        yield storage
        return
    database = connect(storage_url(storage), create=create)
    try:
        yield database
    finally:
        database.close()


def list_studies(*, storage: Storage = None) -> list[StudyOverview]:
    """Every study in the database, the newest first."""
    with open_storage(storage) as database:
        return progress.overview(database)


def study_page(*, limit: int = USUAL_PAGE, cursor: str | None = None, storage: Storage = None) -> Page[StudyOverview]:
    """A page of ``list_studies``.

    Args:
        cursor: of the page before; None for the first.

    Raises:
        CursorError: it is of another list, or its study was deleted.
    """
    listing = {"list": "studies"}
    after = position_in(listing, cursor)
    if not (after is None or (isinstance(after, str) and "\0" not in after)):
        raise CursorError("the cursor names no study: begin without one")
    with open_storage(storage) as database:
        try:
            found = progress.overview(database, after=after, limit=limit + 1)
        except UnknownStudy:
            raise CursorError("the study that this page comes after was deleted: begin without a cursor") from None
    items, more = paged(found, limit)
    return Page(items, cursor_after(listing, items[-1].study) if more else None)


def stored_spec(study: str, *, storage: Storage = None) -> dict[str, Any]:
    """The spec that a study was launched with, as it is stored: without passwords.

    Raises:
        UnknownStudy: there is none of this name; a plain Optuna study has no spec.
    """
    with open_storage(storage) as database:
        return dict(studies.load_study(database, study).spec)


def study_status(study: str, *, storage: Storage = None) -> StudyStatus:
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


def list_workers(study: str, *, storage: Storage = None) -> list[WorkerView]:
    """Every worker that ever worked on a study, in the order of their start."""
    with open_storage(storage) as database:
        record = studies.load_study(database, study)
        return [_worker_view(record, worker) for worker in workers.list_workers(database, record.study_id)]


@dataclass(frozen=True)
class LiveWorker(WorkerView):
    """A worker that lives, and the study that it works on."""

    study: str


def worker_page(*, limit: int = USUAL_PAGE, cursor: str | None = None, storage: Storage = None) -> Page[LiveWorker]:
    """A page of the workers of every study that live, by their names.

    Args:
        cursor: of the page before; None for the first.

    Raises:
        CursorError: it is of another list.
    """
    listing = {"list": "workers"}
    after = position_in(listing, cursor)
    if not (after is None or (isinstance(after, str) and "\0" not in after)):
        raise CursorError("the cursor names no worker: begin without one")
    with open_storage(storage) as database:
        found = workers.list_live(database, after=after or "", limit=limit + 1)
    items, more = paged([LiveWorker(**vars(_worker_view(*each)), study=each[0].name) for each in found], limit)
    return Page(items, cursor_after(listing, items[-1].worker) if more else None)


def list_pools(*, storage: Storage = None) -> list[StandingPool]:
    """The standing workers (``work_any``) that are there, in the order of their start, those too that have no study."""
    with open_storage(storage) as database:
        return standing_pools(database)


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


def best_trials(study: str, k: int | None = None, *, storage: Storage = None) -> list[TrialSummary]:
    """The best complete trials, the best first; with several objectives the Pareto front, by the leading one.

    Trials that break a constraint come last, and are on the front only if every complete trial breaks one.

    Args:
        k: at most so many; None for 5, or for the whole front.
    """
    with open_storage(storage) as database:
        return leaderboard.best(database, study, k, USUAL_BEST)


def list_trials(
    study: str,
    *,
    state: str | None = None,
    sort: str = "trial",
    descending: bool = False,
    limit: int | None = None,
    storage: Storage = None,
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
    _check_state(state)
    with open_storage(storage) as database:
        return leaderboard.trials(database, study, state=state, sort=sort, descending=descending, limit=limit)


def trial_page(
    study: str,
    *,
    state: str | None = None,
    sort: str = "trial",
    descending: bool = False,
    limit: int = USUAL_PAGE,
    cursor: str | None = None,
    storage: Storage = None,
) -> Page[TrialSummary]:
    """A page of ``list_trials``, which says what the arguments are.

    Args:
        cursor: of the page before; None for the first.

    Raises:
        CursorError: it is of another study, state or order.
        TunerError, StorageError: as ``list_trials``.
    """
    listing = {"study": study, "state": state, "sort": sort, "descending": descending}
    _check_state(state)
    after = _position(sort, position_in(listing, cursor))
    with open_storage(storage) as database:
        found = leaderboard.trials(
            database, study, state=state, sort=sort, descending=descending, limit=limit + 1, after=after
        )
    items, more = paged(found, limit)
    if not more:
        return Page(items, None)
    last = position_of(items[-1], sort)
    return Page(items, cursor_after(listing, [last.trial, last.value]))


def _position(sort: str, stored: Any) -> Position | None:
    """A cursor's position. Anybody may write one, and databases refuse what does not fit the column."""
    if stored is None:
        return None
    match stored:
        case [int(trial), value] if 0 <= trial < _MOST_TRIALS and (value is None or _fits(sort, value)):
            return Position(trial, value)
    raise CursorError("the cursor's place is none in this order: begin without one")


def _fits(sort: str, value: Any) -> bool:
    if isinstance(value, str):
        return sort not in SORT_COLUMNS or (sort in ("state", "outcome") and "\0" not in value)
    if isinstance(value, int):
        return abs(value) < 2**53
    return isinstance(value, float) and isfinite(value)


def _check_state(state: str | None) -> None:
    if state is not None and state not in TRIAL_STATES:
        raise TunerError(f"no trial can be {state!r}: one of {', '.join(TRIAL_STATES)}")


def show_trial(study: str, number: int, *, storage: Storage = None) -> TrialDetail:
    """Everything known about one trial."""
    with open_storage(storage) as database:
        return leaderboard.trial(database, study, number)


def trial_log(study: str, number: int, *, storage: Storage = None) -> Iterator[bytes]:
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


def worker_log(study: str, worker: str, *, storage: Storage = None) -> Iterator[bytes]:
    """What a worker has printed, in pieces.

    Args:
        worker: its name in a launch, or its id.

    Raises:
        LaunchError: there is no such worker, or its log cannot be reached from this machine.
    """
    from tuner.launch.launches import log_of

    with open_storage(storage) as database:
        record = studies.load_study(database, study)
        try:
            return log_of(database, record, worker)
        except LaunchError:
            artifacts = study_artifacts(record.artifacts, study)
            # The engine may be out of reach, or have forgotten it.
            kept = artifacts.worker_logs(worker)
            if not kept:
                raise
            return _pieces(artifacts, kept)


def split_records(study: str, split: str, *, storage: Storage = None) -> list[SplitRecord]:
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


def stop(study: str, *, storage: Storage = None, on_problem: Callable[[str], None] | None = None) -> str:
    """Asks every worker of a study to leave after its epoch. Gives the study's state.

    Engines take away the workers that wait for a place. Of a study that was asked to stop before, they tell those that
    still work to leave at once, with their checkpoints written.

    Args:
        on_problem: told of each launch whose engine cannot be reached.
    """
    with open_storage(storage) as database:
        record = studies.load_study(database, study)
        state = studies.request_stop(database, study)
        if stored_launches.list_launches(database, record.study_id):
            from tuner.launch import launches

            for line in launches.stop(database, record, at_once=record.state != "running"):
                if on_problem is not None:
                    on_problem(line)
        return state


def lease_page(
    study: str, *, limit: int = USUAL_PAGE, cursor: str | None = None, storage: Storage = None
) -> Page[LeaseView]:
    """A page of a study's leases, the units of its budget.

    Args:
        cursor: of the page before; None for the first.

    Raises:
        CursorError: it is of another list.
        UnknownStudy: there is none of this name; a plain Optuna study has no leases.
    """
    listing = {"list": "leases", "study": study}
    after = whole_number(position_in(listing, cursor))
    with open_storage(storage) as database:
        found = lease_list.list_leases(database, study, after=-1 if after is None else after, limit=limit + 1)
    items, more = paged(found, limit)
    return Page(items, cursor_after(listing, items[-1].ordinal) if more else None)


def delete_study(study: str, *, confirm: str, artifacts: bool = False, storage: Storage = None) -> None:
    """Deletes a study with its trials and champions. It cannot be undone.

    Args:
        confirm: the study's name once more.
        artifacts: its files too: models, logs, the champions' files.

    Raises:
        ConfirmationError: ``confirm`` is something else.
        StudyInUse: workers work on it.
        UnknownStudy: there is none of this name.
        ArtifactsUnavailable: the study is deleted, and some of its files are not.
    """
    with open_storage(storage) as database:
        if confirm != study:
            leaderboard.number_of_objectives(database, study)
            raise ConfirmationError(f"study {study!r} is not deleted: confirm it with its name")
        place = _place_of(database, study)
        deletion.delete_study(database, study)
    if artifacts and place is not None:
        study_artifacts(place, study).remove_all()


def _place_of(database: Database, study: str) -> str | None:
    """Where a study's files are; None for those that Optuna alone made."""
    try:
        return studies.load_study(database, study).artifacts
    except UnknownStudy:
        return None


def resume(study: str, *, trials: int | None = None, storage: Storage = None) -> StudyStatus:
    """Lets a study that was stopped or has failed run again, as it was launched. Its time begins anew.

    One whose trials are all done stays as it is, unless it gets more.

    Args:
        trials: so many in all, more than it has; also of a study that runs.

    Raises:
        SpecMismatch: it has more trials.
        SpecError: a study cannot have so many.
        UnknownStudy: there is none of this name; a plain Optuna study cannot run.
    """
    with open_storage(storage) as database:
        record = studies.load_study(database, study)
        if trials is not None:
            # The spec's module takes a fifth of a query's time to import.
            from tuner.budget import raise_trials

            raise_trials(database, record, trials)
            record = studies.load_study(database, study)
        if record.state != "running":
            studies.reopen(database, record.study_id, timeout=dict(record.spec).get("timeout"))
        return progress.status(database, study)


def list_launches(study: str, *, storage: Storage = None) -> list[LaunchView]:
    """How the workers of a study stand that engines run: of every launch that nobody stopped, and of the newest."""
    with open_storage(storage) as database:
        record = studies.load_study(database, study)
        if not stored_launches.list_launches(database, record.study_id):
            return []
        # What most studies do without takes long to import.
        from tuner.launch.launches import look_at_all

        return look_at_all(database, record.study_id)
