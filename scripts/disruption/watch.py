"""What a study's database says while the study is disrupted."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select

from storage import studies
from storage.database import Database
from storage.studies import StudyRecord
from storage.tables import EpochRow, LeaseRow, RungRow, WorkerRow


@dataclass(frozen=True)
class Holding:
    """A lease that a worker holds, as far as the database knows.

    Attributes:
        number: its trial's; None before there is one.
        epochs: stored of the trial.
    """

    lease_id: int
    token: int
    worker_id: str
    pid: int
    trial_id: int | None
    number: int | None
    epochs: int


class Watch:
    """Asks the database. Every question raises DatabaseUnavailable while it is away."""

    def __init__(self, database: Database, record: StudyRecord) -> None:
        self._database = database
        self._record = record

    def running(self) -> bool:
        return studies.load_study(self._database, self._record.name).state == "running"

    def epochs(self) -> int:
        """How many epochs are stored."""
        counted = select(func.count()).select_from(EpochRow).where(EpochRow.study_id == self._record.study_id)
        with self._database.reading() as session:
            return session.scalars(counted).one()

    def holdings(self) -> list[Holding]:
        trained = func.count(EpochRow.epoch)
        held = (
            select(LeaseRow, WorkerRow.pid, trained)
            .join(WorkerRow, WorkerRow.id == LeaseRow.worker_id)
            .outerjoin(EpochRow, EpochRow.trial_id == LeaseRow.trial_id)
            .where(LeaseRow.study_id == self._record.study_id, LeaseRow.state == "held")
            .group_by(LeaseRow.id, WorkerRow.pid)
            .order_by(LeaseRow.ordinal)
        )
        with self._database.reading() as session:
            return [_holding(lease, pid, epochs) for lease, pid, epochs in session.execute(held)]

    def holder(self, lease_id: int) -> Holding | None:
        return next((each for each in self.holdings() if each.lease_id == lease_id), None)

    def adopted(self, before: Holding) -> bool:
        """Whether somebody has acquired the lease since, whatever became of it then."""
        with self._database.reading() as session:
            token = session.scalars(select(LeaseRow.token).where(LeaseRow.id == before.lease_id)).one()
        return token > before.token

    def at_rungs(self, state: str) -> set[int]:
        """Ids of the trials in this state at the highest rung that they reached: ``arrived`` is told to pause."""
        rungs = select(RungRow).where(RungRow.study_id == self._record.study_id).order_by(RungRow.epoch)
        with self._database.reading() as session:
            highest = {row.trial_id: row.state for row in session.scalars(rungs)}
        return {trial_id for trial_id, known in highest.items() if known == state}

    def closed(self, lease_id: int) -> bool:
        with self._database.reading() as session:
            return session.scalars(select(LeaseRow.state).where(LeaseRow.id == lease_id)).one() == "closed"


def _holding(lease: LeaseRow, pid: int, epochs: int) -> Holding:
    return Holding(
        lease_id=lease.id,
        token=lease.token,
        worker_id=lease.worker_id or "",
        pid=pid,
        trial_id=lease.trial_id,
        number=lease.number,
        epochs=epochs,
    )
