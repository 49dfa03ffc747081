"""A model's own compiled loss and metrics, from outputs that were computed elsewhere."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import numpy.typing as npt


def compiled_metrics(
    model: keras.Model,
    outputs: npt.NDArray[np.float32],
    labels: npt.NDArray[Any],
    batch_size: int,
) -> dict[str, float]:
    """What ``model.evaluate`` would report, given the model's outputs.

    Args:
        outputs: shape (examples, units): what the model gave, before any activation of ours.
        labels: (examples,) or one-hot (examples, classes), as the model was trained with.
        batch_size: of the evaluation during training; the loss is averaged over batches, each
            weighted by its size, as ``evaluate`` does.

    Returns:
        The scalar metrics by name, ``loss`` among them.
    """
    model.reset_metrics()
    found: dict[str, Any] = {}
    loss = 0.0
    for start in range(0, len(outputs), batch_size):
        given = keras.ops.convert_to_tensor(outputs[start : start + batch_size])
        wanted = keras.ops.convert_to_tensor(labels[start : start + batch_size])
        batch_loss = model.compute_loss(x=None, y=wanted, y_pred=given, training=False)
        loss += float(batch_loss) * len(given) / len(outputs)
        found = model.compute_metrics(x=None, y=wanted, y_pred=given, sample_weight=None)
    scalars = {name: float(value) for name, value in found.items() if np.ndim(value) == 0}
    return scalars | {"loss": loss}
