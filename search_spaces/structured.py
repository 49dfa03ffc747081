"""Tables: rows of numbers, integers and strings to classes, labels or numbers, with all preprocessing in the model."""

from __future__ import annotations

from collections.abc import Sequence

import keras_tuner

from search_spaces import structured_hyperparameters as ask
from search_spaces.base import DataSummary, SearchSpace, StagedModel
from search_spaces.optimization import compile_model
from search_spaces.structured_columns import table_of
from search_spaces.structured_config import FAMILIES, Family, StructuredConfig
from search_spaces.structured_layers import assemble
from search_spaces.structured_preprocessing import preprocessing_of
from search_spaces.targets import labels_of


class StructuredSpace(SearchSpace):
    """Models of tables about which nothing is known but their columns' statistics.

    The end-to-end model takes a dict of raw columns by name, each (batch,), see ``base.Input``, and gives what
    ``targets.output_layers`` says of the target's task. Missing values and categories that training lacks are welcome
    everywhere. It consists of Keras's own layers, so that a saved one loads without this package.

    Args:
        data: the data's summary; every input has statistics.
        families: which kinds of network to try: ``"mlp"``, ``"residual"``, ``"wide_and_deep"``, ``"cross"``,
            ``"linear"``; the first is that of the first trial. By default all but ``"linear"``.
        epochs: the length of a full training, which learning-rate schedules span.
        batch_size: the smallest batch size.

    Raises:
        ValueError: the data is no table, has no labels, or one or all of its columns say nothing; or an option is
            impossible.
    """

    def __init__(
        self,
        data: DataSummary,
        *,
        families: Sequence[str] | None = None,
        epochs: int = 20,
        batch_size: int = 32,
    ) -> None:
        super().__init__(data, epochs=epochs, batch_size=batch_size)
        _check_target(data)
        self.labels = labels_of(data.target)
        self.families = _families(families)
        self.table = table_of(data.inputs)

    def configure(self, hp: keras_tuner.HyperParameters) -> StructuredConfig:
        """Asks for every hyperparameter; builds nothing."""
        families = self.families
        family = ask.ask_family(hp, families)
        return StructuredConfig(
            family=family,
            numbers=ask.ask_numbers(hp, self.table),
            categories=ask.ask_categories(hp, self.table, family, families),
            network=ask.ask_network(hp, family, families),
            optimization=ask.ask_optimization(hp, self.data.target, self.data.examples["train"], self.batch_size),
        )

    def declare(self, hp: keras_tuner.HyperParameters) -> None:
        self.configure(hp)

    def build(self, hp: keras_tuner.HyperParameters) -> StagedModel:
        return self.build_config(self.configure(hp))

    def build_config(self, config: StructuredConfig) -> StagedModel:
        """The model of a configuration, its network compiled."""
        preprocessing = preprocessing_of(self.data.inputs, self.table, config.numbers, config.categories)
        network = assemble(config, preprocessing, self.data.target)
        compile_model(network, self.data.target, config.optimization, self.data.examples["train"], self.epochs)
        return StagedModel(network, preprocessing.model)


def _check_target(data: DataSummary) -> None:
    if data.structure != "dict":
        raise ValueError("the structured space takes a dict of named columns; this data has another structure")
    if data.task == "none":
        raise ValueError("the structured space needs a label column")
    if data.task == "classification" and data.num_classes < 2:
        raise ValueError(f"the structured space needs at least two classes, not {data.num_classes}")


def _families(families: Sequence[str] | None) -> tuple[Family, ...]:
    if families is None:
        return tuple(each for each in FAMILIES if each != "linear")
    unknown = [each for each in families if each not in FAMILIES]
    if unknown or not families or isinstance(families, str):
        raise ValueError(f"families must be a list of {', '.join(FAMILIES)}; it is {families!r}")
    return tuple(dict.fromkeys(families))  # type: ignore[arg-type]
