"""Permutations that are the same on every platform and for every NumPy release."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def permutation(length: int, *entropy: int) -> npt.NDArray[np.int64]:
    """A permutation of ``range(length)`` that depends on ``entropy`` alone.

    NumPy keeps the raw streams of its bit generators stable across releases, but not what
    ``Generator.permutation`` makes of them (NEP 19), so the raw stream is ranked here.

    Args:
        length: how many indices.
        entropy: non-negative integers, for example (seed, epoch).

    Returns:
        Shape (length,), int64.
    """
    keys = np.random.PCG64(np.random.SeedSequence(entropy)).random_raw(length)
    return np.argsort(np.asarray(keys), kind="stable").astype(np.int64, copy=False)
