"""What a search space is given about the data, and what it must provide."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import keras
import keras_tuner

from search_spaces.statistics import CountTokens, FindThresholds, Statistics, TargetStatistics

Link = Literal["identity", "log"]
LabelForm = Literal["given", "integer", "one_hot"]
Labels = Literal["auto", "integer", "one_hot"]
Task = Literal["classification", "multi_label", "regression", "none"]
InputKind = Literal["image", "array", "text", "number", "integer", "category"]
Structure = str


@dataclass(frozen=True)
class Input:
    """One of a model's inputs.

    ===========  ==========================================================================================
    kind         what a batch holds
    ===========  ==========================================================================================
    image        (batch, height, width, channels) in [0, 255]: float32 of image files, uint8 of arrays
    array        (batch, *shape) of ``dtype``
    text         string (batch,), UTF-8
    number       (batch,), NaN where it is missing: float32 of tables
    integer      (batch,): integers that stand for categories, int64 of tables, ``INTEGER_MISSING`` where it is missing
    category     string (batch,), empty where it is missing
    ===========  ==========================================================================================

    Attributes:
        name: its key where inputs are a dict, its position where they are a tuple, empty for a single one.
        shape: of one example.
        dtype: as Keras names it.
        statistics: of the training split; None where there are none for its kind.
    """

    name: str
    kind: InputKind
    shape: tuple[int, ...]
    dtype: str
    statistics: Statistics | None = None


@dataclass(frozen=True)
class Target:
    """What a model learns to predict.

    Attributes:
        name: as of an input.
        shape: of one example as it was given: () or (1,) for classes and single numbers, (classes,) for one-hot rows
            and multi-label.
        dtype: of what was given; int64 where that is files or strings.
        class_names: of classification and multi-label; class ``i`` is ``class_names[i]``.
        class_counts: training examples of each class (multi-label: with each label).
        statistics: of regression.
        link: of regression, what becomes of a prediction before it is learned: ``"log"`` suits skewed numbers of at
            least 0, whose errors grow with them.
    """

    name: str
    task: Task
    shape: tuple[int, ...]
    dtype: str
    class_names: tuple[str, ...] = ()
    class_counts: tuple[int, ...] = ()
    statistics: TargetStatistics | None = None
    link: Link = "identity"


@dataclass(frozen=True)
class DataSummary:
    """What is known about the data before any model is built.

    Attributes:
        kind: the data source, for example ``"image_directory"``.
        inputs: what a model is given.
        structure: how: ``single``, ``tuple`` or ``dict``; of nested ones a description in JSON.
        targets: what it learns, in ``target_structure``; empty for data without labels.
        examples: number of examples by split: ``train``, ``validation`` and, if there is one, ``test``.
        count_tokens: how often each token stands in the training texts of the single text input; cached on the node.
        find_thresholds: where columns of numbers can be divided; cached likewise. None where no target tells it.
    """

    kind: str
    inputs: tuple[Input, ...]
    targets: tuple[Target, ...]
    examples: Mapping[str, int]
    structure: Structure = "single"
    target_structure: Structure = "single"
    count_tokens: CountTokens | None = None
    find_thresholds: FindThresholds | None = None

    @property
    def target(self) -> Target:
        """The only target; one without a task where the data has no labels.

        Raises:
            ValueError: there are several.
        """
        if len(self.targets) > 1:
            raise ValueError(
                f"the data has {len(self.targets)} targets: {', '.join(each.name for each in self.targets)}"
            )
        return self.targets[0] if self.targets else Target("", "none", (), "float32")

    @property
    def task(self) -> Task:
        return self.target.task

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.target.class_names

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    @property
    def class_counts(self) -> tuple[int, ...]:
        return self.target.class_counts

    @property
    def input_shape(self) -> tuple[int, ...]:
        """One example's shape without the batch dimension.

        Raises:
            ValueError: there are several inputs.
        """
        if len(self.inputs) != 1:
            raise ValueError(f"the data has {len(self.inputs)} inputs: {', '.join(each.name for each in self.inputs)}")
        return self.inputs[0].shape


@dataclass(frozen=True)
class StagedModel:
    """A model in two stages, of which only the second is trained.

    String processing runs on the CPU only and cannot be compiled by XLA. While training, ``preprocessing`` runs in the
    input pipeline, ahead of the accelerator; what is kept and exported is the joined end-to-end model.

    Attributes:
        network: compiled; takes what ``preprocessing`` gives.
        preprocessing: from raw inputs, without anything to train; None where ``network`` takes raw inputs itself.
    """

    network: keras.Model
    preprocessing: keras.Model | None = None

    def end_to_end(self) -> keras.Model:
        """The model from raw inputs to outputs, sharing the network's variables and compiled as the network is."""
        if self.preprocessing is None:
            return self.network
        raw = self.preprocessing.input
        joined = keras.Model(raw, self.network(self.preprocessing(raw)), name=self.network.name)
        compile_like(joined, self.network)
        return joined


def compile_like(model: keras.Model, other: keras.Model, **changes: Any) -> None:
    """Compiles a model as another one is, with its very losses and metrics where Keras cannot make them again.

    Args:
        changes: arguments of ``compile`` that are others.
    """
    try:
        model.compile_from_config(other.get_compile_config() | changes)
    except (TypeError, ValueError):
        # They are not registered, for example, or a function within a function.
        model.compile(**{**other._compile_config.config, **changes})


class SearchSpace(keras_tuner.HyperModel):
    """A hypermodel that is told about the data.

    A plain ``keras_tuner.HyperModel`` works as a search space too; subclass this one to be constructed with the data's
    summary and to choose how labels come. ``build`` gives a compiled model, or a ``StagedModel``. Options that a spec
    gives beside the space's name are keyword arguments of the constructor.

    A space, a plain one too, may have a method ``export_model(model)``: it is given the trained model as it was kept,
    and returns the ``keras.Model`` to export in its place, such as a GAN's generator, which may take other inputs than
    the data.

    Attributes:
        labels: how classes come: ``"integer"`` gives their index, (batch,), int64; ``"one_hot"`` gives (batch,
            classes), float32; ``"auto"`` gives arrays of numbers as they are, and files and strings as the compiled
            loss takes them. Multi-label and regression targets are what was given, whatever it says.
        judged_by_loss: trials are compared by their losses, so they must mean the same in all: a loss of smoothed
            labels or of another unit does not. It is set after the space was constructed.
    """

    labels: Labels = "auto"
    judged_by_loss: bool = False

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

    # The hyperparameter that tells kinds of models apart, of which an epoch of one says nothing about another's:
    # pruners compare a trial with those of its own kind. None where all are alike.
    kind: ClassVar[str | None] = None

    @property
    def portfolio(self) -> tuple[Mapping[str, Any], ...]:
        """Configurations that a search tries first, in this order, before it samples any.

        Each names the values that are no defaults; ``{}`` is the default model, which a search without a portfolio
        tries first too. The cheapest good one should come first, and the others should differ. What the space of this
        data does not have is left out: a value, or the whole configuration where other hyperparameters depend on it.
        """
        return ()

    def declare(self, hp: keras_tuner.HyperParameters) -> None:
        """Registers every hyperparameter that ``build`` asks for.

        Listing a space runs this many times with different parents active. Override it where the hyperparameters
        can be registered without building layers.
        """
        self.build(hp)
