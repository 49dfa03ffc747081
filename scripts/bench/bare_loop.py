"""The same training without this project: one process that builds and trains every configuration in turn.

usage: python bare_loop.py ORDER.json RESULT.json     (run by overhead.py and epochs.py)
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from spaces import CONFIGURATIONS, EpochClock, build_network

from tuner.data.pipeline_options import leave_autotuning_off


def read_images(folder: Path) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Decodes every ``folder/<class>/<file>.png`` once: float32 (n, side, side, 3) in [0, 255], and labels (n,)."""
    files = sorted(folder.glob("*/*.png"))
    names = sorted({file.parent.name for file in files})
    paths = tf.data.Dataset.from_tensor_slices([str(file) for file in files])
    decoded = paths.map(lambda path: tf.io.decode_png(tf.io.read_file(path), channels=3), tf.data.AUTOTUNE)
    pixels = np.stack(list(decoded.as_numpy_iterator()))
    return pixels.astype(np.float32), np.array([names.index(file.parent.name) for file in files])


def train_all(order: dict[str, Any]) -> list[dict[str, float]]:
    """Trains every configuration and gives when each began and ended, in Unix seconds, and the CPU seconds it used."""
    tf.config.threading.set_intra_op_parallelism_threads(order["threads"])
    tf.config.threading.set_inter_op_parallelism_threads(max(2, order["threads"]))
    if not order.get("autotuned", True):
        leave_autotuning_off()
    callbacks = [EpochClock(order["clock"])] if "clock" in order else []
    train, validation = read_images(Path(order["train"])), read_images(Path(order["validation"]))
    trials = []
    for number, configuration in enumerate(CONFIGURATIONS[: order["trials"]]):
        started, used = time.time(), time.process_time()
        keras.utils.set_random_seed(number)
        model = build_network(configuration, train[0].shape[1])
        model.fit(
            *train,
            validation_data=validation,
            batch_size=order["batch_size"],
            epochs=order["epochs"],
            callbacks=callbacks,
            verbose=2,
        )
        trials.append({"began": started, "ended": time.time(), "cpu": time.process_time() - used})
    return trials


if __name__ == "__main__":
    given = json.loads(Path(sys.argv[1]).read_text())
    Path(sys.argv[2]).write_text(json.dumps(train_all(given)))
