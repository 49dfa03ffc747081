"""From raw strings to numbers: the stage of a text model that has nothing to train."""

from __future__ import annotations

import keras
import numpy as np
from keras import layers, ops

from search_spaces.statistics import CountTokens
from search_spaces.text_config import Vectorization
from search_spaces.text_standardization import standardizer

# Padding and the unknown token stand before the vocabulary in sequences.
SPECIAL = 2


def vectorizer(form: Vectorization, count_tokens: CountTokens) -> keras.Model:
    """A model from UTF-8 strings, (batch,), to what a network takes.

    Returns:
        Of a bag: float32 (batch, tokens), the first of which is the unknown one. Of sequences: int32 (batch, length),
        0 where a text has ended. An empty text is one unknown token, since a network cannot average over nothing.

    Raises:
        ValueError: there is no token to know.
    """
    counted = count_tokens(form.tokenization, form.vocabulary)
    # Keras reads a vocabulary through NumPy strings, which end at a NUL.
    known = [place for place, token in enumerate(counted.tokens) if "\0" not in token]
    if not known:
        raise ValueError("the training texts contain no token, so there is nothing to learn from")
    # Objects, since NumPy's own strings would all take as much memory as the longest.
    tokens = np.array([counted.tokens[place] for place in known], dtype=object)
    raw = layers.Input((), dtype="string", name="text")
    making = {
        "standardize": standardizer(form.tokenization),
        "split": form.tokenization.split,
        "ngrams": form.tokenization.ngrams,
        "vocabulary": tokens,
        "name": "tokens",
    }
    if form.length is None:
        weights = counted.inverse_document_frequencies()[known]
        return keras.Model(raw, _bag(raw, form.weighting, making, weights), name="vectorizer")
    ids = layers.TextVectorization(output_mode="int", output_sequence_length=form.length, **making)(raw)
    first = np.zeros(form.length, dtype="int64")
    first[0] = 1
    return keras.Model(raw, ops.cast(ops.maximum(ids, first), "int32"), name="vectorizer")


def _bag(raw: keras.KerasTensor, weighting: str | None, making: dict, weights: np.ndarray) -> keras.KerasTensor:
    if weighting == "tf_idf":
        bag = layers.TextVectorization(output_mode="tf_idf", idf_weights=weights, **making)(raw)
        return ops.cast(bag, "float32")
    bag = ops.cast(layers.TextVectorization(output_mode="count", **making)(raw), "float32")
    # Keras's own "multi_hot" gives the same and takes several times as long.
    return ops.minimum(bag, 1.0) if weighting == "multi_hot" else bag
