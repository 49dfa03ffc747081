"""Tables: rows of numbers, integers and strings to classes, labels or numbers, with all preprocessing in the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import keras
import keras_tuner

from search_spaces.base import DataSummary, SearchSpace, StagedModel, Target
from search_spaces.families import only_for
from search_spaces.optimization import compile_model
from search_spaces.tables import hyperparameters as ask
from search_spaces.tables.boosted.trees import capacity_of, network_of
from search_spaces.tables.columns import Table, table_of
from search_spaces.tables.config import FAMILIES, PLAIN, Family, Network, NumberEncoding, Numbers, StructuredConfig
from search_spaces.tables.ensemble_fit import fit_ensemble
from search_spaces.tables.networks import assemble
from search_spaces.tables.portfolio import PORTFOLIO
from search_spaces.tables.preprocessing import preprocessing_for_trees, preprocessing_of
from search_spaces.targets import compile_options, labels_of

# Each iteration grows a tree for every one of them.
_MOST_OUTPUTS_OF_TREES = 40
_USUAL_NUMBERS: dict[Family, NumberEncoding] = {"realmlp": "periodic"}


class StructuredSpace(SearchSpace):
    """Models of tables about which nothing is known but their columns' statistics.

    The end-to-end model takes a dict of raw columns by name, each (batch,), see ``base.Input``, and gives what
    ``targets.output_layers`` says of the target's task. Missing values and categories that training lacks are welcome
    everywhere. It consists of Keras's own layers, so that a saved one loads without this package.

    Args:
        data: the data's summary; every input has statistics.
        families: which kinds of model to try: ``"boosted"`` (trees), and of networks ``"tabm"`` (ensembles that share
            weights), ``"realmlp"``, ``"mlp"``, ``"residual"``, ``"wide_and_deep"``, ``"cross"``, ``"linear"``; the
            first is that of the first trial. By default all, but not ``"boosted"`` where the target has more than 40
            classes, labels or numbers.
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
        self.families = _families(families, data.target)
        self.table = table_of(data.inputs)

    kind = "family"

    @property
    def portfolio(self) -> tuple[Mapping[str, Any], ...]:
        return PORTFOLIO

    def configure(self, hp: keras_tuner.HyperParameters) -> StructuredConfig:
        """Asks for every hyperparameter; builds nothing."""
        families = self.families
        family = ask.ask_family(hp, families)
        ask.ask_class_weight(hp, self.data.target, default="none" if self.judged_by_loss else "sqrt")
        link = "identity" if self.judged_by_loss else ask.ask_link(hp, self.data.target)
        if family == "boosted":
            with only_for(hp, ["boosted"], families):
                return StructuredConfig(family, boosting=ask.ask_boosting(hp, self.table.columns), link=link)
        with only_for(hp, [each for each in families if each != "boosted"], families):
            categories = ask.ask_categories(hp, self.table)
        kin = [each for each in families if each in (PLAIN if family in PLAIN else [family])]
        with only_for(hp, kin, families):
            numbers = ask.ask_numbers(hp, self.table, _USUAL_NUMBERS.get(family, "piecewise"))
            examples = self.data.examples["train"]
            smooth = not self.judged_by_loss
            optimization = ask.ask_optimization(hp, self.data.target, examples, self.batch_size, family, smooth=smooth)
        network = self._ask_network(hp, family)
        return StructuredConfig(
            family=family,
            numbers=numbers,
            categories=ask.ask_crosses(hp, categories, self.table, family, families),
            network=network,
            optimization=optimization,
            link=link,
        )

    def _ask_network(self, hp: keras_tuner.HyperParameters, family: Family) -> Network | None:
        if family in PLAIN:
            return ask.ask_network(hp, family, self.families)
        with only_for(hp, [family], self.families):
            if family == "tabm":
                return ask.ask_ensemble(hp, self.data.examples["train"])
            return ask.ask_realmlp(hp, self.data.target)

    def declare(self, hp: keras_tuner.HyperParameters) -> None:
        self.configure(hp)

    def build(self, hp: keras_tuner.HyperParameters) -> StagedModel:
        return self.build_config(self.configure(hp))

    def build_config(self, config: StructuredConfig) -> StagedModel:
        """The model of a configuration, its network compiled."""
        target = replace(self.data.target, link=config.link)
        if config.boosting is not None:
            model = preprocessing_for_trees(self.data.inputs, self.table)
            network = network_of(self.table.columns, capacity_of(config.boosting, target), target, config.family)
            # There are no gradients, so the optimizer says nothing.
            network.compile("sgd", jit_compile=False, **compile_options(target))
            return StagedModel(network, model)
        assert config.optimization is not None
        preprocessing = preprocessing_of(
            self.data.inputs, self._table_for(config.numbers), config.numbers, config.categories
        )
        network = assemble(config, preprocessing, target)
        compile_model(network, target, config.optimization, self.data.examples["train"], self.epochs)
        return StagedModel(network, preprocessing.model)

    def _table_for(self, numbers: Numbers | None) -> Table:
        looks = numbers is not None and numbers.has_intervals and numbers.edges != "quantiles"
        find = self.data.find_thresholds
        return self.table.divided_by(find()) if looks and find is not None else self.table

    def fit(self, hp: keras_tuner.HyperParameters, model: keras.Model, *args: Any, **kwargs: Any) -> Any:
        """Trains a network as Keras does; boosted trees by adding some in every epoch."""
        config = self.configure(hp)
        if config.family == "tabm":
            return fit_ensemble(model, *args, **kwargs)
        if config.boosting is None:
            return super().fit(hp, model, *args, **kwargs)
        # It loads scikit-learn.
        from search_spaces.tables.boosted.fit import fit_boosted

        return fit_boosted(
            model, config.boosting, replace(self.data.target, link=config.link), self.epochs, *args, **kwargs
        )


def _check_target(data: DataSummary) -> None:
    if data.structure != "dict":
        raise ValueError("the structured space takes a dict of named columns; this data has another structure")
    if data.task == "none":
        raise ValueError("the structured space needs a label column")
    if data.task == "classification" and data.num_classes < 2:
        raise ValueError(f"the structured space needs at least two classes, not {data.num_classes}")


def _families(families: Sequence[str] | None, target: Target) -> tuple[Family, ...]:
    if families is None:
        outputs = max(1, len(target.class_names), *target.shape)
        return tuple(each for each in FAMILIES if each != "boosted" or outputs <= _MOST_OUTPUTS_OF_TREES)
    unknown = [each for each in families if each not in FAMILIES]
    if unknown or not families or isinstance(families, str):
        raise ValueError(f"families must be a list of {', '.join(FAMILIES)}; it is {families!r}")
    return tuple(dict.fromkeys(families))  # type: ignore[arg-type]
