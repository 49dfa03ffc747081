"""What a search optimises: a metric that training logs, and the direction in which it is better."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Direction = Literal["maximize", "minimize"]

# Keras's metric and loss names in snake case, as `compile` derives them.
_MAXIMIZE = re.compile(
    r"acc|(\w+_)?accuracy|auc(_\d+)?|(\w+_)?auc|precision(_\w+)?|recall(_\w+)?|(f1|fbeta)(_score)?|"
    r"r2(_score)?|(\w+_)?iou|mean_io_u|io_u|cosine_similarity|true_(positives|negatives)|"
    r"(\w+_)?at_(precision|recall|sensitivity|specificity)|concordance_correlation|pearson_correlation"
)
_MINIMIZE = re.compile(
    r"(\w+_)?loss|(\w+_)?error|mae|mse|rmse|mape|msle|(\w+_)?crossentropy|(\w+_)?hinge|hinge|poisson|"
    r"kl_divergence|kullback_leibler_divergence|log_?cosh|false_(positives|negatives)"
)


class Objective(BaseModel):
    """A metric's name as training logs it (``val_accuracy``) and its direction."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    metric: str = Field(min_length=1)
    direction: Direction

    def better(self, value: float, than: float) -> bool:
        """Whether ``value`` is strictly better than ``than``."""
        return value > than if self.direction == "maximize" else value < than


def infer_direction(metric: str) -> Direction:
    """The direction of one of Keras's own metrics, with or without ``val_``.

    Raises:
        ValueError: the name is not one of Keras's.
    """
    name = metric.removeprefix("val_")
    if _MINIMIZE.fullmatch(name):
        return "minimize"
    if _MAXIMIZE.fullmatch(name):
        return "maximize"
    raise ValueError(
        f"the direction of {metric!r} is not known; write {{metric: {metric}, direction: maximize}} (or minimize)"
    )
