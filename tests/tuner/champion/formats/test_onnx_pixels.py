"""The resizing of an ONNX file is that of training, to the last bit."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.inliner
import onnxruntime
import pytest
import tensorflow as tf
from onnx import TensorProto, helper

from tuner.champion.formats.onnx.functions import DOMAIN, OPSET
from tuner.champion.formats.onnx.pixels import resize_functions
from tuner.data.decode import resize_pixels

SIZES = [(32, 32), (24, 20), (375, 500), (17, 29), (1, 1), (1, 50), (97, 33), (31, 250)]


@pytest.mark.parametrize(("size", "channels"), [((32, 32), 3), ((24, 20), 1), ((96, 64), 3)])
def test_every_pixel_is_that_of_training(size: tuple[int, int], channels: int) -> None:
    graph = helper.make_graph(
        [helper.make_node("Resize", ["images"], ["resized"], domain=DOMAIN)],
        "resizing",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, [None, None, None, 3])],
        [helper.make_tensor_value_info("resized", TensorProto.UINT8, [None, *size, channels])],
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(DOMAIN, 1)]
    functions = resize_functions("Resize", size, channels)
    model = helper.make_model(graph, functions=functions, opset_imports=opsets, ir_version=9)
    inlined = onnx.inliner.inline_local_functions(model)
    session = onnxruntime.InferenceSession(inlined.SerializeToString(), providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    for height, width in SIZES:
        images = rng.integers(0, 256, (2, height, width, 3), dtype=np.uint8)
        [resized] = session.run(None, {"images": images})
        expected = resize_pixels(tf.constant(images), size, channels).numpy()
        np.testing.assert_array_equal(resized, expected, err_msg=f"{height}x{width}")
