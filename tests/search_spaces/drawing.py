"""Configurations of a built-in space, drawn without building models."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import keras_tuner

from search_spaces.base import SearchSpace


def drawn_configurations(space: SearchSpace, count: int) -> Iterator[Any]:
    """What ``configure`` makes of random values of every hyperparameter, as KerasTuner draws them."""
    draw = random.Random(0)
    for _ in range(count):
        hp = keras_tuner.HyperParameters()
        space.configure(hp)  # type: ignore[attr-defined]  # of every built-in space
        for each in list(hp.space):
            if hp.is_active(each):
                hp.values[each.name] = each.random_sample(draw.random())
        again = keras_tuner.HyperParameters()
        again.values = dict(hp.values)
        yield space.configure(again)  # type: ignore[attr-defined]
