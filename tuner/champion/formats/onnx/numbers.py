"""Operations on numbers that ONNX's converter does not know, or gets wrong.

Those that it does not know are ONNX functions of standard ones, each with the name and the inputs of TensorFlow's. The
ONNX Runtime has no ``Erf`` in float64, so that ``Erfc`` is in float32 alone.
"""

from __future__ import annotations

from typing import Any

import onnx
from tf2onnx.onnx_opset.controlflow import Select

from tuner.champion.formats.onnx.functions import DOMAIN, OPSET

_HEADER = f'<domain: "{DOMAIN}", opset_import: ["": {OPSET}]>'

_FUNCTIONS = {
    "Erfc": """
Erfc (x) => (y) {
    float_one = Constant <value_float = 1.0> ()
    one = CastLike (float_one, x)
    erf = Erf (x)
    y = Sub (one, erf)
}
""",
    # Log(1 + x) alone would lose the digits of a small x; what was lost in the sum is in its difference to 1.
    "Log1p": """
Log1p (x) => (y) {
    float_one = Constant <value_float = 1.0> ()
    one = CastLike (float_one, x)
    float_zero = Constant <value_float = 0.0> ()
    zero = CastLike (float_zero, x)
    sum = Add (x, one)
    log = Log (sum)
    summed = Sub (sum, one)
    share = Div (x, summed)
    corrected = Mul (log, share)
    tiny = Equal (summed, zero)
    of_finite = Where (tiny, x, corrected)
    endless = IsInf (sum)
    y = Where (endless, log, of_finite)
}
""",
    # tanh(x / 2) * (exp(x) + 1), for the digits of a small x.
    "Expm1": """
Expm1 (x) => (y) {
    float_one = Constant <value_float = 1.0> ()
    one = CastLike (float_one, x)
    float_half = Constant <value_float = 0.5> ()
    half = CastLike (float_half, x)
    halved = Mul (x, half)
    tanh = Tanh (halved)
    power = Exp (x)
    above = Add (power, one)
    of_small = Mul (tanh, above)
    of_large = Sub (power, one)
    size = Abs (x)
    small = Less (size, one)
    y = Where (small, of_small, of_large)
}
""",
}

# For the converter: the domain in which it leaves each.
NUMBER_OPS = dict.fromkeys(_FUNCTIONS, DOMAIN)


def number_functions() -> list[onnx.FunctionProto]:
    """The function of each of ``NUMBER_OPS``."""
    return [onnx.parser.parse_function(_HEADER + text) for text in _FUNCTIONS.values()]


def put_choice(context: Any, node: Any, name: str, args: Any) -> None:
    """tf2onnx's handler of ``Select`` and ``SelectV2``: numbers are chosen.

    Its own multiplies by 0 what is not chosen, and of what is infinite or missing that makes a missing number.
    """
    if context.get_dtype(node.output[0]) in (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE):
        node.set_attr("handles_nan", True)
    Select.version_9(context, node)
