"""Makes packages impossible to import, however they are installed."""

from __future__ import annotations

import importlib.abc
import os
import sys
from collections.abc import Collection, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType


class _Guard(importlib.abc.MetaPathFinder):
    def __init__(self, forbidden: frozenset[str]) -> None:
        self._forbidden = forbidden

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name.partition(".")[0] in self._forbidden:
            raise ImportError(f"{name} must not be needed by an exported model")
        return None


def shut_out(forbidden: Collection[str]) -> None:
    """From now on importing these packages fails, and folders that are their source are not on the path."""
    names = frozenset(forbidden)
    for name in [name for name in sys.modules if name.partition(".")[0] in names]:
        del sys.modules[name]
    sys.meta_path.insert(0, _Guard(names))
    sys.path[:] = [entry for entry in sys.path if not _is_source(entry, names)]


def _is_source(entry: str, names: frozenset[str]) -> bool:
    """Whether a folder on the path holds such packages alone; site-packages, which holds NumPy too, has to stay."""
    packages = (os.path.join(entry, name, "__init__.py") for name in names)
    return any(os.path.isfile(package) for package in packages) and not os.path.isdir(os.path.join(entry, "numpy"))
