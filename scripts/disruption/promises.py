"""Every promise, checked against the database and the logs. None is kept by nothing having happened."""

from __future__ import annotations

import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

from optuna.trial import TrialState

from disruption.diary import Away, Diary
from disruption.evidence import (
    Run,
    Start,
    abandoned_in,
    details,
    lease_facts,
    outages_said,
    runs_of,
    starts_in,
    stores_said,
)
from disruption.fleet import Fleet
from disruption.ledger import Write, writes
from disruption.models import same_weights
from disruption.plan import (
    DamageCache,
    Freeze,
    FullDisk,
    HangTrial,
    KillAtRung,
    KillTrial,
    KillWorker,
    Leave,
    Outage,
    Step,
)
from disruption.study import Place
from storage.database import Database
from storage.leaderboard import TrialDetail
from storage.studies import StudyRecord

# From the end of an outage, as it is noted, to a worker's last complaint about it.
_GRACE_SECONDS = 5.0
_SHOWN = 5


@dataclass(frozen=True)
class Promise:
    """Attributes: what was promised; whether it was kept; what was found."""

    name: str
    kept: bool
    found: str


@dataclass(frozen=True)
class Evidence:
    """Everything that the promises are judged by."""

    place: Place
    database: Database
    record: StudyRecord
    reference: dict[int, TrialDetail]
    plan: tuple[Step, ...]
    diary: Diary
    fleet: Fleet
    server_noticed: bool
    failure: str | None

    @cached_property
    def trials(self) -> dict[int, TrialDetail]:
        return details(self.database, self.record.name)

    @cached_property
    def runs(self) -> dict[int, list[Run]]:
        return {number: runs_of(self.place.trial_folder(number)) for number in self.trials}

    @cached_property
    def starts(self) -> list[Start]:
        each = [start for member in self.fleet.members for start in starts_in(member.name, member.log)]
        return sorted(each, key=lambda start: start.at)

    @cached_property
    def writes(self) -> list[Write]:
        return writes(self.database)

    @property
    def adoptions(self) -> int:
        """Attempts begun by another worker than the one before."""
        of_trial: dict[int, list[Start]] = {}
        for start in self.starts:
            of_trial.setdefault(start.trial, []).append(start)
        return sum(a.worker != b.worker for starts in of_trial.values() for a, b in pairwise(starts))

    @property
    def trained(self) -> int:
        return sum(len(run.epochs) for runs in self.runs.values() for run in runs)

    @property
    def repeated(self) -> int:
        """Epochs trained that an earlier run had trained."""
        return sum(
            count - 1
            for runs in self.runs.values()
            for count in Counter(epoch for run in runs for epoch in run.epochs).values()
        )

    @property
    def equal(self) -> int:
        """Trials that are in everything as they would have been undisturbed."""
        return sum(not _differences(each, self.reference.get(number)) for number, each in self.trials.items())


def judge(evidence: Evidence) -> list[Promise]:
    return [
        judged("the plan was carried out", plan_gaps(evidence), _plan_facts(evidence)),
        judged("exact budget", budget_gaps(evidence), f"{evidence.record.budget} leases closed, a trial each"),
        judged("every trial complete, none failed", _incomplete(evidence), f"{len(evidence.trials)} complete"),
        judged("every epoch stored", _epoch_gaps(evidence), "1 to the last, of every trial"),
        judged(
            "equal to the undisturbed run", _unequal(evidence), f"{evidence.equal} of {evidence.record.budget} trials"
        ),
        judged("the best models kept, and equal", _model_gaps(evidence), "their weights compared"),
        judged("nothing repeated beyond a checkpoint", resume_gaps(evidence), f"{evidence.repeated} epochs repeated"),
        judged(
            "fencing", _fencing_gaps(evidence), f"{len(evidence.writes)} writes of epochs, each by the lease's holder"
        ),
        judged("outages said once", _outage_gaps(evidence), _outage_facts(evidence)),
        judged("full disk said once, hung trials ended", _store_gaps(evidence), _store_facts(evidence)),
        judged("nothing left running", evidence.fleet.orphans, "every process ended with its worker"),
        judged("workers end well, no traceback", complaints(evidence), f"{len(evidence.fleet.members)} workers"),
    ]


def judged(name: str, gaps: Iterator[str] | Sequence[str], facts: str) -> Promise:
    found = list(gaps)
    more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return Promise(name, not found, "; ".join(found[:_SHOWN]) + more if found else facts)


def plan_gaps(evidence: Evidence) -> Iterator[str]:
    if evidence.failure:
        yield evidence.failure
    planned = Counter(type(step.disruption) for step in evidence.plan)
    diary = evidence.diary
    done = {
        KillWorker: diary.killed("worker"),
        KillAtRung: diary.killed("worker"),
        KillTrial: diary.killed("trial process"),
        Freeze: len(diary.freezes),
        HangTrial: len(diary.hangs),
        Outage: len(diary.outages),
        FullDisk: len(diary.full_disks),
        Leave: len(diary.departures),
        DamageCache: len(diary.mended),
    }
    for kind, count in planned.items():
        if done[kind] < count:
            yield f"{kind.__name__}: {done[kind]} of {count}"
    if not evidence.adoptions:
        yield "no trial was adopted"


def _plan_facts(evidence: Evidence) -> str:
    return f"{len(evidence.plan)} disruptions, {evidence.adoptions} adoptions"


def budget_gaps(evidence: Evidence) -> Iterator[str]:
    budget, leases = evidence.record.budget, lease_facts(evidence.database, evidence.record)
    optuna = evidence.database.optuna.get_all_trials(evidence.record.study_id, deepcopy=False)
    closed = sum(lease.state == "closed" for lease in leases)
    if (len(leases), closed) != (budget, budget):
        yield f"{closed} of {len(leases)} leases closed; the budget is {budget}"
    if len({lease.trial_id for lease in leases}) != budget:
        yield f"{len({lease.trial_id for lease in leases})} distinct trials"
    for source, numbers in (
        ("leases", [lease.number for lease in leases]),
        ("Optuna", [trial.number for trial in optuna]),
        ("trials", list(evidence.trials)),
    ):
        if sorted(number for number in numbers if number is not None) != list(range(budget)):
            yield f"the trials of {source} are not numbered 0 to {budget - 1}: {sorted(map(str, numbers))}"
    unfinished = [trial.number for trial in optuna if not trial.state.is_finished()]
    if unfinished:
        yield f"Optuna has unfinished trials: {unfinished}"


def _incomplete(evidence: Evidence) -> Iterator[str]:
    told = {
        trial.number: trial.state
        for trial in evidence.database.optuna.get_all_trials(evidence.record.study_id, deepcopy=False)
    }
    for number, trial in evidence.trials.items():
        if trial.summary.outcome != "complete" or told.get(number) is not TrialState.COMPLETE:
            yield f"trial {number}: {trial.summary.outcome}, in Optuna {told.get(number)}, {trial.reason}"


def _epoch_gaps(evidence: Evidence) -> Iterator[str]:
    for number, trial in evidence.trials.items():
        stored, expected = [epoch.epoch for epoch in trial.curve], len(evidence.reference[number].curve)
        if stored != list(range(1, expected + 1)) or not stored:
            yield f"trial {number}: epochs {stored}, undisturbed 1 to {expected}"


def _unequal(evidence: Evidence) -> Iterator[str]:
    for number in evidence.reference:
        trial = evidence.trials.get(number)
        if trial is None:
            yield f"trial {number} is not there"
        elif gaps := _differences(trial, evidence.reference[number]):
            yield f"trial {number}: {gaps}"


def _differences(trial: TrialDetail, undisturbed: TrialDetail | None) -> str:
    if undisturbed is None:
        return "there is no such trial undisturbed"
    facts: dict[str, Callable[[TrialDetail], object]] = {
        "hyperparameters": lambda each: each.summary.params,
        "value": lambda each: each.summary.value,
        "best epoch": lambda each: each.best_epoch,
        "metrics": lambda each: each.summary.metrics,
    }
    differing = [name for name, fact in facts.items() if fact(trial) != fact(undisturbed)]
    ours, theirs = ({epoch.epoch: epoch.metrics for epoch in each.curve} for each in (trial, undisturbed))
    epochs = [epoch for epoch in sorted(ours.keys() | theirs.keys()) if ours.get(epoch) != theirs.get(epoch)]
    return ", ".join([*differing, *([f"metrics of epochs {epochs}"] if epochs else [])])


def _model_gaps(evidence: Evidence) -> Iterator[str]:
    kept = [number for number, trial in evidence.trials.items() if trial.checkpoint]
    expected = [number for number, trial in evidence.reference.items() if trial.checkpoint]
    if kept != expected or not kept:
        yield f"kept are the models of {kept}, undisturbed of {expected}"
    for number in set(kept) & set(expected):
        ours, theirs = evidence.trials[number].checkpoint, evidence.reference[number].checkpoint
        try:
            if not same_weights(Path(ours or ""), Path(theirs or "")):
                yield f"trial {number}: the weights differ"
        except (OSError, KeyError, zipfile.BadZipFile) as error:
            yield f"trial {number}: {error!r}"


def resume_gaps(evidence: Evidence) -> Iterator[str]:
    # A trial process trains on while its worker stands still, or waits for the database longer than its lease lasts:
    # what it writes after the adoption is nobody's. Of a freeze it is known what was there before.
    abandoned = set().union(*(abandoned_in(member.log) for member in evidence.fleet.members))
    frozen = {(each.trial, each.token): each.checkpoint for each in evidence.diary.freezes}
    resumed = 0
    for number, runs in evidence.runs.items():
        reached = 0
        for before, run in pairwise(runs):
            written = 0 if (number, before.attempt) in abandoned else before.checkpoint
            reached = max(reached, frozen.get((number, before.token or -1), written))
            resumed += run.resumed > 0
            if not (run.resumed or run.epochs):
                # It was killed before it came to the checkpoint.
                continue
            if run.resumed < reached:
                yield f"trial {number} resumed after epoch {run.resumed}, a checkpoint was written after {reached}"
            elif run.epochs and run.epochs[0] != run.resumed + 1:
                yield f"trial {number} resumed after epoch {run.resumed}, but went on with {run.epochs[0]}"
    if not resumed:
        yield "no trial resumed from a checkpoint"
    if not any(run.checkpoint for runs in evidence.runs.values() for run in runs):
        yield "no log names a checkpoint"


def _fencing_gaps(evidence: Evidence) -> Iterator[str]:
    if not evidence.diary.freezes:
        yield "no worker was frozen"
    for frozen in evidence.diary.freezes:
        if not frozen.adopted:
            yield f"{frozen.worker}: trial {frozen.trial} was not adopted"
        if not frozen.stopped:
            yield f"{frozen.worker}: the process of trial {frozen.trial} went on"
    yield from stray_writes(evidence)


def stray_writes(evidence: Evidence) -> Iterator[str]:
    """Epochs that another attempt wrote than the one that had the lease."""
    if not evidence.writes:
        yield "the ledger of writes is empty"
    numbers = {trial.trial_id: trial.number for trial in lease_facts(evidence.database, evidence.record)}
    for write in evidence.writes:
        if write.run != write.token:
            yield (
                f"trial {numbers[write.trial_id]}: epoch {write.epoch} was written by run {write.run} when run "
                f"{write.token} had the lease"
            )


def _outage_gaps(evidence: Evidence) -> Iterator[str]:
    outages, anybody = evidence.diary.outages, False
    for member in evidence.fleet.members:
        complaints = outages_said(member.log)
        anybody = anybody or bool(complaints)
        about = Counter(_outage_at(at, outages) for at in complaints)
        # The server ends what a frozen worker was in the middle of, which is an outage to the worker when it wakes.
        frozen = sum(freeze.worker == member.name for freeze in evidence.diary.freezes)
        if (strange := about.pop(None, 0)) > frozen:
            yield f"{member.name} said {strange - frozen} outages that there were not"
        for times in about.values():
            if times > 1:
                yield f"{member.name} said one outage {times} times"
    if evidence.server_noticed and not anybody:
        yield "no worker said anything"


def _outage_at(at: float, outages: Sequence[Away]) -> Away | None:
    """The latest one that had begun and was not long over."""
    begun = [outage for outage in outages if outage.begin <= at <= outage.end + _GRACE_SECONDS]
    return begun[-1] if begun else None


def _outage_facts(evidence: Evidence) -> str:
    count = sum(len(outages_said(member.log)) for member in evidence.fleet.members)
    return f"{count} lines of {len(evidence.fleet.members)} workers about {len(evidence.diary.outages)} outages"


def _store_gaps(evidence: Evidence) -> Iterator[str]:
    for member in evidence.fleet.members:
        if (times := len(stores_said(member.log))) > len(evidence.diary.full_disks):
            yield f"{member.name} said {times} times that the artifacts cannot be written"
    for hung in evidence.diary.hangs:
        if not hung.ended:
            yield f"{hung.worker}: the process of trial {hung.trial}, which hung, is still there"


def _store_facts(evidence: Evidence) -> str:
    count = sum(len(stores_said(member.log)) for member in evidence.fleet.members)
    return f"{count} lines of {len(evidence.fleet.members)} workers; {len(evidence.diary.hangs)} hung trials ended"


def complaints(evidence: Evidence) -> Iterator[str]:
    for member in evidence.fleet.members:
        if member.error:
            yield f"{member.name}: {member.error}"
    logs = [*evidence.place.logs.glob("*.log"), *evidence.place.trial_folder(0).parent.rglob("*.log")]
    if not logs:
        yield "there are no logs"
    for log in logs:
        if "Traceback (most recent call last)" in log.read_text(errors="replace"):
            yield f"a traceback in {log}"
