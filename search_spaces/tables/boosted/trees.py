"""Boosted trees as a network of Keras's own layers: the trees are the weights of two tables, read step by step.

Every tree takes ``2 * leaves - 1`` rows, whose first is its root, whether it has so many nodes or not. A row of the
first table is a node's feature, its threshold, and the row of its left child, beside which is the right one; a leaf is
its own left child. A row of the second table is what a leaf adds. All are float32, which holds every row's number.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import layers, ops

from search_spaces.base import Target
from search_spaces.tables.config import Boosting
from search_spaces.targets import outputs_of, predictions

# What is larger is cut off; a missing value stands beyond on the side to which a node sends it. Numbers of this size in
# the table of splits also keep converters from narrowing it to float16, which has no room for the numbers of rows.
FARTHEST = 3e38
_BEYOND, _MISSING = 3.2e38, 3.4e38
_SPLITS, _VALUES = "splits", "values"
# Iterations times rate: after so many, more trees say no more. 200 at scikit-learn's rate.
_LENGTH = 20.0
_FEWEST, _MOST, _MOST_TREES = 100, 400, 4000
# Beyond those of a tree that is as flat as its leaves allow.
_DEEPER = 4


@dataclass(frozen=True)
class Capacity:
    """How much room there is for trees.

    Attributes:
        iterations: each adds a tree to every output.
        outputs: scores of an example.
        leaves: of a tree, at most.
        depth: of a tree, at most: so many comparisons lead to a leaf.
    """

    iterations: int
    outputs: int
    leaves: int
    depth: int

    @property
    def trees(self) -> int:
        """The trees of one iteration stand side by side, in the order of the outputs."""
        return self.iterations * self.outputs

    @property
    def nodes(self) -> int:
        """Of a tree."""
        return 2 * self.leaves - 1


def capacity_of(boosting: Boosting, target: Target) -> Capacity:
    """The room for the trees of a configuration: the smaller the rate, the more iterations."""
    outputs = outputs_of(target)
    iterations = min(max(round(_LENGTH / boosting.rate), _FEWEST), _MOST, max(_MOST_TREES // outputs, 1))
    return Capacity(iterations, outputs, boosting.leaves, math.ceil(math.log2(boosting.leaves)) + _DEEPER)


@dataclass(frozen=True)
class Tree:
    """A grown tree, whose node 0 is the root.

    Attributes:
        features: (nodes,) column that a node looks at.
        thresholds: (nodes,) float64; what is larger goes right.
        missing_left: (nodes,) whether a missing value goes left.
        left, right: (nodes,) children; 0 for a leaf.
        values: (nodes,) float64 what a leaf adds.
    """

    features: npt.NDArray[Any]
    thresholds: npt.NDArray[Any]
    missing_left: npt.NDArray[Any]
    left: npt.NDArray[Any]
    right: npt.NDArray[Any]
    values: npt.NDArray[Any]


def network_of(columns: int, capacity: Capacity, target: Target, name: str) -> keras.Model:
    """An uncompiled network, of trees that add nothing yet.

    It takes ``floats``, float32 (batch, columns), NaN where a value is missing, and gives what
    ``targets.output_layers`` gives. It computes in float32 whatever the precision of the rest.
    """
    floats = layers.Input((columns,), dtype="float32", name="floats")
    splits = layers.Embedding(capacity.trees * capacity.nodes, 3, trainable=False, dtype="float32", name=_SPLITS)
    values = layers.Embedding(capacity.trees * capacity.nodes, 1, trainable=False, dtype="float32", name=_VALUES)
    x = _both_ways(floats)
    node = ops.add(ops.cast(ops.zeros_like(x[:, :1]), "int32"), _roots(capacity).astype("int32"))
    for _ in range(capacity.depth):
        split = splits(node)
        seen = ops.take_along_axis(x, ops.cast(split[:, :, 0], "int32"), axis=1)
        goes_right = ops.cast(ops.greater(seen, split[:, :, 1]), "float32")
        node = ops.cast(ops.add(split[:, :, 2], goes_right), "int32")
    added = ops.reshape(values(node), (-1, capacity.iterations, capacity.outputs))
    network = keras.Model({"floats": floats}, predictions(target, ops.sum(added, axis=1)), name=name)
    Forest(network, columns, capacity).clear()
    return network


def _both_ways(floats: Any) -> Any:
    """Columns whose missing values are smaller than all others, and again such whose missing values are larger."""
    is_missing = ops.isnan(floats)
    x = ops.clip(ops.where(is_missing, 0.0, floats), -FARTHEST, FARTHEST)
    both = [ops.where(is_missing, -_MISSING, x), ops.where(is_missing, _MISSING, x)]
    return layers.Concatenate(dtype="float32")(both)


def _roots(capacity: Capacity) -> npt.NDArray[np.int64]:
    return np.arange(capacity.trees, dtype=np.int64) * capacity.nodes


class Forest:
    """The trees of a network, which ``network_of`` made."""

    def __init__(self, network: keras.Model, columns: int, capacity: Capacity) -> None:
        self.capacity = capacity
        self._network, self._columns = network, columns
        rows = capacity.trees * capacity.nodes
        self._splits = np.zeros((rows, 3), np.float32)
        self._splits[:, 1] = _BEYOND
        self._splits[:, 2] = np.arange(rows)
        self._values = np.zeros((rows, 1), np.float32)

    def clear(self) -> None:
        """Takes all trees out of the network."""
        self.show()

    def put(self, place: int, tree: Tree, base: float = 0.0) -> None:
        """Sets the tree of an iteration and an output, ``place`` = iteration * outputs + output.

        Args:
            base: added by every leaf.
        """
        first = place * self.capacity.nodes
        inner = np.flatnonzero(tree.left)
        rows = np.zeros(len(tree.left), np.int64)
        lefts = 1 + 2 * np.arange(len(inner))
        rows[tree.left[inner]], rows[tree.right[inner]] = lefts, lefts + 1
        feature = tree.features[inner] + np.where(tree.missing_left[inner], 0, self._columns)
        threshold = np.minimum(_rounded_down(tree.thresholds[inner]), np.float32(_BEYOND))
        self._splits[first + rows[inner]] = np.stack([feature, threshold, first + lefts], axis=1)
        self._values[first + rows, 0] = tree.values + base

    def put_number(self, place: int, value: float) -> None:
        """Sets a tree of one leaf."""
        self._values[place * self.capacity.nodes, 0] = value

    def show(self) -> None:
        """Gives the network the trees that were set."""
        self._network.get_layer(_SPLITS).embeddings.assign(self._splits)
        self._network.get_layer(_VALUES).embeddings.assign(self._values)


def _rounded_down(thresholds: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """The largest float32 that is no larger: what float32 says of it is what float64 says of the threshold."""
    near = np.clip(thresholds, -_MISSING, _MISSING).astype(np.float32)
    return np.where(near > thresholds, np.nextafter(near, np.float32(-math.inf)), near).astype(np.float32)
