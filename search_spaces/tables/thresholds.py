"""Where columns of numbers are worth dividing: by the target, and by the values themselves.

An interval between percentiles of all rows is wasted on a column that is zero in most of them, and knows nothing of the
target. The thresholds of a small decision tree, grown on one column alone, do: Gorishniy et al., On Embeddings for
Numerical Features in Tabular Deep Learning, arXiv 2203.05556, section 3.2.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from search_spaces.statistics import Thresholds

Learns = Literal["classes", "numbers"]

# Intervals that a column is divided into, at most.
MOST = 64
# Examples that tell the thresholds well enough.
_ENOUGH = 50_000
# A tree looks at every output at every split, of one column after the other.
_SEVERAL, _ENOUGH_OF_MANY = 20, 10_000
# Of an interval, at least, and as a share of all: the thresholds of smaller ones are noise.
_FEWEST, _LEAST_SHARE = 10, 1 / 400
_LARGEST = float(np.finfo(np.float32).max)


def thresholds_of(x: npt.NDArray[Any], y: npt.NDArray[Any], learns: Learns) -> Thresholds:
    """Where a column can be divided.

    Args:
        x: numbers, (n,), NaN where they are missing.
        y: classes, int (n,), or numbers, float (n, m).
    """
    outputs = y.shape[1] if y.ndim == 2 else int(y.max(initial=0)) + 1
    step = -(-len(x) // (_ENOUGH if outputs <= _SEVERAL else _ENOUGH_OF_MANY))
    x, y = x[::step], y[::step]
    there = ~np.isnan(x)
    values = np.clip(x[there], -_LARGEST, _LARGEST).astype(np.float32)
    if not len(values):
        return Thresholds((), ())
    return Thresholds(_telling(values, y[there], learns), _spread(np.unique(values)))


def _telling(values: npt.NDArray[np.float32], y: npt.NDArray[Any], learns: Learns) -> tuple[float, ...]:
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    kind = DecisionTreeClassifier if learns == "classes" else DecisionTreeRegressor
    least = max(_FEWEST, round(_LEAST_SHARE * len(values)))
    tree = kind(max_leaf_nodes=MOST, min_samples_leaf=least, random_state=0).fit(values.reshape(-1, 1), y).tree_
    inner = np.flatnonzero(tree.children_left >= 0)
    # The best split of all leaves is made first, and children are numbered when it is made.
    order = inner[np.argsort(tree.children_left[inner])]
    return tuple(dict.fromkeys(float(np.float32(each)) for each in tree.threshold[order]))


def _spread(distinct: npt.NDArray[np.float32]) -> tuple[float, ...]:
    places = np.linspace(0, len(distinct) - 1, min(len(distinct), MOST + 1)).round().astype(int)
    return tuple(float(each) for each in distinct[places])
