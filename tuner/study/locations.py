"""Where things are when nobody says: the storage URL, the artifacts, and this node's cache."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from storage.artifacts import StudyArtifacts

if TYPE_CHECKING:
    from tuner.spec.search_spec import SearchSpec

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


def new_study_artifacts(spec: SearchSpec, storage: str) -> StudyArtifacts:
    """The artifacts that a spec's study will have once it is created. Raises InvalidPlace.

    They are in the spec's folder or bucket, else in ``tuner-artifacts`` beside the SQLite file or in the working
    directory.
    """
    return study_artifacts(_place(spec, storage), spec.study, default_cache_root())


def _place(spec: SearchSpec, storage: str) -> str:
    if spec.artifacts is not None:
        return spec.artifacts
    beside = Path(storage.removeprefix(_SQLITE)).parent if storage.startswith(_SQLITE) else Path.cwd()
    return str(beside / "tuner-artifacts")


def default_cache_root() -> Path:
    """``$TUNER_CACHE``, else ``~/.cache/keras-champion``."""
    given = os.environ.get("TUNER_CACHE")
    return Path(given).expanduser().absolute() if given else Path.home() / ".cache/keras-champion"


def study_artifacts(place: str, study: str, cache: Path) -> StudyArtifacts:
    """A study's artifacts at a place as its record names it. Raises InvalidPlace.

    Args:
        cache: this node's; it holds the local files of studies in buckets.
    """
    return StudyArtifacts.at(place, study, cache / "studies")
