"""How many trials a study has: more may be asked of it, at any time."""

from __future__ import annotations

from storage import studies
from storage.database import Database
from storage.studies import StudyRecord
from tuner.errors import Problem, SpecError, SpecMismatch
from tuner.spec.search_spec import MOST_TRIALS


def raise_trials(database: Database, record: StudyRecord, trials: int) -> None:
    """Gives a study so many trials in all, whatever state it is in.

    Raises:
        SpecMismatch: it has more.
        SpecError: they are more than a study can have.
    """
    if trials > MOST_TRIALS:
        raise SpecError("request", [Problem("trials", f"at most {MOST_TRIALS} (it is {trials})")])
    if trials < record.budget:
        raise SpecMismatch(record.name, ["trials"], f"trials: can be raised, not lowered ({record.budget} to {trials})")
    if trials > record.budget:
        studies.update_spec(database, record.study_id, {**record.spec, "trials": trials})
        studies.raise_budget(database, record.study_id, trials)
