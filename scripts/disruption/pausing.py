"""A second study, whose trials are paused at rungs: its workers are killed while they pause and promote."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from disruption.plan import KillAtRung, Step
from disruption.promises import Evidence, Promise, budget_gaps, complaints, judged, plan_gaps, resume_gaps, stray_writes
from disruption.run import disrupted
from disruption.servers import SqliteFile
from disruption.study import Place
from storage import progress
from storage.leaderboard import TrialDetail
from tuner.spec.choices import Pruner

_TRIALS, _WORKERS = 8, 2
_HALVING = {"name": "promote", "min_resource": 2, "reduction_factor": 2}
_PLAN = (
    *(Step(1, KillAtRung("in the middle of a pause")),) * 2,
    *(Step(1, KillAtRung("in the middle of a promotion")),) * 2,
)


def run_pausing(
    place: Place, reference: dict[int, TrialDetail], seed: int, say: Callable[[str], None]
) -> list[Promise]:
    """Runs the first trials of a study with pauses, and judges it.

    Args:
        place: of the whole study.
        reference: its trials undisturbed, and never paused.
    """
    with SqliteFile(place.folder / "pausing.db") as server:
        paused = _pausing(place, server.url)
        known = {number: reference[number] for number in range(paused.scale.trials)}
        with disrupted(paused, server, known, _PLAN, seed, say) as evidence:
            return _judge(evidence)


def _pausing(place: Place, url: str) -> Place:
    scale = replace(place.scale, trials=min(_TRIALS, place.scale.trials), workers=_WORKERS)
    spec = place.spec.model_copy(
        update={"study": "pausing", "trials": scale.trials, "pruner": Pruner.model_validate(_HALVING)}
    )
    return replace(place, spec=spec, url=url, scale=scale)


def _judge(evidence: Evidence) -> list[Promise]:
    rungs = progress.status(evidence.database, evidence.record.name).rungs
    promoted = sum(rung.promoted for rung in rungs)
    facts = f"{len(evidence.diary.kills)} kills, {evidence.adoptions} adoptions, {promoted} promotions"
    return [
        judged("pausing: the plan was carried out", plan_gaps(evidence), facts),
        judged("pausing: exact budget", budget_gaps(evidence), f"{evidence.record.budget} leases closed"),
        judged("pausing: every trial complete or pruned", _unended(evidence), _outcomes(evidence)),
        judged("pausing: equal as far as trained", _unequal(evidence), "to the undisturbed run, which pauses nobody"),
        judged("pausing: nothing repeated", resume_gaps(evidence), f"{evidence.repeated} epochs of lost snapshots"),
        judged("pausing: fencing", stray_writes(evidence), f"{len(evidence.writes)} writes by the lease's holder"),
        judged("pausing: no checkpoint is left", _left_over(evidence), "each went with its trial"),
        judged("pausing: nothing left running", evidence.fleet.orphans, "every process ended with its worker"),
        judged("pausing: workers end well", complaints(evidence), f"{len(evidence.fleet.members)} workers"),
    ]


def _unended(evidence: Evidence) -> Iterator[str]:
    outcomes = [trial.summary.outcome for trial in evidence.trials.values()]
    if "complete" not in outcomes or not set(outcomes) <= {"complete", "pruned"}:
        yield f"the outcomes are {outcomes}"


def _outcomes(evidence: Evidence) -> str:
    outcomes = [trial.summary.outcome for trial in evidence.trials.values()]
    return f"{outcomes.count('complete')} complete, {outcomes.count('pruned')} pruned"


def _unequal(evidence: Evidence) -> Iterator[str]:
    for number, trial in evidence.trials.items():
        ours, whole = _curve(trial), _curve(evidence.reference[number])
        if not ours or ours != whole[: len(ours)]:
            yield f"trial {number}: its {len(ours)} epochs are not the first ones of the undisturbed run"


def _curve(trial: TrialDetail) -> list[tuple[int, dict[str, float]]]:
    return [(epoch.epoch, epoch.metrics) for epoch in trial.curve]


def _left_over(evidence: Evidence) -> list[str]:
    return [str(file) for file in Path(str(evidence.place.spec.artifacts), evidence.place.spec.study).rglob("*.npz")]
