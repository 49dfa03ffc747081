"""Which of the data's named inputs reach a model, and that each reaches the input of its name."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from tuner.data.prepared import PreparedData

# Keras only warns of a dict with other keys than a model's inputs, and then gives them away in the order of the keys.
_SHIFTED = r"(?s)The structure of `inputs` doesn't match the expected structure\.\nExpected: \{.*\nReceived: inputs=\{"


def columns_of(model: Any, data: PreparedData) -> tuple[str, ...] | None:
    """The data's inputs that a functional model takes by name, in the data's order; None where it is given all.

    Raises:
        ValueError: it takes one that the data does not have.
    """
    return _taken(model, [each.name for each in data.inputs]) if data.structure == "dict" else None


def given_to(model: Any, inputs: Any) -> Any:
    """What of a batch's inputs a model takes.

    Raises:
        ValueError: it takes an input that is not among them.
    """
    taken = _taken(model, list(inputs)) if isinstance(inputs, Mapping) else None
    return inputs if taken is None else {name: inputs[name] for name in taken}


def refuse_other_keys() -> None:
    """From now on a functional model, also inside another, fails where it is called with other keys than its own."""
    warnings.filterwarnings("error", message=_SHIFTED)


def _taken(model: Any, names: list[str]) -> tuple[str, ...] | None:
    wanted = getattr(model, "_inputs_struct", None)
    if not isinstance(wanted, Mapping) or set(wanted) == set(names):
        return None
    if unknown := [name for name in wanted if name not in names]:
        raise ValueError(
            f"the model takes {', '.join(map(repr, unknown))}, which the data does not have: name its inputs after "
            f"those of the data, {', '.join(map(repr, names[:30]))}"
        )
    return tuple(name for name in names if name in wanted)
