"""A LiteRT file with its weights in 16 bits.

The converter's own float16 has every constant so. Of a table, those are its columns' means and quantiles too: of years,
they would be off by as much as years differ, and of times, infinite.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.tools import flatbuffer_utils

_OPS = schema.BuiltinOperator
# Where among an op's inputs its weights are.
_WEIGHTS: dict[int, tuple[int, ...]] = {
    _OPS.CONV_2D: (1,),
    _OPS.DEPTHWISE_CONV_2D: (1,),
    _OPS.CONV_3D: (1,),
    _OPS.TRANSPOSE_CONV: (1,),
    _OPS.FULLY_CONNECTED: (1,),
    _OPS.BATCH_MATMUL: (0, 1),
    _OPS.GATHER: (0,),
}


def with_half_weights(content: bytes) -> bytes:
    """The same model with the weights of layers in float16, widened when it is loaded; all else stays float32.

    Weights beyond float16's range stay as they are.

    Args:
        content: a LiteRT file in float32.
    """
    model = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
    codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]
    model.operatorCodes.append(_widening())
    for graph in model.subgraphs:
        weights = {
            int(operator.inputs[place])
            for operator in graph.operators
            for place in _WEIGHTS.get(codes[operator.opcodeIndex], ())
        }
        widened = [_halved(model, graph, index) for index in sorted(weights)]
        graph.operators[:0] = [operator for operator in widened if operator is not None]
    _drop_unused(model)
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _widening() -> Any:
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = _OPS.DEQUANTIZE
    # The first version that takes float16.
    code.version = 3
    return code


def _halved(model: Any, graph: Any, index: int) -> Any:
    """Makes a constant's 16 bits another one; gives the operator between them, or None where it is no such constant."""
    tensor = graph.tensors[index]
    data = model.buffers[tensor.buffer].data
    if tensor.type != schema.TensorType.FLOAT32 or data is None or len(data) == 0:
        return None
    with np.errstate(over="ignore"):
        half = np.frombuffer(bytes(data), np.float32).astype(np.float16)
    if not np.isfinite(half).all():
        return None
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(half.tobytes(), np.uint8)
    narrow = copy.copy(tensor)
    narrow.name, narrow.type, narrow.buffer = tensor.name + b"/float16", schema.TensorType.FLOAT16, len(model.buffers)
    model.buffers.append(buffer)
    # The first buffer is nothing, by the format's rules.
    tensor.buffer = 0
    operator = schema.OperatorT()
    operator.opcodeIndex = len(model.operatorCodes) - 1
    operator.inputs, operator.outputs = [len(graph.tensors)], [index]
    graph.tensors.append(narrow)
    return operator


def _drop_unused(model: Any) -> None:
    used = {tensor.buffer for graph in model.subgraphs for tensor in graph.tensors}
    used |= {each.buffer for each in model.metadata or ()}
    for index, buffer in enumerate(model.buffers):
        if index not in used:
            buffer.data = None
