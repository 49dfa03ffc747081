"""Output layers, losses and metrics: what they say of predictions whose score is known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn import metrics as judge

from search_spaces.base import Target
from search_spaces.statistics import TargetStatistics
from search_spaces.targets import compile_options, imbalanced, may_be_logarithmic, output_layers

TWO = Target("", "classification", (), "int64", ("no", "yes"), (30, 10))
LABELS = Target("", "multi_label", (3,), "float32", ("a", "b", "c"), (5, 5, 5))
NUMBERS = Target("", "regression", (), "float32", statistics=TargetStatistics((500.0,), (100.0,)))
ROWS = 200
DRAW = np.random.default_rng(0)
FEATURES = DRAW.normal(size=(ROWS, 2)).astype("float32")
WEIGHTS = DRAW.uniform(0.1, 3, ROWS).astype("float32")


def _evaluated(target: Target, labels: Any, weights: Any = None) -> tuple[dict[str, float], Any]:
    """The metrics that Keras logs for an untrained model, and its predictions."""
    keras.utils.set_random_seed(1)
    inputs = keras.Input((2,))
    model = keras.Model(inputs, output_layers(target, inputs))
    model.compile("sgd", **compile_options(target), run_eagerly=True)
    given = (FEATURES, labels) if weights is None else (FEATURES, labels, weights)
    found = model.evaluate(tf.data.Dataset.from_tensor_slices(given).batch(100), verbose=0, return_dict=True)
    return found, model(FEATURES).numpy().astype("float64")


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["alike", "weighted"])
def test_two_classes(weights: Any) -> None:
    labels = (FEATURES[:, 0] + DRAW.normal(size=ROWS) > 0.5).astype("int64")
    found, predicted = _evaluated(TWO, labels, weights)
    assert predicted.shape == (ROWS, 1)
    # Keras weighs examples in the loss; its metrics are of the examples as they are, unless they are weighted_metrics.
    said = {
        "accuracy": judge.accuracy_score(labels, predicted[:, 0] > 0.5),
        "auc": judge.roc_auc_score(labels, predicted[:, 0]),
        "precision": judge.precision_score(labels, predicted[:, 0] > 0.5),
        "recall": judge.recall_score(labels, predicted[:, 0] > 0.5),
    }
    for name, value in said.items():
        assert found[name] == pytest.approx(value, abs=2e-3), name
    assert found["pr_auc"] == pytest.approx(judge.average_precision_score(labels, predicted[:, 0]), abs=0.02)
    if weights is None:
        assert found["loss"] == pytest.approx(judge.log_loss(labels, predicted[:, 0]), rel=1e-4)


def test_labels_that_do_not_exclude_each_other() -> None:
    labels = (FEATURES[:, [0, 1, 0]] + DRAW.normal(size=(ROWS, 3)) > 0).astype("float32")
    found, predicted = _evaluated(LABELS, labels)
    assert predicted.shape == (ROWS, 3)
    assert found["auc"] == pytest.approx(judge.roc_auc_score(labels, predicted), abs=2e-3)
    assert found["accuracy"] == pytest.approx((labels == (predicted > 0.5)).mean(), abs=1e-6)


@pytest.mark.parametrize("shape", [(ROWS,), (ROWS, 1)], ids=str)
def test_numbers(shape: tuple[int, ...]) -> None:
    labels = (500 + 10 * FEATURES[:, 0]).astype("float32")
    found, predicted = _evaluated(NUMBERS, labels.reshape(shape))
    assert predicted.mean() == pytest.approx(500, abs=10)
    assert found["mae"] == pytest.approx(judge.mean_absolute_error(labels, predicted), rel=1e-4)
    assert found["rmse"] == pytest.approx(judge.root_mean_squared_error(labels, predicted), rel=1e-4)
    assert found["r2"] == pytest.approx(judge.r2_score(labels, predicted), rel=1e-3)
    # In units of the target's variance.
    assert found["loss"] == pytest.approx(judge.mean_squared_error(labels, predicted) / 100, rel=1e-4)


def test_skewed_numbers_are_learned_through_a_logarithm_and_come_in_their_own_unit() -> None:
    labels = (500 * np.exp(FEATURES[:, 0])).astype("float32")
    found, predicted = _evaluated(replace(NUMBERS, link="log"), labels)
    assert (predicted > 0).all()
    assert np.exp(np.log(predicted).mean()) == pytest.approx(500, rel=0.2)
    assert found["rmse"] == pytest.approx(judge.root_mean_squared_error(labels, predicted), rel=1e-4)
    # Poisson's deviance but for what does not depend on the predictions, in units of the mean.
    expected = (predicted[:, 0] - labels * np.log(predicted[:, 0])).mean() / 500
    assert found["loss"] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("least", "skewness", "said"),
    [((0.0,), (1.5,), True), ((-1.0,), (1.5,), False), ((1.0,), (0.9,), False), ((), (), False)],
)
def test_which_numbers_may_be_learned_through_a_logarithm(
    least: tuple[float, ...], skewness: tuple[float, ...], said: bool
) -> None:
    statistics = TargetStatistics((500.0,), (250.0**2,), least, skewness)
    assert may_be_logarithmic(replace(NUMBERS, statistics=statistics)) == said


@pytest.mark.parametrize(("mean", "deviation", "said"), [(500, 100, False), (500, 160, True), (1e-5, 1e-5, False)])
def test_a_logarithm_is_for_numbers_that_vary_as_much_as_they_are_large(
    mean: float, deviation: float, said: bool
) -> None:
    statistics = TargetStatistics((mean,), (deviation**2,), (0.0,), (2.0,))
    assert may_be_logarithmic(replace(NUMBERS, statistics=statistics)) == said


def test_a_constant_number() -> None:
    constant = Target("", "regression", (), "float32", statistics=TargetStatistics((7.0,), (0.0,)))
    found, predicted = _evaluated(constant, np.full(ROWS, 7.0, "float32"))
    assert np.isfinite(predicted).all()
    assert np.isfinite(found["loss"])


@pytest.mark.parametrize(
    ("counts", "said"), [((81, 19), True), ((80, 20), False), ((0, 5), True), ((90, 5, 5), False), ((), False)]
)
def test_when_classes_are_imbalanced(counts: tuple[int, ...], said: bool) -> None:
    assert imbalanced(counts) == said
