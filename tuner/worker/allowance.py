"""What a spec's ``budget`` allows all trials together."""

from __future__ import annotations

from storage.spending import Allowance
from tuner.spec.search_spec import SearchSpec


def allowance_of(spec: SearchSpec) -> Allowance | None:
    """None for a study that may train as much as it likes."""
    budget = spec.budget
    if budget.epochs is not None:
        return Allowance("epochs", budget.epochs)
    return None if budget.trial_time is None else Allowance("seconds", budget.trial_time)


def why_used_up(spec: SearchSpec) -> str:
    """Why a study ends, of whose budget nothing is left."""
    budget = spec.budget
    what = f"{budget.epochs} epochs" if budget.epochs is not None else f"{budget.trial_time:g} s of training"
    return f"the budget of {what} is used up"
