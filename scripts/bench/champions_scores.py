"""Test scores of predictions, with intervals by the bootstrap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from champions_sets import Measure

_RESAMPLES = 500
_SEED = 20


@dataclass(frozen=True)
class Score:
    """A test score and its 90% interval: of resamples of the test's examples, the 5th and the 95th percentile."""

    value: float
    low: float
    high: float


def score(measure: Measure, truth: npt.NDArray[Any], predicted: npt.NDArray[Any]) -> Score:
    """What a model's predictions of the test's examples are worth.

    Args:
        truth: of two classes, whether it is the second one; of several, their place; or numbers; (examples,).
        predicted: of ``auc`` what grows with the second class's probability, of ``accuracy`` the class's place, of
            ``rmse`` numbers; (examples,).
    """
    draw = np.random.default_rng(_SEED)
    drawn = (draw.integers(0, len(truth), len(truth)) for _ in range(_RESAMPLES))
    values = [_value(measure, truth[rows], predicted[rows]) for rows in drawn]
    low, high = np.nanpercentile(values, [5, 95])
    return Score(_value(measure, truth, predicted), float(low), float(high))


def _value(measure: Measure, truth: npt.NDArray[Any], predicted: npt.NDArray[Any]) -> float:
    if measure == "accuracy":
        return float(np.mean(truth == predicted))
    if measure == "rmse":
        return float(np.sqrt(np.mean((truth - predicted) ** 2)))
    from scipy.stats import rankdata

    # The area under the ROC curve, as the Mann-Whitney statistic has it.
    positive = truth.astype(bool)
    pairs = float(positive.sum()) * float((~positive).sum())
    if not pairs:
        return float("nan")
    ranks = rankdata(predicted)[positive].sum()
    return float((ranks - positive.sum() * (positive.sum() + 1) / 2) / pairs)
