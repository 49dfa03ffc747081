"""Rungs in the database: trials arrive, are paused, are taken up again or end there.

As with leases, a holder's writes count only while the lease is its own, and each function may be repeated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from storage.database import Database, retried
from storage.errors import LeaseLost
from storage.fencing import Lease, fenced, trial_of
from storage.promotion.rule import Arrival, RungRule, Rungs
from storage.results import TrialResult, store_result
from storage.tables import LeaseRow, RungRow

_GOES_ON = ("passed", "promoted")


@retried
def arrive(db: Database, lease: Lease, rule: RungRule, rung: int, kind: str | None, losses: Sequence[float]) -> bool:
    """Notes what the lease's trial has reached at a rung; whether it goes on. One that once went on does so again.

    Raises:
        LeaseLost: another worker has the lease.
    """
    trial_id = trial_of(lease)
    with db.writing() as session:
        fenced(session, lease)
        row = session.get(RungRow, (trial_id, rung))
        if row is None:
            row = RungRow(trial_id=trial_id, epoch=rung, study_id=lease.study_id, state="arrived")
            session.add(row)
        row.kind, row.losses = kind, list(losses)
        session.flush()
        if row.state not in _GOES_ON and rungs_in(session, lease.study_id, rule).passes(trial_id, rung, kind):
            row.state = "passed"
        return row.state in _GOES_ON


@retried
def pause(db: Database, lease: Lease, result: TrialResult) -> None:
    """Lays the lease's trial aside at the highest rung that it has reached. Nobody holds it; no attempt is spent.

    Args:
        result: what the trial comes to unless it is taken up again.

    Raises:
        LeaseLost: another worker has the lease.
        ValueError: the trial has reached no rung.
    """
    trial_id = trial_of(lease)
    with db.writing() as session:
        row = session.get(LeaseRow, lease.id, with_for_update=True)
        if row is None or row.token != lease.token or row.state not in ("held", "paused"):
            raise LeaseLost(lease.id)
        highest = select(RungRow).where(RungRow.trial_id == trial_id).order_by(RungRow.epoch.desc()).limit(1)
        rung = session.scalar(highest)
        if rung is None:
            raise ValueError(f"trial id {trial_id} has reached no rung")
        if row.state == "held":
            row.state, row.worker_id, row.expires_at = "paused", None, None
            row.attempts -= 1
            rung.state, rung.result = "paused", asdict(result)


@retried
def end_paused(db: Database, study_id: int, rule: RungRule | None) -> list[TrialResult]:
    """Ends the paused trials that will not go on any more, with what they have come to; gives their results.

    Args:
        rule: says which; None ends all of them, for a study that has ended.
    """
    with db.writing() as session:
        if rule is None:
            wanted = list(session.scalars(_paused(study_id)))
        else:
            wanted = rungs_in(session, study_id, rule).hopeless()
        return [result for trial_id in wanted if (result := _end(session, db, trial_id)) is not None]


def _end(session: Session, db: Database, trial_id: int) -> TrialResult | None:
    lease = session.scalar(
        select(LeaseRow)
        .where(LeaseRow.trial_id == trial_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if lease is None or lease.state != "paused":
        return None
    rung = session.scalars(
        select(RungRow).where(RungRow.trial_id == trial_id, RungRow.state == "paused").order_by(RungRow.epoch.desc())
    ).first()
    assert rung is not None
    result = replace(TrialResult(**rung.result or {}), outcome="pruned")
    # Raised, so that whoever has seen it paused does not take it up.
    lease.state, lease.token = "closed", lease.token + 1
    rung.result = None
    store_result(session, db, lease.study_id, lease.id, result)
    return result


def any_paused(db: Database, study_id: int) -> bool:
    """Whether any trial of the study is paused."""
    with db.reading() as session:
        return session.scalars(_paused(study_id).limit(1)).first() is not None


def promotable(session: Session, study_id: int, rule: RungRule) -> list[tuple[int, int]]:
    """Ids and tokens of the leases whose paused trials go on now, the next one first."""
    found = rungs_in(session, study_id, rule).promotable()
    rows = session.execute(
        select(LeaseRow.trial_id, LeaseRow.id, LeaseRow.token).where(
            LeaseRow.trial_id.in_(found), LeaseRow.state == "paused"
        )
    )
    known = {row.trial_id: (row.id, row.token) for row in rows}
    return [known[trial_id] for trial_id in found if trial_id in known]


def note_promotion(session: Session, trial_id: int) -> None:
    """Notes, in the caller's transaction, that a paused trial goes on."""
    paused = select(RungRow).where(RungRow.trial_id == trial_id, RungRow.state == "paused")
    for rung in session.scalars(paused):
        rung.state, rung.result = "promoted", None


def rungs_in(session: Session, study_id: int, rule: RungRule) -> Rungs:
    """How the study's trials stand at the rungs, in the caller's transaction."""
    rows = session.execute(
        select(RungRow.trial_id, RungRow.epoch, RungRow.kind, RungRow.losses, LeaseRow.state)
        .join(LeaseRow, LeaseRow.trial_id == RungRow.trial_id)
        .where(RungRow.study_id == study_id)
    ).all()
    arrivals = [
        Arrival(row.trial_id, row.epoch, row.kind, tuple(row.losses), row.state)
        for row in rows
        # A study's rungs may have been others, before its spec was changed.
        if row.epoch in rule.rungs
    ]
    moving = ("open", "held")
    all_moving = session.scalars(
        select(func.count()).where(LeaseRow.study_id == study_id, LeaseRow.state.in_(moving))
    ).one()
    return Rungs(rule, arrivals, all_moving - len({each.trial for each in arrivals if each.state in moving}))


def _paused(study_id: int):  # type: ignore[no-untyped-def]
    return select(LeaseRow.trial_id).where(LeaseRow.study_id == study_id, LeaseRow.state == "paused")
