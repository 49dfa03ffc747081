"""Leases: the exact budget. Each is one trial to run, held by one worker at a time.

Every write of a worker is fenced: it counts only while the lease still has the token that the worker acquired it
with. An expiry alone takes nothing away; the adoption that may follow it raises the token. Every function here may be
repeated when the answer to its commit was lost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import and_, case, exists, func, or_, select, update
from sqlalchemy.orm import Session

from storage.binding import LEASE_ATTRIBUTE, bind, find_trial_of_lease, start_trial
from storage.database import Database, retried
from storage.errors import LeaseLost
from storage.fencing import Lease, expired, fenced, still_held, trial_of
from storage.promotion.rows import note_promotion, promotable
from storage.promotion.rule import RungRule
from storage.results import (
    TrialResult,
    any_success,
    better_kept,
    checkpoint_sizes,
    checkpoints,
    forget_checkpoint,
    recent_failures,
    store_result,
    stored_epochs,
    trained,
    untold,
)
from storage.spending import Allowance, locked_allowance
from storage.tables import EpochRow, LeaseRow

__all__ = [
    "LEASE_ATTRIBUTE",
    "Lease",
    "LeaseCounts",
    "TrialResult",
    "acquire",
    "any_success",
    "better_kept",
    "bind",
    "checkpoint_sizes",
    "checkpoints",
    "close",
    "counts",
    "find_trial_of_lease",
    "forget_checkpoint",
    "recent_failures",
    "record_epoch",
    "release",
    "renew",
    "save_resume",
    "start_trial",
    "stored_epochs",
    "trained",
    "untold",
    "used_up",
]

_CANDIDATES = 16
_ROUNDS = 5


@dataclass(frozen=True)
class LeaseCounts:
    """How a study's leases stand; an expired lease counts as open, for anyone may acquire it."""

    open: int
    held: int
    closed: int
    paused: int = 0

    @property
    def all_closed(self) -> bool:
        return self.open == self.held == self.paused == 0


@retried
def acquire(
    db: Database,
    study_id: int,
    worker_id: str,
    seconds: float,
    rule: RungRule | None = None,
) -> Lease | None:
    """The next lease to work on, held for ``seconds`` by the database's clock; None if there is none now.

    Trials that wait to be gone on with come first (expired leases, then released ones), then paused ones that are
    promoted, then presets, then the lowest ordinal. None does not mean that the study is done: see ``counts``. Of a
    study's budget of epochs or time the trial's next epoch is put aside; what it does not admit is passed over.

    Args:
        rule: by which paused trials are promoted; None leaves them paused.
    """
    with db.writing() as session:
        allowance = locked_allowance(session, study_id)
        for _ in range(_ROUNDS):
            candidates = _candidates(session, db, study_id, rule)
            for candidate in candidates:
                row = _claim(session, db, candidate)
                if row is None or (allowance is not None and not allowance.admits(session, row)):
                    continue
                if allowance is not None:
                    allowance.put_aside(session, row)
                return _held_by(session, db, row, worker_id, seconds)
            # Who has locked the study meets nobody who is faster: nothing is left for any of them.
            if not candidates or allowance is not None:
                return None
    return None


@retried
def used_up(db: Database, study_id: int, rule: RungRule | None = None) -> Allowance | None:
    """The study's budget of epochs or time, if nobody holds a lease and ``acquire`` would find none; else None."""
    with db.writing() as session:
        allowance = locked_allowance(session, study_id)
        held = exists().where(LeaseRow.study_id == study_id, LeaseRow.state == "held", LeaseRow.expires_at > db.now())
        if allowance is None or session.scalar(select(held)):
            return None
        waiting = (session.get(LeaseRow, each.id) for each in _candidates(session, db, study_id, rule))
        admitted = any(row is not None and allowance.admits(session, row) for row in waiting)
        return None if admitted else allowance


class _Candidate(NamedTuple):
    id: int
    token: int
    is_paused: bool = False


def _candidates(session: Session, db: Database, study_id: int, rule: RungRule | None) -> list[_Candidate]:
    ids = select(LeaseRow.id, LeaseRow.token, LeaseRow.rank).where(LeaseRow.study_id == study_id).limit(_CANDIDATES)
    adoptable = session.execute(ids.where(expired(db)).order_by(LeaseRow.expires_at)).all()
    ordered = ids.where(LeaseRow.state == "open").order_by(LeaseRow.rank, LeaseRow.ordinal)
    waiting = session.execute(ordered).all()
    begun = [*adoptable, *(row for row in waiting if row.rank == 0)]
    promoted = [] if rule is None else promotable(session, study_id, rule)
    return [
        *(_Candidate(row.id, row.token) for row in begun),
        *(_Candidate(*each, is_paused=True) for each in promoted),
        *(_Candidate(row.id, row.token) for row in waiting if row.rank > 0),
    ]


def _claim(session: Session, db: Database, candidate: _Candidate) -> LeaseRow | None:
    # Whoever lets an expired lease be paused keeps its token: that it is paused now is no promotion.
    free = LeaseRow.state == "paused" if candidate.is_paused else or_(LeaseRow.state == "open", expired(db))
    # By primary key: locking in the query that sorts would make MySQL lock every row that it looks at.
    return session.scalar(
        select(LeaseRow)
        .where(LeaseRow.id == candidate.id, LeaseRow.token == candidate.token, free)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )


def _held_by(session: Session, db: Database, row: LeaseRow, worker_id: str, seconds: float) -> Lease:
    was_paused = row.state == "paused"
    if was_paused and row.trial_id is not None:
        note_promotion(session, row.trial_id)
    session.execute(
        update(LeaseRow)
        .where(LeaseRow.id == row.id)
        .values(
            state="held",
            token=LeaseRow.token + 1,
            attempts=LeaseRow.attempts + 1,
            worker_id=worker_id,
            acquired_at=db.now(),
            expires_at=db.now(seconds),
        )
        .execution_options(synchronize_session=False)
    )
    return Lease(
        id=row.id,
        study_id=row.study_id,
        ordinal=row.ordinal,
        token=row.token + 1,
        attempts=row.attempts + 1,
        trial_id=row.trial_id,
        number=row.number,
        preset=row.preset or {},
        resume=row.resume,
        promoted=was_paused,
    )


@retried
def renew(db: Database, leases: Sequence[Lease], seconds: float) -> frozenset[int]:
    """Extends leases to ``seconds`` from now by the database's clock. Gives the ids of those that were lost.

    A lease that had expired without being adopted is kept.
    """
    if not leases:
        return frozenset()
    ours = still_held(leases)
    with db.writing() as session:
        session.execute(
            update(LeaseRow).where(ours).values(expires_at=db.now(seconds)).execution_options(synchronize_session=False)
        )
        kept = session.scalars(select(LeaseRow.id).where(ours)).all()
    return frozenset(lease.id for lease in leases) - frozenset(kept)


@retried
def record_epoch(db: Database, lease: Lease, epoch: int, metrics: Mapping[str, float], seconds: float) -> None:
    """Stores an epoch of the lease's trial; the same epoch again replaces it.

    Args:
        metrics: by name; NaN and infinities are kept.
        seconds: how long the epoch took.

    Raises:
        LeaseLost: another worker has the lease.
        ValueError: the lease has no trial yet.
    """
    trial_id = trial_of(lease)
    with db.writing() as session:
        fenced(session, lease)
        row = session.get(EpochRow, (trial_id, epoch))
        if row is None:
            row = EpochRow(trial_id=trial_id, epoch=epoch, study_id=lease.study_id)
            session.add(row)
        row.metrics = dict(metrics)
        row.seconds = seconds
        row.run = lease.token
        row.at = db.now()  # type: ignore[assignment]  # an SQL expression, filled in by the flush


@retried
def save_resume(db: Database, lease: Lease, resume: Mapping[str, Any]) -> None:
    """Stores the reference to the latest resume checkpoint.

    Raises:
        LeaseLost: another worker has the lease.
    """
    with db.writing() as session:
        fenced(session, lease).resume = dict(resume)


@retried
def release(db: Database, lease: Lease, *, spend_attempt: bool) -> None:
    """Opens the lease for anyone; its trial and resume checkpoint stay. Releasing again changes nothing.

    Args:
        spend_attempt: False gives the attempt back, for a worker that leaves in order.

    Raises:
        LeaseLost: another worker has the lease, or it is paused or closed.
    """
    with db.writing() as session:
        row = session.get(LeaseRow, lease.id, with_for_update=True)
        if row is None or row.token != lease.token or row.state in ("paused", "closed"):
            raise LeaseLost(lease.id)
        if row.state == "held":
            row.state, row.worker_id, row.expires_at = "open", None, None
            row.attempts -= 0 if spend_attempt else 1


@retried
def close(db: Database, lease: Lease, result: TrialResult) -> None:
    """Ends the lease with its trial's result, in one transaction. Closing it again is recognised as done.

    Raises:
        LeaseLost: another worker has the lease.
        ValueError: the result is of another trial than the lease's.
    """
    if result.trial_id != trial_of(lease):
        raise ValueError(f"lease {lease.id} has trial id {lease.trial_id}, not {result.trial_id}")
    with db.writing() as session:
        row = session.get(LeaseRow, lease.id, with_for_update=True)
        if row is None or row.token != lease.token or row.state in ("open", "paused"):
            raise LeaseLost(lease.id)
        if row.state == "held":
            row.state, row.expires_at = "closed", None
            store_result(session, db, lease.study_id, lease.id, result)


def counts(db: Database, study_id: int) -> LeaseCounts:
    """How the study's leases stand now, by the database's clock."""
    held_now = and_(LeaseRow.state == "held", LeaseRow.expires_at > db.now())
    current = select(
        func.count(),
        func.count(case((LeaseRow.state == "closed", 1))),
        func.count(case((held_now, 1))),
        func.count(case((LeaseRow.state == "paused", 1))),
    ).where(LeaseRow.study_id == study_id)
    with db.reading() as session:
        total, closed, held, paused = session.execute(current).one()
    return LeaseCounts(open=total - closed - held - paused, held=held, closed=closed, paused=paused)
