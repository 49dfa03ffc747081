"""From raw strings to numbers: the stage of a text model that has nothing to train."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import layers, ops

from search_spaces.statistics import CountTokens
from search_spaces.text_standardization import standardizer
from search_spaces.texts.config import Vectorization

# A bag has room for the tokens of nearly every training text, and of no text for more than so many.
_MOST_HELD = 4096
# Of long texts, how much more than a text of mean length they hold at most.
_LONG, _FOR_SAFETY = 99, 1.25


def vectorizer(
    forms: Sequence[Vectorization],
    count_tokens: CountTokens,
    characters: Sequence[int] = (),
    *,
    unit_length: bool = False,
) -> keras.Model:
    """A model from UTF-8 strings, (batch,), to what a network takes.

    Args:
        characters: quantiles of the texts' lengths at 0, 1, ..., 100 percent; empty where they are not known.
        unit_length: see ``Bag``.

    Returns:
        Of bags a dict: ``tokens``, int32 (batch, n), the places of a text's tokens in the vocabularies, one after the
        other; and ``weights``, float32 (batch, n), what they weigh. Of a text with more than ``n`` those that weigh
        most are there; of one with fewer the weights are 0 at the end. What no vocabulary has is left out.
        Of one sequence: int32 (batch, length), 0 where a text has ended. An empty text is one unknown token, since a
        network cannot average over nothing.

    Raises:
        ValueError: there is no token to know.
    """
    raw = layers.Input((), dtype="string", name="text")
    known = [_known(form, count_tokens) for form in forms]
    makers = [
        _making(form, each, f"tokens_{place}") for place, (form, each) in enumerate(zip(forms, known, strict=True))
    ]
    if forms[0].length is not None:
        return keras.Model(raw, _sequence(raw, forms[0].length, makers[0]), name="vectorizer")
    bags = [_bag(raw, form, each, making) for form, each, making in zip(forms, known, makers, strict=True)]
    wide = side_by_side(bags)
    weights, tokens = ops.top_k(wide, min(wide.shape[-1], sum(_held(each, characters) for each in known)))
    tokens = ops.cast(tokens, "int32")
    if forms[0].weighting == "log_tf_idf":
        weights = _with_logarithms(tokens, weights, known)
    if unit_length:
        weights = _of_unit_length(tokens, weights, [len(each.tokens) for each in known])
    return keras.Model(raw, {"tokens": tokens, "weights": weights}, name="vectorizer")


def side_by_side(parts: Sequence[keras.KerasTensor]) -> keras.KerasTensor:
    """Features (batch, n) one after another; a single part as it is."""
    return layers.Concatenate()(parts) if len(parts) > 1 else parts[0]


def vocabulary_size(vectorizer: keras.Model) -> int:
    """How many tokens what it gives tells apart, those for padding and the unknown among them where it has them."""
    made = [each for each in vectorizer.layers if isinstance(each, layers.TextVectorization)]
    return sum(each.vocabulary_size() - (0 if _is_sequence(vectorizer) else 1) for each in made)


def _is_sequence(vectorizer: keras.Model) -> bool:
    return not isinstance(vectorizer.output, dict)


@dataclass(frozen=True)
class _Known:
    """A vocabulary: its tokens, (n,), what each weighs, float32 (n,), and of how many a text of mean length has one."""

    tokens: npt.NDArray[np.object_]
    weights: npt.NDArray[np.float32]
    mean: float


def _known(form: Vectorization, count_tokens: CountTokens) -> _Known:
    counted = count_tokens(form.tokenization, form.vocabulary)
    # Keras reads a vocabulary through NumPy strings, which end at a NUL.
    places = [place for place, token in enumerate(counted.tokens) if "\0" not in token]
    if not places:
        raise ValueError("the training texts contain no token, so there is nothing to learn from")
    # Objects, since NumPy's own strings would all take as much memory as the longest.
    tokens = np.array([counted.tokens[place] for place in places], dtype=object)
    mean = float(counted.documents[places].sum()) / max(counted.texts, 1)
    return _Known(tokens, counted.inverse_document_frequencies()[places], mean)


def _held(known: _Known, characters: Sequence[int]) -> int:
    """Room for the tokens of nearly all texts: they have more of them where they are longer."""
    longer = characters[_LONG] / max(float(np.mean(characters)), 1.0) if characters else 4.0
    room = math.ceil(known.mean * max(longer, 1.0) * _FOR_SAFETY / 8) * 8
    return min(max(room, 8), len(known.tokens), _MOST_HELD)


def _making(form: Vectorization, known: _Known, name: str) -> dict[str, Any]:
    return {
        "standardize": standardizer(form.tokenization),
        "split": form.tokenization.split,
        "ngrams": form.tokenization.ngrams,
        "vocabulary": known.tokens,
        "name": name,
    }


def _sequence(raw: keras.KerasTensor, length: int, making: dict[str, Any]) -> keras.KerasTensor:
    ids = layers.TextVectorization(output_mode="int", output_sequence_length=length, **making)(raw)
    first = np.zeros(length, dtype="int64")
    first[0] = 1
    return ops.cast(ops.maximum(ids, first), "int32")


def _bag(raw: keras.KerasTensor, form: Vectorization, known: _Known, making: dict[str, Any]) -> keras.KerasTensor:
    """A number for each token, without that of the unknown one: of long texts it would be larger than all others."""
    if form.weighting == "multi_hot":
        bag = ops.cast(layers.TextVectorization(output_mode="count", **making)(raw), "float32")
        # Keras's own "multi_hot" gives the same and takes several times as long.
        return ops.minimum(bag, 1.0)[:, 1:]
    bag = layers.TextVectorization(output_mode="tf_idf", idf_weights=known.weights, **making)(raw)
    return ops.cast(bag, "float32")[:, 1:]


def _with_logarithms(tokens: Any, weights: Any, known: Sequence[_Known]) -> Any:
    """Counts become 1 plus their logarithms, which are told by what one of a token weighs."""
    single = np.concatenate([each.weights for each in known]).reshape(-1, 1)
    table = layers.Embedding(len(single), 1, trainable=False, dtype="float32", name="single")
    of_one = table(tokens)[:, :, 0]
    table.set_weights([single])
    counts = ops.divide(weights, of_one)
    return ops.where(
        ops.greater(weights, 0.0), ops.multiply(ops.add(1.0, ops.log(ops.maximum(counts, 1.0))), of_one), 0.0
    )


def _of_unit_length(tokens: Any, weights: Any, sizes: Sequence[int]) -> Any:
    """Each vocabulary by itself."""
    ends = list(accumulate(sizes))
    parts = []
    for start, end in zip([0, *ends], ends, strict=False):
        inside = ops.logical_and(ops.greater_equal(tokens, start), ops.less(tokens, end))
        # In half precision the length of a text without tokens would be 0.
        parts.append(layers.UnitNormalization(dtype="float32")(ops.where(inside, weights, 0.0)))
    return parts[0] if len(parts) == 1 else layers.Add(dtype="float32")(parts)
