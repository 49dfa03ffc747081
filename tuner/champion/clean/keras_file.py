"""What a .keras file says about its model, read without loading it."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from typing import Any


def needs_custom_objects(path: str) -> bool:
    """Whether a .keras file names classes or functions that Keras does not have."""
    config = configuration(path)
    config.pop("compile_config", None)
    return next(custom_objects(config), None) is not None


def configuration(path: str) -> dict[str, Any]:
    """What a .keras file says about its model."""
    with zipfile.ZipFile(path) as archive:
        found: dict[str, Any] = json.loads(archive.read("config.json"))
    return found


def custom_objects(config: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The classes and functions in a configuration that are not Keras's own."""
    return (item for item in _mappings(config) if _is_custom(item))


def _mappings(value: Any) -> Iterator[dict[str, Any]]:
    """Every mapping inside JSON data."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _mappings(item)


def _is_custom(item: dict[str, Any]) -> bool:
    # Keras's own objects name their module; registered ones have none, registered functions have
    # "builtins", others the module of their author.
    if item.get("class_name") == "__lambda__":
        return True
    if not {"class_name", "config", "module"} <= item.keys():
        return False
    return (item["module"] or "").partition(".")[0] != "keras"
