"""The warning of hyperparameters that have no effect."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection
from typing import Any

import keras
import keras_tuner
import numpy as np
import tensorflow as tf

from tuner.data.cache import PreparedData
from tuner.errors import SpaceError
from tuner.hyperparameters import Declared
from tuner.processes.user_code import find_object
from tuner.spec.search_spec import SearchSpec
from tuner.trial.class_weighting import has_own_fit
from tuner.trial.effects import Attempts, OutOfTime, without_effect
from tuner.trial.fingerprint import Comparison, TooMuch
from tuner.trial.model import build_model, of_any_size, parameters_of
from tuner.trial.reads import strings_in

# What a launch may take longer, and once more where something seems to have no effect.
_SECONDS = 10.0
_MOST_PARAMETERS = 20_000_000
# Every training looks at these by itself.
_READ_BY_US = ("batch_size", "class_weight")


def effect_warning(
    spec: SearchSpec, space: keras_tuner.HyperModel, data: PreparedData, read: Collection[str]
) -> str | None:
    """Says which hyperparameters of the default configuration change nothing; None if all do, or it takes too long.

    It resets Keras's global state and all seeds.

    Args:
        read: the hyperparameters at which ``fit`` and callbacks looked.
    """
    exempt = _exempt(spec, space, read)
    try:
        found = without_effect(Attempts(_making(spec, space, data), _SECONDS, spec.hyperparameters), exempt)
    except OutOfTime:
        print("whether every hyperparameter has an effect was not found out: that takes too long", flush=True)
        return None
    if not found:
        return None
    tried = "; ".join(f"{name}, with {_listed(values)}" for name, values in found.items())
    subject = "hyperparameter has" if len(found) == 1 else "hyperparameters have"
    return (
        f"the following {subject} no effect on the model, its optimizer, its data or fit in the configurations "
        f"that were tried: {tried}"
    )


def _listed(values: tuple[Any, ...]) -> str:
    shown = [f"{value:.6g}" if isinstance(value, float) else str(value) for value in values]
    return " and ".join([", ".join(shown[:-1]), shown[-1]])


def _exempt(spec: SearchSpec, space: keras_tuner.HyperModel, read: Collection[str]) -> Callable[[Declared], bool]:
    words = strings_in(type(space).fit, type(space)) if has_own_fit(space) else set()
    for callback in spec.training.callbacks:
        words |= strings_in(find_object(callback, "training.callbacks", SpaceError))

    def exempt(declared: Declared) -> bool:
        name = declared.name.rpartition("/")[2]
        return name in _READ_BY_US or declared.name in read or any(word in name for word in words)

    return exempt


def _making(
    spec: SearchSpec, space: keras_tuner.HyperModel, data: PreparedData
) -> Callable[[keras_tuner.HyperParameters], bytes | None]:
    comparison, unlimited = Comparison(), of_any_size(spec)

    def make(hp: keras_tuner.HyperParameters) -> bytes | None:
        # Else layers would be called dense_1, and weights begin with other values.
        keras.utils.clear_session(free_memory=False)
        keras.utils.set_random_seed(0)
        try:
            model = build_model(space, hp, unlimited, data)
            if parameters_of(model.network) > _MOST_PARAMETERS:
                return None
            after = [random.random(), np.random.random(), tf.random.uniform(()), keras.config.dtype_policy()]
            return comparison.digest(space, model, after)
        except TooMuch:
            return None
        except Exception as error:
            print(f"a configuration was not compared: {type(error).__name__}: {error}", flush=True)
            return None

    return make
