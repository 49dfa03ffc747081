"""The weights that validation saw.

They are not always those of an epoch's end: ``SwapEMAWeights`` puts averages in for the time of a validation, and other
callbacks restore or average weights once the epoch is over.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from tuner.trial.state import values_of


class ScoredWeights(keras.callbacks.Callback):
    """Copies the model's variables when a validation begins, whatever place it has among the callbacks."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: dict[int, np.ndarray] | None = None
        self._scores: Mapping[str, Any] = {}

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._seen, self._scores = None, {}

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._seen = None

    def on_test_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        # By now every callback has had its `on_test_begin`, and none its `on_test_end`.
        if self._seen is None:
            variables = self.model.variables
            self._seen = {id(each): value for each, value in zip(variables, values_of(variables), strict=True)}

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        self._scores = dict(logs or {})

    def behind(self, metric: str, metrics: Mapping[str, float]) -> list[np.ndarray]:
        """The variables, as ``model.variables`` has them, that an epoch's metric is the score of.

        Those of the last validation, but the present ones where there was none in this epoch or a callback has logged
        the metric by itself.
        """
        seen = (self._seen or {}) if self._is_of_validation(metric, metrics) else {}
        # A variable that the validation has made was not there when it began.
        return [seen[id(each)] if id(each) in seen else values_of([each])[0] for each in self.model.variables]

    def _is_of_validation(self, metric: str, metrics: Mapping[str, float]) -> bool:
        name = metric.removeprefix("val_")
        if name not in self._scores:
            return False
        return name == metric or bool(metrics[metric] == self._scores[name])
