"""Grows boosted trees with scikit-learn's histogram gradient boosting, a few iterations at a time."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from search_spaces.base import Target
from search_spaces.tables.boosted.bins import Bins
from search_spaces.tables.boosted.trees import FARTHEST, Forest, Tree
from search_spaces.tables.config import Boosting
from search_spaces.targets import outputs_of, standardized

# The logit of what training has no example of, or no other example than of: a probability of 1 in a million.
_NEVER = -13.8
# Threads wait for each other several times for every node, which takes longer than the work if there is little.
_NUMBERS_FOR_A_THREAD = 500_000


@dataclass(frozen=True)
class Examples:
    """Training examples in memory.

    Attributes:
        x: float32 (examples, columns), NaN where a value is missing.
        y: labels, (examples,) or (examples, n), as ``targets.labels_of`` has them, or of classes their numbers.
        weights: (examples,), None where all count alike.
    """

    x: npt.NDArray[np.float32]
    y: npt.NDArray[Any]
    weights: npt.NDArray[np.float32] | None


def examples_of(batches: Iterable[Any]) -> Examples:
    """All examples of batches ``({"floats": x}, y)`` or ``({"floats": x}, y, weights)``."""
    parts = [(np.asarray(x["floats"]), np.asarray(y), *map(np.asarray, rest)) for x, y, *rest in batches]
    x, y, *weights = (np.concatenate(each) for each in zip(*parts, strict=True))
    # Weights may be of parts of an example; trees have one for the whole.
    flat = weights[0].reshape(len(x), -1).mean(axis=1) if weights else None
    return Examples(np.clip(x, -FARTHEST, FARTHEST), y, flat)


@dataclass(frozen=True)
class _Grower:
    """An estimator of scikit-learn and the outputs of a network that its trees add to.

    Attributes:
        estimator: has grown nothing yet, and goes on where it is called again.
        target: what it learns, (examples,).
        outputs: one for each of the trees that it grows in an iteration.
    """

    estimator: Any
    target: npt.NDArray[Any]
    outputs: tuple[int, ...]


class Boosters:
    """Grows the trees of a forest from training examples.

    They depend on the examples, their order and the seed alone, and on how many iterations each call of ``grow`` was
    for.

    Attributes:
        bins: of the columns, which the estimators see in place of the numbers.
        grown: how many iterations.

    Args:
        threads: at most so many; as many as there is work for where it is 0.
    """

    def __init__(
        self, forest: Forest, boosting: Boosting, target: Target, examples: Examples, *, seed: int, threads: int
    ) -> None:
        self.grown = 0
        self._forest, self._weights = forest, examples.weights
        self.bins = Bins(examples.x)
        self._x = self.bins.codes(examples.x)
        useful = max(1, examples.x.size // _NUMBERS_FOR_A_THREAD)
        self._threads = min(threads or useful, useful)
        self._options = {
            "learning_rate": boosting.rate,
            "max_leaf_nodes": boosting.leaves,
            "max_depth": forest.capacity.depth,
            "min_samples_leaf": boosting.least_examples,
            "l2_regularization": boosting.l2,
            "max_features": boosting.columns_share,
            "early_stopping": False,
            "warm_start": True,
            "random_state": seed,
        }
        self._growers = self._growers_of(target, examples.y)

    @property
    def is_done(self) -> bool:
        """Whether there is no room for more trees."""
        return self.grown >= self._forest.capacity.iterations

    def grow(self, iterations: int) -> None:
        """Adds so many iterations to the forest, or as many as there is room for."""
        from threadpoolctl import threadpool_limits

        until = min(self.grown + iterations, self._forest.capacity.iterations)
        if until == self.grown:
            return
        with threadpool_limits(self._threads, user_api="openmp"):
            for each in self._growers:
                each.estimator.set_params(max_iter=until)
                each.estimator.fit(self._x, each.target, sample_weight=self._weights)
        for each in self._growers:
            self._take(each, range(self.grown, until))
        self.grown = until
        self._forest.show()

    def _take(self, grower: _Grower, iterations: Iterable[int]) -> None:
        bases = np.ravel(grower.estimator._baseline_prediction)
        outputs = self._forest.capacity.outputs
        for iteration in iterations:
            for base, output, predictor in zip(
                bases, grower.outputs, grower.estimator._predictors[iteration], strict=True
            ):
                # The baseline is what the first trees start from.
                tree = _tree(predictor.nodes, self.bins)
                self._forest.put(iteration * outputs + output, tree, float(base) if iteration == 0 else 0.0)

    def _growers_of(self, target: Target, y: npt.NDArray[Any]) -> list[_Grower]:
        if target.task == "classification" and len(target.class_names) > 2:
            return self._of_classes(y.argmax(axis=1) if y.size > len(y) else y.reshape(-1).astype(np.int64))
        columns = y.reshape(len(y), outputs_of(target))
        if target.task == "regression":
            columns, loss = standardized(target, columns), {"loss": "squared_error"}
            if target.link == "log":
                # Trained again, it may meet a negative number of the validation split.
                columns, loss = np.maximum(columns, 0.0), {"loss": "poisson"}
            return [self._grower("Regressor", columns[:, each], (each,), **loss) for each in range(columns.shape[1])]
        return [
            grower for each in range(columns.shape[1]) for grower in self._of_two(columns[:, each] > 0.5, place=each)
        ]

    def _of_two(self, is_there: npt.NDArray[np.bool_], place: int) -> list[_Grower]:
        if is_there.all() or not is_there.any():
            self._forest.put_number(place, -_NEVER if is_there.any() else _NEVER)
            return []
        return [self._grower("Classifier", is_there.astype(np.int64), (place,))]

    def _of_classes(self, classes: npt.NDArray[np.int64]) -> list[_Grower]:
        there = np.unique(classes)
        for absent in sorted(set(range(self._forest.capacity.outputs)) - set(there.tolist())):
            self._forest.put_number(absent, _NEVER)
        if len(there) < 2:
            return []
        # Of two classes there are trees of the second one alone.
        outputs = there[1:] if len(there) == 2 else there
        return [self._grower("Classifier", classes, tuple(outputs.tolist()))]

    def _grower(self, kind: str, target: npt.NDArray[Any], outputs: tuple[int, ...], **more: Any) -> _Grower:
        # Threads that wait at full speed take many times as long where others work too. OpenMP reads it when it is
        # loaded.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        from sklearn import ensemble

        return _Grower(getattr(ensemble, f"HistGradientBoosting{kind}")(**self._options, **more), target, outputs)


def _tree(nodes: npt.NDArray[Any], bins: Bins) -> Tree:
    is_leaf = nodes["is_leaf"].astype(bool)
    features = nodes["feature_idx"].astype(np.int64)
    thresholds = np.zeros(len(nodes))
    thresholds[~is_leaf] = bins.thresholds(features[~is_leaf], nodes["num_threshold"][~is_leaf])
    return Tree(
        features=features,
        thresholds=thresholds,
        missing_left=nodes["missing_go_to_left"].astype(bool),
        left=np.where(is_leaf, 0, nodes["left"]).astype(np.int64),
        right=np.where(is_leaf, 0, nodes["right"]).astype(np.int64),
        values=np.where(is_leaf, nodes["value"], 0.0),
    )
