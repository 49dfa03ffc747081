"""What callbacks remember from epoch to epoch, so that a resumed trial goes on with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras

# What Keras's own callbacks forget in on_train_begin, or learn while they train.
_ATTRIBUTES = {
    keras.callbacks.EarlyStopping: ("wait", "best", "best_epoch"),
    keras.callbacks.ReduceLROnPlateau: ("wait", "best", "cooldown_counter"),
    keras.callbacks.SwapEMAWeights: ("_ema_weights_in_model",),
}


def states_of(callbacks: Sequence[keras.callbacks.Callback]) -> dict[str, dict[str, Any]]:
    """The state of each callback that has one, as JSON: of Keras's own, and what ``get_state()`` of others gives."""
    found = {_name(place, callback): _state_of(callback) for place, callback in enumerate(callbacks)}
    return {name: state for name, state in found.items() if state is not None}


def restore_states(callbacks: Sequence[keras.callbacks.Callback], states: Mapping[str, dict[str, Any]]) -> None:
    """Gives callbacks their states: to be called after their ``on_train_begin``."""
    for place, callback in enumerate(callbacks):
        state = states.get(_name(place, callback))
        if state is None:
            continue
        if _speaks_for_itself(callback):
            callback.set_state(state)
            continue
        for name, value in state.items():
            setattr(callback, name, value)


def _name(place: int, callback: keras.callbacks.Callback) -> str:
    return f"{place}:{type(callback).__name__}"


def _state_of(callback: keras.callbacks.Callback) -> dict[str, Any] | None:
    if _speaks_for_itself(callback):
        return dict(callback.get_state())
    for kind, names in _ATTRIBUTES.items():
        if isinstance(callback, kind):
            return {name: _plain(getattr(callback, name)) for name in names if hasattr(callback, name)}
    return None


def _speaks_for_itself(callback: keras.callbacks.Callback) -> bool:
    return hasattr(callback, "get_state") and hasattr(callback, "set_state")


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value
