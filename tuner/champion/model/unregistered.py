"""Names the classes and functions of a .keras file that Keras cannot find, and says what to do about each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras

from tuner.champion.clean.keras_file import configuration, custom_objects

_REGISTER = "@keras.saving.register_keras_serializable()"


def explain_missing(file: Path) -> str | None:
    """What a .keras file needs that is not registered, or not allowed, as sentences; None if nothing is missing.

    Raises:
        OSError, ValueError, KeyError, BadZipFile: it is not a .keras file.
    """
    config = configuration(str(file))
    lambdas = [item for item in custom_objects(config) if item["class_name"] == "__lambda__"]
    found = list(dict.fromkeys(_missing(config)))
    if lambdas:
        found.append(
            "it has a Lambda layer made from a Python lambda, whose code Keras does not load from a file: write it as "
            f"a Layer subclass with {_REGISTER} above it"
        )
    return "; ".join(found) or None


def _missing(config: dict[str, Any]) -> Iterator[str]:
    for item in custom_objects(config):
        if item["class_name"] == "__lambda__":
            continue
        function = item["class_name"] == "function"
        name = str(item["config"] if function else item.get("registered_name") or item["class_name"])
        if keras.saving.get_registered_object(name) is not None:
            continue
        what = "function" if function else "class"
        if ">" in name:
            yield (
                f"the {what} {name.partition('>')[2]} is registered as {name}, but importing the space's module "
                "does not register it: import the module that defines it there, under that package name"
            )
            continue
        where = "" if function or not item.get("module") else f" of module {item['module']}"
        yield f"the {what} {name}{where} is not registered: put {_REGISTER} above its definition, then train again"
