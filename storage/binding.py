"""Trials of leases: created in Optuna and bound to their lease, so that neither is ever without the other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from optuna.storages._rdb.models import StudyModel, TrialModel, TrialSystemAttributeModel
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from storage.database import Database, retried
from storage.errors import TrialTaken
from storage.fencing import Lease, fenced
from storage.translation import optuna_errors

# The Optuna system attribute of a trial that holds its lease's ordinal.
LEASE_ATTRIBUTE = "tuner:lease"


@retried
def start_trial(db: Database, lease: Lease) -> Lease:
    """Creates the lease's Optuna trial, RUNNING, and binds it, in one transaction.

    However it is interrupted, there is never a second trial for the lease, and none that no lease has. A lease that
    has its trial already is given back as it is.

    Raises:
        LeaseLost: another worker has it; no trial was created.
    """
    template = create_trial(state=TrialState.RUNNING, system_attrs={LEASE_ATTRIBUTE: lease.ordinal})
    with optuna_errors(db.url), db.writing() as session:
        row = fenced(session, lease)
        if row.trial_id is None:
            trial = _new_trial(session, db, lease.study_id, template)
            row.trial_id, row.number = trial.trial_id, trial.number
            row.rank = 0
        return replace(lease, trial_id=row.trial_id, number=row.number)


def _new_trial(session: Session, db: Database, study_id: int, template: FrozenTrial) -> Any:
    # As RDBStorage.create_new_trial does: numbers are counted under the study's lock.
    StudyModel.find_or_raise_by_id(study_id, session, for_update=True)
    trial = db.rdb._get_prepared_new_trial(study_id, template, session)
    session.flush()
    return trial


@retried
def bind(db: Database, lease: Lease, trial_id: int, number: int) -> Lease:
    """Binds an Optuna trial that exists already to the lease. Binding the same one again changes nothing.

    Raises:
        LeaseLost: another worker has the lease.
        TrialTaken: the lease has another trial, or the trial another lease.
    """
    try:
        with db.writing() as session:
            row = fenced(session, lease)
            if row.trial_id not in (None, trial_id):
                raise TrialTaken(lease.id, trial_id)
            row.trial_id, row.number, row.rank = trial_id, number, 0
    except IntegrityError:
        raise TrialTaken(lease.id, trial_id) from None
    return replace(lease, trial_id=trial_id, number=number)


def find_trial_of_lease(db: Database, study_id: int, ordinal: int) -> tuple[int, int] | None:
    """Id and number of the first Optuna trial that carries the lease's ordinal in ``LEASE_ATTRIBUTE``."""
    marked = (
        select(TrialModel.trial_id, TrialModel.number)
        .join(TrialSystemAttributeModel, TrialSystemAttributeModel.trial_id == TrialModel.trial_id)
        .where(
            TrialModel.study_id == study_id,
            TrialSystemAttributeModel.key == LEASE_ATTRIBUTE,
            # Optuna stores attributes as JSON text; an integer's is its digits.
            TrialSystemAttributeModel.value_json == str(ordinal),
        )
        .order_by(TrialModel.trial_id)
        .limit(1)
    )
    with db.reading() as session:
        row = session.execute(marked).one_or_none()
    return None if row is None else (row.trial_id, row.number)
