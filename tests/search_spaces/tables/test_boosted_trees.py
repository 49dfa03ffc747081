"""Boosted trees as a network say what scikit-learn says, and grow epoch by epoch as ``fit`` counts them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest

from search_spaces.base import StagedModel, Target
from search_spaces.statistics import TargetStatistics
from search_spaces.structured import StructuredSpace
from search_spaces.tables.boosted.bins import Bins
from search_spaces.tables.boosted.fit import iterations_in_epoch
from search_spaces.tables.boosted.growing import Boosters, Examples
from search_spaces.tables.boosted.trees import Capacity, Forest, network_of
from search_spaces.tables.config import Boosting
from tuner.data.batches import BatchFormat, TrainingBatches, evaluation_batches
from tuner.data.prepared import PreparedData
from tuner.data.summary import summary_of

BOOSTING = Boosting(rate=0.2, leaves=16, least_examples=5, l2=0.1, columns_share=1.0)
ROWS, COLUMNS = 600, 5
TARGETS = {
    "two classes": Target("", "classification", (), "int64", ("a", "b")),
    "three classes": Target("", "classification", (), "int64", ("a", "b", "c")),
    "labels": Target("", "multi_label", (2,), "float32", ("a", "b")),
    "number": Target("", "regression", (), "float32", statistics=TargetStatistics((100.0,), (400.0,))),
    "skewed number": Target("", "regression", (), "float32", (), (), TargetStatistics((100.0,), (400.0,)), link="log"),
}


def _x(rows: int, seed: int) -> np.ndarray:
    """Numbers of every size, with missing and infinite ones, and many that are equal."""
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(rows, COLUMNS)).astype(np.float32)
    x[:, 1] = draw.integers(0, 4, rows)
    x[:, 2] *= 1e30
    x[:, 3] = np.where(draw.random(rows) < 0.3, np.nan, x[:, 3])
    x[draw.random(rows) < 0.05, 4] = np.inf
    x[draw.random(rows) < 0.05, 4] = -np.inf
    return x


def _y(task: str, x: np.ndarray) -> np.ndarray:
    draw = np.random.default_rng(1)
    score = np.where(np.isnan(x[:, 3]), 1.5, x[:, 3]) + x[:, 1] * (x[:, 0] > 0) + np.sign(x[:, 4])
    score = score + draw.normal(0, 0.3, len(x))
    if task == "number":
        return (100 + 20 * score).astype(np.float32)
    if task == "skewed number":
        return (30 * np.exp(score)).astype(np.float32)
    if task == "labels":
        return np.stack([score > 1, x[:, 0] > 0], axis=1).astype(np.float32)
    classes = np.digitize(score, [1, 2][: 1 if task == "two classes" else 2])
    return classes if task == "two classes" else np.eye(3, dtype=np.float32)[classes]


def _grown(task: str, examples: Examples, *calls: int, boosting: Boosting = BOOSTING) -> tuple[keras.Model, Boosters]:
    target = TARGETS[task]
    outputs = {"three classes": 3, "labels": 2}.get(task, 1)
    capacity = Capacity(12, outputs, boosting.leaves, 6)
    network = network_of(COLUMNS, capacity, target, "boosted")
    boosters = Boosters(Forest(network, COLUMNS, capacity), boosting, target, examples, seed=0, threads=1)
    for iterations in calls:
        boosters.grow(iterations)
    return network, boosters


def _said(task: str, boosters: Boosters, x: np.ndarray) -> np.ndarray:
    """What the estimators themselves say."""
    x = boosters.bins.codes(x)
    found = [each.estimator for each in boosters._growers]
    if task == "number":
        return 100 + 20 * found[0].predict(x)[:, None]
    if task == "skewed number":
        return 100 * np.asarray(found[0].predict(x))[:, None]
    if task == "three classes":
        return np.asarray(found[0].predict_proba(x))
    return np.stack([each.predict_proba(x)[:, 1] for each in found], axis=1)


@pytest.mark.parametrize("weighed", [False, True])
@pytest.mark.parametrize("task", TARGETS)
def test_the_network_says_what_scikit_learn_says(task: str, weighed: bool) -> None:
    x = np.clip(_x(ROWS, seed=0), -3e38, 3e38)
    weights = np.random.default_rng(2).uniform(0.1, 3, ROWS).astype(np.float32) if weighed else None
    network, boosters = _grown(task, Examples(x, _y(task, x), weights), 5, 7)
    assert boosters.is_done
    seen = _x(5000, seed=3)
    expected = _said(task, boosters, np.clip(seen, -3e38, 3e38))
    assert np.std(expected, axis=0).min() > 0.05
    np.testing.assert_allclose(network({"floats": seen}), expected, rtol=2e-5, atol=2e-6)
    gaps = np.full((3, COLUMNS), np.nan, np.float32)
    expected = _said(task, boosters, gaps)
    np.testing.assert_allclose(network({"floats": gaps}), expected, rtol=2e-5, atol=2e-6)


def test_thresholds_between_neighbouring_numbers_are_exact() -> None:
    """Of two neighbours among float32 the threshold in between is none: it is rounded to the lower one."""
    low = np.float32(1.0)
    high = np.nextafter(low, np.float32(2))
    x = np.zeros((ROWS, COLUMNS), np.float32)
    x[:, 0] = np.where(np.arange(ROWS) % 2, high, low)
    network, _ = _grown("two classes", Examples(x, np.arange(ROWS) % 2, None), 12)
    said = network({"floats": x[:2]})
    assert said[0] < 0.1
    assert said[1] > 0.9


@pytest.mark.parametrize("rows", [200, 5000])
def test_bins_are_where_their_thresholds_are(rows: int) -> None:
    x = np.clip(_x(rows, seed=0), -3e38, 3e38)
    bins = Bins(x)
    seen = np.clip(_x(1000, seed=5), -3e38, 3e38)
    codes = bins.codes(seen)
    assert 150 < np.nanmax(codes[:, 0]) <= 254
    assert np.nanmax(codes[:, 1]) == 3
    assert (np.isnan(codes) == np.isnan(seen)).all()
    for column in range(COLUMNS):
        for code in range(int(np.nanmax(bins.codes(x)[:, column]))):
            (threshold,) = bins.thresholds(np.array([column]), np.array([code + 0.5]))
            assert ((seen[:, column] <= threshold) == (codes[:, column] <= code)).all()
    assert bins.thresholds(np.array([0]), np.array([np.inf])) == np.inf


def test_what_training_has_no_example_of_is_next_to_impossible() -> None:
    x = np.clip(_x(ROWS, seed=0), -3e38, 3e38)
    classes = np.eye(3, dtype=np.float32)
    for there in ([0, 2], [1]):
        y = classes[np.where(x[:, 0] > 0, there[0], there[-1])]
        said = _grown("three classes", Examples(x, y, None), 12)[0]({"floats": x}).numpy()
        assert np.delete(said, there, axis=1).max() < 1e-5
        assert (said.argmax(axis=1) == y.argmax(axis=1)).mean() > 0.98
    said = _grown("two classes", Examples(x, np.ones(ROWS, np.int64), None), 12)[0]({"floats": x}).numpy()
    assert said.min() > 0.999


def test_the_same_trees_grow_again() -> None:
    x = np.clip(_x(ROWS, seed=0), -3e38, 3e38)
    boosting = Boosting(rate=0.1, leaves=8, least_examples=5, l2=0.0, columns_share=0.5)
    examples = Examples(x, _y("two classes", x), None)
    one, other = (_grown("two classes", examples, 4, 4, boosting=boosting)[0] for _ in range(2))
    for mine, its in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, its)


@pytest.mark.parametrize(
    ("epochs", "first", "last"), [(1, [60], 1), (5, [18, 33, 42], 5), (20, [5, 5, 6], 20), (100, [5, 5, 5], 25)]
)
def test_epochs_have_more_and_more_iterations(epochs: int, first: list[int], last: int) -> None:
    counts = [iterations_in_epoch(epoch, 200, epochs) for epoch in range(last)]
    assert counts[: len(first)] == first
    assert max(counts) == counts[-1] <= 60
    assert (sum(counts) >= 200) == (epochs > 1)


def _fitted(
    data: PreparedData, model: StagedModel, space: StructuredSpace, hp: Any, **options: Any
) -> dict[str, list[float]]:
    form = BatchFormat(space.labels, model.preprocessing)
    # A graph for so few batches would be most of the test's time.
    model.network.run_eagerly = True
    batches = TrainingBatches(data, 64, 0, form).dataset
    validation = evaluation_batches(data, 64, form)
    return dict(space.fit(hp, model.network, batches, validation_data=validation, verbose=0, **options).history)


def test_fit_adds_trees_in_every_epoch_and_goes_on_where_it_stopped(table: Callable[..., PreparedData]) -> None:
    data = table()
    hp = keras_tuner.HyperParameters()
    hp.values = {"family": "boosted", "least_examples": 5, "leaves": 8, "boosting_rate": 0.1}
    space = StructuredSpace(summary_of(data), epochs=5)
    whole, parts = space.build(hp), space.build(hp)
    trees = whole.network.get_layer("splits")
    seen: list[int] = []
    counting = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append(int((trees.get_weights()[0][:, 1] < 3e38).sum()))
    )
    history = _fitted(data, whole, space, hp, epochs=8, callbacks=[counting])
    assert len(seen) == len(history["val_loss"]) == 5, "there is room for 200 iterations"
    assert seen[0] >= 18, "so many iterations have a split at least"
    assert seen[1] > seen[0]
    assert history["loss"][-1] < history["loss"][0]
    assert {"accuracy", "val_accuracy", "val_auc"} <= set(history)
    _fitted(data, parts, space, hp, epochs=2)
    resumed = space.build(hp)
    later = _fitted(data, resumed, space, hp, epochs=5, initial_epoch=2)
    np.testing.assert_allclose(later["val_loss"], history["val_loss"][2:], rtol=1e-6)
