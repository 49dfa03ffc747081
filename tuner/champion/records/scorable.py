"""Whether an objective can be computed again from what a model gives for the examples of a split."""

from __future__ import annotations

from tuner.spec.objective import MEASURES


def why_not(objective: str) -> str | None:
    """Why an objective cannot be computed from any model's outputs; None if it may be."""
    if objective in MEASURES:
        return f"{objective} is measured on the trial's machine, not computed from outputs"
    if not objective.startswith("val_"):
        return f"{objective} is measured on training batches while the model changes"
    return None


def metric_of(objective: str) -> str:
    """The model's own name of the metric: that of ``val_accuracy`` is ``accuracy``."""
    return objective.removeprefix("val_")
