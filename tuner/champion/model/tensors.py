"""The tensors that a SavedModel takes and gives, by the kind of data: their names, dtypes and description."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from search_spaces.statistics import INTEGER_MISSING
from tuner.champion.records.champion_json import ImageInput, InputTensor, OutputTensor, TensorInput
from tuner.data.prepared import InputFacts, PreparedData
from tuner.spec.data import Csv, DataSpec, ImageDirectory

SERVING = "serving_default"
PIXELS = "pixels"
# Beside the signatures for users: what the model itself gives, for metrics that need logits.
RAW_OUTPUTS = "outputs"
IMAGE_BYTES = "image_bytes"
PROBABILITIES = "probabilities"
LABEL = "label"
# Of the single input that the data gives no name.
_UNNAMED = {"text": "text"}
_ARRAY = "x"
_TEXT_COLUMN = "text"
_TABLE_KINDS = frozenset({"number", "integer", "category", "text"})
# Names that TensorFlow cannot pass as keyword arguments.
_RESERVED = frozenset({"self", "args", "kwargs"})
_MISSING: dict[str, str | int] = {"number": "NaN", "integer": INTEGER_MISSING, "category": ""}


def tensor_names(names: Iterable[str]) -> list[str]:
    """Names as TensorFlow's signatures take them: letters, digits and underscores, a letter first, none twice."""
    taken: set[str] = set()
    found = []
    for name in names:
        plain = re.sub(r"[^A-Za-z0-9_]", "_", name)
        if not plain[:1].isalpha():
            plain = f"x_{plain}"
        if plain in _RESERVED:
            plain = f"{plain}_"
        unique, count = plain, 1
        while unique in taken:
            count += 1
            unique = f"{plain}_{count}"
        taken.add(unique)
        found.append(unique)
    return found


def data_input(
    spec: DataSpec, data: PreparedData, outputs: Sequence[OutputTensor], columns: Collection[str] | None = None
) -> ImageInput | TensorInput:
    """What a model of this data takes: of a dict of inputs those named, or all."""
    if isinstance(spec, ImageDirectory):
        return _image_input(spec, outputs)
    inputs = [each for each in data.inputs if columns is None or each.name in columns]
    names = tensor_names(each.name or _UNNAMED.get(each.kind, _ARRAY) for each in inputs)
    tensors = tuple(_tensor(name, facts) for name, facts in zip(names, inputs, strict=True))
    csv = spec if isinstance(spec, Csv) else None
    kind = _kind(data)
    return TensorInput(
        kind=kind,  # type: ignore[arg-type]  # one of the literals
        structure=data.structure,
        tensors=tensors,
        column=((csv.text_column if csv else None) or _TEXT_COLUMN) if kind == "text" else None,
        delimiter=csv.delimiter if csv else ",",
        signatures={SERVING: _words(tensors, outputs)},
    )


def own_input(tensors: Sequence[InputTensor], structure: str, outputs: Sequence[OutputTensor]) -> TensorInput:
    """What a model takes that takes something else than the data."""
    return TensorInput(
        kind="model",
        structure=structure,
        tensors=tuple(tensors),
        signatures={SERVING: _words(tensors, outputs)},
    )


def _kind(data: PreparedData) -> str:
    kinds = {each.kind for each in data.inputs}
    if data.structure == "single":
        return "text" if kinds == {"text"} else "arrays"
    return "table" if data.structure == "dict" and kinds <= _TABLE_KINDS else "arrays"


def _tensor(tensor: str, facts: InputFacts) -> InputTensor:
    return InputTensor(
        tensor=tensor,
        name=facts.name,
        kind=facts.kind,
        dtype="float32" if facts.kind == "image" else facts.dtype,
        shape=facts.shape,
        missing=_MISSING.get(facts.kind),
    )


def _image_input(spec: ImageDirectory, outputs: Sequence[OutputTensor]) -> ImageInput:
    height, width = spec.image_size
    given = gives(outputs)
    return ImageInput(
        image_size=spec.image_size,
        color_mode=spec.color_mode,
        signatures={
            SERVING: {
                IMAGE_BYTES: "string (batch,): contents of JPEG, PNG, BMP or GIF files of any "
                f"size; decoded and resized to {height}x{width}",
                "gives": given,
            },
            PIXELS: {
                "images": "uint8 (batch, height, width, 3): RGB pixels in [0, 255] of any size; "
                f"resized to {height}x{width}",
                "gives": given,
            },
        },
    )


def _words(tensors: Iterable[InputTensor], outputs: Sequence[OutputTensor]) -> dict[str, str]:
    return {each.tensor: _described(each) for each in tensors} | {"gives": gives(outputs)}


def _described(tensor: InputTensor) -> str:
    text = f"{tensor.dtype} {_batch(tensor.shape)}"
    if tensor.kind == "text":
        text += ": UTF-8"
    if tensor.missing is not None:
        text += f"; missing: {tensor.missing!r}" if tensor.kind == "category" else f"; missing: {tensor.missing}"
    return text if tensor.tensor == tensor.name or not tensor.name else f"{text}; {tensor.name!r} in the data"


def gives(outputs: Iterable[OutputTensor]) -> str:
    """Outputs in words."""
    return ", ".join(f"{each.tensor}: {each.dtype} {_batch(each.shape)}" for each in outputs)


def _batch(shape: Sequence[Any]) -> str:
    return f"({', '.join(['batch', *('any' if size is None else str(size) for size in shape)])}{'' if shape else ','})"
