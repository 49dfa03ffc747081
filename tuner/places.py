"""Where things are when nobody says: the storage URL, and the artifacts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tuner.spec import SearchSpec

STORAGE_VARIABLE = "TUNER_STORAGE"
_SQLITE = "sqlite:///"


def storage_url(given: str | None, spec: SearchSpec | None = None) -> str:
    """The first of: ``given``, $TUNER_STORAGE, the spec's, ``tuner.db`` in the working directory."""
    named = given or os.environ.get(STORAGE_VARIABLE) or (spec.storage if spec else None)
    return _absolute(named or f"{_SQLITE}tuner.db")


def _absolute(url: str) -> str:
    # A worker may have another working directory.
    name = url.removeprefix(_SQLITE)
    if not url.startswith(_SQLITE) or not name or name.startswith((":memory:", "file:")):
        return url
    return f"{_SQLITE}{Path(name).absolute()}"


def artifacts_folder(spec: SearchSpec, storage: str) -> Path:
    """The spec's folder, or ``tuner-artifacts`` beside the SQLite file or in the working directory."""
    if spec.artifacts is not None:
        return Path(spec.artifacts)
    if storage.startswith(_SQLITE):
        return Path(storage.removeprefix(_SQLITE)).parent / "tuner-artifacts"
    return Path.cwd() / "tuner-artifacts"
