"""What Keras knows by a name or by a serialised configuration: optimizers, losses, metrics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator

_LAMBDA = "__lambda__"


def is_configuration(value: Any) -> bool:
    """Whether a mapping is one object of Keras's as it is serialised, and not several by the names of outputs."""
    return isinstance(value, Mapping) and "class_name" in value


def _of_keras(value: Any) -> Any:
    """Raises ValueError for a configuration that would have Keras import or run other code."""
    for found in _configurations(value):
        name, module = found["class_name"], found.get("module")
        if not isinstance(name, str) or name == _LAMBDA:
            raise ValueError("class_name must be the name of a class")
        if module is not None and str(module).partition(".")[0] != "keras":
            raise ValueError(
                f"the module {module!r} of {name} is not Keras's; register the class with "
                "@keras.saving.register_keras_serializable() in the search space, and give its registered_name without "
                "a module"
            )
    return value


def _configurations(value: Any) -> Iterator[Mapping[str, Any]]:
    """Every serialised object, those within others too."""
    if isinstance(value, Mapping):
        if is_configuration(value):
            yield value
        for each in value.values():
            yield from _configurations(each)
    elif isinstance(value, list):
        for each in value:
            yield from _configurations(each)


def _one(value: Any) -> Any:
    if isinstance(value, Mapping) and not is_configuration(value):
        raise ValueError("must be a name, or a mapping with class_name and config as Keras serialises it")
    return _of_keras(value)


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) or is_configuration(value) else value


OptimizerName = Annotated[str | dict[str, Any], AfterValidator(_one)]
LossNames = Annotated[str | list[Any] | dict[str, Any], AfterValidator(_of_keras)]
MetricNames = Annotated[str | list[Any] | dict[str, Any], AfterValidator(_of_keras), AfterValidator(_as_list)]
