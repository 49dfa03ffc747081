"""The resizing of training in ONNX's standard operations, to the last bit.

``tf.image.resize`` with antialiasing adds, for each pixel, those in its span one after another in float32: first along
the height, then along the width (TensorFlow's kernel ScaleAndTranslate with its triangle). ONNX's own Resize adds in
another order, and a pixel that rounds the other way shows in a model's outputs. So the sums are loops here too.
"""

from __future__ import annotations

import onnx
import tensorflow as tf

from tuner.champion.formats.onnx.functions import DOMAIN, OPSET
from tuner.champion.formats.onnx.placeholders import placeholder
from tuner.data.decode import LUMA

_SPANS = f"""
<domain: "{DOMAIN}", opset_import: ["": {OPSET}]>
Spans (size_in, size_out) => (starts, weights, span) {{
    half = Constant <value_float = 0.5> ()
    one = Constant <value_float = 1.0> ()
    zero = Constant <value_float = 0.0> ()
    two = Constant <value_float = 2.0> ()
    first = Constant <value_int = 0> ()
    step = Constant <value_int = 1> ()
    last_axis = Constant <value_ints = [1]> ()
    float_in = Cast <to = 1> (size_in)
    float_out = Cast <to = 1> (size_out)
    scale = Div (float_out, float_in)
    inverse = Div (one, scale)
    radius = Max (inverse, one)
    over_radius = Div (one, radius)
    outputs = Range (first, size_out, step)
    float_outputs = Cast <to = 1> (outputs)
    centres = Add (float_outputs, half)
    samples = Mul (centres, inverse)
    low = Sub (samples, radius)
    low_half = Sub (low, half)
    low_whole = Ceil (low_half)
    high = Add (samples, radius)
    high_half = Sub (high, half)
    high_whole = Floor (high_half)
    farthest = Sub (float_in, one)
    low_clipped = Clip (low_whole, zero, farthest)
    high_clipped = Clip (high_whole, zero, farthest)
    starts = Cast <to = 7> (low_clipped)
    whole_radius = Ceil (radius)
    diameter = Mul (whole_radius, two)
    most = Add (diameter, one)
    float_span = Min (most, float_in)
    span = Cast <to = 7> (float_span)
    offsets = Range (first, span, step)
    float_offsets = Cast <to = 1> (offsets)
    low_column = Unsqueeze (low_clipped, last_axis)
    high_column = Unsqueeze (high_clipped, last_axis)
    samples_column = Unsqueeze (samples, last_axis)
    sources = Add (low_column, float_offsets)
    source_centres = Add (sources, half)
    from_sample = Sub (source_centres, samples_column)
    in_kernel = Mul (from_sample, over_radius)
    distance = Abs (in_kernel)
    fallen = Sub (one, distance)
    triangle = Max (fallen, zero)
    inside = LessOrEqual (sources, high_column)
    kernel = Where (inside, triangle, zero)
    true = Cast <to = 9> (step)
    nothing = Mul (samples, zero)
    total = Loop (span, true, nothing) <
        body = next_weight (int64 place, bool going, float[] so_far) => (bool go, float[] longer) {{
            go = Identity (going)
            weight = Gather <axis = 1> (kernel, place)
            longer = Add (so_far, weight)
        }}
    >
    over_total = Div (one, total)
    over_column = Unsqueeze (over_total, last_axis)
    weights = Mul (kernel, over_column)
}}
"""

# Sums along one axis; the weights' shape is (1, n, 1, 1) along the height, (1, 1, n, 1) along the width.
_ALONG = """
<domain: "{domain}", opset_import: ["": {opset}, "{domain}": 1]>
{name} (images, size_out) => (resized) {{
    shape = Shape (images)
    axis = Constant <value_int = {axis}> ()
    size_in = Gather (shape, axis)
    starts, weights, span = {domain}.Spans (size_in, size_out)
    step = Constant <value_int = 1> ()
    farthest = Sub (size_in, step)
    column = Constant <value_ints = {column}> ()
    true = Cast <to = 9> (step)
    zero = Constant <value_float = 0.0> ()
    some = Gather <axis = {axis}> (images, starts)
    nothing = Mul (some, zero)
    resized = Loop (span, true, nothing) <
        body = next_pixel (int64 place, bool going, float[] so_far) => (bool go, float[] longer) {{
            go = Identity (going)
            beyond = Add (starts, place)
            source = Min (beyond, farthest)
            pixels = Gather <axis = {axis}> (images, source)
            flat = Gather <axis = 1> (weights, place)
            weight = Reshape (flat, column)
            weighted = Mul (pixels, weight)
            longer = Add (so_far, weighted)
        }}
    >
}}
"""

_RESIZE = """
<domain: "{domain}", opset_import: ["": {opset}, "{domain}": 1]>
{name} (images) => (resized) {{
    height = Constant <value_int = {height}> ()
    width = Constant <value_int = {width}> ()
    black = Constant <value_float = 0.0> ()
    white = Constant <value_float = 255.0> ()
    {grey}
    pixels = Cast <to = 1> (coloured)
    rows = {domain}.AlongHeight (pixels, height)
    both = {domain}.AlongWidth (rows, width)
    whole = Round (both)
    clipped = Clip (whole, black, white)
    resized = Cast <to = 2> (clipped)
}}
"""

_COLOURED = "coloured = Identity (images)"
_GREY = """
    luma = Constant <value_ints = [{luma}]> ()
    luma_32 = Cast <to = 6> (luma)
    levels = Cast <to = 6> (images)
    weighted = Mul (levels, luma_32)
    last_axis = Constant <value_ints = [-1]> ()
    light = ReduceSum <keepdims = 1> (weighted, last_axis)
    half = Constant <value_int = 500> ()
    half_32 = Cast <to = 6> (half)
    thousand = Constant <value_int = 1000> ()
    thousand_32 = Cast <to = 6> (thousand)
    rounded_up = Add (light, half_32)
    thousandths = Div (rounded_up, thousand_32)
    coloured = Cast <to = 2> (thousandths)
"""


def resize_placeholder(images: tf.Tensor, size: tuple[int, int], channels: int) -> tf.Tensor:
    """Stands for ``tuner.data.decode.resize_pixels`` where a graph becomes ONNX.

    Args:
        images: uint8 (batch, h, w, 3).
        size: (height, width) of the result.
        channels: 3 for RGB, 1 for grey.

    Returns:
        uint8 (batch, height, width, channels).
    """
    return placeholder(
        lambda name: resize_functions(name, size, channels), [images], tf.uint8, (images.shape[0], *size, channels)
    )


def resize_functions(name: str, size: tuple[int, int], channels: int) -> list[onnx.FunctionProto]:
    """The function ``name`` and those that it calls."""
    height, width = size
    luma = ", ".join(map(str, LUMA))
    common = {"domain": DOMAIN, "opset": OPSET}
    texts = [
        _SPANS,
        _ALONG.format(name="AlongHeight", axis=1, column="[1, -1, 1, 1]", **common),
        _ALONG.format(name="AlongWidth", axis=2, column="[1, 1, -1, 1]", **common),
        _RESIZE.format(
            name=name,
            height=height,
            width=width,
            grey=_COLOURED if channels == 3 else _GREY.format(luma=luma),
            **common,
        ),
    ]
    return [onnx.parser.parse_function(text) for text in texts]
