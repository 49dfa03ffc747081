"""Token counts against TextVectorization.adapt itself."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from itertools import product
from threading import Event

import keras
import numpy as np
import pytest

from search_spaces.statistics import Tokenization
from tests.prepared_texts import write_texts
from tuner.data import token_counts
from tuner.data.columns import ArrayColumn
from tuner.data.prepared import InputFacts, TargetFacts
from tuner.data.token_counts import count_tokens
from tuner.errors import DataError

TEXTS = [
    "The cat sat on the mat. The cat!",
    "",
    "   \t\n ",
    "Ärger über Öl, ÄRGER über öl",
    "naïve café  CAFÉ\u00a0x",
    "日本語 テキスト 日本語",
    "don't re-enter [UNK] a_b £5 5£",
    "😀 👍🏽 😀",
    "b a b a",
    "...",
]
TOKENIZATIONS = [
    Tokenization(standardize, split, ngrams)
    for standardize, split, ngrams in product(
        ("lower_and_strip_punctuation", "lower", "strip_punctuation", None), ("whitespace", "character"), (None, 2)
    )
]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    labels = np.arange(len(TEXTS)) % 2
    target = TargetFacts(task="classification", dtype="int64", class_names=("a", "b"))
    folder = tmp_path_factory.mktemp("texts") / "prepared"
    return write_texts(folder, {"train": (TEXTS, labels), "validation": (["unseen words"], labels[:1])}, target)


def adapted(tokenization, **options):
    layer = keras.layers.TextVectorization(
        standardize=tokenization.standardize, split=tokenization.split, ngrams=tokenization.ngrams, **options
    )
    layer.adapt(np.array(TEXTS, dtype=object), batch_size=4)
    return layer


@pytest.mark.parametrize("tokenization", TOKENIZATIONS, ids=str)
def test_tokens_and_their_order_are_those_of_adapt(data, tokenization, monkeypatch):
    monkeypatch.setattr(token_counts, "_CHUNK_TEXTS", 3)
    counted = count_tokens(data, 0, tokenization)
    layer = adapted(tokenization, output_mode="tf_idf")
    assert list(counted.tokens) == layer.get_vocabulary(include_special_tokens=False)
    assert counted.texts == len(TEXTS)
    assert counted.distinct == len(counted.tokens)
    np.testing.assert_allclose(
        counted.inverse_document_frequencies(), layer._lookup_layer.idf_weights.numpy()[1:], rtol=1e-6
    )
    fewer = count_tokens(data, 0, tokenization, most=5)
    assert list(fewer.tokens) == adapted(tokenization, max_tokens=7).get_vocabulary(include_special_tokens=False)
    assert fewer.distinct == counted.distinct


def test_counts(data):
    counted = count_tokens(data, 0, Tokenization())
    found = dict(zip(counted.tokens, zip(counted.counts, counted.documents, strict=True), strict=True))
    assert found["the"] == (3, 1)
    assert found["über"] == (2, 1)
    assert "" not in found
    assert "unseen" not in found


def test_texts_are_counted_once_and_damage_is_repaired(data, monkeypatch):
    tokenization = Tokenization(ngrams=3)
    counted = count_tokens(data, 0, tokenization)
    calls = []
    count = token_counts._count
    monkeypatch.setattr(token_counts, "_count", lambda *given: calls.append(given) or count(*given))
    assert count_tokens(data, 0, tokenization).tokens == counted.tokens
    assert not calls
    (data.folder / token_counts._name(0, tokenization) / "counts.npy").write_bytes(b"")
    assert count_tokens(data, 0, tokenization).tokens == counted.tokens
    assert len(calls) == 1


def test_a_long_text_is_a_piece_of_its_own(data, monkeypatch):
    monkeypatch.setattr(token_counts, "_CHUNK_BYTES", 1)
    column = data.split("train").inputs[0]
    assert token_counts._chunks(column)[0] == (0, 1)
    # Empty texts go with the one before.
    assert [end for _, end in token_counts._chunks(column)][-1] == len(TEXTS)
    tokens = token_counts._count(column, Tokenization())[0]
    assert [token.decode() for token in tokens] == list(count_tokens(data, 0, Tokenization()).tokens)


def test_texts_without_any_token(tmp_path):
    target = TargetFacts(task="classification", dtype="int64", class_names=("a", "b"))
    empty = write_texts(tmp_path / "prepared", {"train": (["", " "], [0, 1]), "validation": ([""], [0])}, target)
    counted = count_tokens(empty, 0, Tokenization())
    assert (counted.tokens, counted.distinct, counted.texts) == ((), 0, 2)


def test_whoever_comes_second_waits_for_the_first(data, monkeypatch):
    """Two threads stand for two processes: the lock on the file knows neither."""
    counting, let_go = Event(), Event()
    calls = []
    count = token_counts._count

    def slowly(*given):
        calls.append(given)
        counting.set()
        assert let_go.wait(60)
        return count(*given)

    monkeypatch.setattr(token_counts, "_count", slowly)
    tokenization = Tokenization("lower", ngrams=4)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(count_tokens, data, 0, tokenization)
        assert counting.wait(60)
        second = pool.submit(count_tokens, data, 0, tokenization)
        assert not wait([second], timeout=0.2).done
        let_go.set()
        assert first.result(60).tokens == second.result(60).tokens
    assert len(calls) == 1


def test_another_kind_of_input(data):
    split = replace(data.split("train"), inputs=(ArrayColumn(np.zeros((len(TEXTS), 2))),))
    numbers = replace(
        data, inputs=(InputFacts(kind="array", shape=(2,), dtype="float64"),), splits={**data.splits, "train": split}
    )
    with pytest.raises(DataError, match="input 0 is of kind array, not text"):
        count_tokens(numbers, 0, Tokenization())


def test_a_place_that_cannot_be_written(data):
    (data.folder / f".{token_counts._name(0, Tokenization('lower', ngrams=5))}.lock").mkdir()
    with pytest.raises(DataError, match="TUNER_CACHE"):
        count_tokens(data, 0, Tokenization("lower", ngrams=5))
