"""Ends trials: from a process's last word to a closed lease, and what that means for the study."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from storage import leaderboard, leases, studies
from storage.errors import ArtifactsUnavailable
from storage.leases import Lease, TrialResult
from storage.promotion.rows import end_paused, pause
from storage.promotion.rule import RungRule
from tuner.spec.constraints import total_violation, violations
from tuner.spec.search_spec import SearchSpec
from tuner.study.open_study import OpenStudy
from tuner.trial.messages import Finished
from tuner.trial.outcome import OUTCOME_ATTRIBUTE, POLICIES, Outcome
from tuner.worker.metrics import WorkerMetrics
from tuner.worker.running import RunningTrial
from tuner.worker.search.optuna_trials import ATTEMPTS_ATTRIBUTE, LiveTrial, OptunaTrials

_log = logging.getLogger(__name__)
SAME_CAUSE_LIMIT = 5
# Of the models that are kept by default; ``keep_checkpoints`` says so in its description.
MOST_KEPT = 20
_ALWAYS_KEPT = 5
_KEPT_BYTES = 500_000_000
_SILENT = "its worker went silent"


class TrialCloser:
    """Closes leases with their results. Each step may be repeated by whoever adopts the lease after a crash."""

    def __init__(self, study: OpenStudy, max_attempts: int, metrics: WorkerMetrics) -> None:
        self._study = study
        self._max_attempts = max_attempts
        self._metrics = metrics

    def conclude(self, running: RunningTrial, finished: Finished) -> None:
        """Releases the lease for another attempt, pauses it, or closes it.

        Raises:
            LeaseLost: another worker has adopted the trial; nothing was written.
        """
        self._keep_log(running)
        if finished.outcome is Outcome.PAUSED:
            self._pause(running, finished)
            return
        if POLICIES[finished.outcome].retried:
            is_free = running.stop_sent or running.excused
            if is_free or not self._spent(running, finished):
                leases.release(self._study.database, running.lease, spend_attempt=not is_free)
                _log.info(
                    "trial %d: %s; it will continue from its checkpoint",
                    running.number,
                    finished.reason,
                )
                self._metrics.attempts_released.inc()
                return
            finished = self._given_up(running.live, finished)
        self.close(running.lease, running.live, self._result(running.lease, finished, running))
        if finished.ends_study:
            self._end("failed", f"trial {running.number} ended the search: {finished.reason}")

    def _pause(self, running: RunningTrial, finished: Finished) -> None:
        # First, since nothing may be written to it when another worker has promoted it.
        running.live.remember(OUTCOME_ATTRIBUTE, finished.outcome.value)
        pause(self._study.database, running.lease, self._result(running.lease, finished, running))
        if running.live.exhausted:
            self._end_tried()
        _log.info("trial %d: paused after epoch %d", running.number, running.epochs)

    def end_paused(self, trials: OptunaTrials, rule: RungRule | None) -> None:
        """Ends, as pruned, the paused trials that will never go on.

        Args:
            rule: says which; None for a study that has ended.
        """
        for result in end_paused(self._study.database, self._study.id, rule):
            self._metrics.ended(result.outcome)
        # Not only of those: this may be repeated, and by whom they were ended first may have died since.
        self.tell_untold(trials)
        self.end_if_all_closed()

    def _keep_log(self, running: RunningTrial) -> None:
        try:
            self._study.artifacts.keep_log(running.number, running.lease.token)
        except (ArtifactsUnavailable, OSError) as error:
            _log.warning("the log of trial %d could be kept on this machine only: %s", running.number, error)

    def close(self, lease: Lease, live: LiveTrial, result: TrialResult) -> None:
        """Closes the lease with its result, then tells Optuna.

        In this order a stale worker cannot tell anything: closing is fenced, and the telling follows from what was
        closed. A worker that dies in between leaves a trial for ``tell_untold``.
        """
        leases.close(self._study.database, lease, result)
        self._tell(live, result)
        self._tidy(result)
        self._judge_study(live, result)
        # Last, since everything before it may be repeated.
        self._metrics.ended(result.outcome)

    def tell_untold(self, trials: OptunaTrials) -> None:
        """Tells Optuna of the trials whose leases were closed by a worker that could not, or has not yet."""
        for result in leases.untold(self._study.database, self._study.id):
            live = trials.open_closed(result.trial_id, result.number)
            self._tell(live, result)
            self._tidy(result)
            self._judge_study(live, result)

    def end_if_all_closed(self) -> None:
        """Ends a study whose last worker died between its last trial's end and the study's."""
        database, study_id = self._study.database, self._study.id
        if leases.counts(database, study_id).all_closed and studies.finish_if_done(database, study_id):
            _log.info("the study has finished")

    def _tell(self, live: LiveTrial, result: TrialResult) -> None:
        state = POLICIES[Outcome(result.outcome)].told
        assert state is not None
        live.describe({OUTCOME_ATTRIBUTE: result.outcome, "reason": result.reason, "metrics": result.metrics})
        live.tell(state, self._values(result), violations(self._study.spec.limits, result.measures or {}))
        _log.info(
            "trial %d: %s%s",
            result.number,
            result.outcome,
            f" ({result.reason})" if result.reason else "",
        )

    def _values(self, result: TrialResult) -> list[float]:
        if result.value is None:
            return []
        measures = result.measures or {}
        others = (each.metric for each in self._study.spec.objectives[1:])
        return [result.value, *(measures[metric] for metric in others if metric in measures)]

    def _tidy(self, result: TrialResult) -> None:
        """Files that cannot be deleted now cost their space, not the result."""
        kept = self._study.artifacts.key_of(result.checkpoint) if result.checkpoint else None
        try:
            self._study.artifacts.tidy(result.number, kept)
            if kept is not None:
                self._retain()
        except (ArtifactsUnavailable, OSError) as error:
            _log.warning("files of trial %d or of worse trials could not be deleted: %s", result.number, error)

    def _spent(self, running: RunningTrial, finished: Finished) -> bool:
        """Writes the attempt's reason down, and says whether it was the last one."""
        reasons = [*running.live.recall(ATTEMPTS_ATTRIBUTE, []), finished.reason]
        running.live.remember(ATTEMPTS_ATTRIBUTE, reasons)
        return not running.has_progressed and running.fruitless >= self._max_attempts

    def note_silent(self, lease: Lease, live: LiveTrial) -> None:
        """Writes a reason down for each attempt before this one that ended without its worker saying why."""
        reasons = live.recall(ATTEMPTS_ATTRIBUTE, [])
        silent = lease.attempts - 1 - len(reasons)
        if silent > 0:
            live.remember(ATTEMPTS_ATTRIBUTE, [*reasons, *[_SILENT] * silent])

    def give_up(self, lease: Lease, live: LiveTrial) -> None:
        """Closes a lease whose attempts are spent: the worker of the last one went without a word."""
        last = Finished(outcome=Outcome.INTERRUPTED, cause=_SILENT, reason=_SILENT)
        self.close(lease, live, self._result(lease, self._given_up(live, last)))

    def _given_up(self, live: LiveTrial, finished: Finished) -> Finished:
        reasons = live.recall(ATTEMPTS_ATTRIBUTE, [])
        last = [f"{i}: {text}" for i, text in enumerate(reasons, 1)][-self._max_attempts :]
        in_all = f" without a new epoch, {len(reasons)} in all" if len(reasons) > len(last) else ""
        return finished.model_copy(
            update={
                "outcome": Outcome.FAILED,
                "reason": f"given up after {len(last)} attempts{in_all} ({'; '.join(last)})",
                "cause": finished.cause or finished.reason,
            }
        )

    def _result(self, lease: Lease, finished: Finished, running: RunningTrial | None = None) -> TrialResult:
        assert lease.trial_id is not None and lease.number is not None
        trained = leases.trained(self._study.database, lease.trial_id)
        model = finished.model if POLICIES[finished.outcome].keeps_model else None
        return TrialResult(
            trial_id=lease.trial_id,
            number=lease.number,
            outcome=finished.outcome.value,
            cause=finished.cause,
            reason=finished.reason,
            traceback=finished.traceback,
            value=finished.value,
            best_epoch=finished.best_epoch,
            metrics=finished.metrics,
            epochs=trained.epochs,
            seconds=trained.seconds,
            parameters=running.parameters if running else None,
            checkpoint=self._study.artifacts.place_of(model.key) if model else None,
            checkpoint_size=model.size if model else None,
            checkpoint_sha256=model.sha256 if model else None,
            log=self._study.artifacts.place_of(self._study.artifacts.log_key(lease.number, lease.token)),
            measures=finished.measures or None,
            violation=self._violation(finished.measures),
        )

    def _violation(self, measures: Mapping[str, float]) -> float | None:
        known = violations(self._study.spec.limits, measures)
        return total_violation(known) if known else None

    def _retain(self) -> None:
        """Keeps the models of the best trials and deletes the others."""
        kept = leases.checkpoints(self._study.database, self._study.id, self._study.record.objectives)
        sizes = leases.checkpoint_sizes(self._study.database, self._study.id)
        for number in kept[how_many_are_kept(self._study.spec, [sizes.get(each) for each in kept]) :]:
            self._study.artifacts.tidy(number, keep=None)
            leases.forget_checkpoint(self._study.database, self._study.id, number)

    def _judge_study(self, live: LiveTrial, result: TrialResult) -> None:
        outcome = Outcome(result.outcome)
        if live.exhausted:
            self._end_tried()
        if outcome is Outcome.COMPLETE and _is_target(self._study.spec, result):
            self._end("finished", f"target {self._study.spec.target:g} reached by trial {result.number}")
        elif POLICIES[outcome].blames_setup:
            self._stop_if_broken()
        elif outcome in (Outcome.COMPLETE, Outcome.PRUNED):
            self._stop_if_no_better()
        self.end_if_all_closed()

    def _end_tried(self) -> None:
        """Ends a study of which every configuration has been tried, or lets its paused trials come to their ends."""
        if self._study.spec.pruner.name != "promote":
            self._end("finished", "every configuration of the search space has been tried")
        elif withdrawn := studies.withdraw_unbegun(self._study.database, self._study.id):
            _log.info("every configuration of the search space has been tried: %d trials do not begin", withdrawn)

    def _stop_if_broken(self) -> None:
        recent = leases.recent_failures(self._study.database, self._study.id, SAME_CAUSE_LIMIT)
        blamed = [cause for outcome, cause in recent if POLICIES[Outcome(outcome)].blames_setup]
        if len(blamed) < SAME_CAUSE_LIMIT or len(set(blamed)) > 1:
            return
        if not leases.any_success(self._study.database, self._study.id):
            self._end(
                "failed",
                f"{SAME_CAUSE_LIMIT} trials in a row failed with the same cause: {blamed[0]}",
            )

    def _stop_if_no_better(self) -> None:
        most = self._study.spec.stop_when.no_better_in
        best = None if most is None else leaderboard.since_best(self._study.database, self._study.name)
        if most is not None and best is not None and best.successes >= most:
            self._end("finished", f"no better trial in {best.successes}; the best is trial {best.number}")

    def _end(self, state: studies.StudyState, reason: str | None) -> None:
        if studies.set_state(self._study.database, self._study.id, state, reason, only_from=("running",)):
            _log.info("the study has %s%s", state, f": {reason}" if reason else "")


def how_many_are_kept(spec: SearchSpec, sizes: Sequence[int | None]) -> int:
    """How many of the models that there are stay: as many as the spec says, or as many as are small.

    Args:
        sizes: of the models in bytes, the best first; None where it is not known.
    """
    if spec.keep_checkpoints is not None:
        return spec.keep_checkpoints
    total = 0
    for place, size in enumerate(sizes):
        total += _KEPT_BYTES if size is None else size
        if place >= _ALWAYS_KEPT and (total > _KEPT_BYTES or place >= MOST_KEPT):
            return place
    return len(sizes)


def _is_target(spec: SearchSpec, result: TrialResult) -> bool:
    keeps_constraints = not result.violation
    return keeps_constraints and result.value is not None and reaches_target(spec, result.value)


def reaches_target(spec: SearchSpec, value: float) -> bool:
    return spec.target is not None and not spec.objective.better(spec.target, than=value)
