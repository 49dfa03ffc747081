"""Which hyperparameters a space's own ``fit`` and the callbacks of a spec may look at, while nothing else shows it."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterable, Iterator
from typing import Any

from tuner.processes.user_code import is_of_a_library


class ReadValues(dict[str, Any]):
    """Values of hyperparameters, and the names of those that were read."""

    def __init__(self, values: dict[str, Any]) -> None:
        super().__init__(values)
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        self.read.add(name)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        self.read.add(name)
        return super().get(name, default)

    def pop(self, name: str, *default: Any) -> Any:
        self.read.add(name)
        return super().pop(name, *default)

    def copy(self) -> dict[str, Any]:
        self.read.update(super().keys())
        return dict(super().items())

    # `dict(...)` and `**` ask for this too.
    def __iter__(self) -> Iterator[str]:
        return iter(self.copy())

    def keys(self) -> Any:
        return self.copy().keys()

    def values(self) -> Any:
        return self.copy().values()

    def items(self) -> Any:
        return self.copy().items()

    def __or__(self, other: Any) -> Any:
        return self.copy() | other

    def __ror__(self, other: Any) -> Any:
        return other | self.copy()

    def __repr__(self) -> str:
        return repr(self.copy())


def strings_in(code: Any, owner: type | None = None) -> set[str]:
    """The strings in the code of a function or class, and in that of what it names of its class and its module.

    By one of these, or by a name of which one of these is a part, it may read a hyperparameter that it does not read
    beside the default values of the others.

    Args:
        owner: the class that a function belongs to.
    """
    found: set[str] = set()
    waiting, seen = [code], set[int]()
    while waiting:
        each = waiting.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        if isinstance(each, str):
            found.add(each)
        elif isinstance(each, type):
            waiting += vars(each).values() if _is_users(sys.modules.get(each.__module__)) else ()
        else:
            waiting += _parts(each, owner)
    return found - {""}


def _parts(each: Any, owner: type | None) -> Iterable[Any]:
    if isinstance(each, tuple | list):
        return each
    if isinstance(each, types.CodeType):
        return each.co_consts
    if isinstance(each, types.MethodType | staticmethod | classmethod):
        return [each.__func__]
    if not isinstance(each, types.FunctionType):
        return []
    named = [name for code in _nested(each.__code__) for name in code.co_names]
    known = [each.__globals__[name] for name in named if name in each.__globals__]
    modules = [module for module in known if isinstance(module, types.ModuleType) and _is_users(module)]
    known += [getattr(module, name, None) for module in modules for name in named]
    cells = [cell.cell_contents for cell in each.__closure__ or () if cell != types.CellType()]
    members = [getattr(owner, name, None) for name in named] if owner else []
    return [each.__code__, each.__defaults__, each.__kwdefaults__, *known, *cells, *members]


def _is_users(module: Any) -> bool:
    file = getattr(module, "__file__", None)
    return file is not None and not is_of_a_library(file)


def _nested(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for each in code.co_consts:
        if isinstance(each, types.CodeType):
            yield from _nested(each)
