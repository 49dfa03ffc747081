"""What raw columns become: numbers, codes, and where missing, rare and unknown values go."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from search_spaces.base import Input
from search_spaces.statistics import INTEGER_MISSING, CategoryStatistics, NumberStatistics, Thresholds
from search_spaces.tables.columns import table_of
from search_spaces.tables.config import Categories, Numbers
from search_spaces.tables.preprocessing import Preprocessing, preprocessing_for_trees, preprocessing_of

PERCENT = np.linspace(0, 1, 101)


def _number(name: str, values: Any) -> Input:
    there = np.asarray([value for value in values if not np.isnan(value)], dtype=np.float64)
    quantiles = np.quantile(there, PERCENT) if len(there) else np.zeros(101)
    moments = (float(there.mean()), float(there.var())) if len(there) else (0.0, 0.0)
    statistics = NumberStatistics(len(values) - len(there), len(set(there)), *moments, tuple(quantiles.tolist()))
    return Input(name, "number", (), "float32", statistics)


def _category(name: str, counts: dict[Any, int], missing: int = 0) -> Input:
    values, often = tuple(counts), tuple(counts.values())
    integers = isinstance(values[0], int)
    kind, dtype = ("integer", "int64") if integers else ("category", "string")
    return Input(name, kind, (), dtype, CategoryStatistics(missing, values, often))  # type: ignore[arg-type]


def _preprocessing(*inputs: Input, encoding: Any = "standard", bins: int = 4, **categories: Any) -> Preprocessing:
    table = table_of(inputs)
    chosen = {"one_hot_up_to": 100, "embedding_size": 4, "most_values": 1000, "large": "frequent"} | categories
    return preprocessing_of(
        inputs,
        table,
        Numbers(encoding, bins, "quantiles") if table.numbers else None,
        Categories(**chosen) if table.categories else None,
    )


def _floats(encoding: str, values: Any, at: Any, bins: int = 4) -> Any:
    """The features of one column of training values, at some values."""
    model = _preprocessing(_number("x", values), encoding=encoding, bins=bins).model
    return model({"x": tf.constant(at, tf.float32)})["floats"].numpy()


def _codes(given: Input, at: Any, **categories: Any) -> list[int]:
    stage = _preprocessing(given, **categories)
    ((_, codes),) = stage.model({given.name: tf.constant(at, given.dtype)}).items()
    return [int(code) for code in codes[:, 0]]


def test_standard_numbers_have_mean_0_and_variance_1_and_no_outliers() -> None:
    found = _floats("standard", [10.0, 20.0, 30.0], [20, 30, 1e9, -np.inf, np.nan])
    np.testing.assert_allclose(found[:, 0], [0, 10 / np.std([10, 20, 30]), 10, -10, 0], rtol=1e-6)


@pytest.mark.parametrize("encoding", ["standard", "log", "quantile", "robust", "piecewise"])
@pytest.mark.parametrize("unit", [1e-30, 1e-9, 1.0, 1e9, 1e36])
def test_the_unit_of_a_column_does_not_matter(unit: float, encoding: str) -> None:
    values = np.array([1.0, 2.0, 3.0, 5.0, 8.0])
    in_unit = (values * unit).astype("float32").astype("float64")
    expected = _floats(encoding, values, [1, 2.5, 8])
    np.testing.assert_allclose(_floats(encoding, in_unit, np.array([1, 2.5, 8]) * unit), expected, rtol=1e-4, atol=1e-5)


def test_robust_numbers_have_quartiles_1_apart_and_outliers_are_drawn_in() -> None:
    values = np.arange(101.0)
    found = _floats("robust", values, [50, 75, 55, 1e9, np.inf, -np.inf, np.nan])[:, 0]
    np.testing.assert_allclose(found, [0, 0.5 / np.sqrt(1 + 1 / 36), 0.1, 3, 3, -3, 0], rtol=2e-3)
    mostly_zero = _floats("robust", [0.0] * 90 + [8.0] * 10, [0, 4])[:, 0]
    np.testing.assert_allclose(mostly_zero, [0, 1 / np.sqrt(1 + 1 / 9)], rtol=1e-6)


def test_quantiles_are_uniform_with_mean_0_and_variance_1() -> None:
    values = np.random.default_rng(0).exponential(size=1000)
    found = _floats("quantile", values, values)[:, 0]
    assert found.mean() == pytest.approx(0, abs=0.02)
    assert found.std() == pytest.approx(1, abs=0.02)
    assert (np.diff(found[np.argsort(values)]) >= 0).all()


def test_intervals_between_quantiles_fill_one_after_another() -> None:
    found = _floats("piecewise", [0.0, 1.0, 2.0, 3.0, 4.0], [-1, 0.5, 2, 9, np.nan])
    np.testing.assert_allclose(found, [[0, 0, 0, 0], [0.5, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 1], [0, 0, 0, 0]])


@pytest.mark.parametrize(("edges", "between"), [("trees", [2, 9]), ("distinct", [2, 9]), ("quantiles", [])])
def test_intervals_end_where_the_target_changes_or_values_differ(edges: Any, between: list[float]) -> None:
    """Of a column that is nearly always 0, percentiles of all rows say nothing."""
    given = _number("x", [0.0] * 997 + [2.0, 9.0, 11.0])
    table = table_of([given]).divided_by({"x": Thresholds((9.0, 2.0, 5.0), (0.0, 2.0, 9.0, 11.0))})
    (column,) = table.numbers
    assert column.edges(Numbers("piecewise", 3, edges))[1:-1] == between
    assert (column.edges(Numbers("piecewise", 3, edges))[0], column.quantiles[-1]) == (0, 11)


def test_equal_quantiles_are_one() -> None:
    assert _floats("piecewise", [0.0] * 90 + [1.0] * 10, [0, 1, 5], bins=32).tolist() == [[0], [1], [1]]


def test_bins_are_codes_and_a_missing_number_has_its_own() -> None:
    stage = _preprocessing(_number("x", [0.0, 1.0, 2.0, 3.0, 4.0]), encoding="binned")
    codes = stage.model({"x": tf.constant([-5.0, 0.5, 1.5, 3.5, 99, np.nan])})["one_hot"].numpy()
    assert codes[:, 0].tolist() == [0, 0, 1, 3, 3, 4]
    assert stage.codes == {"one_hot": 5}


@pytest.mark.parametrize("encoding", ["standard", "piecewise", "binned"])
def test_that_a_number_is_missing_is_a_feature(encoding: str) -> None:
    found = _floats(encoding, [1.0, np.nan, 3.0, 5.0], [np.nan, 1])
    assert found[:, -1].tolist() == [1, 0]


def test_a_number_that_is_there_or_not() -> None:
    assert _floats("standard", [7.0, np.nan, 7.0], [7, np.nan, 1000]).tolist() == [[0], [1], [0]]


@pytest.mark.parametrize("missing", [0, 1])
def test_rare_and_unknown_categories_share_a_code_and_a_missing_one_has_its_own(missing: int) -> None:
    found = _codes(_category("c", {"x": 5, "y": 3, "z": 1}, missing), ["x", "y", "z", "new", ""])
    assert len(set(found[:3])) == 3
    assert found[3] == found[2]
    assert (found[4] == found[2]) == (not missing)


def test_integers_are_looked_up_as_categories_are() -> None:
    at = [-1, 7, INTEGER_MISSING, INTEGER_MISSING + 1, 5]
    found = _codes(_category("c", {-1: 5, INTEGER_MISSING + 1: 4, 7: 3}, missing=2), at)
    assert len(set(found)) == 5


def test_a_value_called_as_keras_calls_unknown_ones() -> None:
    found = _codes(_category("c", {"[UNK]": 5, "[UNK]_": 3}), ["[UNK]", "[UNK]_", "new"])
    assert len(set(found)) == 3


@pytest.mark.parametrize(
    ("large", "known", "codes"),
    [("frequent", True, 100 + 10), ("hashed", False, 100)],
)
def test_a_large_vocabulary(large: str, known: bool, codes: int) -> None:
    counts = {f"value {index}": 1000 - index for index in range(500)}
    stage = _preprocessing(_category("c", counts), most_values=100, large=large, one_hot_up_to=4)
    assert stage.codes == {"embedded": codes}
    found = stage.model({"c": tf.constant([*counts, "new"])})["embedded"].numpy()[:, 0]
    assert 0 <= found.min() <= found.max() < codes
    assert (len(set(found[:100])) == 100) == known
    assert len(set(found[100:])) > 5


def test_columns_share_no_code() -> None:
    inputs = [_category("a", {"x": 5, "y": 3}), _category("b", {"x": 5, "y": 3}), _category("c", {1: 5, 2: 3}, 1)]
    stage = _preprocessing(*inputs, one_hot_up_to=3, crosses=2)
    rows = {"a": tf.constant(["x", "y"]), "b": tf.constant(["x", "y"]), "c": tf.constant([1, 2], tf.int64)}
    found = {key: codes.numpy() for key, codes in stage.model(rows).items()}
    assert {key: codes.shape[1] for key, codes in found.items()} == {"one_hot": 2, "embedded": 1, "crossed": 2}
    assert stage.codes == {"one_hot": 6, "embedded": 4, "crossed": 2 * 9 + 2 * 12}
    for key, codes in found.items():
        assert len(np.unique(codes)) == codes.size or key == "crossed"
        assert codes.max() < stage.codes[key]
        assert codes.dtype == np.int32


def test_columns_that_say_nothing_are_taken_and_not_looked_at() -> None:
    inputs = [
        _number("constant", [3.0, 3.0]),
        _number("empty", [np.nan, np.nan]),
        _category("same", {"x": 2}),
        _category("identity", {f"row {index}": 1 for index in range(100)}),
        _number("good", [1.0, 2.0]),
    ]
    model = _preprocessing(*inputs).model
    assert set(model.input) == {each.name for each in inputs}
    row = {"constant": [1e30], "empty": [5.0], "same": ["y"], "identity": [""], "good": [1.5]}
    found = model({name: tf.constant(value) for name, value in row.items()})
    assert {key: value.numpy().tolist() for key, value in found.items()} == {"floats": [[0]]}


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([_number("x", [1.0, 1.0]), _category("y", {"a": 2})], "every column is constant"),
        ([_number("x", [1.0, 2.0]), Input("t", "text", (), "string")], "these columns do not fit: 't'"),
        ([Input("x", "number", (), "float32")], "these columns do not fit: 'x'"),
    ],
)
def test_data_that_is_no_table(inputs: list[Input], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        table_of(tuple(inputs))


def test_moments_beyond_float32() -> None:
    """Infinite values make mean and variance useless; the quantiles are still there."""
    statistics = NumberStatistics(0, 5, float("inf"), float("nan"), tuple(np.append(np.arange(100.0), np.inf).tolist()))
    stage = _preprocessing(Input("x", "number", (), "float32", statistics))
    found = stage.model({"x": tf.constant([50.0, 84.0, np.inf])})["floats"].numpy()[:, 0]
    np.testing.assert_allclose(found, [0, 1, 10], atol=0.01)


def test_trees_get_numbers_as_they_are_and_strings_in_their_order() -> None:
    inputs = [
        _number("size", [1.0, 2.0, np.nan]),
        _category("rooms", {3: 5, 1: 4, 2: 3}, missing=1),
        _category("cabin", {"C": 9, "A": 5, "B": 3, "Z": 1}, missing=2),
        _category("colour", {"red": 5, "blue": 4}),
    ]
    rows = {
        "size": tf.constant([1e30, -np.inf, np.nan, 0.1]),
        "rooms": tf.constant([2, 77, INTEGER_MISSING, -5], tf.int64),
        "cabin": tf.constant(["A", "C", "", "Z"]),
        "colour": tf.constant(["red", "blue", "green", ""]),
    }
    found = preprocessing_for_trees(inputs, table_of(tuple(inputs)))(rows)["floats"].numpy()
    expected = [[1e30, 2, 2, 2], [-np.inf, 77, 4, 1], [np.nan, np.nan, np.nan, 0], [0.1, -5, 1, 0]]
    np.testing.assert_array_equal(found, np.array(expected, "float32"))
