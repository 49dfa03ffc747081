"""Numbers as the bins that trees tell apart, found once for a training.

scikit-learn would look for them again in every epoch, and, where examples have weights, for a hundred times as long.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

# As many as scikit-learn tells apart.
_MOST = 255
# So many examples tell the percentiles well enough.
_ENOUGH = 200_000


class Bins:
    """The bins of columns.

    Args:
        x: training examples, float32 (examples, columns), finite, or NaN where a value is missing.
    """

    def __init__(self, x: npt.NDArray[np.float32]) -> None:
        step = -(-len(x) // _ENOUGH)
        self._edges = [_edges(column[~np.isnan(column)]) for column in x[::step].T]

    def codes(self, x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The bin of each number, from 0; NaN where it is missing."""
        found = np.empty(x.shape, np.float32)
        for place, edges in enumerate(self._edges):
            found[:, place] = np.searchsorted(edges, x[:, place].astype(np.float64))
        found[np.isnan(x)] = np.nan
        return found

    def thresholds(self, columns: npt.NDArray[np.int64], codes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """What numbers of columns are at most, whose bins are at most ``codes``, both (n,); infinite ones stay so."""
        found = [
            code if np.isinf(code) else self._edges[column][int(code)]
            for column, code in zip(columns.tolist(), codes.tolist(), strict=True)
        ]
        return np.asarray(found, np.float64)


def _edges(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Upper edges, which belong to their bin, of all bins but the last."""
    distinct = np.unique(values).astype(np.float64)
    if len(distinct) <= _MOST:
        return distinct[:-1] / 2 + distinct[1:] / 2
    percent = np.linspace(0, 100, _MOST + 1)[1:-1]
    return np.unique(np.percentile(values.astype(np.float64), percent, method="midpoint"))
