"""Starts trials: from an acquired lease to a process that trains.

The database has the last word on which resume checkpoints an attempt may go on from. Each attempt, before it starts,
writes down which checkpoints of earlier attempts it found (``leases.save_resume``, fenced). Whoever comes after looks
at what was written since, and then at that list: what a worker that was frozen writes after its trial was adopted is in
neither.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Literal

from storage import leases
from storage.artifacts import StudyArtifacts
from storage.leases import Lease
from tuner.spec.search_spec import SearchSpec
from tuner.study.open_study import OpenStudy
from tuner.trial.assignment import Assignment
from tuner.worker.closing import TrialCloser
from tuner.worker.devices import SlotPlan
from tuner.worker.optuna_trials import OptunaTrials
from tuner.worker.patience import Patience
from tuner.worker.running import RunningTrial
from tuner.worker.sampling import ENUMERATING
from tuner.worker.trial_process import TrialProcess

_log = logging.getLogger(__name__)
# As many as there can be a reason to fall back to.
_NAMED = 4


class TrialStarter:
    """Creates a lease's trial, or takes it up where another attempt left it, and starts its process."""

    def __init__(
        self,
        study: OpenStudy,
        patiently: Patience,
        data: Path,
        trials: OptunaTrials,
        closer: TrialCloser,
        max_attempts: int,
    ) -> None:
        self._study = study
        self._patiently = patiently
        self._data = data
        self._trials = trials
        self._closer = closer
        self._max_attempts = max_attempts

    def start(self, lease: Lease, plan: SlotPlan) -> RunningTrial | None:
        """Starts the lease's trial; None if its attempts were spent and the lease is closed now.

        Raises:
            LeaseLost: another worker has taken it over.
        """
        is_new = lease.trial_id is None
        lease = self._patiently(leases.start_trial, self._study.database, lease)
        if lease.trial_id is None or lease.number is None:
            raise AssertionError("start_trial gives a lease with a trial")
        live = self._patiently(self._trials.open, lease)
        if lease.attempts > 1:
            self._patiently(self._closer.note_silent, lease, live)
        if lease.attempts > self._max_attempts:
            self._patiently(self._closer.give_up, lease, live)
            return None
        assignment = self._assignment(lease, lease.number, plan)
        if not is_new:
            assignment = self._patiently(self._taking_up, assignment, lease, lease.trial_id)
        _log.info("trial %d: attempt %d starts", lease.number, lease.attempts)
        process = TrialProcess(assignment.model_dump_json())
        return RunningTrial(lease=lease, live=live, process=process, assignment=assignment)

    def _taking_up(self, assignment: Assignment, lease: Lease, trial_id: int) -> Assignment:
        keys = _resume_keys(self._study.artifacts, lease)
        leases.save_resume(self._study.database, lease, _resume_record(lease, keys))
        recorded = leases.stored_epochs(self._study.database, trial_id)
        return assignment.model_copy(update={"resume_from": keys, "recorded": recorded})

    def _configuration(self, lease: Lease, number: int) -> tuple[dict[str, Any], bool | Literal["advised"]]:
        """The values that are not sampled, and which of the others are defaults, as ``Assignment`` has it."""
        spec, portfolio = self._study.spec, self._study.record.space.get("portfolio", [])
        if spec.sampler.name in ENUMERATING or lease.preset or lease.ordinal >= len(portfolio):
            return lease.preset, _first_values(spec) if number == 0 else False
        return portfolio[lease.ordinal], True

    def _assignment(self, lease: Lease, number: int, plan: SlotPlan) -> Assignment:
        preset, use_defaults = self._configuration(lease, number)
        return Assignment(
            spec=self._study.spec,
            number=number,
            attempt=lease.attempts,
            data=self._data,
            run=lease.token,
            artifacts=self._study.artifacts.place,
            scratch=self._study.artifacts.scratch,
            log=self._study.artifacts.trial_log(number, lease.token),
            preset=preset,
            use_defaults=use_defaults,
            devices=plan.devices,
            share_device=plan.share_device,
            threads=plan.threads,
        )


def _first_values(spec: SearchSpec) -> bool | Literal["advised"]:
    """What the first trial takes of its space's defaults: all of a space whose every default is a good one."""
    if spec.sampler.name in ENUMERATING:
        return False
    return True if spec.space.is_built_in else "advised"


def _resume_keys(artifacts: StudyArtifacts, lease: Lease) -> tuple[str, ...]:
    """Keys of the checkpoints to go on from, the best one first.

    Raises:
        ArtifactsUnavailable: the store is away.
    """
    if lease.number is None:
        return ()
    known = lease.resume or {"run": 0, "before": []}
    files = artifacts.resume_files(lease.number)
    since = [file.artifact.key for file in files if known["run"] <= file.run < lease.token]
    return tuple([*since, *known["before"]][:_NAMED])


def _resume_record(lease: Lease, keys: tuple[str, ...]) -> dict[str, Any]:
    """What an attempt writes down of what it found."""
    return {"run": lease.token, "before": list(keys)}
