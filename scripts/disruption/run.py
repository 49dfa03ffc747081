"""A whole run: the study undisturbed, the same study disrupted, and what is to be said of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from disruption.disruptor import Disruptor
from disruption.evidence import details, dump
from disruption.fleet import Fleet
from disruption.ledger import open_ledger
from disruption.plan import Disruption, Step, draw_plan
from disruption.promises import Evidence, Promise, judge
from disruption.servers import Server
from disruption.study import Place, create_study
from disruption.waiting import PlanFailed
from disruption.watch import Watch
from storage.leaderboard import TrialDetail
from tuner.launch.local.worker import LocalWorker

Say = Callable[[str], None]


@dataclass(frozen=True)
class Findings:
    """What a run shows.

    Attributes:
        counts: the table's numbers, by name.
    """

    evidence: Evidence
    counts: dict[str, int]
    promises: list[Promise]

    @property
    def kept(self) -> bool:
        return all(promise.kept for promise in self.promises)


def run_undisturbed(place: Place) -> dict[int, TrialDetail]:
    """Runs the study with one worker and as many slots as the disrupted one has workers; gives its trials."""
    database, record = create_study(place)
    try:
        log = place.logs / "worker.log"
        worker = LocalWorker(place.orders(slots=place.scale.workers), place.url, log)
        try:
            worker.begin()
            worker.wait(None)
            worker.raise_if_failed()
        finally:
            worker.kill()
        return details(database, record.name)
    finally:
        database.close()


def run_disrupted(
    place: Place,
    server: Server,
    reference: dict[int, TrialDetail],
    disruptions: Sequence[Disruption],
    seed: int,
    say: Say,
) -> Findings:
    """Runs the study while it is disrupted, and judges it.

    Args:
        reference: the trials of the same study undisturbed.
    """
    plan = draw_plan(disruptions, sum(len(trial.curve) for trial in reference.values()), seed)
    with disrupted(place, server, reference, plan, seed, say) as evidence:
        findings = Findings(evidence, _counts(evidence), judge(evidence))
        if not findings.kept:
            dump(evidence.database, place.folder / "database.json")
        return findings


@contextmanager
def disrupted(
    place: Place, server: Server, reference: dict[int, TrialDetail], plan: Sequence[Step], seed: int, say: Say
) -> Iterator[Evidence]:
    """Runs a study while a plan is carried out; the block has what it left behind, with its database open."""
    database, record = create_study(place)
    try:
        failure = None
        open_ledger(database)
        with Fleet(place) as fleet:
            disruptor = Disruptor(place, server, fleet, Watch(database, record), seed, say)
            try:
                disruptor.run(plan)
            except PlanFailed as error:
                failure = str(error)
        yield Evidence(place, database, record, reference, plan, disruptor.diary, fleet, server.noticed, failure)
    finally:
        database.close()


def _counts(evidence: Evidence) -> dict[str, int]:
    diary, trials = evidence.diary, evidence.trials
    closed = sum(trial.summary.outcome is not None for trial in trials.values())
    return {
        "kills of workers": diary.killed("worker"),
        "kills of trial processes": diary.killed("trial process"),
        "hung trial processes": len(diary.hangs),
        "freezes": len(diary.freezes),
        "outages": len(diary.outages),
        "full disks": len(diary.full_disks),
        "orderly departures": len(diary.departures),
        "adoptions": evidence.adoptions,
        "epochs trained": evidence.trained,
        "epochs repeated": evidence.repeated,
        "leases closed": closed,
        "trials lost": len(set(evidence.reference) - set(trials)),
        "trials duplicated": len(set(trials) - set(evidence.reference)),
        "trials equal to the undisturbed run's": evidence.equal,
    }
