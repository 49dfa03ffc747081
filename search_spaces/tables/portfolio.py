"""What a search among models of tables begins with: boosted trees, which are cheap and strong, and what differs.

``scripts/bench/run champions --configurations`` says what each is worth, and decision 0016 what it said.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Where a class is rare, some take it as it is, whatever the default: losses and probabilities want that.
_AS_IS = {"class_weight": "none"}
PORTFOLIO: tuple[Mapping[str, Any], ...] = (
    {"family": "boosted", **_AS_IS},
    # Smoother ones, which small tables need.
    {"family": "boosted", "boosting_rate": 0.05, "leaves": 8, "least_examples": 10, "columns_share": 0.3},
    {
        "family": "mlp",
        "numbers": "piecewise",
        "bins": 32,
        "layers": 2,
        "units": 256,
        "learning_rate": 2e-3,
        **_AS_IS,
    },
    {"family": "tabm", "numbers": "piecewise", "learning_rate": 1e-2},
    {"family": "realmlp", "numbers": "periodic", "learning_rate": 6e-3, **_AS_IS},
    # Sums of functions of one column each.
    {"family": "linear", "numbers": "piecewise", "learning_rate": 1e-2},
    {"family": "boosted", "target_scale": "linear", "boosting_rate": 0.05, "leaves": 63, "leaf_l2": 1.0},
    {"family": "tabm", "numbers": "periodic", "learning_rate": 6e-3},
)
