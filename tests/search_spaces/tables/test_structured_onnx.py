"""The models that the structured space builds as ONNX files, beside Keras, on rows of every kind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras_tuner
import numpy as np
import pytest
import tensorflow as tf

from search_spaces.statistics import INTEGER_MISSING
from search_spaces.structured import StructuredSpace
from search_spaces.tables.config import FAMILIES
from tuner.champion.formats.onnx.model import write_onnx
from tuner.data.batches import BatchFormat, TrainingBatches
from tuner.data.prepared import PreparedData
from tuner.data.summary import summary_of

pytestmark = pytest.mark.slow

# Every way of encoding numbers, and every activation, stands beside a family.
GIVEN: dict[str, dict[str, Any]] = {
    "boosted": {"leaves": 8, "boosting_rate": 0.3, "least_examples": 5},
    "tabm": {"numbers": "piecewise", "members": 8},
    "realmlp": {"numbers": "periodic"},
    "mlp": {"numbers": "standard", "normalization": "layer", "activation": "silu"},
    "residual": {"numbers": "robust", "one_hot_up_to": 4},
    "wide_and_deep": {"numbers": "log", "crosses": 3},
    "cross": {"numbers": "quantile", "activation": "gelu"},
    "linear": {"numbers": "binned", "edges": "distinct"},
}
ROWS = {
    "amount (€)": np.array([np.nan, np.inf, -np.inf, 3e38, 50, -0.0], np.float32),
    "km/h": np.array([np.nan, 0, 1e30, -1e-30, 1000, np.inf], np.float32),
    "rooms": np.array([INTEGER_MISSING, 77, -1, 2**62, 1, 2]),
    "Straße": np.array(["", "unheard of", "[UNK]", "é" * 1000, "Allee", "Weg"], object),
    "customer id": np.array(["", "c1", "c99", "[UNK]", "c2", "c3"], object),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_file_gives_what_keras_gives(family: str, table: Callable[..., PreparedData], tmp_path: Path) -> None:
    import onnxruntime

    hp = keras_tuner.HyperParameters()
    hp.values = {"units": 64, "layers": 1, "family": family, **GIVEN[family]}
    data = table("three classes")
    space = StructuredSpace(summary_of(data), families=FAMILIES, epochs=1)
    staged = space.build(hp)
    if family == "boosted":
        batches = TrainingBatches(data, 100, 0, BatchFormat(space.labels, staged.preprocessing)).dataset
        space.fit(hp, staged.network, batches, verbose=0)
    model = staged.end_to_end()
    draw = np.random.default_rng(0)
    for weights in model.trainable_weights:
        weights.assign(draw.normal(0, 0.3, weights.shape))
    columns = dict(zip(ROWS, [f"column_{place}" for place in range(len(ROWS))], strict=True))
    specs = [tf.TensorSpec((None,), "string" if x.dtype == object else x.dtype, columns[k]) for k, x in ROWS.items()]

    def call(*tensors: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"probabilities": model(dict(zip(ROWS, tensors, strict=True)), training=False)}

    write_onnx(model, call, specs, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    [found] = session.run(None, {columns[name]: values for name, values in ROWS.items()})
    expected = model(
        {
            name: tf.constant(values.tolist(), None if values.dtype == object else values.dtype)
            for name, values in ROWS.items()
        },
        training=False,
    )
    np.testing.assert_allclose(found, expected, atol=1e-5)
