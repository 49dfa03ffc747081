"""From raw columns to numbers and codes: the stage of a structured model that runs in the input pipeline.

It is made of the layers that ``keras.utils.FeatureSpace`` is made of, not of FeatureSpace itself: that learns its
vocabularies and moments in an ``adapt``, a pass over the data in every trial, where the statistics are known once per
node; it has no place for missing values, and handles numbers one column at a time, where here it is all at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from search_spaces.base import Input
from search_spaces.statistics import INTEGER_MISSING
from search_spaces.tables.columns import CategoryColumn, NumberColumn, Table
from search_spaces.tables.config import FAMILIES, Categories, Numbers
from search_spaces.tables.number_encodings import encoded

# Rare values hashed to one code, on average.
_SHARING = 20
# Columns with more values are not crossed, and a cross has no more codes: examples of each would be few.
_CROSSED_VALUES, _CROSS_CODES = 100, 1000
# The most frequent values that trees tell apart; those beyond share codes.
_ORDERED_VALUES = 1000

_DTYPES = {"number": "float32", "integer": "int64", "category": "string"}
PREPROCESSING = "preprocessing"


@dataclass(frozen=True)
class Preprocessing:
    """The stage and what comes out of it.

    Attributes:
        model: from a dict of raw columns, each (batch,), to a dict of: ``floats``, float32 (batch, n); and of codes,
            int32 (batch, columns): ``one_hot``, ``embedded`` and ``crossed``. What there is none of has no key.
        codes: how many different codes each of those has. No two columns share one.
        numbers: how many columns of numbers vary; ``floats`` begin with them, unless they are divided into intervals.
    """

    model: keras.Model
    codes: Mapping[str, int]
    numbers: int = 0


@dataclass(frozen=True)
class _Code:
    """A column of codes from 0: int32 (batch,), and how many there are."""

    tensor: Any
    size: int


def preprocessing_of(
    inputs: Sequence[Input], table: Table, numbers: Numbers | None, categories: Categories | None
) -> Preprocessing:
    """The stage for a table.

    Args:
        inputs: all columns, of which the stage's input is made.
        table: those that it looks at.
        numbers: how numbers are encoded; None where the table has none.
        categories: likewise of categories.
    """
    codes: dict[str, int] = {}

    def features(columns: Mapping[str, Any]) -> dict[str, Any]:
        found, sizes = _features(columns, table, numbers, categories)
        codes.update(sizes)
        return found

    varying = sum(each.deviation > 0 for each in table.numbers)
    return Preprocessing(_stage(inputs, table, features), codes, varying)


def preprocessing_for_trees(inputs: Sequence[Input], table: Table) -> keras.Model:
    """The stage for boosted trees, which compare and do not compute.

    Returns:
        a model from a dict of raw columns, as of ``Preprocessing``, to ``floats``, float32 (batch, columns): numbers
        and integers as they are, strings as their place among the training examples' strings in the order of their
        characters, before which are those that it lacks; NaN where a value is missing.
    """

    def features(columns: Mapping[str, Any]) -> dict[str, Any]:
        numbers = [columns[each.name] for each in table.numbers]
        categories = [_ordinal(columns[each.name], each) for each in table.categories]
        return {"floats": ops.stack([*numbers, *categories], axis=1)}

    return _stage(inputs, table, features)


def _ordinal(x: Any, column: CategoryColumn) -> Any:
    if column.integers:
        return ops.where(ops.equal(x, INTEGER_MISSING), math.nan, ops.cast(x, "float32"))
    # In their own order, which often says something: of dates, of sizes, of codes that begin with a group's letter.
    kept = replace(column, values=tuple(sorted(map(str, column.values[:_ORDERED_VALUES]))), rare=0)
    codes = ops.cast(_lookup(kept, _ORDERED_VALUES)(x), "float32")
    return ops.where(ops.equal(codes, 0.0), math.nan, codes) if column.missing else codes


def _stage(
    inputs: Sequence[Input], table: Table, features: Callable[[Mapping[str, Any]], dict[str, Any]]
) -> keras.Model:
    """From all columns to the features of those that the table looks at."""
    used = {each.name for each in table.numbers} | {each.name for each in table.categories}
    keys = {each.name: f"column_{index}" for index, each in enumerate(inputs) if each.name in used}
    columns = {
        each.name: layers.Input((), dtype=_DTYPES[each.kind], name=keys[each.name])
        for each in inputs
        if each.name in used
    }
    # A model within the model: a column may be called "stack", and no two layers of one model have the same name.
    inner = keras.Model({keys[name]: tensor for name, tensor in columns.items()}, features(columns), name="columns")
    raw = _raw(inputs)
    outputs = inner({keys[name]: raw[name] for name in columns})
    return keras.Model(raw, outputs, name=PREPROCESSING)


def _raw(inputs: Sequence[Input]) -> dict[str, Any]:
    """The input of each column under its own name, which its layer has too wherever Keras allows it."""
    taken = {"columns", PREPROCESSING, *FAMILIES}
    raw: dict[str, Any] = {}
    for index, each in enumerate(inputs):
        fits = each.name and "/" not in each.name and each.name not in taken
        tensor = layers.Input((), dtype=_DTYPES[each.kind], name=each.name if fits else _other_name(index, inputs))
        # Keras warns where a key of the input is not its tensor's name.
        tensor.name = each.name
        raw[each.name] = tensor
    return raw


def _other_name(index: int, inputs: Sequence[Input]) -> str:
    return str(_absent(f"column_{index}", "_", [each.name for each in inputs]))


def _features(
    columns: Mapping[str, Any], table: Table, numbers: Numbers | None, categories: Categories | None
) -> tuple[dict[str, Any], dict[str, int]]:
    dense, groups = [], {"one_hot": [], "embedded": [], "crossed": []}  # type: tuple[list[Any], dict[str, list[_Code]]]
    if numbers is not None:
        dense, groups["one_hot"] = _number_features(columns, table.numbers, numbers)
    if categories is not None:
        coded = [_code(columns[each.name], each, categories) for each in table.categories]
        for code in coded:
            groups["one_hot" if code.size <= categories.one_hot_up_to else "embedded"].append(code)
        groups["crossed"] = [_cross(*pair) for pair in pairs(coded)[: categories.crosses]]
    features = {"floats": _joined(dense)} if dense else {}
    codes = {key: sum(code.size for code in group) for key, group in groups.items() if group}
    return features | {key: _in_one_range(groups[key]) for key in codes}, codes


def _joined(parts: Sequence[Any]) -> Any:
    return parts[0] if len(parts) == 1 else layers.Concatenate(dtype="float32")(list(parts))


def _in_one_range(codes: Sequence[_Code]) -> Any:
    firsts = np.cumsum([0, *(code.size for code in codes[:-1])]).astype("int32")
    return ops.add(ops.stack([code.tensor for code in codes], axis=1), firsts)


def _number_features(
    columns: Mapping[str, Any], known: Sequence[NumberColumn], numbers: Numbers
) -> tuple[list[Any], list[_Code]]:
    varying = [each for each in known if each.deviation > 0]
    gaps = [each for each in known if each.missing]
    dense = [_missing(_stacked(columns, gaps))] if gaps else []
    if not varying:
        return dense, []
    if numbers.encoding == "binned":
        return dense, [_binned(columns[each.name], each, numbers) for each in varying]
    return [encoded(_stacked(columns, varying), varying, numbers), *dense], []


def _stacked(columns: Mapping[str, Any], chosen: Sequence[NumberColumn]) -> Any:
    return ops.stack([columns[each.name] for each in chosen], axis=1)


def _missing(x: Any) -> Any:
    return ops.cast(ops.isnan(x), "float32")


def _binned(x: Any, column: NumberColumn, numbers: Numbers) -> _Code:
    edges = column.edges(numbers)
    inner = edges[1:-1] or [edges[0] / 2 + edges[1] / 2]
    binned = layers.Discretization(bin_boundaries=inner)(ops.nan_to_num(x, nan=0.0))
    last = len(inner) + 1
    return _Code(ops.where(ops.isnan(x), last, ops.cast(binned, "int32")), last + 1)


def _code(x: Any, column: CategoryColumn, categories: Categories) -> _Code:
    if column.distinct > categories.most_values and categories.large == "hashed":
        missing = INTEGER_MISSING if column.integers else ""
        hashed = layers.Hashing(categories.most_values, mask_value=missing)(x)
        return _Code(ops.cast(hashed, "int32"), categories.most_values)
    lookup = _lookup(column, categories.most_values)
    return _Code(ops.cast(lookup(x), "int32"), lookup.vocabulary_size())


def _lookup(column: CategoryColumn, most: int) -> Any:
    """A lookup in which rare and unknown values share codes, and a missing one has its own if training has some."""
    kept = list(column.values[:most])
    shared = max(1, min((column.distinct - len(kept)) // _SHARING, most // 10))
    options: dict[str, Any] = {"vocabulary": kept, "num_oov_indices": shared}
    if column.integers:
        mask = INTEGER_MISSING if column.missing else None
        return layers.IntegerLookup(mask_token=mask, oov_token=_absent(INTEGER_MISSING + 1, 1, kept), **options)
    return layers.StringLookup(
        mask_token="" if column.missing else None, oov_token=_absent("[UNK]", "_", kept), **options
    )


def _absent(token: Any, more: Any, values: Sequence[Any]) -> Any:
    """A token that is none of the values: Keras keeps it beside them."""
    known = set(values)
    while token in known:
        token += more
    return token


def pairs(codes: Sequence[_Code]) -> list[tuple[_Code, _Code]]:
    """Pairs of columns to cross, those with the fewest combinations first: they have the most examples of each."""
    small = [code for code in codes if code.size <= _CROSSED_VALUES]
    found = [(one, other) for index, one in enumerate(small) for other in small[index + 1 :]]
    return sorted(found, key=lambda pair: pair[0].size * pair[1].size)


def _cross(one: _Code, other: _Code) -> _Code:
    size = min(2 * one.size * other.size, _CROSS_CODES)
    crossed = layers.HashedCrossing(size)((ops.cast(one.tensor, "int64"), ops.cast(other.tensor, "int64")))
    return _Code(ops.cast(crossed, "int32"), size)
