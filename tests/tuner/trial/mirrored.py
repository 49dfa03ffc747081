"""Trials on two logical CPU devices, which a process must have asked for before TensorFlow does anything.

``python mirrored.py SPEC PREPARED FOLDER`` prints, as JSON, what a trial and an interrupted and resumed one reported.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import tensorflow as tf

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)
tf.config.experimental.enable_op_determinism()

from tests.attempts import Attempts  # noqa: E402
from tuner.spec.search_spec import SearchSpec  # noqa: E402


def main() -> None:
    spec, prepared, folder = SearchSpec.model_validate_json(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
    whole = Attempts(spec, prepared, folder / "whole")
    finished = whole.run()
    trial = Attempts(spec, prepared, folder / "resumed")
    assert trial.run(lambda done: "stop") is None
    resumed = trial.run()
    assert finished is not None and resumed is not None
    found = {
        "devices": len(tf.config.list_logical_devices("CPU")),
        "whole": whole.heard,
        "resumed": trial.heard,
        "values": [finished.value, resumed.value],
        "kept": finished.metrics["val_accuracy"],
        "score": whole.score(finished),
    }
    print(json.dumps(found))


main()
