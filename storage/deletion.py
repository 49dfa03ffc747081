"""Deletes a study: our rows and Optuna's, in one transaction."""

from __future__ import annotations

from optuna.storages._rdb.models import BaseModel, TrialModel
from sqlalchemy import Table, delete, select, update
from sqlalchemy.orm import Session

from storage.database import Database, retried
from storage.errors import StudyInUse
from storage.summaries import find_study
from storage.tables import AliasChangeRow, AliasRow, Base, ChampionRow, EpochRow, StudyRow
from storage.workers import workers_in

# Those that refer to others come first: results refer to leases, and leases to the study.
_OURS = [each for each in reversed(Base.metadata.sorted_tables) if "study_id" in each.columns]


@retried
def delete_study(db: Database, name: str) -> None:
    """Deletes a study, its trials, its champions and what they were called; plain Optuna studies too.

    Raises:
        UnknownStudy: there is none of this name.
        StudyInUse: workers work on it.
    """
    with db.writing() as session:
        key = find_study(session, name)
        study_id = key.study_id
        # Who raises its budget at the same time waits here, and then finds nothing.
        session.execute(select(StudyRow.study_id).where(StudyRow.study_id == study_id).with_for_update())
        live = [worker.id for worker in workers_in(session, db, study_id) if worker.live or worker.trials]
        if live:
            raise StudyInUse(name, live)
        trials = select(TrialModel.trial_id).where(TrialModel.study_id == study_id)
        # By their key: they have no index by study.
        session.execute(delete(EpochRow).where(EpochRow.trial_id.in_(trials)))
        _forget_aliases(session, study_id)
        for table in _OURS:
            if table is not EpochRow.__table__:
                session.execute(delete(table).where(table.c.study_id == study_id))
        # Those that refer to others come first.
        for table in reversed(BaseModel.metadata.sorted_tables):
            _delete_of_optuna(session, table, study_id)


def _forget_aliases(session: Session, study_id: int) -> None:
    gone = list(session.scalars(select(ChampionRow.id).where(ChampionRow.study_id == study_id)))
    if gone:
        session.execute(delete(AliasRow).where(AliasRow.champion_id.in_(gone)))
        session.execute(delete(AliasChangeRow).where(AliasChangeRow.to_champion.in_(gone)))
        former = update(AliasChangeRow).where(AliasChangeRow.from_champion.in_(gone))
        session.execute(former.values(from_champion=None))


def _delete_of_optuna(session: Session, table: Table, study_id: int) -> None:
    if "study_id" in table.columns:
        session.execute(delete(table).where(table.c.study_id == study_id))
    elif "trial_id" in table.columns:
        trials = select(TrialModel.trial_id).where(TrialModel.study_id == study_id)
        session.execute(delete(table).where(table.c.trial_id.in_(trials)))
