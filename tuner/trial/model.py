"""The model of a configuration, and the batches that it takes."""

from __future__ import annotations

import keras
import keras_tuner

from search_spaces.base import StagedModel
from search_spaces.targets import imbalanced
from tuner.data.batches import BatchFormat
from tuner.data.cache import PreparedData
from tuner.data.splits import TRAIN
from tuner.spec import ClassWeight, SearchSpec
from tuner.trial.failure import Infeasible
from tuner.trial.space import labels_of


def build_model(
    space: keras_tuner.HyperModel,
    hp: keras_tuner.HyperParameters,
    spec: SearchSpec,
    data: PreparedData,
) -> StagedModel:
    """The space's model, compiled and with its variables made.

    Raises:
        Infeasible: the space refused the configuration with a ValueError, or the model has too many parameters.
        TypeError: what ``build`` returned is not a compiled Keras model.
    """
    try:
        built = space.build(hp)
    except ValueError as error:
        raise Infeasible(f"build refused the configuration: {error}") from error
    staged = built if isinstance(built, StagedModel) else StagedModel(built)
    model = staged.network
    if not isinstance(model, keras.Model):
        raise TypeError(f"build returned {type(model).__name__}, not a keras.Model")
    if not model.compiled:
        raise TypeError("build returned a model that is not compiled; call model.compile(...) in build")
    if not model.built:
        model.build((None, *data.input_shape))
    limit = spec.training.max_parameters
    if limit is not None and model.count_params() > limit:
        raise Infeasible(f"the model has {model.count_params():,} parameters, more than max_parameters {limit:,}")
    return staged


def batch_size_of(hp: keras_tuner.HyperParameters, spec: SearchSpec) -> int:
    """The hyperparameter ``batch_size`` if ``build`` registered one, else the spec's."""
    return int(hp.values.get("batch_size") or spec.training.batch_size)


def batch_format(
    space: keras_tuner.HyperModel,
    hp: keras_tuner.HyperParameters,
    spec: SearchSpec,
    data: PreparedData,
    model: StagedModel,
) -> BatchFormat:
    """How the model takes its examples. A hyperparameter ``class_weight`` goes before the spec's."""
    weighting = hp.values.get("class_weight") or spec.training.class_weight
    return BatchFormat(
        labels=labels_of(space),
        preprocessing=model.preprocessing,
        class_weights=class_weights(weighting, data),
    )


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
