"""Epochs wait for nothing: TensorFlow's autotuner draws each of them out where it is on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf

from tests.prepared_arrays import write_several
from tuner.data.batches import BatchFormat, TrainingBatches, evaluation_batches
from tuner.data.cache import open_prepared

SCRIPT, ROOT = Path(__file__).with_name("waiting_epochs.py"), Path(__file__).parents[3]


def seconds(autotuner, *ways):
    """What each way slept and worked."""
    output = subprocess.run(
        [sys.executable, SCRIPT, autotuner, *ways],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    ).stdout
    return [json.loads(line) for line in output.splitlines() if line.startswith("{")]


# With the autotuner on, a thread sleeps for as long as it works.
@pytest.mark.parametrize(
    ("autotuner", "ways"), [("off", ["arrays", "generator", "dataset"]), ("on", ["prepared"])], ids=["others", "ours"]
)
def test_no_epoch_waits_of_datasets_of_others_in_a_process_of_a_trials_and_of_ours_in_any(autotuner, ways):
    taken = seconds(autotuner, *ways)
    assert [each["way"] for each in taken] == ways
    assert all(each["slept"] < 0.5 * each["worked"] for each in taken), taken


def test_every_option_is_said_and_no_number_is_left_to_tensorflow(tmp_path):
    data, form = open_prepared(write_several(tmp_path / "data", "tuple")), BatchFormat(preprocessing=lambda x: x)
    for dataset in (TrainingBatches(data, 4, 0, form).dataset, evaluation_batches(data, 4, form)):
        options = dataset.options()
        assert (options.autotune.enabled, options.deterministic) == (False, True)
        graph = dataset._as_serialized_graph().numpy()
        constants = [
            tf.make_ndarray(node.attr["value"].tensor).item()
            for node in tf.compat.v1.GraphDef.FromString(graph).node
            if node.op == "Const"
            and node.attr["dtype"].type == tf.int64.as_datatype_enum
            and not node.attr["value"].tensor.tensor_shape.dim
        ]
        assert tf.data.AUTOTUNE not in constants
