"""What a search among models of tables begins with: boosted trees, which are cheap and strong, and what differs.

``scripts/bench/run champions --configurations`` says what each is worth.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PORTFOLIO: tuple[Mapping[str, Any], ...] = (
    {"family": "boosted"},
    # Smoother ones, which small tables need.
    {"family": "boosted", "boosting_rate": 0.05, "leaves": 8, "least_examples": 10, "columns_share": 0.3},
    {"family": "mlp", "numbers": "piecewise", "bins": 32, "layers": 2, "units": 256, "learning_rate": 2e-3},
    {"family": "residual", "numbers": "log", "layers": 2, "units": 128, "learning_rate": 1e-3},
    {"family": "boosted", "boosting_rate": 0.05, "leaves": 63, "least_examples": 20, "leaf_l2": 1.0},
    {"family": "cross", "numbers": "quantile", "layers": 2, "units": 128},
)
