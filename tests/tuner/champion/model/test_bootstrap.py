"""The bootstrap of compiled metrics."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tuner.champion.model.bootstrap import RowMetric, resamples_of


def _model() -> keras.Model:
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, activation="sigmoid")])
    model.compile("sgd", "binary_crossentropy", metrics=["binary_accuracy", keras.metrics.AUC(name="auc")])
    return model


def resampled(model: Any, metric: str, targets: Any, outputs: Any, weights: Any = None) -> Any:
    return RowMetric(model, metric, _batches(targets, outputs, weights)).resampled([outputs])


def _batches(targets: Any, outputs: Any, weights: Any = None) -> Iterator[Any]:
    for start in range(0, len(targets), 64):
        part = slice(start, start + 64)
        yield (
            None,
            tf.constant(outputs[part]),
            tf.constant(targets[part]),
            None if weights is None else tf.constant(weights[part]),
        )


@pytest.fixture(scope="module")
def examples() -> tuple[Any, Any]:
    chance = np.random.default_rng(0)
    targets = chance.integers(0, 2, (300, 1)).astype(np.float32)
    return targets, np.clip(0.5 + 0.25 * (targets - 0.5) + chance.normal(0, 0.2, (300, 1)), 0.01, 0.99).astype("f4")


def test_it_spreads_as_a_proportion_does(examples: Any) -> None:
    targets, outputs = examples
    model = _model()
    values = resampled(model, "binary_accuracy", targets, outputs)
    assert values is not None and len(values) == resamples_of(300)
    share = float(np.mean((outputs > 0.5) == targets))
    assert values.mean() == pytest.approx(share, abs=0.005)
    assert values.std() == pytest.approx((share * (1 - share) / 300) ** 0.5, rel=0.15)
    # What was traced for one model serves another one's outputs.
    on_rows = RowMetric(model, "binary_accuracy", _batches(targets, outputs))
    assert on_rows.on_all([outputs]) == pytest.approx(share)
    assert on_rows.on_all([1 - outputs]) == pytest.approx(1 - share)


def test_a_metric_that_is_no_mean_is_resampled_as_a_whole(examples: Any) -> None:
    from sklearn.metrics import roc_auc_score

    targets, outputs = examples
    values = resampled(_model(), "auc", targets, outputs)
    assert values is not None
    drawn = np.random.default_rng(20).integers(0, 300, (len(values), 300), dtype=np.int32)
    expected = [roc_auc_score(targets[rows, 0], outputs[rows, 0]) for rows in drawn[:5]]
    # Keras sums over 200 thresholds.
    assert values[:5] == pytest.approx(expected, abs=5e-3)


def test_the_loss_too_and_every_model_gets_the_same_examples(examples: Any) -> None:
    targets, outputs = examples
    one, other = (resampled(_model(), "loss", targets, outputs) for _ in range(2))
    assert one is not None and other is not None
    np.testing.assert_array_equal(one, other)
    each = -(targets * np.log(outputs) + (1 - targets) * np.log(1 - outputs))
    assert one.mean() == pytest.approx(float(each.mean()), rel=0.02)


def test_weights_count(examples: Any) -> None:
    targets, outputs = examples
    model = _model()
    model.compile("sgd", "binary_crossentropy", weighted_metrics=["binary_accuracy"])
    right = ((outputs > 0.5) == targets)[:, 0]
    values = resampled(model, "binary_accuracy", targets, outputs, right.astype("f4"))
    assert values is not None
    np.testing.assert_allclose(values, 1.0)


def test_many_examples_need_fewer_resamples() -> None:
    assert [resamples_of(n) for n in (10, 20_000, 50_000, 10**7)] == [1000, 1000, 400, 200]
