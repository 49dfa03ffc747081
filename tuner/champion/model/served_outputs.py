"""What a SavedModel gives: a model's raw outputs, and what its task makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from tuner.champion.model.probabilities import OutputMeaning, output_meaning
from tuner.champion.model.tensors import LABEL, PROBABILITIES, RAW_OUTPUTS, SERVING, tensor_names
from tuner.champion.records.champion_json import OutputTensor
from tuner.data.prepared import TargetFacts
from tuner.errors import ExportError

PREDICTIONS = "predictions"
OUTPUTS = "outputs"


@dataclass(frozen=True)
class Served:
    """The outputs of ``serving_default``.

    Attributes:
        structure: what the model gives for a batch, as a structure whose leaves mean nothing.
        raw: the model's own outputs, in the order of that structure's leaves; float32 where they are numbers of
            another precision.
        meaning: how the only one becomes probabilities; None where outputs are given as they are.
        class_names: of classification and multi-label.
    """

    structure: Any
    raw: tuple[OutputTensor, ...]
    meaning: OutputMeaning | None = None
    class_names: tuple[str, ...] = ()

    @property
    def raw_signature(self) -> str:
        """The signature that gives the raw outputs."""
        return SERVING if self.meaning is None or self.meaning.is_probabilities else RAW_OUTPUTS

    @property
    def raw_tensors(self) -> tuple[str, ...]:
        """The names of the raw outputs in that signature."""
        if self.raw_signature == SERVING and self.meaning is not None:
            return (PROBABILITIES,)
        return tuple(each.tensor for each in self.raw)

    @property
    def units(self) -> int:
        """The last dimension of the only raw output; 0 where there are several."""
        shape = self.raw[0].shape
        return int(shape[-1] or 0) if len(self.raw) == 1 and shape else 0

    @property
    def outputs(self) -> tuple[OutputTensor, ...]:
        if self.meaning is None:
            return self.raw
        found = [OutputTensor(tensor=PROBABILITIES, dtype="float32", shape=(len(self.class_names),))]
        if self.meaning.exclusive:
            found.append(OutputTensor(tensor=LABEL, dtype="string", shape=()))
        return tuple(found)

    def given(self, raw: Sequence[tf.Tensor]) -> dict[str, tf.Tensor]:
        """What ``serving_default`` gives for a model's outputs, flat, each (batch, ...)."""
        if self.meaning is None:
            return self.given_raw(raw)
        found = {PROBABILITIES: self.meaning.probabilities(raw[0])}
        if self.meaning.exclusive:
            names = tf.constant([name.encode("utf-8", "surrogateescape") for name in self.class_names])
            found[LABEL] = tf.gather(names, tf.argmax(found[PROBABILITIES], axis=-1))
        return found

    def given_raw(self, raw: Sequence[tf.Tensor]) -> dict[str, tf.Tensor]:
        """A model's outputs by their names."""
        return {each.tensor: plain(value) for each, value in zip(self.raw, raw, strict=True)}


def served_outputs(model: keras.Model, output: Any, targets: Sequence[TargetFacts]) -> Served:
    """What is served of a model.

    Args:
        output: what it gave for a batch of at least one example.
        targets: what it was trained to predict; empty for models that predict something else.

    Raises:
        ExportError: its outputs are not what its task needs, or none of them is a batch.
    """
    structure = keras.tree.map_structure(lambda _: 0, output)
    only = targets[0] if len(targets) == 1 else None
    if only is not None and only.task in ("classification", "multi_label"):
        meaning = output_meaning(model, output, only)
        return Served(structure, _raw_outputs(model, output, OUTPUTS), meaning, only.class_names)
    regression = only is not None and only.task == "regression"
    return Served(structure, _raw_outputs(model, output, PREDICTIONS if regression else OUTPUTS))


def plain(value: tf.Tensor) -> tf.Tensor:
    """Numbers in float32, whatever precision the model computes in."""
    return tf.cast(value, tf.float32) if value.dtype.is_floating else value


def _raw_outputs(model: keras.Model, output: Any, only: str) -> tuple[OutputTensor, ...]:
    leaves = keras.tree.flatten(output)
    if not leaves:
        raise ExportError("the model gives nothing when it is called, so there is nothing to export")
    names = [only] if len(leaves) == 1 else tensor_names(_leaf_names(model, output))
    return tuple(_raw_output(name, leaf) for name, leaf in zip(names, leaves, strict=True))


def _leaf_names(model: keras.Model, output: Any) -> list[str]:
    """The keys of a dict; of a list, the names that the model's metrics have."""
    own = getattr(model, "output_names", None)
    paths = [path for path, _ in keras.tree.flatten_with_path(output)]
    if isinstance(output, list | tuple) and own and len(own) == len(paths):
        return list(own)
    return ["_".join(str(part) for part in path) for path in paths]


def _raw_output(name: str, value: Any) -> OutputTensor:
    shape = getattr(value, "shape", None)
    if shape is None or len(shape) == 0:
        given = type(value).__name__ if shape is None else "a single number"
        raise ExportError(f"the model's output {name} is {given}, not a tensor with a row for each example")
    return OutputTensor(tensor=name, dtype=plain(value).dtype.name, shape=tuple(shape[1:]))
