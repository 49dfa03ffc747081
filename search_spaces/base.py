"""What a search space is given about the data, and what it must provide."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import keras_tuner

Labels = Literal["integer", "one_hot"]


@dataclass(frozen=True)
class DataSummary:
    """What is known about the data before any model is built.

    Attributes:
        kind: the data source, for example ``"image_directory"``.
        task: ``"classification"``.
        input_shape: one example's shape without the batch dimension; images are (height, width, channels),
            float32 in [0, 255].
        class_names: label ``i`` is ``class_names[i]``.
        examples: number of examples by split: ``train``, ``validation`` and, if there is one, ``test``.
        class_counts: number of training examples of each class, in the order of ``class_names``.
    """

    kind: str
    task: str
    input_shape: tuple[int, ...]
    class_names: tuple[str, ...]
    examples: Mapping[str, int]
    class_counts: tuple[int, ...]

    @property
    def num_classes(self) -> int:
        return len(self.class_names)


class SearchSpace(keras_tuner.HyperModel):
    """A hypermodel that is told about the data.

    A plain ``keras_tuner.HyperModel`` works as a search space too; subclass this one to be constructed with the data's
    summary and to choose how labels come. Options that a spec gives beside the space's name are keyword arguments of
    the constructor.

    Attributes:
        labels: ``"integer"`` gives labels of shape (batch,), int64; ``"one_hot"`` gives (batch, classes), float32.
    """

    labels: ClassVar[Labels] = "integer"

    def __init__(self, data: DataSummary, *, epochs: int = 20, batch_size: int = 32) -> None:
        """Keeps what is known before training.

        Args:
            data: the data's summary.
            epochs: the most epochs that a trial may train, for schedules.
            batch_size: the batch size unless the space registers a hyperparameter named ``batch_size``.
        """
        super().__init__()
        self.data = data
        self.epochs = epochs
        self.batch_size = batch_size

    def declare(self, hp: keras_tuner.HyperParameters) -> None:
        """Registers every hyperparameter that ``build`` asks for.

        Listing a space runs this many times with different parents active. Override it where the hyperparameters
        can be registered without building layers.
        """
        self.build(hp)
