import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.data.permutation import permutation
from tuner.data.splits import split_fractions, stratified
from tuner.errors import DataError

PINNED_PERMUTATION = [0, 6, 2, 1, 3, 7, 4, 5]
PINNED_SPLIT = {"train": [0, 2, 3, 4, 6, 7, 8, 9], "validation": [1, 5]}
FRACTIONS = {"train": 0.6, "validation": 0.2, "test": 0.2}


def test_a_permutation_is_pinned_so_that_no_release_of_numpy_changes_a_study():
    assert permutation(8, 3, 1).tolist() == PINNED_PERMUTATION
    assert permutation(8, 3, 2).tolist() != PINNED_PERMUTATION
    assert permutation(0, 1).tolist() == []


def test_a_split_is_pinned():
    labels = np.repeat(np.arange(2), 5)
    chosen = stratified(labels, {"train": 0.8, "validation": 0.2}, seed=7)
    assert {name: rows.tolist() for name, rows in chosen.items()} == PINNED_SPLIT


@given(
    counts=st.lists(st.integers(3, 40), min_size=2, max_size=6),
    seed=st.integers(0, 2**31),
    parts=st.tuples(st.floats(0.05, 0.45), st.floats(0.05, 0.45)),
)
def test_splits_are_disjoint_complete_sorted_and_hold_every_class(counts, seed, parts):
    fractions = {"train": 1 - sum(parts), "validation": parts[0], "test": parts[1]}
    labels = np.repeat(np.arange(len(counts)), counts)
    labels = labels[np.random.default_rng(seed).permutation(len(labels))]
    chosen = stratified(labels, fractions, seed)
    together = np.concatenate(list(chosen.values()))
    assert sorted(together.tolist()) == list(range(len(labels)))
    for name, rows in chosen.items():
        assert rows.dtype == np.int64
        assert rows.tolist() == sorted(rows.tolist())
        found = np.bincount(labels[rows], minlength=len(counts))
        assert found.min() >= 1
        shares = np.array(counts) * fractions[name]
        assert np.all(np.abs(found - shares) < 2)


def test_exact_fractions_are_met_exactly_and_another_seed_chooses_others():
    labels = np.repeat(np.arange(3), 10)
    first, again, other = (stratified(labels, FRACTIONS, seed) for seed in (1, 1, 2))
    assert [len(rows) for rows in first.values()] == [18, 6, 6]
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not np.array_equal(first["test"], other["test"])


def test_one_class_does_not_change_how_another_is_split():
    few = stratified(np.array([0] * 10), FRACTIONS, 5)
    more = stratified(np.array([0] * 10 + [1] * 9), FRACTIONS, 5)
    assert [row for row in more["train"] if row < 10] == few["train"].tolist()


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_class_too_small_is_named_with_its_count_and_need(count):
    labels = np.array([0] * 5 + [1] * count)
    with pytest.raises(DataError, match=rf"'owl' has {count} usable example.* at least 3"):
        stratified(labels, FRACTIONS, 0, ["cat", "owl"])


def test_fractions_must_be_a_division_of_one():
    with pytest.raises(ValueError, match="together 1"):
        stratified(np.array([0, 1]), {"train": 0.5, "validation": 0.2}, 0)


def test_folders_of_their_own_take_nothing_from_the_training_folder(spec, tmp_path):
    assert split_fractions(spec(tmp_path)) == {"train": 0.8, "validation": 0.2}
    given = spec(train=tmp_path / "a", validation=tmp_path / "b", test_split=0.25)
    assert split_fractions(given) == {"train": 0.75, "test": 0.25}
