"""Imports TensorFlow and Keras in two thirds of the time or less: every process that trains or exports begins so."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_ABSENT = "sklearn"


@contextmanager
def without_collection() -> Iterator[None]:
    """Nothing that is made in the block is looked at by the garbage collector: modules stay."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def import_keras() -> None:
    """Imports Keras, KerasTuner and TensorFlow, unless Keras is there already."""
    if "keras" in sys.modules:
        return
    # Where scikit-learn is installed Keras imports it, and with it SciPy's statistics, for wrappers that make an
    # estimator of a model. None is made here. Whoever imports scikit-learn later gets it.
    hidden = _ABSENT not in sys.modules
    if hidden:
        sys.modules[_ABSENT] = None  # type: ignore[assignment]  # as the import system takes it
    try:
        with without_collection():
            import keras  # noqa: F401
            import keras_tuner  # noqa: F401
            import tensorflow  # noqa: F401
    finally:
        if hidden:
            del sys.modules[_ABSENT]
