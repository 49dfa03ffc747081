"""How each exported file is loaded, in five lines of Python that run as they are."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tuner.champion.formats.offered import KERAS, ONNX, SAVED_MODEL
from tuner.champion.records.champion_json import Champion, ImageInput, InputTensor
from tuner.champion.records.format_report import FormatReport

_RUNS_IN = {KERAS: "Keras", SAVED_MODEL: "TensorFlow", ONNX: "the ONNX Runtime"}


def loading(champion: Champion) -> Iterator[str]:
    """For every file what it takes and the code, in Markdown."""
    for report in champion.formats:
        if report.file is None:
            continue
        runtime = _RUNS_IN.get(report.name, "LiteRT")
        yield f"`{report.file}` runs in {runtime} and returns {report.gives}. Its inputs are:"
        yield ""
        yield from (f"- `{name}`: {words}" for name, words in report.takes.items())
        yield from ("", "```python", *code(champion, report), "```", "")
        if report.left_out:
            listed = ", ".join("".join(letter for letter in each if _is_plain(letter)) for each in report.left_out)
            yield f"It is without {listed}: of these Keras knows no registered class or function that it could load."
            yield ""
    yield "To predict files, run `tuner predict DIR INPUT...`."


def code(champion: Champion, report: FormatReport) -> list[str]:
    """Lines that load a file and call it with an example."""
    file = report.file
    if report.name == SAVED_MODEL:
        return [
            "import tensorflow as tf",
            f'model = tf.saved_model.load("{file}")',
            'serve = model.signatures["serving_default"]',
            f"outputs = serve({', '.join(_tensorflow(champion))})",
        ]
    if report.name == KERAS:
        return ["import numpy as np, keras", *_loaded(str(file), report.needs), *_keras(champion)]
    given = _arrays(champion, report)
    if report.name == ONNX:
        inputs = ", ".join(f'"{name}": {value}' for name, value in given.items())
        return [
            "import numpy as np, onnxruntime",
            f'session = onnxruntime.InferenceSession("{file}")',
            f"outputs = session.run(None, {{{inputs}}})",
        ]
    inputs = ", ".join(f"{name}={value}" for name, value in given.items())
    return [
        "import numpy as np",
        "from ai_edge_litert.interpreter import Interpreter",
        f'serve = Interpreter(model_path="{file}").get_signature_runner("serving_default")',
        f"outputs = serve({inputs})",
    ]


def _is_plain(letter: str) -> bool:
    return letter.isalnum() or letter in " _"


def _loaded(file: str, needs: Mapping[str, str]) -> Iterator[str]:
    """With the code of the user's own that the file names."""
    places = [place.rpartition(".") for place in needs.values()]
    yield from sorted({f"from {module} import {name}" for module, _, name in places})
    named = ", ".join(f"{saved!r}: {name}" for saved, (_, _, name) in zip(needs, places, strict=True))
    yield f'model = keras.saving.load_model("{file}"{f", custom_objects={{{named}}}" if named else ""})'


def _tensorflow(champion: Champion) -> Iterator[str]:
    takes = champion.input
    if isinstance(takes, ImageInput):
        yield 'image_bytes=tf.constant([open("photo.jpg", "rb").read()])'
        return
    for each in takes.tensors:
        if each.dtype == "string":
            yield f"{each.tensor}=tf.fill({_shape(each)}, 'a text')"
        else:
            yield f"{each.tensor}=tf.zeros({_shape(each)}, '{each.dtype}')"


def _keras(champion: Champion) -> list[str]:
    takes = champion.input
    if isinstance(takes, ImageInput):
        (height, width), channels = takes.image_size, takes.channels
        return [f"outputs = model(np.zeros((1, {height}, {width}, {channels}), '{takes.model_dtype}'))"]
    values = [_array(each) for each in takes.tensors]
    if any(each.dtype == "string" for each in takes.tensors):
        values = [f"keras.ops.convert_to_tensor({value})" for value in values]
    if takes.structure == "single":
        return [f"outputs = model({values[0]})"]
    if takes.structure == "tuple":
        return [f"outputs = model(({', '.join(values)},))"]
    if takes.structure == "dict":
        named = ", ".join(f"{each.name!r}: {value}" for each, value in zip(takes.tensors, values, strict=True))
        return [f"outputs = model({{{named}}})"]
    return [f"outputs = model({_nested(json.loads(takes.structure), values)})"]


def _nested(described: Any, values: Sequence[str]) -> str:
    if isinstance(described, int):
        return values[described]
    if isinstance(described, dict):
        return "{" + ", ".join(f"{name!r}: {_nested(each, values)}" for name, each in described.items()) + "}"
    return "(" + "".join(f"{_nested(each, values)}, " for each in described).rstrip() + ")"


def _arrays(champion: Champion, report: FormatReport) -> dict[str, str]:
    takes = champion.input
    if isinstance(takes, ImageInput):
        (height, width), channels = takes.image_size, 3 if report.name == ONNX else takes.channels
        return dict.fromkeys(report.takes, f"np.zeros((1, {height}, {width}, {channels}), np.uint8)")
    return {each.tensor: _array(each) for each in takes.tensors}


def _array(tensor: InputTensor) -> str:
    if tensor.dtype == "string":
        return f"np.full({_shape(tensor)}, 'a text', object)"
    return f"np.zeros({_shape(tensor)}, '{tensor.dtype}')"


def _shape(tensor: InputTensor) -> tuple[int, ...]:
    return (1, *(size or 1 for size in tensor.shape))
