"""A trial's file as an export reads it and gives it away."""

from __future__ import annotations

from pathlib import Path

import keras
import pytest

from tuner.champion.model.kept.kept_file import KeptFile
from tuner.champion.model.kept.users_objects import UsersObjects

_CLASSES = {
    "a schedule": lambda: keras.optimizers.AdamW(keras.optimizers.schedules.CosineDecay(0.1, 10)),
    "a schedule in a wrapper": lambda: keras.optimizers.LossScaleOptimizer(
        keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5))
    ),
    "a rate": lambda: keras.optimizers.Adam(0.1),
}


@pytest.mark.parametrize("optimizer", _CLASSES.values(), ids=_CLASSES)
def test_a_file_of_keras_own_parts_is_given_away_as_it_is(optimizer, tmp_path: Path) -> None:
    model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(1, kernel_regularizer="l2")])
    model.compile(optimizer(), keras.losses.Huber(), metrics=[keras.metrics.MeanAbsoluteError(), "mse"])
    model.save(tmp_path / "best.keras")
    kept = KeptFile(tmp_path / "best.keras", UsersObjects())
    loaded, left_out = kept.load(whole=False)
    assert left_out == ()
    assert loaded.optimizer.get_config() == model.optimizer.get_config()
    assert kept.give_away(tmp_path / "model.keras") == ()
    assert (tmp_path / "model.keras").read_bytes() == (tmp_path / "best.keras").read_bytes()
