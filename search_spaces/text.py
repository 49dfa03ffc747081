"""Texts: bags of n-grams and sequences of tokens, from raw strings, with the vectorisation in the model."""

from __future__ import annotations

from collections.abc import Sequence

import keras_tuner

from search_spaces import text_hyperparameters as ask
from search_spaces.base import DataSummary, SearchSpace, StagedModel
from search_spaces.optimization import compile_model
from search_spaces.statistics import CountTokens, TextStatistics, Tokenization
from search_spaces.targets import imbalanced, labels_of
from search_spaces.text_config import FAMILIES, Family, TextConfig
from search_spaces.text_layers import assemble
from search_spaces.text_vectorization import vectorizer


class TextSpace(SearchSpace):
    """Models of texts, for data sets about which nothing is known but their size, lengths and tokens.

    Models take UTF-8 strings, (batch,), and give what ``targets.output_layers`` says of the target's task. They
    consist of Keras's own layers, so that a saved one loads without this package. The vocabulary comes from the
    data's token counts; no layer adapts in a trial.

    A bag holds a number for every token of the vocabulary: a batch of it takes 4 bytes x batch size x vocabulary,
    10 MB at 128 x 20,000, and twice that for a moment while it is made. Sparse batches would be smaller, but XLA
    compiles none; ``max_vocabulary`` bounds what a batch takes.

    Args:
        data: the data's summary; its only input is a text.
        families: which kinds of network to try: ``"bag"``, ``"pooling"``, ``"convolution"``, ``"recurrent"``,
            ``"transformer"``; the first is that of the first trial. By default all.
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
        self.families = _families(families)
        self.max_vocabulary = _checked_vocabulary(max_vocabulary)
        self._distinct: dict[Tokenization, int] = {}

    def configure(self, hp: keras_tuner.HyperParameters) -> TextConfig:
        """Asks for every hyperparameter; builds nothing. Counts tokens unless they are counted on this node."""
        data, families = self.data, self.families
        family = ask.ask_family(hp, families)
        statistics = data.inputs[0].statistics
        rare = data.task == "classification" and imbalanced(data.class_counts)
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
            bag=ask.ask_bag(hp, family, families),
            sequence=ask.ask_sequence(hp, family, families),
            body=ask.ask_body(hp, family, families),
            dropout=ask.ask_dropout(hp),
            optimization=ask.ask_optimization(
                hp, families, data.examples["train"], self.batch_size, smooth=data.task != "regression"
            ),
            class_weight=ask.ask_class_weight(hp) if rare else None,
        )

    def declare(self, hp: keras_tuner.HyperParameters) -> None:
        self.configure(hp)

    def build(self, hp: keras_tuner.HyperParameters) -> StagedModel:
        return self.build_config(self.configure(hp))

    def build_config(self, config: TextConfig) -> StagedModel:
        """The compiled model of a configuration."""
        preprocessing = vectorizer(config.vectorizations, self._count)
        network = assemble(config, preprocessing, self.data.target)
        compile_model(network, self.data.target, config.optimization, self.data.examples["train"], self.epochs)
        return StagedModel(network, preprocessing)

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


def _families(families: Sequence[str] | None) -> tuple[Family, ...]:
    if families is None:
        return FAMILIES
    unknown = [each for each in families if each not in FAMILIES]
    if unknown or not families or isinstance(families, str):
        raise ValueError(f"families must be a list of {', '.join(FAMILIES)}; it is {families!r}")
    return tuple(dict.fromkeys(each for each in families if each in FAMILIES))  # type: ignore[misc]


def _checked_vocabulary(most: int) -> int:
    if most < 1:
        raise ValueError(f"max_vocabulary must be at least 1; it is {most!r}")
    return most
