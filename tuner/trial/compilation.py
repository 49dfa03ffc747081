"""The optimizer, loss and metrics that a spec asks for, in place of those that a space compiles its models with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import partial
from typing import Any

import keras

from tuner.errors import SpaceError
from tuner.spec.compilation import is_configuration
from tuner.spec.sections import Training

# Keras chooses one by the shapes of target and output.
_BY_SHAPE = ("accuracy", "acc", "crossentropy", "ce")
_PARTS: Mapping[str, Any] = {"optimizer": keras.optimizers, "loss": keras.losses, "metrics": keras.metrics}


def check_compilation(training: Training) -> None:
    """Raises SpaceError: Keras does not know what the spec names."""
    for part, asked in _asked(training).items():
        _with_each(asked, partial(_made, part))
    if _asked(training):
        # Else metrics of the next model would be called auc_1.
        keras.utils.clear_session()


def compile_as_asked(model: keras.Model, training: Training) -> None:
    """Compiles the model again with what the spec asks for; what it does not ask for stays.

    Raises:
        SpaceError: Keras does not know a name, or the model's ``compile`` does not take it.
    """
    asked = {part: _with_each(value, _maker(part)) for part, value in _asked(training).items()}
    if not asked:
        return
    own = getattr(model, "_compile_config", None) if model.compiled else None
    try:
        model.compile(**{**({} if own is None else own.config), **asked})
    except TypeError as error:
        keys = " and ".join(f"training.{part}" for part in asked)
        raise SpaceError(
            f"{keys}: {type(model).__name__}.compile does not take what Keras's own does: {error}",
            f"training.{next(iter(asked))}",
        ) from error


def _asked(training: Training) -> dict[str, Any]:
    return {part: value for part in _PARTS if (value := getattr(training, part)) is not None}


def _with_each(asked: Any, make: Callable[[Any], Any]) -> Any:
    if isinstance(asked, list):
        return [_with_each(each, make) for each in asked]
    if isinstance(asked, Mapping) and not is_configuration(asked):
        return {name: _with_each(each, make) for name, each in asked.items()}
    return make(asked)


def _maker(part: str) -> Callable[[Any], Any]:
    # Keras calls what a name stands for by that name in its logs.
    return lambda asked: asked if asked is None or isinstance(asked, str) else _made(part, asked)


def _made(part: str, asked: Any) -> Any:
    if asked is None or (part == "metrics" and asked in _BY_SHAPE):
        return asked
    kind, key = part.removesuffix("s") if part == "metrics" else part, f"training.{part}"
    name = asked["class_name"] if is_configuration(asked) else asked
    try:
        found = _PARTS[part].get({"config": {}, **asked} if is_configuration(asked) else asked)
    except (ValueError, TypeError) as error:
        near = get_close_matches(str(name), [each for each in dir(_PARTS[part]) if each[0] != "_"], n=2)
        meant = f"; did you mean {' or '.join(near)}?" if near else f": {' '.join(str(error).split())[:300]}"
        raise SpaceError(f"{key}: Keras cannot make the {kind} {name!r}{meant}", key) from error
    if found is None or not (callable(found) or isinstance(found, keras.optimizers.Optimizer)):
        raise SpaceError(f"{key}: {name!r} is not a {kind}", key)
    return found
