"""Whether everything that a SavedModel gives says the same: its signatures, its probabilities and its labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tuner.champion.clean.keras_file import configuration
from tuner.champion.messages import Written
from tuner.champion.model.tensors import LABEL, PIXELS, PROBABILITIES, SERVING
from tuner.champion.proof.clean_runs import CleanOutputs, blocks, furthest, kept_as, largest, wide
from tuner.champion.records.arithmetic import allowed_of_meaning
from tuner.champion.records.champion_json import ImageInput
from tuner.data.prepared import TargetFacts
from tuner.errors import ExportError

_Numbers = npt.NDArray[Any]
Meaning = Callable[[_Numbers], _Numbers]
# Losses of Keras whose logits are independent of each other.
_ELEMENTWISE = ("BinaryCrossentropy", "BinaryFocalCrossentropy")


def loss_of(checkpoint: Path) -> str | None:
    """Keras's loss with which a kept model was trained, by its class, as its file says; None for any other."""
    loss = (configuration(str(checkpoint)).get("compile_config") or {}).get("loss")
    if not isinstance(loss, dict) or str(loss.get("module", "")).partition(".")[0] != "keras":
        return None
    return str(loss.get("class_name"))


def everything_served(written: Written) -> tuple[tuple[str, str], ...]:
    """Every output of every signature of an export, by signature and tensor."""
    signatures = [SERVING, *([PIXELS] if isinstance(written.input, ImageInput) else [])]
    served = [(signature, each.tensor) for signature in signatures for each in written.outputs]
    raw = [(written.raw_signature, tensor) for tensor in written.raw_tensors]
    return tuple(dict.fromkeys((*raw, *served)))


def check_served(written: Written, targets: Sequence[TargetFacts], outputs: CleanOutputs, loss: str | None) -> None:
    """Holds a SavedModel's outputs to each other, to what is recorded of them, and to the classes of the data.

    Args:
        targets: of the data.
        outputs: of ``everything_served``.
        loss: Keras's, with which the model was trained; None for another one.

    Raises:
        ExportError: two of them contradict.
    """
    _check_names(written, targets)
    _check_described(written, outputs)
    if isinstance(written.input, ImageInput):
        _check_pixels(written, outputs)
    if written.outputs[0].tensor != PROBABILITIES:
        return
    probabilities = outputs.arrays[PROBABILITIES]
    exclusive = written.learned[0].task == "classification"
    _check_probabilities(probabilities)
    if written.raw_signature != SERVING:
        _check_raw(probabilities, outputs.arrays[written.raw_tensors[0]], exclusive, loss)
    if LABEL in outputs.arrays:
        _check_labels(written.learned[0].class_names, outputs, "")
        if isinstance(written.input, ImageInput):
            _check_labels(written.learned[0].class_names, outputs, PIXELS)


def _check_names(written: Written, targets: Sequence[TargetFacts]) -> None:
    known = {each.name: each.class_names for each in targets}
    for each in written.learned:
        if each.class_names and each.class_names != known.get(each.name):
            raise _contradiction(f"its classes are {_some(each.class_names)}, and the data's {_some(known[each.name])}")


def _check_described(written: Written, outputs: CleanOutputs) -> None:
    for each in written.outputs:
        if each.dtype == "string":
            continue
        values = outputs.arrays[each.tensor]
        given, said = values.shape[1:], each.shape
        alike = len(given) == len(said) and all(size in (None, have) for size, have in zip(said, given, strict=True))
        if values.dtype.name != each.dtype or not alike:
            raise _contradiction(
                f"{each.tensor} is {values.dtype.name} {given} for each example, and recorded as {each.dtype} {said}"
            )


def _check_pixels(written: Written, outputs: CleanOutputs) -> None:
    for each in written.outputs:
        if each.dtype == "string":
            continue
        by_files, by_pixels = outputs.arrays[each.tensor], outputs.arrays[kept_as(PIXELS, each.tensor)]
        if by_files.shape != by_pixels.shape:
            raise _contradiction(f"the signature {PIXELS} gives {each.tensor} of the shape {by_pixels.shape}")
        found, allowed = furthest(by_files, by_pixels), written.arithmetic.allowed_alike(largest(by_files))
        if not found <= allowed:
            raise _contradiction(
                f"the signature {PIXELS} gives {each.tensor} that differs by {found:.3g} from what {SERVING} gives "
                f"for the same images (at most {allowed:.3g} is rounding)"
            )


def _check_probabilities(values: _Numbers) -> None:
    found = list(blocks(values))
    low, high = min(float(block.min()) for block in found), max(float(block.max()) for block in found)
    if low < 0 or high > 1:
        raise ExportError(
            f"the model's outputs are not probabilities but between {low:.6g} and {high:.6g}: end it with a softmax or "
            "sigmoid, or compile it with a loss that has from_logits=True"
        )


def _check_raw(probabilities: _Numbers, raw: _Numbers, exclusive: bool, loss: str | None) -> None:
    """The probabilities are what the outputs mean: logits, or the probability of the second of two classes."""
    is_second = exclusive and raw.shape[1] == 1
    meanings = [_sigmoid] if is_second or not exclusive or loss in _ELEMENTWISE else [_softmax]
    if loss is None and exclusive and not is_second:
        meanings.append(_sigmoid)
    if is_second:
        low, high = float(raw.min(initial=0)), float(raw.max(initial=0))
        meanings += [_itself] if low >= 0 and high <= 1 else []
    found = min(_furthest_of(meaning, probabilities, raw, is_second) for meaning in meanings)
    allowed = allowed_of_meaning(largest(raw))
    if not found <= allowed:
        raise _contradiction(
            f"its probabilities differ by {found:.3g} from what its outputs mean (at most {allowed:.3g} is rounding)"
        )


def _furthest_of(meaning: Meaning, probabilities: _Numbers, raw: _Numbers, is_second: bool) -> float:
    found = 0.0
    for given, outputs in zip(blocks(probabilities), blocks(raw), strict=True):
        meant = meaning(wide(outputs))
        if is_second:
            meant = np.concatenate([1 - meant, meant], axis=1)
        if meant.shape != given.shape:
            return np.inf
        found = max(found, float(np.abs(wide(given) - meant).max(initial=0)))
    return found


def _check_labels(names: Sequence[str], outputs: CleanOutputs, signature: str) -> None:
    probabilities = outputs.arrays[kept_as(signature, PROBABILITIES)]
    labels = outputs.arrays[kept_as(signature, LABEL)]
    expected = np.array([name.encode("utf-8", "surrogateescape") for name in names])
    for given, each in zip(blocks(labels), blocks(probabilities), strict=True):
        wrong = np.flatnonzero(given.reshape(-1) != expected[np.argmax(each, axis=1)])
        if len(wrong):
            said, meant = given.reshape(-1)[wrong[0]], expected[int(np.argmax(each[wrong[0]]))]
            raise _contradiction(f"its {LABEL} is {_word(said)!r} where {_word(meant)!r} is the most probable class")


def _softmax(values: _Numbers) -> _Numbers:
    powers = np.exp(values - values.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _sigmoid(values: _Numbers) -> _Numbers:
    return np.asarray(0.5 * (1 + np.tanh(values / 2)))


def _itself(values: _Numbers) -> _Numbers:
    return values


def _word(label: Any) -> str:
    return bytes(label).decode("utf-8", "replace")


def _some(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:5])) + (", ..." if len(names) > 5 else "")


def _contradiction(what: str) -> ExportError:
    return ExportError(f"the exported SavedModel contradicts itself, and nothing was exported: {what}")
