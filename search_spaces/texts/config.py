"""What a configuration of the text space is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from search_spaces.optimization import Optimization
from search_spaces.statistics import Tokenization

Family = Literal["linear", "bag", "pooling", "convolution", "recurrent", "transformer"]
FAMILIES: tuple[Family, ...] = ("linear", "bag", "pooling", "convolution", "recurrent", "transformer")
# Those that see which tokens a text has, and those that see them in their order.
BAGS: tuple[Family, ...] = FAMILIES[:2]
SEQUENCES: tuple[Family, ...] = FAMILIES[2:]


@dataclass(frozen=True)
class Vectorization:
    """From strings to numbers.

    Attributes:
        tokenization: how texts become tokens.
        vocabulary: so many of the most frequent tokens are known at most; all others are one unknown token.
        weighting: of a bag of tokens: ``"multi_hot"``, ``"tf_idf"``, or ``"log_tf_idf"``, of which the logarithm of a
            token's count is a factor rather than the count; None for sequences.
        length: of sequences, in tokens: what is beyond is cut off; None for a bag.
    """

    tokenization: Tokenization
    vocabulary: int
    weighting: str | None = None
    length: int | None = None


@dataclass(frozen=True)
class Bag:
    """What models of one number per token of the vocabularies have in common.

    Attributes:
        unit_length: of each vocabulary, a text's numbers are scaled to the Euclidean length 1, so that long and short
            texts weigh the same, and so do words and characters.
        ratios: of a linear model: tokens count by how well they tell the classes apart, see
            ``linear_solver.log_count_ratios``.
        units: of each hidden layer; none of a linear model.
    """

    unit_length: bool
    ratios: bool = False
    units: tuple[int, ...] = ()


@dataclass(frozen=True)
class Sequence:
    """What networks on sequences have in common.

    Attributes:
        embedding: numbers that stand for a token.
        embedding_dropout: share of them dropped while training, the same ones in all of a text.
        pooling: over the text: ``"average"``, ``"maximum"`` or ``"both"``.
        units: of a hidden dense layer after it; 0 for none.
    """

    embedding: int
    embedding_dropout: float
    pooling: str
    units: int


@dataclass(frozen=True)
class Convolution:
    """Attributes: ``blocks`` of one convolution with ``filters`` over ``kernel_size`` tokens each."""

    blocks: int
    filters: int
    kernel_size: int


@dataclass(frozen=True)
class Recurrent:
    """Attributes: ``cell``: ``"lstm"`` or ``"gru"``, ``layers`` of it with ``units``, in both directions or one."""

    cell: str
    layers: int
    units: int
    bidirectional: bool


@dataclass(frozen=True)
class Transformer:
    """A small encoder as wide as the embedding.

    Attributes:
        layers: encoder blocks.
        heads: of attention; they divide the width among themselves.
        expansion: the hidden layer of a block is so many times as wide.
    """

    layers: int
    heads: int
    expansion: int


Body = Convolution | Recurrent | Transformer


@dataclass(frozen=True)
class TextConfig:
    """One configuration: a ``bag``, or a ``sequence`` with a ``body`` unless tokens are only pooled.

    Attributes:
        vectorizations: one of a sequence; one or two of a bag, whose numbers stand side by side.
        dropout: share of features dropped before the prediction while training; 0 of linear models, and
            ``optimization`` is None: they are solved.
        class_weight: as ``training.class_weight``; None leaves it to the spec. Weights are the batches' business.
    """

    family: Family
    vectorizations: tuple[Vectorization, ...]
    bag: Bag | None
    sequence: Sequence | None
    body: Body | None
    dropout: float
    optimization: Optimization | None
    class_weight: str | None
