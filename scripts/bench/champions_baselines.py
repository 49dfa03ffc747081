"""What anybody has: scikit-learn's models with their defaults, and KerasTuner for images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from champions_keras_tuner import predicted_by_keras_tuner
from champions_scores import Score, score
from champions_sets import Divided
from report import say
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

_FREQUENT = 50


def baselines_of(files: Divided, minutes: float) -> dict[str, Callable[[], Score]]:
    """By name, what trains a baseline on the training part and scores it on the other.

    Args:
        minutes: of a baseline that is a search.
    """
    kind = files.data.kind
    if kind == "image":
        return {"KerasTuner": lambda: _keras_tuner(files, minutes)}
    if kind == "text":
        return {"TF-IDF + logistic regression": lambda: _scored(files, _of_texts())}
    numbers = files.data.measure == "rmse"
    return {
        "HistGradientBoosting": lambda: _scored(files, _boosted(numbers)),
        "linear": lambda: _scored(files, _linear(numbers)),
    }


def _of_texts() -> Any:
    return make_pipeline(TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), LogisticRegression(C=10, max_iter=500))


def _boosted(numbers: bool) -> Any:
    strings = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2)
    columns = make_column_transformer(
        (strings, make_column_selector(dtype_exclude="number")),
        remainder="passthrough",
        verbose_feature_names_out=False,
    )
    return make_pipeline(columns, HistGradientBoostingRegressor() if numbers else HistGradientBoostingClassifier())


def _linear(numbers: bool) -> Any:
    one_hot = OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=_FREQUENT)
    columns = make_column_transformer(
        (one_hot, make_column_selector(dtype_exclude="number")),
        (make_pipeline(SimpleImputer(), StandardScaler()), make_column_selector(dtype_include="number")),
    )
    return make_pipeline(columns, Ridge() if numbers else LogisticRegression(max_iter=2000))


def _scored(files: Divided, model: Any) -> Score:
    data, (train, test) = files.data, files.tables()
    x, tests = _inputs(train, data.kind, data.target), _inputs(test, data.kind, data.target)
    model.fit(x, train[data.target])
    truth = test[data.target].to_numpy()
    if data.measure == "auc":
        return score("auc", truth == model.classes_[1], model.predict_proba(tests)[:, 1])
    return score(data.measure, truth, model.predict(tests))


def _inputs(rows: pd.DataFrame, kind: str, target: str) -> Any:
    return rows["text"].fillna("") if kind == "text" else rows.drop(columns=target)


def _keras_tuner(files: Divided, minutes: float) -> Score:
    predicted, models = predicted_by_keras_tuner(files.train, files.test, files.data.image_size, minutes)
    say(f"KerasTuner trained {models} models")
    # Keras lists folders, and the files in them, by name.
    folders = [file.parent.name for file in sorted(files.test.glob("*/*")) if file.is_file()]
    places = {name: place for place, name in enumerate(sorted(set(folders)))}
    return score("accuracy", np.array([places[name] for name in folders]), np.array(predicted))
