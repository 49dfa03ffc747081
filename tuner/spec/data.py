"""The section ``data``: where examples are, what they are, and how they are split."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from tuner.spec.field_types import CodePlace, Count, PositiveInt, ResolvedPath, Section
from tuner.spec.problems import contradiction


class SplitSettings(Section):
    """How examples are divided; shared by every kind of data."""

    validation_split: float = Field(default=0.2, ge=0, lt=1)
    test_split: float = Field(default=0.0, ge=0, lt=1)
    seed: Count = 0
    on_error: Literal["fail", "skip"] = "fail"

    def key_of(self, source: str) -> str:
        """The dotted key of the spec that says where that split's examples come from."""
        return "data.path"

    @property
    def unlabelled(self) -> str | None:
        """The key by which the data is without labels; None if it has some, or if only reading it can tell."""
        return None

    @property
    def given_splits(self) -> frozenset[str]:
        """The splits beside ``train`` that the data itself names."""
        return frozenset()

    @model_validator(mode="after")
    def _something_left(self) -> Self:
        if "validation" not in self.given_splits and self.validation_split == 0:
            message = "must be above 0 unless validation data is given"
            raise contradiction(message, "validation_split", "validation", "split_column", "split_values")
        if self.validation_split + self.test_split >= 1:
            message = "validation_split and test_split must leave something to train on"
            raise contradiction(message, "validation_split", "test_split")
        return self


class _Places(SplitSettings):
    """One place that is split here, or one for each split."""

    path: ResolvedPath | None = None
    train: ResolvedPath | None = None
    validation: ResolvedPath | None = None
    test: ResolvedPath | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.path is None) == (self.train is None):
            raise contradiction("give either path (split here) or train (and validation, test)", "path", "train")
        if self.path is not None and (self.validation or self.test):
            other = "validation" if self.validation else "test"
            raise contradiction("validation and test go with train, not with path", other, "path")
        return self

    @property
    def given_splits(self) -> frozenset[str]:
        return frozenset(name for name in ("validation", "test") if getattr(self, name))

    def key_of(self, source: str) -> str:
        return "data.path" if source == "train" and self.path is not None else f"data.{source}"

    @property
    def places(self) -> dict[str, Path]:
        """By split; one given as ``path`` is ``train``'s."""
        found = {"train": self.path or self.train, "validation": self.validation, "test": self.test}
        return {name: place for name, place in found.items() if place is not None}


class ImageDirectory(_Places):
    """Folders of JPEG, PNG, BMP or GIF files, one folder per class, or without classes."""

    kind: Literal["image_directory"]
    labels: Literal["folders", "none"] = "folders"
    image_size: tuple[PositiveInt, PositiveInt] = (32, 32)
    color_mode: Literal["rgb", "grayscale"] = "rgb"

    @property
    def unlabelled(self) -> str | None:
        return "labels" if self.labels == "none" else None

    @property
    def channels(self) -> int:
        return 3 if self.color_mode == "rgb" else 1


class TextDirectory(_Places):
    """Folders of UTF-8 .txt files, one folder per class."""

    kind: Literal["text_directory"]


ColumnType = Literal["number", "integer", "category", "text"]
LabelledTask = Literal["auto", "classification", "multi_label", "regression"]


class Csv(_Places):
    """Rows of CSV (also compressed with gzip) or Parquet files: texts or tables.

    With ``text_column`` an example is one text; without it, all columns but those with another use, as a table.
    """

    kind: Literal["csv"]
    label_column: str | None = None
    label_separator: Annotated[str, Field(min_length=1)] | None = None
    task: LabelledTask = "auto"
    text_column: str | None = None
    columns: dict[str, ColumnType] = Field(default={})
    ignore: tuple[str, ...] = ()
    weight_column: str | None = None
    split_column: str | None = None
    split_values: dict[Literal["train", "validation", "test"], str] = Field(
        default={
            "train": "train",
            "validation": "validation",
            "test": "test",
        }
    )
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","

    @property
    def unlabelled(self) -> str | None:
        return "label_column" if self.label_column is None else None

    @property
    def given_splits(self) -> frozenset[str]:
        if self.split_column is None:
            return super().given_splits
        return frozenset(self.split_values) - {"train"}

    @model_validator(mode="after")
    def _one_use_each(self) -> Self:
        uses = [(key, getattr(self, key)) for key in ("label_column", "text_column", "weight_column", "split_column")]
        uses += [("ignore", name) for name in self.ignore] + [("columns", name) for name in self.columns]
        named = [name for _, name in uses if name is not None]
        twice = [(key, name) for key, name in uses if named.count(name) > 1]
        if twice:
            listed = ", ".join(map(repr, sorted({name for _, name in twice})))
            raise contradiction(f"each column has one use: {listed} has several", twice[-1][0])
        if self.split_column is not None and self.train is not None:
            message = "split_column goes with path: train, validation and test are splits already"
            raise contradiction(message, "split_column", "train")
        if self.text_column is not None and self.columns:
            message = "columns describes tables; with text_column an example is one text"
            raise contradiction(message, "columns", "text_column")
        if self.task == "multi_label" and self.label_separator is None:
            message = "task: multi_label needs label_separator, which divides a row's labels"
            raise contradiction(message, "label_separator", "task")
        if self.label_column is None and (self.label_separator or self.task != "auto"):
            message = "label_separator and task describe the label_column; name it"
            raise contradiction(message, "label_column", "label_separator", "task")
        return self


class Npz(SplitSettings):
    """Arrays in a NumPy .npz file: ``x``, ``y``, or ``x_train``, ``y_train``, ``x_val``, ``y_val``, ``x_test`` ..."""

    kind: Literal["npz"]
    path: ResolvedPath
    task: LabelledTask = "auto"


class Python(SplitSettings):
    """What a function returns: arrays, a ``tf.data.Dataset`` or a ``keras.utils.PyDataset``."""

    kind: Literal["python"]
    source: CodePlace
    args: dict[str, Any] = Field(default={})
    task: LabelledTask = "auto"

    def key_of(self, source: str) -> str:
        return "data.source"


DataSpec = ImageDirectory | TextDirectory | Csv | Npz | Python
# By the value of ``kind``.
DATA_KINDS: dict[str, type[DataSpec]] = {
    "image_directory": ImageDirectory,
    "text_directory": TextDirectory,
    "csv": Csv,
    "npz": Npz,
    "python": Python,
}
