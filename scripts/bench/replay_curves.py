"""What training would give at any configuration of a table's space, from those that were trained.

Extremely randomized trees (Geurts, Ernst and Wehenkel, 2006) from the parameters to the whole curve, as surrogate
benchmarks have it (Eggensperger et al., "Efficient Benchmarking of Hyperparameter Optimizers via Surrogates", AAAI
2015).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution
from replay_table import Table
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.model_selection import cross_val_predict

_TREES = 100
# Of the features, what is tried for each split; the better one of the two is taken.
_FEATURES = (0.5, 1.0)
_DRAWS = 5000
# A second difference of independent noise has six times its variance.
_SECOND_DIFFERENCE = 6.0


class Curves:
    """The curves of a table's space: greater is better, whatever the table's objective is."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self._places = _places(table)
        inputs = np.stack([self._encode(each.values) for each in table.configurations])
        scores = np.array([each.scores for each in table.configurations])
        self._sign = 1.0 if table.maximize else -1.0
        curves = self._sign * np.nan_to_num(scores, nan=float(np.nanmin(self._sign * scores)) * self._sign)
        seconds = np.log([[max(each.seconds, 1e-3)] for each in table.configurations])
        targets = np.hstack([curves, seconds])
        forests = [ExtraTreesRegressor(_TREES, random_state=0, max_features=share) for share in _FEATURES]
        self.explained, forest = max(
            ((_explained(each, inputs, curves), each) for each in forests), key=lambda found: found[0]
        )
        forest.fit(inputs, targets)
        self._trees = _Trees(forest)
        self.noise = float(np.sqrt(np.median(np.diff(curves, 2, axis=1).var(axis=1)) / _SECOND_DIFFERENCE))

    def expected(self, values: Mapping[str, Any]) -> tuple[np.ndarray, float]:
        """The mean score after every epoch, (epochs,), and the seconds of one."""
        found = self._trees.predict(self._encode(values))
        return found[:-1], float(np.exp(found[-1]))

    def seen(self, values: Mapping[str, Any], seed: int) -> np.ndarray:
        """The scores that one training shows, (epochs,): the same for everybody who tries this with this seed."""
        digest = hashlib.sha256(f"{seed}/{sorted(values.items())}".encode()).digest()
        noise = np.random.default_rng(int.from_bytes(digest[:8], "big")).normal(0.0, self.noise, self.table.epochs)
        return self.expected(values)[0] + noise

    @cached_property
    def best_possible(self) -> float:
        """The best mean score of any epoch among many random configurations."""
        rng = np.random.default_rng(0)
        return max(float(self.expected(_random(self.table, rng))[0].max()) for _ in range(_DRAWS))

    def _encode(self, values: Mapping[str, Any]) -> np.ndarray:
        found = np.full(sum(width for _, _, width in self._places), -1.0)
        at = 0
        for name, distribution, width in self._places:
            if name in values:
                found[at : at + width] = _features(distribution, values[name])
            at += width
        return found


def _places(table: Table) -> list[tuple[str, BaseDistribution, int]]:
    return [(each.name, each.distribution, _width(each.distribution)) for each in table.parameters]


def _width(distribution: BaseDistribution) -> int:
    return len(distribution.choices) if isinstance(distribution, CategoricalDistribution) else 1


def _features(distribution: Any, value: Any) -> Any:
    """A number's place in its range, from 0 to 1; of a choice one number for each value."""
    if isinstance(distribution, CategoricalDistribution):
        return np.eye(len(distribution.choices))[distribution.choices.index(value)]
    low, high, number = distribution.low, distribution.high, value
    if distribution.log:
        low, high, number = np.log(low), np.log(high), np.log(number)
    return (number - low) / (high - low)


def _random(table: Table, rng: np.random.Generator) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for each in table.parameters:
        if each.is_active(values):
            values[each.name] = _draw(each.distribution, rng)
    return values


def _draw(distribution: Any, rng: np.random.Generator) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[rng.integers(len(distribution.choices))]
    if distribution.log:
        drawn = float(np.exp(rng.uniform(np.log(distribution.low), np.log(distribution.high))))
        return drawn if distribution.to_external_repr(1.5) == 1.5 else round(drawn)
    if distribution.step is None:
        return float(rng.uniform(distribution.low, distribution.high))
    steps = round((distribution.high - distribution.low) / distribution.step)
    return distribution.low + int(rng.integers(steps + 1)) * distribution.step


def _explained(forest: ExtraTreesRegressor, inputs: np.ndarray, curves: np.ndarray) -> float:
    """The share of the best scores' variance that is predicted of configurations left out."""
    best = curves.max(axis=1)
    left_out = cross_val_predict(forest, inputs, curves, cv=min(5, len(best))).max(axis=1)
    return float(1 - ((best - left_out) ** 2).sum() / max(((best - best.mean()) ** 2).sum(), 1e-12))


class _Trees:
    """A fitted forest as arrays: one configuration at a time is what a search asks for, and scikit-learn is slow at."""

    def __init__(self, forest: ExtraTreesRegressor) -> None:
        trees = [each.tree_ for each in forest.estimators_]
        starts = np.cumsum([0, *(each.node_count for each in trees)])
        self._roots = starts[:-1]
        self._feature = np.concatenate([each.feature for each in trees])
        self._threshold = np.concatenate([each.threshold for each in trees])
        self._left = np.concatenate([each.children_left + start for each, start in zip(trees, starts, strict=False)])
        self._right = np.concatenate([each.children_right + start for each, start in zip(trees, starts, strict=False)])
        self._value = np.concatenate([each.value[:, :, 0] for each in trees])

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        nodes = self._roots.copy()
        while (inner := self._feature[nodes] >= 0).any():
            at = nodes[inner]
            left = inputs[self._feature[at]].astype(np.float32) <= self._threshold[at]
            nodes[inner] = np.where(left, self._left[at], self._right[at])
        return np.asarray(self._value[nodes].mean(axis=0))
