"""ONNX files of whole models: raw tensors in, predictions out, in standard operations."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import onnx
import onnx.inliner
import onnx.version_converter
import tensorflow as tf
import tf2onnx

from tuner.champion.formats.onnx.functions import DOMAIN, ML_DOMAIN, ML_OPSET, OPSET
from tuner.champion.formats.onnx.layers import onnx_ops
from tuner.champion.formats.onnx.numbers import NUMBER_OPS, number_functions, put_choice
from tuner.champion.formats.onnx.placeholders import placeholders, put_function
from tuner.champion.formats.refusal import FormatRefused

Call = Callable[..., dict[str, tf.Tensor]]

# The newest that the converter writes; StringSplit, StringConcat came with 20.
_CONVERTER_OPSET = 18
# Of operation set 20; runtimes refuse later ones than they know.
_IR_VERSION = 9
_STANDARD = {"", ML_DOMAIN}
_MOST_BYTES = 2**31 - 1
_LONGEST_REASON = 200
_ALTERNATIVE = "use saved_model"
_HANDLERS: dict[str, Any] = {"PyFunc": (put_function, []), "Select": (put_choice, []), "SelectV2": (put_choice, [])}


def write_onnx(model: keras.Model, call: Call, specs: Sequence[tf.TensorSpec], file: Path) -> None:
    """Writes a model with a free batch dimension that the plain ONNX Runtime has loaded, or nothing.

    Args:
        model: what ``call`` calls, with ``training=False``.
        call: from raw tensors, in the order of ``specs``, to outputs by name, each (batch, ...).
        specs: named; the first dimension is None.

    Raises:
        FormatRefused: ONNX has no operations for it, or the file would be too large.
        OSError: the file cannot be written.
    """
    with placeholders() as made, onnx_ops(model):
        try:
            traced = tf.function(call, input_signature=list(specs), autograph=False)
            outputs = _without_constants(traced.get_concrete_function()).structured_outputs
            converted = _convert(traced, specs)
        except FormatRefused:
            raise
        except Exception as error:
            raise FormatRefused(_reason(error), _ALTERNATIVE) from error
    functions = {function.name: function for functions in (*made, number_functions()) for function in functions}
    finished = _finished(converted, functions.values(), [spec.name for spec in specs], outputs)
    content = finished.SerializeToString()
    partial = file.with_name(f"{file.name}.partial")
    try:
        partial.write_bytes(content)
        _check_loads(partial)
        os.replace(partial, file)
    finally:
        partial.unlink(missing_ok=True)


def _without_constants(concrete: Any) -> Any:
    """The function, its inputs without the tensors that a model has from elsewhere, such as a scaling's moments.

    The converter would make inputs of the file of them.
    """
    graph = concrete.graph
    constants = {id(inner) for outer, inner in graph.captures if outer.dtype != tf.resource}
    graph.inputs = [each for each in graph.inputs if id(each) not in constants]
    return concrete


def _convert(traced: Any, specs: Sequence[tf.TensorSpec]) -> onnx.ModelProto:
    converted, _ = tf2onnx.convert.from_function(
        traced,
        input_signature=list(specs),
        opset=_CONVERTER_OPSET,
        custom_ops=NUMBER_OPS,
        custom_op_handlers=dict(_HANDLERS),
        extra_opset=[onnx.helper.make_opsetid(DOMAIN, 1)],
    )
    return converted


def _finished(
    model: onnx.ModelProto,
    functions: Iterable[onnx.FunctionProto],
    inputs: Sequence[str],
    outputs: Mapping[str, tf.TensorSpec],
) -> onnx.ModelProto:
    """The model with its functions inlined, of standard operations, with the names that it should have."""
    if model.ByteSize() > _MOST_BYTES:
        raise FormatRefused("it is larger than the 2 GB that an ONNX file may have", _ALTERNATIVE)
    try:
        newer = onnx.version_converter.convert_version(model, OPSET)
        newer.functions.extend(functions)
        # The functions' own: one of another version would be left as it is.
        _import(newer, {"": OPSET, ML_DOMAIN: ML_OPSET, DOMAIN: 1})
        inlined = onnx.inliner.inline_local_functions(newer)
        _import(inlined, {"": OPSET, ML_DOMAIN: ML_OPSET})
        inlined.ir_version = _IR_VERSION
        _check_names(inlined.graph, inputs, list(outputs))
        _set_shapes(inlined.graph, outputs)
        onnx.checker.check_model(inlined, full_check=True)
    except Exception as error:
        raise FormatRefused(_reason(error), _ALTERNATIVE) from error
    foreign = sorted(
        {f"{node.domain}.{node.op_type}" for node in _nodes(inlined.graph) if node.domain not in _STANDARD}
    )
    if foreign:
        raise FormatRefused(f"ONNX has no standard operations for {', '.join(foreign)}", _ALTERNATIVE)
    return inlined


def _import(model: onnx.ModelProto, opsets: Mapping[str, int]) -> None:
    del model.opset_import[:]
    model.opset_import.extend(onnx.helper.make_opsetid(domain, version) for domain, version in opsets.items())


def _nodes(graph: onnx.GraphProto) -> Iterable[onnx.NodeProto]:
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from _nodes(inner)


def _check_names(graph: onnx.GraphProto, inputs: Sequence[str], outputs: Sequence[str]) -> None:
    for found, expected in ((graph.input, inputs), (graph.output, outputs)):
        names = [each.name for each in found]
        if sorted(names) != sorted(expected):
            raise ValueError(f"the converter calls {', '.join(expected)} {', '.join(names)}")


def _set_shapes(graph: onnx.GraphProto, outputs: Mapping[str, tf.TensorSpec]) -> None:
    """The converter leaves out what it cannot infer."""
    for each in graph.output:
        shape = each.type.tensor_type.shape
        del shape.dim[:]
        for size in outputs[each.name].shape:
            # A dimension without a value is of any size.
            shape.dim.add(**({} if size is None else {"dim_value": size}))


def _check_loads(file: Path) -> None:
    import onnxruntime

    onnxruntime.set_default_logger_severity(3)
    try:
        onnxruntime.InferenceSession(os.fspath(file), providers=["CPUExecutionProvider"])
    except Exception as error:
        raise FormatRefused(_reason(error), _ALTERNATIVE) from error


def _reason(error: Exception) -> str:
    """One line out of the converter's pages."""
    said = " ".join(str(error).split()) or type(error).__name__
    return f"ONNX cannot represent it: {said[:_LONGEST_REASON]}"
