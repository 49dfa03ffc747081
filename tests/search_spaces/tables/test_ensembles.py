"""Ensembles that share their weights: each member learns by itself, and the model gives their mean."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest

from search_spaces.structured import StructuredSpace
from search_spaces.tables.tabm import MEMBERS
from tuner.data.batches import BatchFormat, TrainingBatches
from tuner.data.prepared import PreparedData
from tuner.data.summary import summary_of

Table = Callable[..., PreparedData]


def _built(data: PreparedData) -> tuple[StructuredSpace, keras_tuner.HyperParameters, Any]:
    hp = keras_tuner.HyperParameters()
    hp.values = {"family": "tabm", "units": 64, "layers": 1, "members": 8, "dropout": 0.0, "schedule": "cosine"}
    space = StructuredSpace(summary_of(data), families=["tabm"], epochs=4)
    return space, hp, space.build(hp)


@pytest.mark.parametrize("task", ["two classes", "three classes", "labels", "regression"])
def test_the_loss_is_the_mean_of_the_members_losses(task: str, table: Table) -> None:
    data = table(task)
    space, hp, model = _built(data)
    network = model.network
    network.run_eagerly = True
    batches = TrainingBatches(data, 1000, 0, BatchFormat(space.labels, model.preprocessing)).dataset
    ((x, y),) = list(batches)
    y = np.asarray(y).reshape(len(y), -1)
    members = np.asarray(keras.Model(network.input, network.get_layer(MEMBERS).output)(x))
    np.testing.assert_allclose(network(x), members.mean(axis=1), rtol=1e-5)
    losses = [_loss(task, y, members[:, place]) for place in range(8)]
    history = space.fit(hp, network, batches, verbose=0).history
    scale = 1.0 if task != "regression" else summary_of(data).target.statistics.variance[0]  # type: ignore[union-attr]
    assert history["loss"][0] == pytest.approx(np.mean(losses) / scale, rel=1e-4)
    assert len(set(np.round(losses, 6))) == 8


def _loss(task: str, y: Any, predicted: Any) -> float:
    if task == "regression":
        return float(((y - predicted) ** 2).mean())
    if task == "three classes":
        return float(-np.log((predicted * y).sum(axis=1)).mean())
    return float(-(y * np.log(predicted) + (1 - y) * np.log(1 - predicted)).mean())


def test_weights_of_examples_count(table: Table) -> None:
    """An example of weight 0 changes nothing that is learned."""
    data = table()
    learned = []
    for changed in (0.0, 1.0):
        keras.utils.set_random_seed(0)
        space, hp, model = _built(data)
        ((x, y),) = list(TrainingBatches(data, 1000, 0, BatchFormat(space.labels, model.preprocessing)).dataset)
        labels, weights = np.array(y, dtype="float32"), np.ones(len(y), dtype="float32")
        labels[:5], weights[:5] = changed, 0.0
        space.fit(hp, model.network, x, labels, sample_weight=weights, batch_size=len(y), epochs=2, verbose=0)
        learned.append(np.asarray(model.network(x)))
    np.testing.assert_allclose(*learned, atol=1e-6)
