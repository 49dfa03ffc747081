"""What a compiled model learns from its targets: how its losses take labels, and so what its outputs mean."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Any, Literal

import keras
import keras_tuner
import numpy as np

from search_spaces.base import LabelForm, SearchSpace
from tuner.data.classes import class_values
from tuner.data.prepared import PreparedData, TargetFacts

Kind = Literal["index", "one_hot", "binary", "numbers"]
# A loss of the user's own is of no kind: only they know what it takes.
_KINDS: dict[Kind, tuple[str, ...]] = {
    "index": ("SparseCategoricalCrossentropy", "CategoricalGeneralizedCrossEntropy"),
    "one_hot": ("CategoricalCrossentropy", "CategoricalFocalCrossentropy", "CategoricalHinge", "KLDivergence"),
    "binary": ("BinaryCrossentropy", "BinaryFocalCrossentropy"),
    "numbers": (
        "MeanSquaredError",
        "MeanAbsoluteError",
        "MeanAbsolutePercentageError",
        "MeanSquaredLogarithmicError",
        "Huber",
        "LogCosh",
        "Poisson",
        "Hinge",
        "SquaredHinge",
        "CosineSimilarity",
    ),
}
# The numbers that a loss takes; beyond them it has no least value, or none at all.
_PROBABILITIES, _SIGNS, _COUNTS = (0.0, 1.0), (-1.0, 1.0), (0.0, np.inf)
_TAKEN = {
    **dict.fromkeys((*_KINDS["binary"], *_KINDS["one_hot"]), _PROBABILITIES),
    **dict.fromkeys(("Hinge", "SquaredHinge"), _SIGNS),
    **dict.fromkeys(("Poisson", "MeanSquaredLogarithmicError"), _COUNTS),
}
# Of targets that may be as large as images, so many are looked at at a time.
_ROWS = 1024
_BY_CLASS: dict[type, Kind] = {getattr(keras.losses, name): kind for kind, names in _KINDS.items() for name in names}


@dataclass(frozen=True)
class Learner:
    """What learns one target.

    Attributes:
        kind: of its loss; None for one of the user's own, or where there is none.
        name: of its loss, for people.
        shape: of its output for one example; None where it is unknown.
        activation: the function that the output is known to come from, by Keras's name; None where it is unknown.
        taken: the smallest and the largest number that the loss takes.
        logits: the loss makes probabilities of the output by itself; None where it knows no probabilities.
        ignored: the class of examples or parts of them that the loss leaves out.
    """

    kind: Kind | None = None
    name: str = ""
    shape: tuple[int | None, ...] | None = None
    activation: str | None = None
    taken: tuple[float, float] = (-np.inf, np.inf)
    logits: bool | None = None
    ignored: int | None = None

    @property
    def units(self) -> int | None:
        """How many numbers the output has for one example; None unless it is a row of them."""
        return self.shape[0] if self.shape is not None and len(self.shape) == 1 else None


def learners(model: keras.Model, data: PreparedData, outputs: Any) -> list[Learner]:
    """What learns each target.

    Args:
        outputs: what the model gives for a batch, tensors or stand-ins for them; None where that is unknown.
    """
    leaves = _output_leaves(model, outputs)
    count = len(data.targets)
    found = []
    for place, facts in enumerate(data.targets):
        by_name = [at for at, leaf in enumerate(leaves) if facts.name and facts.name in leaf.names]
        at = by_name[0] if by_name else place
        leaf = leaves[at] if by_name or len(leaves) == count else _Leaf(frozenset(), None)
        loss = _loss_of(getattr(model, "loss", None), at, leaf.names | {facts.name})
        activation = _last_activation(model) if count == 1 else None
        found.append(learner_of(loss, leaf.shape, activation))
    return found


@dataclass(frozen=True)
class _Leaf:
    """One output. Attributes: ``names``: what losses and targets may call it; ``shape``: of one example."""

    names: frozenset[str]
    shape: tuple[int | None, ...] | None


def _output_leaves(model: keras.Model, outputs: Any) -> list[_Leaf]:
    found = [] if outputs is None else keras.tree.flatten_with_path(outputs)
    own = list(getattr(model, "output_names", None) or [])
    leaves = []
    for place, (path, value) in enumerate(found):
        # Of a tuple or list, the path is a number, which targets by position have too.
        names = {str(part) for part in path} | ({own[place]} if len(own) == len(found) else set())
        shape = getattr(value, "shape", None)
        leaves.append(_Leaf(frozenset(names), None if shape is None else tuple(shape[1:])))
    return leaves


def _loss_of(losses: Any, place: int, names: Set[str]) -> Any:
    if isinstance(losses, dict):
        return next((loss for name, loss in losses.items() if name in names), None)
    if isinstance(losses, list | tuple):
        return losses[place] if place < len(losses) else None
    return losses


def learner_of(loss: Any, shape: tuple[int | None, ...] | None = None, activation: str | None = None) -> Learner:
    """What learns a target by a loss: one of Keras's, by its name, its class or its function, or the user's own."""
    if isinstance(loss, str):
        try:
            loss = keras.losses.get(loss)
        except ValueError:
            return Learner(None, str(loss), shape, activation)
    for known, kind in _BY_CLASS.items():
        if isinstance(loss, known) or loss is _function_of(known):
            name = getattr(loss, "__name__", "") or str(getattr(loss, "name", "") or type(loss).__name__)
            made = loss if isinstance(loss, known) else known()
            return Learner(
                kind,
                name,
                shape,
                activation,
                taken=_TAKEN.get(known.__name__, (-np.inf, np.inf)),
                logits=getattr(made, "from_logits", None),
                ignored=getattr(made, "ignore_class", None),
            )
    return Learner(None, getattr(loss, "__name__", type(loss).__name__), shape, activation)


def _function_of(loss: type) -> Any:
    """The function that a class of Keras's losses wraps."""
    return loss().fn


def _last_activation(model: keras.Model) -> str | None:
    layers = getattr(model, "layers", [])
    activation = getattr(layers[-1] if layers else None, "activation", None)
    known = ("linear", "sigmoid", "softmax")
    return next((name for name in known if activation is getattr(keras.activations, name)), None)


def label_forms(
    space: keras_tuner.HyperModel, learned_by: Sequence[Learner], data: PreparedData
) -> tuple[LabelForm, ...]:
    """How the labels of each target come: what the user gave, unless the loss cannot take that."""
    wanted = space.labels if isinstance(space, SearchSpace) else "auto"
    return tuple(
        ("given" if facts.task != "classification" else _form(facts, learner) if wanted == "auto" else wanted)
        for facts, learner in zip(data.targets, learned_by, strict=True)
    )


def _form(facts: TargetFacts, learner: Learner) -> LabelForm:
    classes, kind, units = len(facts.class_names), learner.kind, learner.units
    if facts.coding == "one_hot":
        to_index = kind == "index" or (kind == "binary" and units == 1 and classes == 2)
        return "integer" if to_index else "given"
    as_rows = units == classes > 1
    if facts.coding == "index":
        return "one_hot" if kind == "one_hot" or (as_rows and kind in ("binary", "numbers")) else "given"
    values = class_values(facts).astype(np.float64)
    if as_rows and kind in ("one_hot", "binary"):
        return "one_hot"
    if kind == "index" and learner.ignored is not None:
        return "given"
    if kind == "index" and units is not None:
        return "given" if _are_indices(values, units) or classes > units else "integer"
    if kind == "binary" and units == 1 and classes == 2:
        return "given" if values.min() >= 0 and values.max() <= 1 else "integer"
    return "given"


def _are_indices(values: np.ndarray, units: int) -> bool:
    return bool(((values >= 0) & (values < units) & (values == np.floor(values))).all())


def learned_targets(
    data: PreparedData, learned_by: Sequence[Learner], forms: Sequence[LabelForm], *, inferred: bool = True
) -> tuple[TargetFacts, ...]:
    """What the model makes of each target, which dtypes and shapes alone do not tell.

    Integers are classes or quantities, whichever the loss learns; a model may know more classes than the data has.

    Args:
        inferred: the spec does not say what the task is.
    """
    return tuple(
        _learned(data, place, learner, form, inferred)
        for place, (learner, form) in enumerate(zip(learned_by, forms, strict=True))
    )


def _learned(data: PreparedData, place: int, learner: Learner, form: LabelForm, inferred: bool) -> TargetFacts:
    facts, units = data.targets[place], learner.units
    if facts.task == "regression":
        if learner.kind != "index" or units is None or facts.shape not in ((), (1,)) or not inferred:
            return facts
        spread = value_range(data, place)
        as_classes = {"task": "classification", "class_names": _numbered(units), "coding": "index", "statistics": None}
        return (
            facts.model_copy(update=as_classes) if spread.whole and spread.low >= 0 and spread.high < units else facts
        )
    if facts.task != "classification" or (units is None and learner.shape is None):
        return facts
    classes = len(facts.class_names)
    if learner.kind == "index" and units is not None and units >= classes:
        if form == "given" and facts.coding == "values":
            return facts.model_copy(update={"class_names": _numbered(units), "coding": "index"})
        return facts.model_copy(update={"class_names": (*facts.class_names, *_numbered(units)[classes:])})
    if units == classes or (
        units == 1 and classes == 2 and (facts.coding != "values" or not _is_quantity(learner, facts))
    ):
        return facts
    if inferred and form == "given" and facts.coding == "values" and units == 1 and learner.kind in ("numbers", None):
        return facts.model_copy(update={"task": "regression", "class_names": ()})
    # What a loss of the user's own makes of it is theirs to say.
    return facts.model_copy(update={"task": "none", "class_names": ()}) if learner.kind is None else facts


def _is_quantity(learner: Learner, facts: TargetFacts) -> bool:
    """Whether one number for two of the user's numbers is one of those, rather than the second one's probability."""
    if facts.coding != "values":
        return False
    zero_and_one = set(class_values(facts).astype(np.float64).tolist()) == {0.0, 1.0}
    return learner.kind == "numbers" and not (zero_and_one and learner.activation == "sigmoid")


def _numbered(count: int) -> tuple[str, ...]:
    return tuple(str(place) for place in range(count))


@dataclass(frozen=True)
class Spread:
    """Attributes: ``low``, ``high``: the smallest and the largest number; ``whole``: all are integers."""

    low: float
    high: float
    whole: bool


def value_range(data: PreparedData, target: int, ignored: int | None = None) -> Spread:
    """Of a target of numbers, in all splits, but for those that a loss leaves out."""
    low, high, whole = np.inf, -np.inf, True
    for array in (split.targets[target] for split in data.splits.values()):
        for start in range(0, len(array), _ROWS):
            rows = np.asarray(array[start : start + _ROWS])
            rows = rows if ignored is None else rows[rows != ignored]
            if rows.size:
                low, high = min(low, float(rows.min())), max(high, float(rows.max()))
                whole = whole and (rows.dtype.kind in "iub" or bool((rows == np.floor(rows)).all()))
    return Spread(low, high, whole)
