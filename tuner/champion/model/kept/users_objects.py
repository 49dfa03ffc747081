"""The classes and functions of the user's own that a ``.keras`` file names: which objects they are in this process.

Keras loads those that are registered under the name that the file has. A class that was registered only after training
has another name there; one that is not registered at all is defined in the user's modules all the same, which are
loaded since the space is.
"""

from __future__ import annotations

import ast
import types
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import keras
from keras.src.saving.keras_saveable import KerasSaveable

REGISTER = "@keras.saving.register_keras_serializable"
# What Keras makes of a configuration. Nothing else is called, whatever a file says.
_KINDS = (
    KerasSaveable,
    keras.initializers.Initializer,
    keras.regularizers.Regularizer,
    keras.constraints.Constraint,
    keras.optimizers.schedules.LearningRateSchedule,
)


@dataclass(frozen=True)
class Reference:
    """How a file names a class or a function.

    Attributes:
        saved: the name under which it was registered, or else its own.
        module: of a class; None where the file has none.
    """

    what: Literal["class", "function"]
    saved: str
    module: str | None = None

    @classmethod
    def of(cls, item: dict[str, Any]) -> Reference:
        """Of an item of ``clean.keras_file.custom_objects``, other than a lambda."""
        if item["class_name"] == "function":
            return cls("function", str(item["config"]))
        return cls("class", str(item.get("registered_name") or item["class_name"]), item.get("module"))

    @property
    def name(self) -> str:
        """As the code has it."""
        return self.saved.rpartition(">")[2]


@dataclass(frozen=True)
class UsersObject:
    """Attributes: ``registered``: the name under which Keras knows it now; None where it does not."""

    value: Any
    registered: str | None

    @property
    def reference(self) -> Reference:
        """As a file would name it if it were not registered."""
        what: Literal["class", "function"] = "class" if isinstance(self.value, type) else "function"
        return Reference(what, self.value.__name__, self.value.__module__)

    @property
    def place(self) -> str:
        """``module.name``, from which it can be imported."""
        return f"{self.value.__module__}.{self.value.__name__}"


class UsersObjects:
    """What the user's modules define, and what is registered.

    Args:
        modules: the user's own, those first that are asked first; none for registered objects alone.
    """

    def __init__(self, *modules: Sequence[types.ModuleType]) -> None:
        self._tiers = modules

    def find(self, reference: Reference) -> UsersObject | None:
        """The object that a file means; None if there is none, or if it may be any of several."""
        known = keras.saving.get_registered_object(reference.saved)
        if known is not None:
            return UsersObject(known, reference.saved)
        for tier in (*map(self._definitions, self._tiers), _registered()):
            if found := _only(reference, tier):
                return found
        return None

    @staticmethod
    def _definitions(modules: Sequence[types.ModuleType]) -> Iterator[UsersObject]:
        for module in modules:
            for name, value in list(vars(module).items()):
                if getattr(value, "__module__", None) == module.__name__ and getattr(value, "__name__", None) == name:
                    known = keras.saving.get_registered_name(value)
                    yield UsersObject(value, known if keras.saving.get_registered_object(known) is value else None)

    def defined_in(self, reference: Reference) -> tuple[str, int] | None:
        """The file and line of the user's definition, within functions too; None unless there is exactly one."""
        for modules in self._tiers:
            found = [
                (module.__file__ or "", line)
                for module in modules
                if reference.module in (None, module.__name__)
                for line in _lines(module, reference.name)
            ]
            if len(found) == 1:
                return found[0]
        return None


def _registered() -> Iterator[UsersObject]:
    return (UsersObject(value, name) for name, value in keras.saving.get_custom_objects().items())


def _only(reference: Reference, among: Iterable[UsersObject]) -> UsersObject | None:
    kind = [each for each in among if _is_of_kind(reference, each.value)]
    here = [each for each in kind if reference.module in (None, each.value.__module__)]
    return here[0] if len({id(each.value) for each in here}) == 1 else None


def _lines(module: types.ModuleType, name: str) -> list[int]:
    """The lines of a module's file on which classes and functions of that name begin."""
    try:
        tree = ast.parse(Path(str(module.__file__)).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return []
    kinds = (ast.ClassDef, ast.FunctionDef)
    return [node.lineno for node in ast.walk(tree) if isinstance(node, kinds) and node.name == name]


def is_kerass_own(item: dict[str, Any]) -> bool:
    """Whether an item of ``clean.keras_file.custom_objects`` is a function of Keras's, which has no module either."""
    if item["class_name"] != "function" or keras.saving.get_registered_object(item["config"]) is not None:
        return False
    try:
        keras.saving.deserialize_keras_object(item)
    except Exception:
        return False
    return True


def _is_of_kind(reference: Reference, value: Any) -> bool:
    if getattr(value, "__name__", None) != reference.name:
        return False
    if reference.what == "function":
        return isinstance(value, types.FunctionType)
    return isinstance(value, type) and issubclass(value, _KINDS)
