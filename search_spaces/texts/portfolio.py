"""What a search among models of texts begins with: the cheapest first, each of another kind.

``scripts/bench/run champions --configurations`` says what each is worth.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PORTFOLIO: tuple[Mapping[str, Any], ...] = (
    {"family": "linear"},
    # Where classes differ in more than which tokens they have.
    {"family": "linear", "ratios": False},
    # As Wang and Manning have it.
    {"family": "linear", "token": "words", "ngrams": 2, "weighting": "multi_hot", "standardize": "lower"},
    # Averages and maxima of embeddings, SWEM of Shen et al., ACL 2018.
    {"family": "pooling", "embedding": 64, "dense_units": 64, "learning_rate": 1e-2, "batch_size": 32},
    {"family": "bag", "hidden_units": 64, "learning_rate": 1e-2, "dropout": 0.5},
    {"family": "convolution", "filters": 64, "embedding": 64, "learning_rate": 2e-3},
)
