"""Finds the objects of the user's own code that a spec names."""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from tuner.errors import DataError, SpaceError
from tuner.processes.shipped_code import on_this_machine

_LIBRARY = re.compile(r"[/\\](site-packages|dist-packages|lib[/\\]python[0-9.]+)[/\\]|^<")
_OURS = Path(__file__).resolve().parents[1]
_OUR_PACKAGES = frozenset({"tuner", "search_spaces", "storage"})


def find_object(name: str, what: str, error_type: type[DataError | SpaceError]) -> Any:
    """What ``package.module:attribute`` or ``path/to/file.py:attribute`` names; ``attribute.of_it`` too.

    Args:
        what: the key of the spec that names it.

    Raises:
        error_type: the module cannot be imported, or lacks the attribute.
    """
    place, _, attribute = name.rpartition(":")
    try:
        if place.endswith(".py"):
            module = _module_of_file(on_this_machine(Path(place)))
        else:
            module = importlib.import_module(place)
    except Exception as error:
        said = f"{what} {name}: {place} cannot be imported: {type(error).__name__}: {error}"
        raise error_type(said, key=what) from error
    found: Any = module
    for number, part in enumerate(attribute.split(".")):
        if not hasattr(found, part):
            owner = ".".join(attribute.split(".")[:number]) or place
            raise error_type(f"{what} {name}: {owner} has no {part!r}", key=what)
        found = getattr(found, part)
    return found


def users_modules(name: str) -> tuple[list[ModuleType], list[ModuleType]]:
    """The loaded modules that are the user's own code, not a library's or this project's.

    Args:
        name: of an object as a spec has it. Its package is the user's wherever it is installed.

    Returns:
        The module in which that object is, and all of them.
    """
    place = name.rpartition(":")[0]
    is_file = place.endswith(".py")
    package = "" if is_file else place.partition(".")[0]
    every = [module for at, module in list(sys.modules.items()) if _is_users(at, module, package)]
    file = str(on_this_machine(Path(place)))
    return [each for each in every if (each.__file__ == file if is_file else each.__name__ == place)], every


def _is_users(name: str, module: ModuleType, package: str) -> bool:
    top, file = name.partition(".")[0], getattr(module, "__file__", None)
    if not isinstance(file, str) or top in _OUR_PACKAGES:
        return False
    return top == package or not is_of_a_library(file)


def user_frames(error: BaseException) -> str:
    """The part of a traceback that is the user's own code, each line indented; empty if none of it is."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not is_of_a_library(frame.filename) and _OURS not in Path(frame.filename).resolve().parents
    ]
    return "".join(traceback.format_list(frames)).rstrip()


def is_of_a_library(file: str) -> bool:
    """Whether a file of code is Python's own, or an installed package's."""
    return _LIBRARY.search(file) is not None


def _module_of_file(path: Path) -> ModuleType:
    # The file's neighbours are importable, as they are for a script.
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    # A file called json.py must not replace the standard library's module.
    name = path.stem if path.stem not in sys.modules else f"user_{path.stem}"
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
