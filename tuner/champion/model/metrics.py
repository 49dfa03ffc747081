"""A model's own compiled loss and metrics from outputs that were computed elsewhere, and how far it is from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from tuner.data.structures import in_structure, leaves, structure_of

if TYPE_CHECKING:
    from tuner.data.batches import BatchFormat
    from tuner.data.own_arrays import OwnArrays
    from tuner.data.prepared import PreparedData

Batch = tuple[Any, Any, Any, Any]
# Functions that were traced, by which of a batch's parts there are.
Steps = dict[tuple[bool, ...], Callable[..., Any]]


def with_outputs(evaluation: Iterable[Any], outputs: Sequence[Any], structure: Any) -> Iterator[Batch]:
    """Batches of evaluation with outputs in their places: inputs, outputs, targets and weights (or None).

    Args:
        evaluation: ``x``, ``(x, y)`` or ``(x, y, weights)``.
        outputs: arrays (examples, ...), the leaves of ``structure``.
    """
    start = 0
    for batch in evaluation:
        x, *rest = batch if isinstance(batch, tuple) else (batch,)
        stop = start + len(keras.tree.flatten(x)[0])
        leaves = [tf.constant(each[start:stop]) for each in outputs]
        targets, weights = (*rest, None, None)[:2]
        yield x, keras.tree.pack_sequence_as(structure, leaves), targets, weights
        start = stop


def with_own(evaluation: Iterable[Any], own: OwnArrays, data: PreparedData, form: BatchFormat) -> Iterator[Any]:
    """Batches of evaluation with the user's own targets and weights in the places of the prepared ones.

    Labels that the loss does not take as they were given, and strings, stay as they were prepared.
    """
    names, weighing = [each.name for each in data.targets], [each.name for each in data.weights]
    given = {name: form.labels_of(place) == "given" for place, name in enumerate(names)}
    start = 0
    for batch in evaluation:
        if not isinstance(batch, tuple) or len(batch) < 2:
            yield batch
            continue
        x, y, *_ = batch
        prepared = dict(zip(structure_of(y)[1], leaves(y), strict=True))
        stop = start + len(keras.tree.flatten(x)[0])
        targets = [
            tf.constant(own.targets[name][start:stop]) if given[name] and name in own.targets else prepared[name]
            for name in names
        ]
        weights = [tf.constant(own.weights[name][start:stop]) for name in weighing]
        learned = in_structure(data.target_structure, names, targets)
        yield (x, learned, in_structure(data.weight_structure, weighing, weights)) if weights else (x, learned)
        start = stop


def largest_differences(model: keras.Model, inputs: Iterable[Any], outputs: Sequence[Any]) -> tuple[float, ...]:
    """The largest absolute difference of each of a model's outputs from those that are given, (examples, ...) each."""
    largest, start = [0.0] * len(outputs), 0
    for x in inputs:
        stop = start + len(keras.tree.flatten(x)[0])
        given = keras.tree.flatten(model.predict_on_batch(x))
        for place, (mine, kept) in enumerate(zip(given, outputs, strict=True)):
            difference = np.abs(np.asarray(mine, np.float64) - np.asarray(kept[start:stop], np.float64))
            # Not max, which may pass over what is no number.
            largest[place] = float(np.maximum(largest[place], difference.max(initial=0)))
        start = stop
    return tuple(largest)


def compiled_metrics(
    model: keras.Model, batches: Iterable[Batch], *, loss: bool = True, known: Steps | None = None
) -> dict[str, float]:
    """What ``model.evaluate`` would report, given the model's outputs.

    Args:
        batches: as training evaluated them, the outputs before any activation of ours. The loss is averaged over
            batches, each weighted by its size, as ``evaluate`` does.
        loss: whether the model has its loss. Without, neither that nor those of outputs are among the metrics.
        known: what was traced for the same model and batches of this kind, and will be.

    Returns:
        The scalar metrics by name, ``loss`` among them.

    Raises:
        Exception: whatever the model's loss and metrics raise.
    """
    model.reset_metrics()
    steps: Steps = {} if known is None else known
    found: dict[str, Any] = {}
    total = examples = 0.0
    for batch in batches:
        parts = [part for part in batch if part is not None]
        present = tuple(part is not None for part in batch)
        if present not in steps:
            steps[present] = _step_of(model, present, parts, loss)
        batch_loss, found = steps[present](*parts)
        size = len(keras.tree.flatten(batch[1])[0])
        total += float(batch_loss) * size
        examples += size
    scalars = {name: float(value) for name, value in found.items() if not value.shape.rank}
    if not loss:
        return {name: value for name, value in scalars.items() if name != "loss" and not name.endswith("_loss")}
    return scalars | {"loss": total / max(examples, 1)}


def _step_of(model: keras.Model, present: Sequence[bool], parts: Sequence[Any], with_loss: bool) -> Callable[..., Any]:
    """A function of one batch's parts, those of its four that are present."""
    # As in evaluate, no batch size is known: Keras averages the losses of several outputs otherwise where one is.
    signature = keras.tree.map_structure(lambda part: tf.TensorSpec((None, *part.shape[1:]), part.dtype), list(parts))

    @tf.function(input_signature=signature, autograph=False)
    def step(*given: Any) -> Any:
        left = iter(given)
        x, outputs, targets, weights = (next(left) if there else None for there in present)
        if adds_losses(model):
            # Layers add losses of their own to it while they are called.
            model(x, training=False)
        loss = tf.constant(0.0)
        if with_loss:
            loss = model.compute_loss(x=x, y=targets, y_pred=outputs, sample_weight=weights, training=False)
        found = model.compute_metrics(x=x, y=targets, y_pred=outputs, sample_weight=weights)
        return loss, {name: tf.convert_to_tensor(value) for name, value in found.items()}

    return step  # type: ignore[no-any-return]


def adds_losses(model: keras.Model) -> bool:
    return any(layer._losses for layer in model._flatten_layers())
