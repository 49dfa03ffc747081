"""Which model of a trial is exported: the one that was trained, or what its space makes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
import numpy.typing as npt

from tuner.champion.model.kept.kept_file import KeptFile, LeftOut
from tuner.champion.model.kept.unregistered import explain_missing
from tuner.champion.model.kept.users_objects import UsersObjects
from tuner.champion.model.tensors import tensor_names
from tuner.champion.records.champion_json import InputTensor
from tuner.data.batches import BatchFormat
from tuner.data.model_columns import given_to
from tuner.data.prepared import PreparedData, TargetFacts
from tuner.errors import ExportError
from tuner.spec.search_spec import SearchSpec
from tuner.trial.losses import label_forms, learned_targets, learners

# Examples that are drawn for a model that does not take the data's.
_DRAWN = 16
_REGISTERED_ALONE = UsersObjects()


@dataclass(frozen=True, eq=False)
class Subject:
    """A model to export.

    Attributes:
        model: what is exported.
        trained: what was trained; the same, unless the space has an ``export_model``.
        takes: the inputs of a model that takes something else than the data; None for one that takes the data's.
        structure: of those.
        drawn: examples of those, numbers from a normal distribution.
        output: what it gave for a few examples.
    """

    model: keras.Model
    trained: keras.Model
    takes: tuple[InputTensor, ...] | None
    structure: str
    drawn: tuple[npt.NDArray[Any], ...]
    output: Any

    @property
    def is_trained(self) -> bool:
        return self.model is self.trained

    @property
    def unscorable(self) -> str | None:
        """Why no metric can be computed from the outputs; None if one may be."""
        if not self.is_trained:
            return "the exported model is what the space's export_model gave, not the one that was scored"
        if type(self.model).test_step is not keras.Model.test_step:
            return f"{type(self.model).__name__} scores itself in a test_step of its own"
        if not self.model.compiled:
            return "the model was saved without its compilation"
        return None


def form_and_targets(
    space: keras_tuner.HyperModel, subject: Subject, data: PreparedData, spec: SearchSpec
) -> tuple[BatchFormat, tuple[TargetFacts, ...]]:
    """How the trained model takes its examples, and what it makes of each target."""
    outputs = subject.output if subject.is_trained else None
    learned_by = learners(subject.trained, data, outputs)
    forms = label_forms(space, learned_by, data)
    inferred = getattr(spec.data, "task", "auto") == "auto"
    return BatchFormat(forms), learned_targets(data, learned_by, forms, inferred=inferred)


def load_trained(
    what: str, file: Path, *, compiled: bool = True, users: UsersObjects = _REGISTERED_ALONE
) -> keras.Model:
    """A kept model, loaded as what is not trusted: no code comes out of the file.

    Args:
        what: whose it is, for people.
        users: what the file may name.

    Raises:
        ExportError: it cannot be loaded; which class or function is missing.
    """
    with _explained(what, file, users, compiled=compiled):
        return KeptFile(file, users).load(compiled=compiled)[0]


def load_kept(what: str, file: Path, users: UsersObjects) -> tuple[keras.Model, KeptFile, tuple[LeftOut, ...]]:
    """A kept model with as much of its compilation as can be made again, its file, and what is left out.

    Raises:
        ExportError: as of ``load_trained``.
    """
    with _explained(what, file, users, compiled=False):
        kept = KeptFile(file, users)
        model, left_out = kept.load(whole=False)
        return model, kept, left_out


@contextmanager
def _explained(what: str, file: Path, users: UsersObjects, *, compiled: bool) -> Iterator[None]:
    try:
        yield
    except ExportError as error:
        raise ExportError(
            f"the model of {what} cannot be loaded: {error}; export another trial, or train it again"
        ) from None
    except Exception as error:
        why = _why(file, error, users, compiled=compiled)
        raise ExportError(f"the model of {what} cannot be loaded: {why}") from error


def _why(file: Path, error: Exception, users: UsersObjects, *, compiled: bool) -> str:
    try:
        missing = explain_missing(file, users, compiled=compiled)
    except Exception:
        # What Keras could not read may hold anything in any place; its own error says more.
        missing = None
    return missing or f"{file}: {type(error).__name__}: {_innermost(error)}"


def _innermost(error: Exception) -> str:
    """Keras quotes the model's whole configuration around what it found wrong."""
    said = " ".join(str(error).split()).rpartition("Exception encountered: ")[2]
    return said.partition(" Full object config:")[0][:1000]


def find_subject(space: keras_tuner.HyperModel, trained: keras.Model, examples: Any) -> Subject:
    """The model to export.

    Args:
        examples: a batch of the data's inputs, as ``model.keras`` takes them.

    Raises:
        ExportError: it can neither be called with the data's inputs nor says what others it takes.
    """
    model = _chosen(space, trained)
    try:
        output = model(given_to(model, examples), training=False)
    except NotImplementedError:
        raise ExportError(
            f"{type(model).__name__} has no call, so there is nothing to export: give the space a method "
            "export_model(model) that returns the part of it that predicts, such as a GAN's generator"
        ) from None
    except Exception as error:
        if model is trained or not getattr(model, "inputs", None):
            raise ExportError(
                f"the model cannot be called with the data's inputs: {type(error).__name__}: {_short(error)}"
            ) from error
        return _with_own_inputs(model, trained)
    return Subject(model, trained, None, "", (), output)


def _chosen(space: keras_tuner.HyperModel, trained: keras.Model) -> keras.Model:
    export_model: Callable[[keras.Model], Any] | None = getattr(space, "export_model", None)
    if export_model is None:
        return trained
    try:
        chosen = export_model(trained)
    except Exception as error:
        raise ExportError(f"the space's export_model failed: {type(error).__name__}: {_short(error)}") from error
    if not isinstance(chosen, keras.Model):
        raise ExportError(f"the space's export_model returned {type(chosen).__name__}, not a keras.Model")
    return chosen


def _with_own_inputs(model: keras.Model, trained: keras.Model) -> Subject:
    structure = getattr(model, "_inputs_struct", None) or model.inputs
    kind = "dict" if isinstance(structure, dict) else "tuple" if len(model.inputs) > 1 else "single"
    # The order of the leaves is that in which Keras flattens them.
    leaves = keras.tree.flatten(structure)
    keys = sorted(structure) if isinstance(structure, dict) else [leaf.name for leaf in leaves]
    takes = tuple(
        InputTensor(tensor=tensor, name=key, kind="array", dtype=leaf.dtype, shape=tuple(leaf.shape[1:]))
        for tensor, key, leaf in zip(tensor_names(keys), keys, leaves, strict=True)
    )
    drawn = tuple(_draw(each) for each in takes)
    by_name = dict(zip(keys, drawn, strict=True))
    output = model(by_name if kind == "dict" else drawn[0] if kind == "single" else drawn, training=False)
    return Subject(model, trained, takes, kind, drawn, output)


def _draw(tensor: InputTensor) -> npt.NDArray[Any]:
    shape = (_DRAWN, *(size or 1 for size in tensor.shape))
    if tensor.dtype == "string":
        return np.zeros(shape, "S1")
    numbers = np.random.default_rng(0).standard_normal(shape)
    return numbers.astype(tensor.dtype) if tensor.dtype.startswith("float") else np.zeros(shape, tensor.dtype)


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:1000]
