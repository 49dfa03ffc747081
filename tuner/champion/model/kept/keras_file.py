"""The one place where this project's own processes load a .keras file: no code comes out of it."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
from keras.src.saving.serialization_lib import SafeModeScope

from tuner.errors import ExportError

# Keras stores the members of a file as they are. One that expands is not Keras's, and reading it could fill the memory.
_MOST_EXPANSION = 100
_ALWAYS_READ = 64 * 2**20


def load_keras(file: Path, *, compiled: bool = True, objects: Mapping[str, Any] | None = None) -> keras.Model:
    """Loads a model in Keras's safe mode, whatever the user's code has set: Keras's own classes and registered ones.

    Args:
        objects: others that it may name, by their names there.

    Raises:
        ExportError: it is no whole .keras file.
        ValueError, TypeError or another Exception: it holds something that Keras does not load.
    """
    check_archive(file)
    # An argument alone would yield to keras.config.enable_unsafe_deserialization().
    with SafeModeScope(True):
        return keras.saving.load_model(file, custom_objects=dict(objects or {}), compile=compiled, safe_mode=True)


def check_archive(file: Path) -> None:
    """Raises ExportError for what is no whole .keras file, or none that Keras wrote."""
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError) as error:
        raise ExportError(
            f"{file} is not a whole .keras file ({error}): it may have been cut off while it was copied"
        ) from None
    for member in members:
        if member.file_size > max(_ALWAYS_READ, _MOST_EXPANSION * member.compress_size):
            raise ExportError(
                f"{file} is not a .keras file that Keras wrote: its {member.filename} would expand from "
                f"{member.compress_size:,} bytes to {member.file_size:,}"
            )
