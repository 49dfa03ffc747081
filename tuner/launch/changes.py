"""Stops, resumes and deletes existing studies, and upgrades a database."""

from __future__ import annotations

from collections.abc import Callable

from storage import deletion, leaderboard, progress, studies
from storage import launches as stored_launches
from storage.database import Database
from storage.errors import UnknownStudy
from storage.progress import StudyStatus
from storage.schema import upgrade_at
from tuner.errors import ConfirmationError
from tuner.study.locations import storage_url
from tuner.study.open_study import OpenStudy, opened_study
from tuner.study.storage_access import Storage, open_storage


def upgrade_storage(*, storage: str | None = None) -> tuple[str | None, str]:
    """Brings a database that an older version made to this version. Gives its revision before and now.

    Raises:
        StorageError: there is no database, or a newer version made it.
    """
    return upgrade_at(storage_url(storage))


def stop(study: str, *, storage: Storage = None, on_problem: Callable[[str], None] | None = None) -> str:
    """Asks every worker of a study to leave after its epoch. Gives the study's state.

    Engines take away the workers that wait for a place. Of a study that was asked to stop before, they tell those that
    still work to leave at once, with their checkpoints written.

    Args:
        on_problem: told of each launch whose engine cannot be reached.
    """
    with opened_study(study, storage) as found:
        state = studies.request_stop(found.database, study)
        if stored_launches.list_launches(found.database, found.id):
            from tuner.launch import launches

            for line in launches.stop(found, at_once=found.record.state != "running"):
                if on_problem is not None:
                    on_problem(line)
        return state


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
            raise ConfirmationError(f"study {study!r} is not deleted: confirm the deletion with the study's name")
        found = _found(database, study)
        deletion.delete_study(database, study)
    if artifacts and found is not None:
        found.artifacts.remove_all()


def _found(database: Database, study: str) -> OpenStudy | None:
    """None for a study that Optuna alone made."""
    try:
        return OpenStudy.load(database, study)
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
    with opened_study(study, storage) as found:
        if trials is not None:
            found.check_trials(trials)
        if found.record.state == "running":
            found.raise_trials(trials or found.record.budget)
        else:
            spec = dict(found.record.spec) | ({} if trials is None else {"trials": trials})
            budget = trials or found.record.budget
            studies.take_up(found.database, found.id, spec=spec, budget=budget, timeout=spec.get("timeout"))
        return progress.status(found.database, study)
