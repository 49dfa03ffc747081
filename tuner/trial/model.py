"""The model of a configuration, and the batches that it takes."""

from __future__ import annotations

import math
from typing import Any

import keras
import keras_tuner
from keras_tuner.errors import FatalError

from search_spaces.base import StagedModel
from tuner.data.batches import BatchFormat, evaluation_batches, inputs_of
from tuner.data.cache import PreparedData
from tuner.data.model_columns import columns_of
from tuner.spec.search_spec import SearchSpec
from tuner.trial.class_weighting import class_weighting, has_own_fit
from tuner.trial.compilation import compile_as_asked
from tuner.trial.failure import Infeasible
from tuner.trial.losses import Learner, label_forms, learned_targets, learners


def build_model(
    space: keras_tuner.HyperModel,
    hp: keras_tuner.HyperParameters,
    spec: SearchSpec,
    data: PreparedData,
) -> StagedModel:
    """The space's model, compiled and with its variables made.

    Raises:
        Infeasible: the space refused the configuration with a ValueError, or the model has too many parameters.
        TypeError: what ``build`` returned is not a Keras model, or neither compiled nor trained by a ``fit`` of the
            space's own.
        SpaceError: it cannot be compiled with what the spec asks for.
    """
    try:
        built = space.build(hp)
    except FatalError:
        # KerasTuner's FatalValueError is a ValueError too.
        raise
    except ValueError as error:
        raise Infeasible(f"build refused the configuration: {error}") from error
    staged = built if isinstance(built, StagedModel) else StagedModel(built)
    model = staged.network
    if not isinstance(model, keras.Model):
        raise TypeError(f"build returned {type(model).__name__}, not a keras.Model")
    compile_as_asked(model, spec.training)
    if not model.compiled and not has_own_fit(space):
        raise TypeError(
            "build returned a model that is not compiled; call model.compile(...) in build, give training.loss in the "
            "spec, or train it in a fit of the space's own"
        )
    if not model.built and _has_own(model, "call"):
        _call_once(staged, data)
    _set_compilation(model, spec)
    limit, count = spec.training.max_parameters, parameters_of(model)
    if limit is not None and count > limit:
        raise Infeasible(f"the model has {count:,} parameters, more than max_parameters {limit:,}")
    return staged


def of_any_size(spec: SearchSpec) -> SearchSpec:
    """The spec for a model that ``max_parameters`` does not limit, since it is no trial's."""
    return spec.model_copy(update={"training": spec.training.model_copy(update={"max_parameters": None})})


def _set_compilation(model: keras.Model, spec: SearchSpec) -> None:
    if spec.training.run_eagerly:
        model.run_eagerly, model.jit_compile = True, False
    elif spec.training.jit_compile != "auto":
        model.jit_compile = spec.training.jit_compile


def _call_once(staged: StagedModel, data: PreparedData) -> Any:
    """Makes the variables of a model that has them only once it is called: with stand-ins for a batch's tensors.

    Returns:
        Stand-ins for what it gives.
    """
    batches = evaluation_batches(data, 1, BatchFormat(preprocessing=staged.preprocessing))
    inputs = inputs_of(batches.element_spec)
    return staged.network(keras.tree.map_structure(lambda spec: keras.KerasTensor(spec.shape, spec.dtype.name), inputs))


def learners_of(staged: StagedModel, data: PreparedData) -> list[Learner]:
    """What learns each target, of a model that may not have been called yet."""
    network = staged.network
    functional = getattr(network, "_functional", None) or network
    outputs = getattr(functional, "_outputs_struct", None)
    if outputs is None and data.targets and _has_own(network, "call"):
        try:
            outputs = _call_once(staged, data)
        except Exception:
            # Training calls it with a batch, and says what is wrong there.
            outputs = None
    return learners(network, data, outputs)


def parameters_of(model: keras.Model) -> int:
    """The size of all weights, of a model that is not built of those that its layers have already."""
    return sum(math.prod(weight.shape) for weight in model.weights)


def can_be_evaluated(model: keras.Model) -> bool:
    """Whether there is anything that validation could run: a GAN, for example, often has no ``call``."""
    return any(_has_own(model, name) for name in ("call", "test_step", "evaluate"))


def build_by_shapes(model: keras.Model, batch: Any) -> None:
    """Lets Keras find from shapes alone what a model on several devices still lacks, such as variables of metrics.

    By itself it would average the devices' parts of the first batch to see it, which fails for parts of different
    sizes and for strings.

    Args:
        batch: the element spec of the training batches.
    """

    def build(iterator: Any = None, data_batch: Any = None) -> None:
        model._symbolic_build(data_batch=batch)

    model._maybe_symbolic_build = build


def _has_own(model: keras.Model, method: str) -> bool:
    return getattr(type(model), method) is not getattr(keras.Model, method)


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
    """How the model takes its examples."""
    taking = model.preprocessing or model.network
    # Steps of the model's own may look at what its call does not take.
    own = any(_has_own(taking, name) for name in ("train_step", "test_step"))
    learned_by = learners_of(model, data)
    forms = label_forms(space, learned_by, data)
    learned = learned_targets(data, learned_by, forms, inferred=getattr(spec.data, "task", "auto") == "auto")
    return BatchFormat(
        labels=forms,
        preprocessing=model.preprocessing,
        class_weights=class_weighting(space, hp, spec, data, model.network, learned).weights,
        columns=None if own else columns_of(taking, data),
    )
