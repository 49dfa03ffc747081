"""Trains for a few epochs that are all work of this thread, and prints how long it slept beside how long it worked.

``python waiting_epochs.py off|on WAY ...`` with TensorFlow's autotuner off, as trials have it, or as TensorFlow
has it.
The ways: ``arrays`` and ``generator`` are what Keras makes a dataset of, ``dataset`` is one of a loop's own,
``prepared`` the batches of a trial. Prints one line for each, as JSON.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tests.prepared_arrays import write_several
from tuner.data.batches import BatchFormat, TrainingBatches, evaluation_batches
from tuner.data.cache import open_prepared
from tuner.data.pipeline_options import leave_autotuning_off

# Between two of the times at which the autotuner wakes up, which are 0.15 and 0.31 s.
EPOCH_SECONDS, EPOCHS, STEPS = 0.2, 4, 10
X, Y = np.zeros((STEPS, 4), np.float32), np.zeros((STEPS, 1), np.float32)


def work(*_: object) -> None:
    """Keeps the processor busy for one step."""
    until = time.thread_time() + EPOCH_SECONDS / STEPS
    while time.thread_time() < until:
        pass


class Working(keras.callbacks.Callback):
    def on_train_batch_begin(self, batch: int, logs: object = None) -> None:
        work()

    def on_test_batch_begin(self, batch: int, logs: object = None) -> None:
        work()


def model() -> keras.Model:
    made = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(1)])
    made.compile("sgd", "mse")
    made.fit(X, Y, batch_size=1, validation_data=(X, Y), verbose=0)
    return made


def arrays() -> Callable[[], object]:
    made = model()
    return lambda: made.fit(X, Y, batch_size=1, validation_data=(X, Y), epochs=EPOCHS, callbacks=[Working()], verbose=0)


def generator() -> Callable[[], object]:
    class Batches(keras.utils.PyDataset):
        def __len__(self) -> int:
            return STEPS

        def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
            return X[:1], Y[:1]

    made = model()
    return lambda: made.fit(Batches(), epochs=EPOCHS, callbacks=[Working()], verbose=0)


def dataset() -> Callable[[], object]:
    batches = tf.data.Dataset.from_tensor_slices(X).batch(1).prefetch(2)

    def loop() -> None:
        for _ in range(EPOCHS):
            for _batch in batches:
                work()

    return loop


def prepared() -> Callable[[], object]:
    with tempfile.TemporaryDirectory() as folder:
        data = open_prepared(write_several(Path(folder, "data"), "tuple"))
        training = TrainingBatches(data, 1, 0, BatchFormat()).dataset
        validation = evaluation_batches(data, 1, BatchFormat())
    numbers, kinds = keras.layers.Input((3,)), keras.layers.Input(())
    made = keras.Model((numbers, kinds), (keras.layers.Dense(3)(numbers), keras.layers.Dense(1)(numbers)))
    made.compile("sgd", ["sparse_categorical_crossentropy", "mse"])
    made.fit(training, validation_data=validation, verbose=0)
    return lambda: made.fit(training, validation_data=validation, epochs=EPOCHS, callbacks=[Working()], verbose=0)


def waited_for_processor() -> float:
    """Seconds in which this thread could have run, had another process not."""
    return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9


WAYS = {way.__name__: way for way in (arrays, generator, dataset, prepared)}


def measured(run: Callable[[], object]) -> dict[str, float]:
    """Seconds that this thread worked, and that it slept."""
    wall, worked, queued = time.perf_counter(), time.thread_time(), waited_for_processor()
    run()
    worked = time.thread_time() - worked
    slept = time.perf_counter() - wall - worked - (waited_for_processor() - queued)
    return {"slept": slept, "worked": worked}


def main() -> None:
    if sys.argv[1] == "off":
        leave_autotuning_off()
    for way in sys.argv[2:]:
        print(json.dumps({"way": way} | measured(WAYS[way]())), flush=True)


main()
