"""Texts of many scripts become the same tokens by Unicode's rules: in training's counts, in models and in exports."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import unicodedata
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from search_spaces.statistics import TokenCounts, Tokenization
from search_spaces.text_scripts import INVISIBLE, ScriptsMet, words_of
from search_spaces.text_standardization import standardizer
from search_spaces.texts.config import Vectorization
from search_spaces.texts.vectorization import vectorizer

# A text, and its words in small letters without punctuation.
SCRIPTS = {
    "latin": ("ÉCOLE «Über», Ærø…", "école über ærø"),
    "typographic": ("“Don’t” — she said… ¿Qué? ¡No!", "dont she said qué no"),
    "ascii": ("It's $5 <b>GREAT</b>!", "its 5 bgreatb"),
    "cyrillic": ("ЁЛКА — Щука…", "ёлка щука"),
    "greek": ("ΟΔΟΣ, ΣΊΣΥΦΟΣ· ὉΔΌΣ", "οδοσ σίσυφοσ ὁδόσ"),
    "turkish": ("İZMİR Iğdır izmir", "izmir iğdır izmir"),
    "german": ("STRAẞE Straße", "straße straße"),
    "armenian": ("ԲԱՐԵՎ, աշխարհ։", "բարեվ աշխարհ"),
    "arabic": ("مرحبا، العالم؟ نعم؛", "مرحبا العالم نعم"),
    "hebrew": ("שלום־עולם״ כן׃", "שלוםעולם כן"),
    "hindi": ("नमस्ते। दुनिया॥", "नमस्ते दुनिया"),
    "chinese": ("你好，世界。《书》", "你 好 世 界 书"),
    "mixed": ("我爱TensorFlow和Keras！", "我 爱 tensorflow 和 keras"),
    "japanese": ("今日は、カメラ。ﾊﾝｶｸ", "今 日 は カ メ ラ ﾊ ﾝ ｶ ｸ"),
    "korean": ("안녕하세요, 세계!", "안녕하세요 세계"),
    "thai": ("น้ำดี ก็", "น้ ำ ดี ก็"),
    "khmer": ("ខ្មែរ។", "ខ្ មែ រ"),
    "emoji": ("Nice 😀👍🏽!", "nice 😀👍🏽"),
    "combining": ("E\u0301COLE e\u0301cole", "e\u0301cole e\u0301cole"),
    "blanks": ("a\u00a0B\u3000c\u2009d\u2028e\u200bf\u0085g\x0bh\t\r\ni", "a b c d e f g h i"),
    "invisible": ("co\u00adop \u200fab\u200e \ufeffword\u2060 \u061cx", "coop ab word x"),
    "joined": ("می\u200cخواهم", "می\u200cخواهم"),
    "full width": ("ＨＥＬＬＯ！ （ｏｋ）", "ｈｅｌｌｏ ｏｋ"),
    "only marks": ("…—“”、。", ""),
}
STRIPPED = set("$+<=>^`|~") | {chr(code) for first, last in INVISIBLE for code in range(first, last + 1)}
TEXTS = [text for text, _ in SCRIPTS.values()]


def tokens_of(tokenization, texts):
    layer = keras.layers.TextVectorization(
        standardize=standardizer(tokenization), split=tokenization.split, ngrams=tokenization.ngrams
    )
    return [[token.decode() for token in each] for each in layer._preprocess(np.array(texts, object)).to_list()]


@pytest.mark.parametrize("script", SCRIPTS)
def test_texts_are_lowered_stripped_and_divided(script):
    text, expected = SCRIPTS[script]
    assert tokens_of(Tokenization(rules="unspaced"), [text]) == [expected.split()]
    assert tokens_of(Tokenization("lower", "character", rules="unspaced"), [text]) == [
        list(text.replace("İ", "i").lower().replace("ς", "σ"))
    ]
    kept = [letter for letter in text if not unicodedata.category(letter).startswith("P") and letter not in STRIPPED]
    assert tokens_of(Tokenization("strip_punctuation", "character", rules="unspaced"), [text]) == [kept]
    # Capitals, which the German sharp s has as two letters, and small letters are the same words.
    if script not in ("german", "turkish"):
        assert tokens_of(Tokenization(rules="unspaced"), [text.upper()]) == tokens_of(
            Tokenization(rules="unspaced"), [text.lower()]
        )


def test_lengths_count_the_words_that_models_see():
    divided = tokens_of(Tokenization(None, rules="unspaced"), TEXTS)
    assert [len(words_of(text)) for text in TEXTS] == [len(tokens) for tokens in divided]


def test_only_texts_that_need_them_have_unicodes_rules():
    def rules(*texts):
        met = ScriptsMet()
        met.add(texts)
        return met.rules

    assert rules("Plain, ASCII!", "£5 😀", "") == "ascii"
    for text in ("é", "ё", "“", "…", "\u00a0", "\u200b", "\u200f", "，", "ΐ"):
        assert rules("plain", f"a {text} b") == "unicode"
    for text in ("你", "ก", "カ", "ខ"):
        assert rules("é", f"a {text} b", "plain", "…") == "unspaced"
    assert Tokenization().standardize == standardizer(Tokenization())
    assert standardizer(Tokenization(None, "character", rules="unspaced")) is None


_PREDICT = """
import json, sys
import tensorflow as tf
texts, path = json.load(sys.stdin)
serve = tf.saved_model.load(path).signatures["serving_default"]
print(json.dumps([each.numpy().tolist() for each in serve(tf.constant(texts)).values()][0]))
assert not {"search_spaces", "tuner", "keras_tuner"} & set(sys.modules)
"""


def test_a_saved_model_has_the_same_tokens_without_this_package(tmp_path: Path) -> None:
    words = sorted({word for _, text in SCRIPTS.values() for word in text.split()})

    def count(tokenization, most=None):
        return TokenCounts(tuple(words), np.ones(len(words), np.int64), np.ones(len(words), np.int64), 9, len(words))

    model = vectorizer([Vectorization(Tokenization(rules="unspaced"), len(words), length=12)], count)
    model.save(tmp_path / "model.keras")
    expected = [[words.index(word) + 2 for word in text.split()] or [1] for _, text in SCRIPTS.values()]
    expected = [[*codes, *[0] * (12 - len(codes))] for codes in expected]
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    assert loaded(tf.constant(TEXTS)).numpy().tolist() == expected
    loaded.export(tmp_path / "saved", verbose=False)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    ran = subprocess.run(
        [sys.executable, "-P", "-c", _PREDICT],
        input=json.dumps([TEXTS, str(tmp_path / "saved")]),
        capture_output=True,
        text=True,
        cwd="/",
        env=environment,
    )
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout.splitlines()[-1]) == expected
