"""The data sets that champions are measured on, each divided once into what a search is given and what tests it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

Kind = Literal["table", "text", "image"]
Measure = Literal["auc", "accuracy", "rmse"]
_KEPT_BACK = 0.2
_SEED = 19
# A search is asked to do well by what the test measures.
OBJECTIVES: dict[Measure, str] = {"auc": "val_auc", "accuracy": "val_accuracy", "rmse": "val_rmse"}


@dataclass(frozen=True)
class DataSet:
    """A data set, as it lies in the folder of data sets or as scikit-learn ships it.

    Attributes:
        file: of the folder of data sets, or ``sklearn:NAME``.
        target: the column to learn; of images the folders' names.
        measure: what champions are compared by, on what was kept back.
        left_out: columns that are no inputs.
        most_rows: so many are drawn at most.
        image_size: in pixels, of images.
    """

    name: str
    kind: Kind
    file: str
    target: str
    measure: Measure
    left_out: tuple[str, ...] = ()
    most_rows: int | None = None
    image_size: int = 32


SETS = {
    each.name: each
    for each in (
        DataSet("creditcard", "table", "creditcard/creditcard_imbalanced.csv", "Class", "auc"),
        DataSet("titanic", "table", "titanic/data.csv", "survived", "auc"),
        DataSet("german_credit", "table", "german_credit/data.csv", "risk", "auc"),
        DataSet("phoneme", "table", "phoneme/data.csv", "oral", "auc"),
        DataSet("breast_cancer", "table", "sklearn:breast_cancer", "target", "auc"),
        DataSet("digits", "table", "sklearn:digits", "target", "accuracy"),
        DataSet("diabetes", "table", "sklearn:diabetes", "target", "rmse"),
        DataSet("abalone", "table", "abalone/data.csv", "rings", "rmse"),
        DataSet("diamonds", "table", "diamonds/data.csv", "price", "rmse", most_rows=10_000),
        DataSet("taxis", "table", "taxis/data.csv", "fare", "rmse", left_out=("total", "tip", "tolls")),
        DataSet("tweet_emotion", "text", "tweet_emotion/data.csv", "label", "accuracy"),
        DataSet("tweet_irony", "text", "tweet_irony/data.csv", "label", "accuracy"),
        DataSet("sms_spam", "text", "sms_spam/data.csv", "label", "accuracy", left_out=("id",)),
        DataSet("cifar10", "image", "cifar10/images", "", "accuracy"),
        DataSet("flowers", "image", "flowers/images", "", "accuracy", image_size=64),
    )
}


@dataclass(frozen=True)
class Divided:
    """A data set in two parts on disk.

    Attributes:
        train: a CSV file, or a folder with one of images for each class.
        test: likewise; ``text`` or all columns but the target are the inputs.
    """

    data: DataSet
    train: Path
    test: Path

    def spec(self, **changes: Any) -> dict[str, Any]:
        """A spec with every default, of the data and the objective alone."""
        where = {"train": str(self.train), "test": str(self.test)}
        if self.data.kind == "image":
            size = [self.data.image_size] * 2
            data: dict[str, Any] = {"kind": "image_directory", **where, "image_size": size}
        else:
            data = {"kind": "csv", **where, "label_column": self.data.target}
            data |= {"text_column": "text"} if self.data.kind == "text" else {}
            data |= {"task": "regression"} if self.data.measure == "rmse" else {}
        return {
            "study": self.data.name,
            "data": data,
            "space": {"table": "structured"}.get(self.data.kind, self.data.kind),
            "objective": OBJECTIVES[self.data.measure],
        } | changes

    def tables(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Both parts of a table, or of texts."""
        return pd.read_csv(self.train), pd.read_csv(self.test)


def divided(data: DataSet, root: Path, to: Path) -> Divided:
    """Writes both parts: the set's own test part where it has one, else a fifth, the same one each time.

    Args:
        root: the folder of data sets.
    """
    to.mkdir(parents=True, exist_ok=True)
    if data.kind == "image":
        return _divided_images(data, root / data.file, to)
    rows = _rows(data, root).drop(columns=list(data.left_out))
    if "split" in rows:
        is_test = (rows.pop("split") == "test").to_numpy()
    else:
        is_test = _kept_back(len(rows), rows[data.target].to_numpy() if data.measure != "rmse" else None)
    files = Divided(data, to / "train.csv", to / "test.csv")
    rows[~is_test].to_csv(files.train, index=False)
    rows[is_test].to_csv(files.test, index=False)
    return files


def _rows(data: DataSet, root: Path) -> pd.DataFrame:
    if data.file.startswith("sklearn:"):
        from sklearn import datasets

        rows = getattr(datasets, f"load_{data.file.removeprefix('sklearn:')}")(as_frame=True).frame
    else:
        # What a file has is for the search to read: only the target of every row must be there.
        rows = pd.read_csv(root / data.file, dtype=str, keep_default_na=False)
    if data.most_rows is not None:
        rows = rows.sample(min(data.most_rows, len(rows)), random_state=_SEED)
    return rows.reset_index(drop=True)


def _kept_back(count: int, classes: npt.NDArray[Any] | None) -> npt.NDArray[np.bool_]:
    from sklearn.model_selection import train_test_split

    _, test = train_test_split(np.arange(count), test_size=_KEPT_BACK, random_state=_SEED, stratify=classes)
    found = np.zeros(count, dtype=bool)
    found[test] = True
    return found


def _divided_images(data: DataSet, images: Path, to: Path) -> Divided:
    files = sorted(each for each in images.glob("*/*") if each.is_file())
    is_test = _kept_back(len(files), np.array([each.parent.name for each in files]))
    for file, tests in zip(files, is_test, strict=True):
        target = to / ("test" if tests else "train") / file.parent.name / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            shutil.copy(file, target)
    return Divided(data, to / "train", to / "test")
