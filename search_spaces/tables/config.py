"""What a configuration of the structured space is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from search_spaces.base import Link
from search_spaces.optimization import Optimization

Family = Literal["boosted", "tabm", "realmlp", "mlp", "residual", "wide_and_deep", "cross", "linear"]
FAMILIES: tuple[Family, ...] = ("boosted", "tabm", "realmlp", "mlp", "residual", "wide_and_deep", "cross", "linear")
# Networks that share their hyperparameters.
PLAIN: tuple[Family, ...] = ("mlp", "residual", "wide_and_deep", "cross", "linear")

NumberEncoding = Literal["standard", "log", "quantile", "robust", "periodic", "piecewise", "binned"]
Edges = Literal["trees", "quantiles", "distinct"]
LargeVocabularies = Literal["frequent", "hashed"]


@dataclass(frozen=True)
class Numbers:
    """How numbers become features.

    Attributes:
        encoding: ``"standard"``: mean 0 and variance 1, outliers cut off; ``"log"``: the logarithm of that, which keeps
            the sign; ``"quantile"``: the share of training values below it; ``"robust"``: median 0, quartiles 1 apart,
            outliers drawn in smoothly; ``"periodic"``: that, and waves of it whose frequencies are learned;
            ``"piecewise"``: how far each of several intervals is filled; ``"binned"``: in which of them it is.
        bins: intervals, at most.
        edges: where they end: at ``"trees"``, thresholds that tell most of the target, at ``"quantiles"`` of all rows,
            or at those of the ``"distinct"`` values.
        frequency: of the first waves; see ``tables.periodic``.
    """

    encoding: NumberEncoding
    bins: int
    edges: Edges = "trees"
    frequency: float = 0.1

    @property
    def has_intervals(self) -> bool:
        return self.encoding in ("piecewise", "binned")


@dataclass(frozen=True)
class Categories:
    """How categories become features.

    Attributes:
        one_hot_up_to: columns with so many codes or fewer are one-hot; others are embedded.
        embedding_size: numbers for each embedded column.
        most_values: a vocabulary's length; the values beyond it share codes.
        large: what columns with more values than that do: ``"frequent"`` keeps the most frequent ones apart and hashes
            the rest, ``"hashed"`` hashes all of them.
        crosses: pairs of columns whose combinations are features of the wide part.
    """

    one_hot_up_to: int
    embedding_size: int
    most_values: int
    large: LargeVocabularies
    crosses: int = 0


@dataclass(frozen=True)
class Network:
    """Hidden layers.

    Attributes:
        layers: dense layers, or blocks of two of them where they are residual.
        units: of each.
        normalization: ``"batch"``, ``"layer"`` or ``"none"``.
        activation: a name that Keras knows.
        dropout: share of units dropped while training.
        cross_layers: of the cross network.
        members: of an ensemble that shares the layers.
    """

    layers: int
    units: int
    normalization: str
    activation: str
    dropout: float
    cross_layers: int = 0
    members: int = 1


@dataclass(frozen=True)
class Boosting:
    """How boosted trees grow.

    Attributes:
        rate: what of a tree's prediction is added.
        leaves: of a tree, at most.
        least_examples: training examples of a leaf, at least.
        l2: regularization of leaves.
        columns_share: of the columns, those that a node may choose from, at random.
    """

    rate: float
    leaves: int
    least_examples: int
    l2: float
    columns_share: float


@dataclass(frozen=True)
class StructuredConfig:
    """One configuration.

    Boosted trees have ``boosting`` alone. Networks have ``optimization``, ``numbers`` or ``categories`` where the data
    has such columns, and ``network`` unless they are linear. ``link`` is that of the target.
    """

    family: Family
    numbers: Numbers | None = None
    categories: Categories | None = None
    network: Network | None = None
    optimization: Optimization | None = None
    boosting: Boosting | None = None
    link: Link = "identity"
