"""Which formats there are, and what each needs."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Sequence

from tuner.errors import ExportError

KERAS, SAVED_MODEL, ONNX, LITERT = "keras", "saved_model", "onnx", "litert"
# Every export has them.
ALWAYS = (KERAS, SAVED_MODEL)
FORMATS = (*ALWAYS, ONNX, LITERT)
# The extra of a format's name brings its packages.
_PACKAGES = {ONNX: ("onnx", "tf2onnx", "onnxruntime"), LITERT: ("ai_edge_litert",)}


def checked_formats(wanted: Sequence[str]) -> tuple[str, ...]:
    """The formats to write, in the order of ``FORMATS``; those that every export has are among them.

    Raises:
        ExportError: there is no such format.
    """
    for name in wanted:
        if name not in FORMATS:
            raise ExportError(f"there is no format {name!r}: the formats are {', '.join(FORMATS)}")
    return tuple(name for name in FORMATS if name in wanted or name in ALWAYS)


def require_packages(formats: Sequence[str]) -> None:
    """Raises ExportError if a package that a format needs is not installed on this machine."""
    for name in formats:
        missing = [package for package in _PACKAGES.get(name, ()) if importlib.util.find_spec(package) is None]
        if missing:
            raise ExportError(
                f"{name} needs {', '.join(missing)}, not installed here: pip install 'keras-champion[{name}]'"
            )


def versions_of(formats: Sequence[str]) -> dict[str, str]:
    """The versions of the packages that wrote and ran these formats."""
    packages = (package for name in formats for package in _PACKAGES.get(name, ()))
    return {package: importlib.metadata.version(package) for package in packages}
