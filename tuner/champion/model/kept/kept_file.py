"""A trial's ``.keras`` file with what the user's code has for it: what is loaded of it, and what is given away."""

from __future__ import annotations

import inspect
import json
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
from keras.src.saving.serialization_lib import SafeModeScope

from tuner.champion.clean.keras_file import configuration, custom_objects
from tuner.champion.model.kept.keras_file import check_archive, load_keras
from tuner.champion.model.kept.users_objects import Reference, UsersObject, UsersObjects

_CONFIG = "config.json"
# The parts of a compilation, and what each is called for people.
PARTS = {"optimizer": "optimizer", "loss": "loss", "metrics": "metric", "weighted_metrics": "metric"}
Keeps = Callable[[dict[str, Any]], bool]


@dataclass(frozen=True)
class LeftOut:
    """A part of the compilation that is not in a model. Attributes: ``part``: a value of ``PARTS``."""

    part: str
    name: str

    def __str__(self) -> str:
        return f"the {self.part} {self.name}"


class KeptFile:
    """A file that a trial wrote.

    Raises:
        ExportError: it is no whole ``.keras`` file.
        Exception: its configuration is not one that Keras wrote.
    """

    def __init__(self, file: Path, users: UsersObjects) -> None:
        check_archive(file)
        self._file, self._users = file, users
        self._config = configuration(str(file))
        self._renamed = _renamed(deepcopy(self._config), users)

    @cached_property
    def named(self) -> dict[Reference, UsersObject]:
        """What the user's code has for the names in it."""
        found = {reference: self._users.find(reference) for reference in map(Reference.of, _items(self._config))}
        return {reference: each for reference, each in found.items() if each is not None}

    @property
    def of_the_model(self) -> dict[Reference, UsersObject]:
        """Those without which the model cannot be loaded, not even uncompiled."""
        bare = {name: value for name, value in self._config.items() if name != "compile_config"}
        needed = set(map(Reference.of, _items(bare)))
        return {reference: each for reference, each in self.named.items() if reference in needed}

    def load(self, *, compiled: bool = True, whole: bool = True) -> tuple[keras.Model, tuple[LeftOut, ...]]:
        """The model, and what it was compiled with that cannot be made again.

        Args:
            whole: nothing may be left out.

        Raises:
            Exception: whatever Keras raises.
        """
        config = deepcopy(self._renamed)
        left_out = () if whole or not compiled else tuple(_leave_out(config, self._can_be_made))
        with tempfile.TemporaryDirectory() as folder:
            file = self._written(config, Path(folder, self._file.name))
            return load_keras(file, compiled=compiled, objects=self._unregistered), left_out

    def give_away(self, to: Path) -> tuple[LeftOut, ...]:
        """Writes the file for others, who have no more than what is registered, and says what it lacks.

        Raises:
            OSError: it cannot be written.
        """
        config = deepcopy(self._renamed)
        left_out = tuple(_leave_out(config, self._is_registered))
        written = self._written(config, to)
        if written != to:
            shutil.copyfile(written, to)
        return left_out

    def _written(self, config: dict[str, Any], to: Path) -> Path:
        """The file with another configuration, at ``to`` unless it is the same one."""
        if config == self._config:
            return self._file
        with zipfile.ZipFile(self._file) as archive, zipfile.ZipFile(to, "w") as copy:
            for member in archive.infolist():
                if member.filename == _CONFIG:
                    copy.writestr(_CONFIG, json.dumps(config))
                    continue
                with archive.open(member) as source, copy.open(member.filename, "w", force_zip64=True) as target:
                    shutil.copyfileobj(source, target)
        return to

    @property
    def _unregistered(self) -> dict[str, Any]:
        return {reference.saved: each.value for reference, each in self.named.items() if each.registered is None}

    def _can_be_made(self, item: dict[str, Any]) -> bool:
        return self._says_all(item) and _is_made(item, self._unregistered)

    def _is_registered(self, item: dict[str, Any]) -> bool:
        return self._says_all(item) and _is_made(item, {})

    def _says_all(self, item: dict[str, Any]) -> bool:
        """Whether the configuration has every argument: a metric's has two unless its ``get_config`` adds more."""
        found = None if item["class_name"] in ("function", "__lambda__") else self._users.find(Reference.of(item))
        made_by = next((each for each in getattr(found, "value", object).__mro__ if "__init__" in vars(each)), object)
        if found is None or made_by.__module__.partition(".")[0] == "keras":
            return True
        parameters = inspect.signature(vars(made_by)["__init__"]).parameters.values()
        named = {each.name for each in parameters if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)}
        return named - {"self", "name", "dtype", "reduction"} <= item["config"].keys()


def _items(config: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The named parts of a configuration that are not Keras's: all but functions without a name."""
    return (item for item in custom_objects(config) if item["class_name"] != "__lambda__")


def _is_made(item: dict[str, Any], objects: dict[str, Any]) -> bool:
    try:
        with keras.saving.custom_object_scope(objects), SafeModeScope(True):
            # Optimizers put what they make of a schedule into the configuration itself.
            keras.saving.deserialize_keras_object(deepcopy(item), custom_objects=objects, safe_mode=True)
    except Exception:
        return False
    return True


def _renamed(config: dict[str, Any], users: UsersObjects) -> dict[str, Any]:
    """The configuration with the names under which things are registered now."""
    for item in _items(config):
        reference = Reference.of(item)
        found = users.find(reference)
        if found is None or found.registered in (None, reference.saved):
            continue
        item["config" if reference.what == "function" else "registered_name"] = found.registered
    return config


def _leave_out(config: dict[str, Any], keeps: Keeps) -> Iterator[LeftOut]:
    """Takes out of the compilation what is not kept."""
    compilation = config.get("compile_config")
    if not isinstance(compilation, dict):
        return
    if not compilation.keys() >= {"optimizer", "loss", "metrics"}:
        # A method of the model's own makes sense of it.
        if not all(keeps(item) for item in custom_objects(compilation)):
            config["compile_config"] = None
            yield LeftOut("compilation", "by a method of its own")
        return
    several = _has_several_outputs(config, compilation)
    for key, part in PARTS.items():
        left_out = [LeftOut(part, _name_of(item)) for item in _entries(compilation.get(key)) if not keeps(item)]
        if not left_out:
            continue
        yield from left_out
        if part == "metric":
            compilation[key] = _without(compilation[key], keeps, several)
        else:
            # Of several losses the sum would be another one.
            compilation.pop(key)


def _has_several_outputs(config: dict[str, Any], compilation: dict[str, Any]) -> bool:
    outputs = config.get("config", {}).get("output_layers")
    if outputs is not None:
        return not (isinstance(outputs, list) and len(outputs) == 3 and isinstance(outputs[0], str))
    losses = compilation["loss"]
    return isinstance(losses, list) or (isinstance(losses, dict) and "class_name" not in losses)


def _entries(value: Any) -> Iterator[dict[str, Any]]:
    """The serialized objects in a structure of them."""
    if isinstance(value, dict) and "class_name" in value:
        yield value
    elif isinstance(value, dict | list | tuple):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _entries(each)


def _without(value: Any, keeps: Keeps, by_place: bool) -> Any:
    """The structure with None for what is not kept, or without it where places mean nothing."""
    if isinstance(value, dict) and "class_name" in value:
        return value if keeps(value) else None
    if isinstance(value, dict):
        return {name: _without(each, keeps, by_place=False) for name, each in value.items()}
    if isinstance(value, list | tuple):
        found = [_without(each, keeps, by_place=False) for each in value]
        return found if by_place else [each for each in found if each is not None]
    return value


def _name_of(item: dict[str, Any]) -> str:
    if item["class_name"] == "__lambda__":
        return "made from a Python lambda"
    if item["class_name"] == "function":
        return str(item["config"]).rpartition(">")[2]
    config = item.get("config")
    fn = config.get("fn") if isinstance(config, dict) else None
    # Keras's wrappers of functions, such as MeanMetricWrapper.
    return _name_of(fn) if isinstance(fn, dict) and "class_name" in fn else str(item["class_name"])
