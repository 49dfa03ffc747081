"""Optuna's storage as the holder of one lease may write to it: each write in one transaction with a look at the lease.

Optuna itself knows no fencing token: a worker that froze while it sampled would, when it wakes, set a hyperparameter of
a trial that is another worker's by then.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.storages._rdb.models import TrialParamModel, TrialSystemAttributeModel, TrialUserAttributeModel
from sqlalchemy import select
from sqlalchemy.orm import Session

from storage.database import Database
from storage.errors import LeaseLost
from storage.fencing import Lease
from storage.tables import LeaseRow
from storage.translation import optuna_errors


class FencedOptuna:
    """``Database.optuna`` for the trial of a lease. Whatever is not overridden here is Optuna's own.

    A lease that was released, closed or had expired, and that nobody has acquired since, may still be written for.
    Every write may be repeated when the answer to its commit was lost.

    Raises:
        LeaseLost: from every write, when another worker has acquired the lease.
    """

    def __init__(self, db: Database, lease: Lease) -> None:
        self._db = db
        self._lease = lease

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db.optuna, name)

    @contextmanager
    def _fenced(self) -> Iterator[Session]:
        with optuna_errors(self._db.url), self._db.writing() as session:
            token = session.scalar(select(LeaseRow.token).where(LeaseRow.id == self._lease.id).with_for_update())
            if token != self._lease.token:
                raise LeaseLost(self._lease.id)
            yield session

    def set_trial_param(
        self, trial_id: int, param_name: str, param_value_internal: float, distribution: BaseDistribution
    ) -> None:
        """Sets a hyperparameter that has no value yet."""
        with self._fenced() as session:
            known = select(TrialParamModel).filter_by(trial_id=trial_id, param_name=param_name)
            if session.scalar(known) is None:
                self._db.rdb._set_trial_param_without_commit(
                    session, trial_id, param_name, param_value_internal, distribution
                )

    def set_trial_intermediate_value(self, trial_id: int, step: int, intermediate_value: float) -> None:
        with self._fenced() as session:
            self._db.rdb._set_trial_intermediate_value_without_commit(session, trial_id, step, intermediate_value)

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        with self._fenced() as session:
            self._db.rdb._set_trial_attr_without_commit(session, TrialUserAttributeModel, trial_id, key, value)

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        with self._fenced() as session:
            self._db.rdb._set_trial_attr_without_commit(session, TrialSystemAttributeModel, trial_id, key, value)
