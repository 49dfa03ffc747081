"""Callbacks that a spec asks for: the user's own, and TensorBoard's."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from tuner.errors import SpaceError
from tuner.processes.user_code import find_object
from tuner.spec.search_spec import SearchSpec
from tuner.trial.callbacks import scalars

_KEY = "training.callbacks"


@dataclass(frozen=True)
class CallbackContext:
    """What a factory of callbacks is told, if it takes an argument.

    Attributes:
        study: the study's name.
        trial: the trial's number.
        execution: from 0, which of the trial's executions.
        hyperparameters: the trial's, by name.
        epochs: the most epochs that the execution trains.
        objective: the metric that the search optimises.
        folder: this machine's folder for what the trial's callbacks write; it exists.
    """

    study: str
    trial: int
    execution: int
    hyperparameters: Mapping[str, Any]
    epochs: int
    objective: str
    folder: Path


def user_callbacks(spec: SearchSpec, context: CallbackContext) -> list[keras.callbacks.Callback]:
    """A fresh callback of every factory in ``training.callbacks``.

    Raises:
        SpaceError: a factory cannot be found, or gives something else.
    """
    return [_made_by(name, context) for name in spec.training.callbacks]


def _made_by(name: str, context: CallbackContext) -> keras.callbacks.Callback:
    factory = find_object(name, _KEY, SpaceError)
    if not callable(factory):
        raise SpaceError(f"{_KEY} {name}: {factory!r} cannot be called", _KEY)
    made = factory(context) if _needs_an_argument(factory) else factory()
    if not isinstance(made, keras.callbacks.Callback):
        raise SpaceError(f"{_KEY} {name}: it gave {type(made).__name__}, not a keras.callbacks.Callback", _KEY)
    return made


def _needs_an_argument(factory: Any) -> bool:
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(factory).parameters.values()
    return any(each.kind in positional and each.default is inspect.Parameter.empty for each in parameters)


def tensorboard_callback(folder: Path, hyperparameters: Mapping[str, Any]) -> keras.callbacks.Callback:
    """Writes the epochs' metrics into ``folder``, and the hyperparameters for TensorBoard's HParams plugin."""
    from tensorboard.plugins.hparams import api

    plain = {
        name: value if isinstance(value, bool | int | float) else str(value) for name, value in hyperparameters.items()
    }
    with tf.summary.create_file_writer(str(folder)).as_default():
        api.hparams(plain, trial_id=folder.name)
    return _Scalars(log_dir=str(folder), write_graph=False)


class _Scalars(keras.callbacks.TensorBoard):
    """Writes epochs only, and leaves out what TensorBoard refuses: metrics that are more than one number."""

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        super().on_train_batch_end(batch, {})

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        super().on_test_end(scalars(logs or {}))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        super().on_epoch_end(epoch, scalars(logs or {}))
