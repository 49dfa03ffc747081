"""The training of linear models of texts by ``model.fit``: each epoch solves one with less regularization."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from search_spaces.base import Target
from search_spaces.stepwise_fit import fit_by_steps
from search_spaces.targets import outputs_of, standardized
from search_spaces.texts.config import Bag
from search_spaces.texts.layers import SOLVED
from search_spaces.texts.linear_solver import LinearPath, Loss, SparseExamples, log_count_ratios

# From what leaves hardly more than the classes' shares to what hardly anything is gained beyond.
_STRONGEST, _WEAKEST = 1e-2, 1e-6
_MOST_SOLVED = 12


def penalties(epochs: int) -> list[float]:
    """The regularization of each epoch, of which there may be fewer than a training has."""
    if epochs < 3:
        return [1e-4, 1e-5][:epochs]
    return [float(each) for each in np.geomspace(_STRONGEST, _WEAKEST, min(epochs, _MOST_SOLVED))]


def fit_linear(network: keras.Model, bag: Bag, target: Target, whole: int, batches: tf.data.Dataset, **fit: Any) -> Any:
    """Trains a linear network of ``layers``.

    Args:
        whole: the epochs of a full training, which may be more than ``fit`` is for.
        batches: of training.
        fit: what ``model.fit`` takes besides.

    Returns:
        What ``model.fit`` returns.
    """
    table = network.get_layer(SOLVED)
    examples = _examples_of(batches, target, table.input_dim - 1)
    scales = log_count_ratios(examples) if bag.ratios else np.ones((1, 1), np.float32)
    path = LinearPath(examples, _loss_of(target), scales)
    along = penalties(whole)

    def step(epoch: int) -> None:
        if epoch < len(along):
            path.solve(along[epoch])
            table.set_weights([np.vstack([path.weights, path.bias])])

    return fit_by_steps(network, step, lambda epoch: epoch + 1 >= len(along), batches, **fit)


def _loss_of(target: Target) -> Loss:
    if target.task == "regression":
        return "squares"
    return "softmax" if target.task == "classification" and len(target.class_names) > 2 else "sigmoid"


def _examples_of(batches: Iterable[Any], target: Target, features: int) -> SparseExamples:
    """All examples of batches ``({"tokens": ..., "weights": ...}, y)``, with or without weights of examples."""
    from scipy.sparse import csr_matrix, vstack

    rows, ys, shares = [], [], []
    for x, y, *weights in batches:
        tokens, values = np.asarray(x["tokens"]), np.asarray(x["weights"])
        # The others only fill a row.
        is_there = values != 0
        starts = np.concatenate([[0], np.cumsum(is_there.sum(axis=1))])
        rows.append(csr_matrix((values[is_there], tokens[is_there], starts), shape=(len(tokens), features)))
        ys.append(np.asarray(y))
        shares.append(np.asarray(weights[0]).reshape(len(tokens), -1).mean(axis=1) if weights else np.ones(len(tokens)))
    return SparseExamples(
        vstack(rows, format="csr"), _learned(np.concatenate(ys), target), np.concatenate(shares).astype(np.float32)
    )


def _learned(y: npt.NDArray[Any], target: Target) -> npt.NDArray[np.float32]:
    columns = y.reshape(len(y), -1)
    if target.task == "regression":
        return standardized(target, columns).astype(np.float32)
    outputs = outputs_of(target)
    if outputs > 1 and columns.shape[1] == 1:
        return np.eye(outputs, dtype=np.float32)[columns[:, 0].astype(np.int64)]
    return columns.astype(np.float32)
