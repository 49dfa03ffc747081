"""Starts trials: from an acquired lease to a process that trains."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Literal

from storage import leases
from storage.files import is_of_file_system
from storage.leases import Lease
from tuner.spec.search_spec import SearchSpec
from tuner.study.open_study import OpenStudy
from tuner.trial.assignment import Assignment
from tuner.trial.outcome import OUTCOME_ATTRIBUTE
from tuner.worker.closing import TrialCloser
from tuner.worker.hanging import forget_silence
from tuner.worker.node.devices import SlotPlan
from tuner.worker.patience import Patience
from tuner.worker.running import RunningTrial
from tuner.worker.search.comparing import PROMOTED
from tuner.worker.search.optuna_trials import OptunaTrials
from tuner.worker.search.sampling import ENUMERATING
from tuner.worker.signs_of_life import SignsOfLife
from tuner.worker.store_watch import scratch_unavailable
from tuner.worker.taking_up import fruitless_attempts, resume_keys, what_was_found
from tuner.worker.trial_process import TrialProcess

# Of a budget no epoch may be trained that nobody has put aside.
_UNTIL_IT_COMES = 1e9
_log = logging.getLogger(__name__)


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
            ArtifactsUnavailable: they are away, or this machine's folder for temporary files is.
        """
        is_new = lease.trial_id is None
        lease = self._patiently(leases.start_trial, self._study.database, lease)
        if lease.trial_id is None or lease.number is None:
            raise AssertionError("start_trial gives a lease with a trial")
        live = self._patiently(self._trials.open, lease)
        if lease.attempts > 1:
            self._patiently(self._closer.note_silent, lease, live)
            self._patiently(forget_silence, live)
        recorded = 0 if is_new else self._patiently(leases.stored_epochs, self._study.database, lease.trial_id)
        fruitless = fruitless_attempts(lease, recorded)
        if fruitless > self._max_attempts:
            self._patiently(self._closer.give_up, lease, live)
            return None
        assignment = self._assignment(lease, lease.number, plan)
        if not is_new:
            keys = resume_keys(self._study.artifacts, lease)
            self._patiently(leases.save_resume, self._study.database, lease, what_was_found(lease, keys, recorded))
            assignment = assignment.model_copy(update={"resume_from": keys, "recorded": recorded})
        if lease.promoted:
            self._patiently(live.remember, OUTCOME_ATTRIBUTE, PROMOTED)
        why = ", since it is promoted" if lease.promoted else ""
        _log.info("trial %d: attempt %d starts%s", lease.number, lease.attempts, why)
        try:
            process = TrialProcess(assignment.model_dump_json())
        except OSError as error:
            if not is_of_file_system(error):
                raise
            raise scratch_unavailable(self._study.artifacts, error) from error
        signs = SignsOfLife(process.pid, process.pulse)
        return RunningTrial(lease, live, process, assignment, signs, fruitless=fruitless)

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
            **({"answer_seconds": _UNTIL_IT_COMES} if self._study.spec.budget.is_limited else {}),
        )


def _first_values(spec: SearchSpec) -> bool | Literal["advised"]:
    """What the first trial takes of its space's defaults: all of a space whose every default is a good one."""
    if spec.sampler.name in ENUMERATING:
        return False
    return True if spec.space.is_built_in else "advised"
