"""KerasTuner on a typical network of images, for as long as a search of ours may take.

Run as a program, it prints one line of JSON: the classes of the test images by the best model, and the number of
models that were trained.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

_VALIDATION_SHARE = 0.2
_EPOCHS = 20
_PATIENCE = 5


def predicted_by_keras_tuner(train: Path, test: Path, image_size: int, minutes: float) -> tuple[list[int], int]:
    """The places of the test images' classes, in the order of their files, and the number of models trained.

    Args:
        train: a folder with one of images for each class.
        test: likewise.
        minutes: of the search; the model that is trained then ends with its epoch.

    Raises:
        subprocess.CalledProcessError: the process failed; it has said why.
    """
    command = [sys.executable, __file__, str(train), str(test), str(image_size), str(minutes)]
    said = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    answer = json.loads(said.splitlines()[-1])
    return answer["predicted"], answer["models"]


def _build(image_size: int, classes: int, hp: Any) -> Any:
    """What KerasTuner's examples of images search: blocks of convolutions, a dense layer, Adam."""
    import keras

    model = keras.Sequential([keras.Input((image_size, image_size, 3)), keras.layers.Rescaling(1 / 255)])
    for block in range(hp.Int("blocks", 2, 4, default=3)):
        filters = hp.Int(f"filters_{block}", 32, 128, step=32)
        model.add(keras.layers.Conv2D(filters, 3, padding="same", activation="relu"))
        model.add(keras.layers.MaxPooling2D())
    model.add(keras.layers.Flatten())
    model.add(keras.layers.Dense(hp.Int("units", 32, 256, step=32), activation="relu"))
    model.add(keras.layers.Dropout(hp.Float("dropout", 0.0, 0.5, step=0.1)))
    model.add(keras.layers.Dense(classes, activation="softmax"))
    rate = hp.Float("learning_rate", 1e-4, 1e-2, sampling="log", default=1e-3)
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def main() -> None:
    began = time.monotonic()
    options = _options()
    import keras
    import keras_tuner

    deadline = began + 60 * options.minutes
    size = (options.image_size,) * 2
    training, validation = keras.utils.image_dataset_from_directory(
        options.train, image_size=size, seed=0, validation_split=_VALIDATION_SHARE, subset="both", verbose=False
    )
    test = keras.utils.image_dataset_from_directory(options.test, image_size=size, shuffle=False, verbose=False)
    classes = len(training.class_names)

    class Timed(keras_tuner.RandomSearch):  # type: ignore[misc]
        models = 0

        def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> Any:
            if time.monotonic() > deadline:
                raise keras_tuner.errors.FatalError("the time is up")
            self.models += 1
            return super().run_trial(trial, *args, **kwargs)

    class Deadline(keras.callbacks.Callback):  # type: ignore[misc]
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if time.monotonic() > deadline:
                self.model.stop_training = True

    with tempfile.TemporaryDirectory() as folder:
        tuner = Timed(
            lambda hp: _build(options.image_size, classes, hp), "val_accuracy", 1000, seed=0, directory=folder
        )
        stopping = keras.callbacks.EarlyStopping("val_accuracy", patience=_PATIENCE)
        batches = [part.cache().prefetch(2) for part in (training, validation)]
        with contextlib.suppress(keras_tuner.errors.FatalError):
            tuner.search(
                batches[0], validation_data=batches[1], epochs=_EPOCHS, callbacks=[stopping, Deadline()], verbose=0
            )
        best = tuner.get_best_models(1)[0]
        predicted = np.argmax(best.predict(test, verbose=0), axis=1).tolist()
    print(json.dumps({"predicted": predicted, "models": tuner.models}))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("train", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("image_size", type=int)
    parser.add_argument("minutes", type=float)
    return parser.parse_args()


if __name__ == "__main__":
    main()
