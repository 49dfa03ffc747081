"""How often each token stands in the training texts: counted once per node for each way of making tokens."""

from __future__ import annotations

from search_spaces.statistics import TokenCounts, Tokenization
from tuner.data.prepared import PreparedData


def count_tokens(data: PreparedData, index: int, tokenization: Tokenization) -> TokenCounts:
    """Counts the tokens of a text input, or finds the counts beside the data.

    Args:
        index: of the input.
    """
    raise NotImplementedError
