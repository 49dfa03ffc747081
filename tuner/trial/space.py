"""Finds the search space that a spec names and gives it what it needs."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import keras_tuner

from search_spaces.base import DataSummary, Labels, SearchSpace
from tuner.errors import SpaceError
from tuner.spec import SearchSpec

_BUILT_IN = {
    "image": "search_spaces.image:ImageSpace",
    "text": "search_spaces.text:TextSpace",
    "structured": "search_spaces.structured:StructuredSpace",
}


class _BuildFunction(keras_tuner.HyperModel):
    """A plain function of ``hp`` as a hypermodel, as KerasTuner takes it too."""

    def __init__(self, function: Callable[[keras_tuner.HyperParameters], Any]) -> None:
        super().__init__()
        self._function = function

    def build(self, hp: keras_tuner.HyperParameters) -> Any:
        return self._function(hp)


def load_space(spec: SearchSpec, data: DataSummary) -> keras_tuner.HyperModel:
    """The hypermodel that ``spec.space`` names.

    Raises:
        SpaceError: the module or class cannot be found or constructed.
    """
    name, options = spec.space.name, spec.space.options
    found = _find(_BUILT_IN.get(name, name))
    try:
        return _construct(found, name, spec, data, options)
    except (TypeError, ValueError) as error:
        raise SpaceError(f"space {name} with options {options} cannot be constructed: {error}") from error


def _construct(
    found: Any, name: str, spec: SearchSpec, data: DataSummary, options: dict[str, Any]
) -> keras_tuner.HyperModel:
    if inspect.isclass(found) and issubclass(found, SearchSpace):
        training = spec.training
        return found(data, epochs=training.epochs, batch_size=training.batch_size, **options)
    if inspect.isclass(found) and issubclass(found, keras_tuner.HyperModel):
        return found(**options)
    if isinstance(found, keras_tuner.HyperModel):
        return found
    if inspect.isfunction(found):
        return _BuildFunction(found)
    raise SpaceError(f"space {name}: {found!r} is neither a keras_tuner.HyperModel nor a function of hp")


def labels_of(space: keras_tuner.HyperModel) -> Labels:
    """How the space wants its labels; a plain hypermodel gets integers."""
    return space.labels if isinstance(space, SearchSpace) else "integer"


def _find(name: str) -> Any:
    place, _, attribute = name.rpartition(":")
    try:
        module = _module_of_file(Path(place)) if place.endswith(".py") else importlib.import_module(place)
    except Exception as error:
        raise SpaceError(f"space {name}: {place} cannot be imported: {type(error).__name__}: {error}") from error
    if not hasattr(module, attribute):
        raise SpaceError(f"space {name}: {place} has no {attribute!r}")
    return getattr(module, attribute)


def _module_of_file(path: Path) -> ModuleType:
    # The file's neighbours are importable, as they are for a script.
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    # A space called json.py must not replace the standard library's module.
    name = path.stem if path.stem not in sys.modules else f"space_{path.stem}"
    for loaded in (path.stem, name):
        if getattr(sys.modules.get(loaded), "__file__", None) == str(path):
            return sys.modules[loaded]
    description = importlib.util.spec_from_file_location(name, path)
    if description is None or description.loader is None:
        raise ImportError("not a Python file")
    module = importlib.util.module_from_spec(description)
    sys.modules[name] = module
    try:
        description.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
