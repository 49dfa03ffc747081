"""Texts: bags of n-grams and sequences of tokens, from raw strings, with the vectorisation in the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import keras_tuner

from search_spaces.base import DataSummary, SearchSpace, StagedModel, Target
from search_spaces.optimization import compile_model
from search_spaces.statistics import CountTokens, TextStatistics, Tokenization
from search_spaces.targets import compile_options, imbalanced, labels_of
from search_spaces.texts import hyperparameters as ask
from search_spaces.texts.config import FAMILIES, Family, TextConfig
from search_spaces.texts.layers import assemble
from search_spaces.texts.portfolio import PORTFOLIO
from search_spaces.texts.vectorization import vectorizer

# Each has a weight of every token.
_MOST_OUTPUTS_OF_LINEAR = 40


class TextSpace(SearchSpace):
    """Models of texts, for data sets about which nothing is known but their size, lengths and tokens.

    Models take UTF-8 strings, (batch,), and give what ``targets.output_layers`` says of the target's task. They
    consist of Keras's own layers, so that a saved one loads without this package. The vocabulary comes from the
    data's token counts; no layer adapts in a trial.

    A bag holds the tokens that a text has and what each weighs. While it is made, it is a number for every token of the
    vocabulary: 4 bytes x batch size x vocabulary, 10 MB at 128 x 20,000, and twice that for a moment, which
    ``max_vocabulary`` bounds.

    Args:
        data: the data's summary; its only input is a text.
        families: which kinds of network to try: ``"linear"``, ``"bag"``, ``"pooling"``, ``"convolution"``,
            ``"recurrent"``, ``"transformer"``; the first is that of the first trial. By default all, and without
            ``"linear"`` where the target has more than 40 classes, labels or numbers.
        epochs: the length of a full training, which learning-rate schedules span.
        batch_size: the default batch size.
        max_vocabulary: no model knows more tokens.

    Raises:
        ValueError: the data is not one text with a target, or an option is impossible.
    """

    def __init__(
        self,
        data: DataSummary,
        *,
        families: Sequence[str] | None = None,
        epochs: int = 20,
        batch_size: int = 32,
        max_vocabulary: int = 40_000,
    ) -> None:
        super().__init__(data, epochs=epochs, batch_size=batch_size)
        self._count = _counter(data)
        self.labels = labels_of(data.target)
        self.families = _families(families, data.target)
        self.max_vocabulary = _checked_vocabulary(max_vocabulary)
        self._distinct: dict[Tokenization, int] = {}

    kind = "family"

    @property
    def portfolio(self) -> tuple[Mapping[str, Any], ...]:
        return PORTFOLIO

    def configure(self, hp: keras_tuner.HyperParameters) -> TextConfig:
        """Asks for every hyperparameter; builds nothing. Counts tokens unless they are counted on this node."""
        data, families = self.data, self.families
        family = ask.ask_family(hp, families)
        statistics = data.inputs[0].statistics
        rare = data.task == "classification" and imbalanced(data.class_counts)
        smooth = data.task != "regression" and not self.judged_by_loss
        dropout, optimization = ask.ask_optimization(
            hp, family, families, data.examples["train"], self.batch_size, smooth=smooth
        )
        return TextConfig(
            family=family,
            vectorizations=ask.ask_vectorizations(
                hp,
                family,
                families,
                statistics if isinstance(statistics, TextStatistics) else None,
                self._count_distinct,
                self.max_vocabulary,
            ),
            bag=ask.ask_bag(hp, family, families, classes=data.task != "regression"),
            sequence=ask.ask_sequence(hp, family, families),
            body=ask.ask_body(hp, family, families),
            dropout=dropout,
            optimization=optimization,
            class_weight=ask.ask_class_weight(hp) if rare else None,
        )

    def declare(self, hp: keras_tuner.HyperParameters) -> None:
        self.configure(hp)

    def build(self, hp: keras_tuner.HyperParameters) -> StagedModel:
        return self.build_config(self.configure(hp))

    def build_config(self, config: TextConfig) -> StagedModel:
        """The compiled model of a configuration."""
        statistics, target = self.data.inputs[0].statistics, self.data.target
        characters = statistics.characters if isinstance(statistics, TextStatistics) else ()
        unit_length = config.bag is not None and config.bag.unit_length
        preprocessing = vectorizer(config.vectorizations, self._count, characters, unit_length=unit_length)
        network = assemble(config, preprocessing, target)
        if config.optimization is None:
            # There are no gradients, so the optimizer says nothing.
            network.compile("sgd", jit_compile=False, **compile_options(target))
        else:
            compile_model(network, target, config.optimization, self.data.examples["train"], self.epochs)
        return StagedModel(network, preprocessing)

    def fit(self, hp: keras_tuner.HyperParameters, model: keras.Model, *args: Any, **kwargs: Any) -> Any:
        """Trains a network as Keras does; a linear model by solving it in every epoch."""
        config = self.configure(hp)
        if config.optimization is not None:
            return super().fit(hp, model, *args, **kwargs)
        # It loads SciPy.
        from search_spaces.texts.linear_fit import fit_linear

        assert config.bag is not None
        return fit_linear(model, config.bag, self.data.target, self.epochs, *args, **kwargs)

    def _count_distinct(self, tokenization: Tokenization) -> int:
        if tokenization not in self._distinct:
            self._distinct[tokenization] = self._count(tokenization, 0).distinct
        return self._distinct[tokenization]


def _counter(data: DataSummary) -> CountTokens:
    kinds = [each.kind for each in data.inputs]
    if kinds != ["text"] or data.count_tokens is None:
        raise ValueError(f"the text space takes one text; the data has {', '.join(kinds)}")
    if data.task == "none":
        raise ValueError("the text space needs labels")
    if data.task == "classification" and data.num_classes < 2:
        raise ValueError(f"the text space needs at least two classes, not {data.num_classes}")
    return data.count_tokens


def _families(families: Sequence[str] | None, target: Target) -> tuple[Family, ...]:
    if families is None:
        outputs = max(1, len(target.class_names), *target.shape)
        return FAMILIES if outputs <= _MOST_OUTPUTS_OF_LINEAR else FAMILIES[1:]
    unknown = [each for each in families if each not in FAMILIES]
    if unknown or not families or isinstance(families, str):
        raise ValueError(f"families must be a list of {', '.join(FAMILIES)}; it is {families!r}")
    return tuple(dict.fromkeys(each for each in families if each in FAMILIES))  # type: ignore[misc]


def _checked_vocabulary(most: int) -> int:
    if most < 1:
        raise ValueError(f"max_vocabulary must be at least 1; it is {most!r}")
    return most
