"""Whether training weighs examples by their class, and how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

import keras
import keras_tuner

from search_spaces.targets import imbalanced
from tuner.data.cache import PreparedData
from tuner.data.prepared import TargetFacts
from tuner.data.splits import TRAIN
from tuner.spec.search_spec import SearchSpec
from tuner.spec.sections import ClassWeight

_STEPS = ("fit", "make_train_function", "train_step", "compute_loss")
# Packages whose losses and trainings take weights of examples, and log what they say.
_KNOWN = ("keras", "keras_tuner", "search_spaces")


@dataclass(frozen=True)
class ClassWeighting:
    """How much the examples of each class count.

    Attributes:
        weights: of each class; None where all count alike.
        left_out: why, where ``auto`` would have weighed them.
    """

    weights: tuple[float, ...] | None
    left_out: str | None = None


def class_weighting(
    space: keras_tuner.HyperModel,
    hp: keras_tuner.HyperParameters,
    spec: SearchSpec,
    data: PreparedData,
    network: keras.Model,
    learned: Sequence[TargetFacts],
) -> ClassWeighting:
    """The weights of a configuration's training.

    Weighing makes batches ``(x, y, weights)``, which training that is somebody's own may not take: ``auto`` leaves such
    alone, while what asks by name, the spec or a hyperparameter ``class_weight``, weighs it too.

    Args:
        learned: what the model makes of each target.
    """
    if any(each.task != "classification" for each in learned):
        return ClassWeighting(None)
    # A hyperparameter of that name with other values is for the space's own `fit`.
    asked = hp.values.get("class_weight")
    weighting = asked if asked in get_args(ClassWeight) else spec.training.class_weight
    weights = class_weights(weighting, data)
    own = own_training(space, network)
    if weights is None or weighting != "auto" or own is None:
        return ClassWeighting(weights)
    return ClassWeighting(
        None,
        f"class weights are left out although one of the two classes is rare, because {own}; "
        "`training.class_weight: balanced` asks for them, and makes batches (x, y, weights)",
    )


def own_training(space: keras_tuner.HyperModel, network: keras.Model) -> str | None:
    """What of the training neither Keras nor this project has written; None where all of it is theirs."""
    if has_own_fit(space):
        return "the search space has a `fit` of its own"
    for name in _STEPS:
        if getattr(type(network), name) is not getattr(keras.Model, name):
            return f"the model has a `{name}` of its own"
    for loss in keras.tree.flatten(getattr(network, "loss", None)):
        if not _is_known(loss):
            return f"the loss {getattr(loss, '__name__', type(loss).__name__)} is the search space's own"
    return None


def has_own_fit(space: keras_tuner.HyperModel) -> bool:
    """Whether somebody else's space trains its models in its own way, and says by what it returns how good they are."""
    return not _is_ours(type(space).fit)


def _is_known(loss: Any) -> bool:
    if loss is None or isinstance(loss, str):
        return True
    kind = loss if hasattr(loss, "__name__") else type(loss)
    return _is_ours(kind)


def _is_ours(code: Any) -> bool:
    return str(getattr(code, "__module__", "")).partition(".")[0] in _KNOWN


def class_weights(weighting: ClassWeight, data: PreparedData) -> tuple[float, ...] | None:
    """The weight of a training example by its class; None where all weigh the same.

    ``balanced`` is examples / (classes * examples of the class), as scikit-learn has it; ``sqrt`` its square root;
    ``auto`` is ``balanced`` for two classes of which one is rare.
    """
    if len(data.targets) != 1 or data.task != "classification":
        return None
    counts = data.class_counts(TRAIN)
    if weighting == "none" or (weighting == "auto" and not imbalanced(counts)):
        return None
    balanced = [sum(counts) / (len(counts) * max(count, 1)) for count in counts]
    return tuple(weight**0.5 for weight in balanced) if weighting == "sqrt" else tuple(balanced)
