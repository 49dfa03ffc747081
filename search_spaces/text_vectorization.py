"""From raw strings to numbers: the stage of a text model that has nothing to train."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import layers, ops

from search_spaces.statistics import CountTokens
from search_spaces.text_config import Vectorization
from search_spaces.text_standardization import standardizer

# Padding and the unknown token stand before the vocabulary in sequences.
SPECIAL = 2


def vectorizer(forms: Sequence[Vectorization], count_tokens: CountTokens) -> keras.Model:
    """A model from UTF-8 strings, (batch,), to what a network takes.

    Returns:
        Of bags: float32 (batch, tokens), side by side, the first token of each is the unknown one. Of one sequence:
        int32 (batch, length), 0 where a text has ended. An empty text is one unknown token, since a network cannot
        average over nothing.

    Raises:
        ValueError: there is no token to know.
    """
    raw = layers.Input((), dtype="string", name="text")
    parts = [_vectorized(raw, each, count_tokens, f"tokens_{place}") for place, each in enumerate(forms)]
    return keras.Model(raw, side_by_side(parts), name="vectorizer")


def side_by_side(parts: Sequence[keras.KerasTensor]) -> keras.KerasTensor:
    """Features (batch, n) one after another; a single part as it is."""
    return layers.Concatenate()(parts) if len(parts) > 1 else parts[0]


def vocabulary_sizes(vectorizer: keras.Model) -> list[int]:
    """Of each of its vectorizations, the unknown token included."""
    made = {each.name: each for each in vectorizer.layers if isinstance(each, layers.TextVectorization)}
    return [made[name].vocabulary_size() for name in sorted(made)]


def _vectorized(raw: keras.KerasTensor, form: Vectorization, count_tokens: CountTokens, name: str) -> keras.KerasTensor:
    counted = count_tokens(form.tokenization, form.vocabulary)
    # Keras reads a vocabulary through NumPy strings, which end at a NUL.
    known = [place for place, token in enumerate(counted.tokens) if "\0" not in token]
    if not known:
        raise ValueError("the training texts contain no token, so there is nothing to learn from")
    # Objects, since NumPy's own strings would all take as much memory as the longest.
    tokens = np.array([counted.tokens[place] for place in known], dtype=object)
    making: dict[str, Any] = {
        "standardize": standardizer(form.tokenization),
        "split": form.tokenization.split,
        "ngrams": form.tokenization.ngrams,
        "vocabulary": tokens,
        "name": name,
    }
    if form.length is None:
        weights = counted.inverse_document_frequencies()[known]
        return _bag(raw, form.weighting, making, weights)
    ids = layers.TextVectorization(output_mode="int", output_sequence_length=form.length, **making)(raw)
    first = np.zeros(form.length, dtype="int64")
    first[0] = 1
    return ops.cast(ops.maximum(ids, first), "int32")


def _bag(
    raw: keras.KerasTensor, weighting: str | None, making: dict[str, Any], weights: npt.NDArray[np.float32]
) -> keras.KerasTensor:
    if weighting == "tf_idf":
        bag = layers.TextVectorization(output_mode="tf_idf", idf_weights=weights, **making)(raw)
        return ops.cast(bag, "float32")
    bag = ops.cast(layers.TextVectorization(output_mode="count", **making)(raw), "float32")
    # Keras's own "multi_hot" gives the same and takes several times as long.
    return ops.minimum(bag, 1.0) if weighting == "multi_hot" else bag
