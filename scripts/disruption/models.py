"""Whether two kept models have the same weights. Their files differ all the same: they say when they were written."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import h5py
import numpy as np


def same_weights(one: Path, other: Path) -> bool:
    """Raises OSError, KeyError or BadZipFile where a file is not there or not whole."""
    ours, theirs = _weights(one), _weights(other)
    return ours.keys() == theirs.keys() and all(np.array_equal(ours[name], theirs[name]) for name in ours)


def _weights(file: Path) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}

    def keep(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = item[()]

    with zipfile.ZipFile(file) as archive, h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as weights:
        weights.visititems(keep)
    return found
