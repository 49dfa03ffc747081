"""What a search optimises: metrics that training logs or measures of the trained model, each with its direction."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Direction = Literal["maximize", "minimize"]

# Measured of every trained model where an objective or a constraint names them; less is better.
PARAMETERS = "parameters"
MEASURES = (PARAMETERS, "export_bytes", "latency_ms")
# The metric by which the database tells the executions of a trial apart, from 1; where there is one it is not there.
EXECUTION = "execution"

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


MetricName = Annotated[str, Field(min_length=1)]


class Objective(BaseModel):
    """A metric that the search optimizes: its name alone, or its name and its direction."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    metric: MetricName = Field(
        description="The name of a metric as training logs it, or `parameters`, `export_bytes` or `latency_ms`, which "
        "are measured of every trained model.",
        examples=["val_accuracy"],
    )
    direction: Direction = Field(
        description="Whether the search looks for the largest or for the smallest value: `maximize` or `minimize`. The "
        "directions of Keras's own metrics are known, so that their names are enough.",
    )

    def better(self, value: float, than: float) -> bool:
        """Whether ``value`` is strictly better than ``than``."""
        return value > than if self.direction == "maximize" else value < than


def infer_direction(metric: str) -> Direction:
    """The direction of a measure, or of one of Keras's own metrics with or without ``val_``.

    Raises:
        ValueError: the name is none of these.
    """
    name = metric.removeprefix("val_")
    if metric in MEASURES or _MINIMIZE.fullmatch(name):
        return "minimize"
    if _MAXIMIZE.fullmatch(name):
        return "maximize"
    raise ValueError(
        f"the direction of {metric!r} is not known; write {{metric: {metric}, direction: maximize}} (or minimize)"
    )
