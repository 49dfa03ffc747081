"""How often each token stands in the training texts: counted once per node for each way of making tokens.

The counts of one tokenization are four ``.npy`` files in a folder beside the data's columns, the most frequent token
first, so that a trial reads only as many tokens as its vocabulary has.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from filelock import FileLock

from search_spaces.statistics import TokenCounts, Tokenization
from tuner.data.bad_files import printable
from tuner.data.columns import ArrayColumn, ArrayWriter, Column, StringColumn, StringWriter, open_column
from tuner.data.prepared import PreparedData
from tuner.data.splits import TRAIN
from tuner.errors import DataError

if TYPE_CHECKING:
    import tensorflow as tf

# Of the files described here.
_LAYOUT = 2
# What is looked at at a time.
_CHUNK_TEXTS = 4096
_CHUNK_BYTES = 2**22
# What TextVectorization means by them: padding, and a token that it does not know.
_RESERVED = (b"", b"[UNK]")

_Counts = npt.NDArray[np.int64]


def count_tokens(data: PreparedData, index: int, tokenization: Tokenization, most: int | None = None) -> TokenCounts:
    """Counts the tokens of a text input in the training split, or finds the counts beside the data.

    Processes that want the same counts at once wait for one of them. Counting holds every different token in memory,
    and a piece of the texts; afterwards only what is asked for is read.

    Args:
        index: of the input.
        most: give no more than so many of the most frequent tokens; None gives all.

    Raises:
        DataError: the input is no text, or the counts cannot be written.
    """
    column = data.split(TRAIN).inputs[index]
    if not isinstance(column, StringColumn):
        raise DataError(f"input {index} is of kind {data.inputs[index].kind}, not text")
    place = data.folder / _name(index, tokenization)
    try:
        with FileLock(place.with_name(f".{place.name}.lock")):
            found = _read(place, len(column), most)
            if found is None:
                _write(place, column, tokenization)
                found = _read(place, len(column), most)
    except OSError as error:
        raise DataError(
            f"token counts cannot be written to {printable(os.fspath(place.parent))}: {error.strerror}; free space "
            "there, or name another folder in the environment variable TUNER_CACHE"
        ) from error
    if found is None:
        raise DataError(f"the token counts in {printable(os.fspath(place))} are damaged: remove the folder")
    return found


def _name(index: int, tokenization: Tokenization) -> str:
    import keras

    # Another Keras may make other tokens.
    key = json.dumps([_LAYOUT, keras.__version__, asdict(tokenization)], sort_keys=True)
    return f"tokens-x{index}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"


def _read(place: Path, texts: int, most: int | None) -> TokenCounts | None:
    try:
        columns = [open_column(place, stem, "array") for stem in ("counts", "documents")]
        strings = open_column(place, "tokens", "strings")
    except (FileNotFoundError, ValueError, EOFError):
        return None
    counts, documents = (_values(each)[:most] for each in columns)
    assert isinstance(strings, StringColumn)
    tokens = tuple(token.decode() for token in strings.rows(np.arange(len(counts))))
    return TokenCounts(tokens, np.array(counts), np.array(documents), texts, distinct=len(strings))


def _values(column: Column) -> npt.NDArray[Any]:
    assert isinstance(column, ArrayColumn)
    return column.values


def _write(place: Path, column: StringColumn, tokenization: Tokenization) -> None:
    """Counts, and writes what was counted: the folder is there as a whole or not at all."""
    tokens, counts, documents = _count(column, tokenization)
    temporary = place.with_name(f".{place.name}.{uuid.uuid4().hex}")
    temporary.mkdir()
    try:
        with StringWriter(temporary, "tokens") as strings:
            for start in range(0, len(tokens), _CHUNK_TEXTS):
                strings.write(tokens[start : start + _CHUNK_TEXTS])
        for stem, values in (("counts", counts), ("documents", documents)):
            with ArrayWriter(temporary, stem, np.int64) as writer:
                writer.write(values)
        shutil.rmtree(place, ignore_errors=True)
        os.replace(temporary, place)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _count(column: StringColumn, tokenization: Tokenization) -> tuple[list[bytes], _Counts, _Counts]:
    """All tokens, the most frequent first, of equally frequent ones the last in the order of bytes first, as Keras
    has it; how often each stands in all texts; how many texts hold it."""
    split = _splitter(tokenization)
    places: dict[bytes, int] = {}
    counts, documents = np.zeros(0, np.int64), np.zeros(0, np.int64)
    for start, end in _chunks(column):
        tokens, seen, held = _count_chunk(split(column.rows(np.arange(start, end))))
        where = np.fromiter((places.setdefault(token, len(places)) for token in tokens), np.int64, len(tokens))
        counts, documents = _with_room(counts, len(places)), _with_room(documents, len(places))
        # The tokens of a chunk differ, so every place is named once.
        counts[where] += seen
        documents[where] += held
    names = np.array(list(places), dtype=object)
    order = np.lexsort((names, counts[: len(names)]))[::-1]
    order = order[[name not in _RESERVED for name in names[order]]] if len(order) else order
    return names[order].tolist(), counts[order], documents[order]


def _with_room(values: _Counts, length: int) -> _Counts:
    """At least so long, zeros at the end; grows in large steps."""
    if len(values) >= length:
        return values
    return np.concatenate([values, np.zeros(max(length, 2 * len(values)) - len(values), np.int64)])


def _chunks(column: StringColumn) -> list[tuple[int, int]]:
    """Consecutive ranges of texts, each with few enough bytes, or a single text."""
    chunks, start = [], 0
    while start < len(column):
        limit = column.offsets[start] + _CHUNK_BYTES
        fitting = int(np.searchsorted(column.offsets[start : start + _CHUNK_TEXTS + 1], limit, "right")) - 1
        end = start + max(1, fitting)
        chunks.append((start, end))
        start = end
    return chunks


def _splitter(tokenization: Tokenization) -> Callable[[npt.NDArray[np.object_]], tf.RaggedTensor]:
    """Keras's own way from texts to tokens, so that counts are of what a model will look up."""
    import keras

    from search_spaces.text_standardization import standardizer

    layer = keras.layers.TextVectorization(
        standardize=standardizer(tokenization), split=tokenization.split, ngrams=tokenization.ngrams
    )
    split: Callable[[npt.NDArray[np.object_]], tf.RaggedTensor] = layer._preprocess
    return split


def _count_chunk(tokens: tf.RaggedTensor) -> tuple[list[bytes], _Counts, _Counts]:
    """The different tokens of some texts, how often each stands there, and in how many of them."""
    import tensorflow as tf

    with tf.device("/CPU:0"):
        different, which, counts = tf.unique_with_counts(tokens.flat_values, out_idx=tf.int64)
    names: list[bytes] = different.numpy().tolist()
    # A pair of text and token is one number.
    pairs = np.unique(tokens.value_rowids().numpy() * max(len(names), 1) + which.numpy())
    return names, counts.numpy(), np.bincount(pairs % max(len(names), 1), minlength=len(names))
