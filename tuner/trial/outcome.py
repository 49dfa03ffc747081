"""How a trial can end, and what follows from each end: the one table."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from optuna.trial import TrialState

# The user attribute of Optuna's trials that shows other tools how a trial has ended.
OUTCOME_ATTRIBUTE = "outcome"


class Outcome(StrEnum):
    COMPLETE = "complete"
    PRUNED = "pruned"
    PAUSED = "paused"
    DIVERGED = "diverged"
    INFEASIBLE = "infeasible"
    OUT_OF_MEMORY = "out_of_memory"
    TIMED_OUT = "timed_out"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True)
class Policy:
    """What follows from an outcome.

    Attributes:
        told: the state that Optuna is told, which decides what the sampler learns and where the trial is counted;
            None leaves the trial running, to be gone on with.
        retried: the same trial is attempted again, until its attempts are spent; then it has failed.
        keeps_model: the best epoch's model is kept if it ranks among the ``keep_checkpoints`` best.
        blames_setup: several of these in a row with one cause mean that the setup is broken, not the trial.
    """

    told: TrialState | None
    retried: bool = False
    keeps_model: bool = False
    blames_setup: bool = False


POLICIES: dict[Outcome, Policy] = {
    Outcome.COMPLETE: Policy(TrialState.COMPLETE, keeps_model=True),
    Outcome.PRUNED: Policy(TrialState.PRUNED, keeps_model=True),
    # Until it is promoted, or has ended as a pruned one.
    Outcome.PAUSED: Policy(None, keeps_model=True),
    # A learning rate that diverges is knowledge: Optuna's samplers rank a pruned trial among the worse ones.
    Outcome.DIVERGED: Policy(TrialState.PRUNED),
    Outcome.INFEASIBLE: Policy(TrialState.FAIL, blames_setup=True),
    Outcome.OUT_OF_MEMORY: Policy(TrialState.FAIL, blames_setup=True),
    Outcome.TIMED_OUT: Policy(TrialState.FAIL, blames_setup=True),
    Outcome.FAILED: Policy(TrialState.FAIL, blames_setup=True),
    Outcome.INTERRUPTED: Policy(None, retried=True),
}

# How a trial ends; after the others it goes on.
ENDS = tuple(outcome for outcome, policy in POLICIES.items() if policy.told is not None)
