"""Sets TensorFlow up in a trial process, before the first op initialises its runtime."""

from __future__ import annotations

import os
import warnings

import keras
import tensorflow as tf

from tuner.data.model_columns import refuse_other_keys
from tuner.data.pipeline_options import leave_autotuning_off
from tuner.spec.search_spec import SearchSpec
from tuner.trial.assignment import Assignment


def configure(assignment: Assignment) -> None:
    """Devices and threads of this process, then what ``begin`` sets.

    It must run before any op: a forked process inherits imported libraries but no initialised runtime.
    """
    if assignment.devices is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(assignment.devices) or "-1"
        # NVML, which counted the devices, numbers them like this.
        os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    if assignment.share_device:
        os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] = "true"
    # Keras says this of every tf.data pipeline; ours shuffles by itself.
    warnings.filterwarnings("ignore", message=".*shuffle=True.* was passed, but will be ignored")
    limit_threads(assignment.threads)
    leave_autotuning_off()
    if assignment.spec.training.deterministic:
        tf.config.experimental.enable_op_determinism()
    begin(assignment.spec, assignment.seed)


def begin(spec: SearchSpec, seed: int) -> None:
    """Seeds every random generator and sets the precision of the models to come."""
    refuse_other_keys()
    keras.utils.set_random_seed(seed)
    if spec.training.mixed_precision:
        keras.mixed_precision.set_global_policy("mixed_float16")


def mirrored() -> tf.distribute.Strategy | None:
    """What trains a model on all GPUs of this process at once, or on all CPU devices; None where there is only one."""
    kind = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    # Counted without initialising the runtime.
    parts = [tf.config.get_logical_device_configuration(each) for each in tf.config.list_physical_devices(kind)]
    if sum(len(part or [None]) for part in parts) < 2:
        return None
    return tf.distribute.MirroredStrategy([device.name for device in tf.config.list_logical_devices(kind)])


def limit_threads(threads: int) -> None:
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(max(2, threads))
