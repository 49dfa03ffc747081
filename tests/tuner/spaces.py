"""Search spaces as users write them: plain KerasTuner hypermodels, some of them bad. Images are 8 by 8, grey."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
import threading
import time
from pathlib import Path

import keras
import keras_tuner

SHAPE, CLASSES = (8, 8, 1), 3


def small_model(units: int = 8, rate: float = 0.01, dropout: float = 0.0) -> keras.Model:
    model = keras.Sequential(
        [
            keras.layers.Input(SHAPE),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Flatten(),
            keras.layers.Dense(units, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(dropout),
            keras.layers.Dense(CLASSES, activation="softmax"),
        ]
    )
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


class Fast(keras_tuner.HyperModel):
    """Every kind of hyperparameter that every sampler can handle, the enumerating ones too."""

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        units = hp.Int("units", 4, 8, step=4, default=4)
        rate = hp.Choice("rate", [0.001, 0.01], ordered=False, default=0.001)
        dropped = hp.Boolean("dropped")
        return small_model(units, rate, dropout=0.2 if dropped else 0.0)


class Forgets(Fast):
    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        hp.Int("forgotten", 1, 2)
        return super().build(hp)


class Ranked(keras_tuner.HyperModel):
    """A metric ``score`` that is a hyperparameter and sinks with every step: what a pruner decides is known."""

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        value = hp.Choice("score", [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2], ordered=False, default=0.9)

        def score(labels: object, predictions: object) -> object:
            sunk = keras.ops.cast(model.optimizer.iterations, "float32") / 1000
            return keras.ops.zeros_like(predictions[:, 0]) + value - sunk  # type: ignore[index]

        model = small_model()
        model.compile("sgd", "sparse_categorical_crossentropy", metrics=[score])
        return model


class Slow(keras_tuner.HyperModel):
    """Epochs that wait until a file appears, so that a test decides when training goes on."""

    def __init__(self, gate: str, free_epochs: int = 1) -> None:
        super().__init__()
        self._gate, self._free_epochs = Path(gate), free_epochs

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        hp.Float("rate", 0.001, 0.01, default=0.001)
        return small_model()

    def fit(self, hp: keras_tuner.HyperParameters, model: keras.Model, *args: object, **kwargs: object) -> object:
        def wait(batch: int, logs: object = None) -> None:
            while counter["epoch"] >= self._free_epochs and not self._gate.exists():
                time.sleep(0.01)
                stop.check()

        counter = {"epoch": 0}
        stop = next(c for c in kwargs["callbacks"] if type(c).__name__ == "StopListener")  # type: ignore[attr-defined]
        pause = keras.callbacks.LambdaCallback(
            on_epoch_begin=lambda epoch, logs: counter.update(epoch=epoch), on_train_batch_begin=wait
        )
        kwargs["callbacks"] = [*kwargs["callbacks"], pause]  # type: ignore[misc]
        return model.fit(*args, **kwargs)


class Lingers(Slow):
    """Trains its epochs, then waits until the file appears."""

    def fit(self, hp: keras_tuner.HyperParameters, model: keras.Model, *args: object, **kwargs: object) -> object:
        def wait(logs: object = None) -> None:
            while not self._gate.exists():
                time.sleep(0.01)
                stop.check()

        stop = next(c for c in kwargs["callbacks"] if type(c).__name__ == "StopListener")  # type: ignore[attr-defined]
        kwargs["callbacks"] = [*kwargs["callbacks"], keras.callbacks.LambdaCallback(on_train_end=wait)]  # type: ignore[misc]
        return model.fit(*args, **kwargs)


class Deterministic(keras_tuner.HyperModel):
    """Dropout and BatchNormalization, whose state a resumed trial must get back exactly."""

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        return small_model(
            hp.Int("units", 6, 12, default=6), hp.Float("rate", 1e-3, 1e-1, sampling="log", default=1e-3), dropout=0.3
        )


class Unadvised(keras_tuner.HyperModel):
    """One hyperparameter with a default that was chosen, one without."""

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        return small_model(hp.Int("advised", 4, 8, default=6), hp.Float("rate", 1e-4, 1e-1, sampling="log"))


class Outcomes(keras_tuner.HyperModel):
    """One way to end for each value of ``case``."""

    CASES = (
        "complete",
        "value_error",
        "exception",
        "too_large",
        "nan",
        "keyboard_interrupt",
        "sigkill",
        "sigterm",
        "memory",
        "hang",
        "not_compiled",
        "exit",
    )

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        case = hp.Choice("case", list(self.CASES), default=next(iter(self.CASES)))
        return getattr(self, f"_{case}")()

    def _complete(self) -> keras.Model:
        return small_model()

    def _value_error(self) -> keras.Model:
        raise ValueError("kernel 9 does not fit into 8 pixels")

    def _exception(self) -> keras.Model:
        raise RuntimeError("a bug of the space's author")

    def _too_large(self) -> keras.Model:
        return small_model(units=4096)

    def _nan(self) -> keras.Model:
        return small_model(rate=float("nan"))

    def _keyboard_interrupt(self) -> keras.Model:
        raise KeyboardInterrupt

    def _sigkill(self) -> keras.Model:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("unreachable")

    def _sigterm(self) -> keras.Model:
        os.kill(os.getpid(), signal.SIGTERM)
        return small_model()

    def _memory(self) -> keras.Model:
        resource.setrlimit(resource.RLIMIT_AS, (1, 1))
        return small_model(units=len(bytearray(2**30)))

    def _hang(self) -> keras.Model:
        threading.Event().wait()
        raise AssertionError("unreachable")

    def _not_compiled(self) -> keras.Model:
        return keras.Sequential([keras.layers.Input(SHAPE), keras.layers.Flatten()])

    def _exit(self) -> keras.Model:
        sys.stdout.flush()
        ctypes.CDLL(None)._exit(7)
        raise AssertionError("unreachable")


class Killed(keras_tuner.HyperModel):
    """Ends its process wherever it is built."""

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("unreachable")


class Hangs(keras_tuner.HyperModel):
    """Says its process by a file of this name, and is never built."""

    def __init__(self, says: str) -> None:
        super().__init__()
        self._says = Path(says)

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        Path(f"{self._says}.part").write_text(str(os.getpid()))
        Path(f"{self._says}.part").rename(self._says)
        threading.Event().wait()
        raise AssertionError("unreachable")


class AlwaysBroken(keras_tuner.HyperModel):
    """A bug that shows in every trial but the first, which the preflight would have refused."""

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        units = hp.Int("units", 4, 64, default=4)
        raise RuntimeError(f"no such layer for {units} units")


class Fatal(keras_tuner.HyperModel):
    """Ends the search in every trial but the first: no other one could do better."""

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        hp.Int("units", 4, 64, default=4)
        raise keras_tuner.errors.FatalValueError("the license server is away")


class ReturnsNumber(keras_tuner.HyperModel):
    """A ``fit`` of its own that runs no callback and returns the objective."""

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        return small_model(hp.Int("units", 4, 8, default=4))

    def fit(self, hp: keras_tuner.HyperParameters, model: keras.Model, *args: object, **kwargs: object) -> float:
        return 0.5


class FillsDisk(keras_tuner.HyperModel):
    """Files of this process may not grow: what a full disk does to a checkpoint."""

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        full = hp.Boolean("full")
        if full:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (16384, 16384))
        return small_model(units=1024)


def build_function(hp: keras_tuner.HyperParameters) -> keras.Model:
    """KerasTuner takes plain functions too."""
    return small_model(hp.Int("units", 4, 8, default=4))


class Sized(keras_tuner.HyperModel):
    """``score`` and parameters rise with ``units``; ``waste`` adds parameters alone, ``diverges`` ends in NaN."""

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        units = hp.Int("units", 4, 16, step=4, default=4)
        wasted = hp.Choice("waste", [0, 8], ordered=False, default=0)
        diverges = hp.Boolean("diverges")

        def score(labels: object, predictions: object) -> object:
            return keras.ops.zeros_like(predictions[:, 0]) + units / 100  # type: ignore[index]

        model = small_model(units + wasted)
        rate = float("nan") if diverges else 0.01
        model.compile(keras.optimizers.SGD(rate), "sparse_categorical_crossentropy", metrics=[score])
        return model
