"""The section ``data``: where examples are, what they are, and how they are split."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from tuner.spec.field_types import CodePlace, Count, PositiveInt, ResolvedPath, Section
from tuner.spec.problems import contradiction


class SplitSettings(Section):
    """How examples are divided; shared by every kind of data."""

    validation_split: float = Field(
        default=0.2,
        ge=0,
        lt=1,
        description="The share of the examples that scores the trials. If the data has classes, it is taken from each "
        "of them. A fifth scores the trials reliably and leaves most examples to train on. It is not used where the "
        "data names its validation split.",
    )
    test_split: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="The share of the examples that the search never sees. If the data has classes, it is taken from "
        "each of them. Exporting the champion evaluates it on these examples. By default all examples take part in the "
        "search.",
    )
    seed: Count = Field(
        default=0,
        description="The random seed that decides which example is in which split. The same seed divides the same data "
        "in the same way.",
    )
    on_error: Literal["fail", "skip"] = Field(
        default="fail",
        description="What happens to an example that cannot be read or used: `fail` refuses the data and names the "
        "first ten such examples, and `skip` leaves them out and reports how many there were.",
    )

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
            message = "must be above 0, unless you give validation data"
            raise contradiction(message, "validation_split", "validation", "split_column", "split_values")
        if self.validation_split + self.test_split >= 1:
            message = (
                "validation_split and test_split together must be less than 1, so that examples are left to train on"
            )
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
            raise contradiction(
                "give either path, whose examples are then divided into splits, or train, to which validation and test "
                "may be added",
                "path",
                "train",
            )
        if self.path is not None and (self.validation or self.test):
            other = "validation" if self.validation else "test"
            raise contradiction("validation and test can be given only with train, not with path", other, "path")
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


_KIND = (
    "What the examples are and how they are stored: `image_directory`, `text_directory`, `csv`, `npz` or `python`. The "
    "other keys of this section depend on it."
)
_TASK = (
    "What is learned from the labels: `classification`, `multi_label` or `regression`. With `auto` the labels decide, "
    "and the launch says what it found."
)


class _Folders(_Places):
    """Files in one folder that is split here, or in one for each split."""

    path: ResolvedPath | None = Field(
        default=None,
        description="The folder of all examples, which is divided into splits here. Give either `path` or `train`.",
        examples=["my-data/"],
    )
    train: ResolvedPath | None = Field(
        default=None,
        description="The folder of the training examples, if the data is divided already. `validation` and `test` may "
        "be given beside it.",
        examples=["my-data/train/"],
    )
    validation: ResolvedPath | None = Field(
        default=None,
        description="The folder of the examples that score the trials. Without it, `validation_split` takes them from "
        "`train`.",
        examples=["my-data/validation/"],
    )
    test: ResolvedPath | None = Field(
        default=None,
        description="The folder of the examples that the search never sees and that the champion is evaluated on.",
        examples=["my-data/test/"],
    )


class ImageDirectory(_Folders):
    """The examples are JPEG, PNG, BMP or GIF files in one folder per class, or in any folders without classes."""

    kind: Literal["image_directory"] = Field(description=_KIND)
    labels: Literal["folders", "none"] = Field(
        default="folders",
        description="Where the labels come from: with `folders` each folder is a class, and with `none` the images "
        "have no classes, for models that need none.",
    )
    image_size: tuple[PositiveInt, PositiveInt] = Field(
        default=(32, 32),
        description="The height and width, in pixels, that every image is resized to. The default is small so that a "
        "first search is quick.",
        examples=[[96, 128]],
    )
    color_mode: Literal["rgb", "grayscale"] = Field(
        default="rgb",
        description="The channels that every image is converted to: three with `rgb`, one with `grayscale`.",
    )

    @property
    def unlabelled(self) -> str | None:
        return "labels" if self.labels == "none" else None

    @property
    def channels(self) -> int:
        return 3 if self.color_mode == "rgb" else 1


class TextDirectory(_Folders):
    """The examples are UTF-8 .txt files in one folder per class."""

    kind: Literal["text_directory"] = Field(description=_KIND)


ColumnType = Literal["number", "integer", "category", "text"]
LabelledTask = Literal["auto", "classification", "multi_label", "regression"]


class Csv(_Places):
    """The examples are the rows of CSV (also compressed with gzip) or Parquet files.

    With `text_column` an example is one text. Without it, an example is a row of a table: all columns that have no
    other use.
    """

    kind: Literal["csv"] = Field(description=_KIND)
    path: ResolvedPath | None = Field(
        default=None,
        description="The CSV or Parquet file with all examples, which is divided into splits here. Give either `path` "
        "or `train`.",
        examples=["table.csv"],
    )
    train: ResolvedPath | None = Field(
        default=None,
        description="The CSV or Parquet file with the training examples, if the data is divided already. `validation` "
        "and `test` may be given beside it.",
        examples=["train.csv"],
    )
    validation: ResolvedPath | None = Field(
        default=None,
        description="The CSV or Parquet file with the examples that score the trials. Without it, `validation_split` "
        "takes them from `train`.",
        examples=["validation.csv"],
    )
    test: ResolvedPath | None = Field(
        default=None,
        description="The CSV or Parquet file with the examples that the search never sees and that the champion is "
        "evaluated on.",
        examples=["test.csv"],
    )
    label_column: str | None = Field(
        default=None,
        description="The column that holds what the model learns to predict. Leave it out for data without labels.",
    )
    label_separator: Annotated[str, Field(min_length=1)] | None = Field(
        default=None,
        description="The text that separates several labels in one cell of the label column. It makes the task "
        "`multi_label`.",
        examples=["|"],
    )
    task: LabelledTask = Field(default="auto", description=_TASK)
    text_column: str | None = Field(
        default=None,
        description="The column that holds the text, if an example is one text. Without it, an example is a row of a "
        "table.",
    )
    columns: dict[str, ColumnType] = Field(
        default={},
        description="The types of table columns that would be recognized wrongly: `number`, `integer`, `category` or "
        "`text` by the column's name. The types of all other columns are found from their values.",
        examples=[{"zip": "category", "story": "text"}],
    )
    ignore: tuple[str, ...] = Field(
        default=(),
        description="The columns that the model must not see, such as identifiers and what is known only after the "
        "fact.",
        examples=[["id", "closed_at"]],
    )
    weight_column: str | None = Field(
        default=None,
        description="The column that says how much each example counts in training. Its numbers are at least 0. By "
        "default all examples count the same.",
    )
    split_column: str | None = Field(
        default=None,
        description="The column that says which split each row belongs to. It goes with `path`, and `split_values` "
        "says what its values mean.",
    )
    split_values: dict[Literal["train", "validation", "test"], str] = Field(
        default={
            "train": "train",
            "validation": "validation",
            "test": "test",
        },
        description="The value that `split_column` has in the rows of each split. A split that is left out is taken "
        "from the training rows.",
        examples=[{"train": "a", "test": "b"}],
    )
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = Field(
        default=",",
        description="The character between two cells of a CSV file.",
        examples=["\t", ";"],
    )

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
        named = Counter(name for _, name in uses if name is not None)
        twice = [(key, name) for key, name in uses if named[name] > 1]
        if twice:
            listed = ", ".join(map(repr, sorted({name for _, name in twice})))
            raise contradiction(f"each column can have only one use, but {listed} has several", twice[-1][0])
        if self.split_column is not None and self.train is not None:
            message = "split_column can be given only with path, because train, validation and test are splits already"
            raise contradiction(message, "split_column", "train")
        if self.text_column is not None and self.columns:
            message = (
                "columns describes the columns of a table, but with text_column each example is one text; "
                "remove one of the two"
            )
            raise contradiction(message, "columns", "text_column")
        if self.task == "multi_label" and self.label_separator is None:
            message = "task: multi_label needs label_separator, the text that separates the labels in a cell"
            raise contradiction(message, "label_separator", "task")
        if self.label_column is None and (self.label_separator or self.task != "auto"):
            message = "label_separator and task describe the labels: name their column in label_column"
            raise contradiction(message, "label_column", "label_separator", "task")
        return self


class Npz(SplitSettings):
    """The examples are arrays in a NumPy .npz file: `x` and `y`, or `x_train`, `y_train` and so on."""

    kind: Literal["npz"] = Field(description=_KIND)
    path: ResolvedPath = Field(
        description="The .npz file. Arrays named `x` and `y` are divided into splits here, and `x_train`, `x_val` and "
        "so on are divided already.",
        examples=["mnist.npz"],
    )
    task: LabelledTask = Field(default="auto", description=_TASK)


class Python(SplitSettings):
    """The examples are what a function returns: arrays, a `tf.data.Dataset` or a `keras.utils.PyDataset`."""

    kind: Literal["python"] = Field(description=_KIND)
    source: CodePlace = Field(
        description="The function that returns the data: `package.module:function`, or `path/to/file.py:function` "
        "relative to the spec's file. Every machine calls it, and it must return the same data each time.",
        examples=["my_data.py:load"],
    )
    args: dict[str, Any] = Field(
        default={},
        description="The keyword arguments that the function is called with.",
        examples=[{"count": 1000}],
    )
    task: LabelledTask = Field(default="auto", description=_TASK)
    batched: bool | None = Field(
        default=None,
        description="Whether each element of a `tf.data.Dataset` is a batch (true) or one example (false). Without it, "
        "the way in which the dataset was made decides, and the launch says what was decided.",
        examples=[True],
    )

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
