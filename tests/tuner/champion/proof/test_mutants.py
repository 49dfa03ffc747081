"""Exporters with one fault each: the proof refuses what every one of them writes.

The faulty exporter and what runs its files are in this process, since a fault is a changed function; that a clean
process has nothing of this project is what other tests show.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tuner.champion.clean import inference
from tuner.champion.export.writing import _Export
from tuner.champion.model import loaded_model, saved_model, served_outputs
from tuner.champion.model.kept.kept_file import KeptFile
from tuner.champion.model.probabilities import OutputMeaning
from tuner.champion.model.served_outputs import Served
from tuner.champion.model.study_data import prepared_data
from tuner.champion.proof import clean_runs
from tuner.champion.proof.verification import Exported, verify
from tuner.champion.records.champion_json import OutputTensor, Verification
from tuner.champion.records.request import ExportRequest
from tuner.errors import ExportError

pytestmark = pytest.mark.slow
Patch = pytest.MonkeyPatch
Mutant = Callable[[Patch], None]


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch: Patch) -> None:
    """Files are run here, and not timed."""

    def run(request: dict[str, Any], workspace: Path, log: Path) -> None:
        Path(request["result"]).write_text(json.dumps(inference.run_all(request)))

    monkeypatch.setattr(clean_runs, "_run", run)
    monkeypatch.setattr(inference, "_timed", lambda runtime, columns, examples: {"latency_ms": 1, "per_second": 1})


@dataclass
class Exporter:
    """What the exporting process does."""

    export: _Export

    def score(self, outputs: list[Path]) -> Any:
        return self.export.score([np.load(file) for file in outputs])

    def compare(self, outputs: list[Path]) -> Any:
        return self.export.compare([np.load(file) for file in outputs])


def proven(request: ExportRequest, folder: Path) -> Verification:
    built, workspace = folder / "built", folder / "workspace"
    built.mkdir()
    workspace.mkdir()
    data = prepared_data(request)
    export = _Export(request, data)
    written = export.write(built, workspace)
    return verify(Exported(request, written, data, Exporter(export)), built, workspace, folder / "log").verification


@pytest.fixture(scope="module")
def of_images(make_project: Any, tmp_path_factory: pytest.TempPathFactory) -> ExportRequest:
    """A classifier of images with logits, which has all signatures: two for users and one for its logits."""
    project = make_project(tmp_path_factory.mktemp("mutants"), ("dark", "mid", "light"), 12)
    keras.utils.set_random_seed(5)
    layers = [keras.layers.Rescaling(1 / 255), keras.layers.AveragePooling2D(4), keras.layers.Flatten()]
    model = keras.Sequential([keras.Input((24, 24, 3)), *layers, keras.layers.Dropout(0.1), keras.layers.Dense(3)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.03), loss, metrics=["accuracy"])
    metrics = project.train(model, epochs=40)
    request: ExportRequest = project.request(model, metrics["val_accuracy"], metrics=metrics)
    return request


@pytest.mark.fast
def test_the_exporter_as_it_is_is_proven(of_images: ExportRequest, tmp_path: Path) -> None:
    found = proven(of_images, tmp_path)
    assert found.verified and found.value == pytest.approx(found.recorded, abs=1e-6)
    # Not one class for all, with which many faults would not show.
    assert found.confusion is not None and np.count_nonzero(np.sum(found.confusion.counts, axis=0)) > 1
    assert found.max_difference is not None and found.max_difference < 2e-6


_ON_SOME = saved_model._on_some


def _inputs(change: Callable[[tf.Tensor], tf.Tensor]) -> Mutant:
    """The SavedModel's model sees changed pixels."""

    def mutate(patch: Patch) -> None:
        def on_some(tensors: Any, call: Any) -> Any:
            return _ON_SOME(tensors, lambda *some: call(*(change(tf.cast(each, tf.float32)) for each in some)))

        patch.setattr(saved_model, "_on_some", on_some)

    return mutate


def _outputs(change: Callable[[tf.Tensor], tf.Tensor]) -> Mutant:
    """What the SavedModel's model gives is changed."""

    def mutate(patch: Patch) -> None:
        patch.setattr(saved_model, "_on_some", lambda tensors, call: [change(each) for each in _ON_SOME(tensors, call)])

    return mutate


def _weights(change: Callable[[Any], Any]) -> Mutant:
    """The SavedModel has other weights."""
    write = saved_model.write_saved_model

    def mutate(patch: Patch) -> None:
        def write_other(model: keras.Model, *rest: Any) -> None:
            other = keras.models.clone_model(model)
            other.set_weights([change(each) for each in model.get_weights()])
            write(other, *rest)

        patch.setattr(saved_model, "write_saved_model", write_other)

    return mutate


def _function(module: Any, name: str, change: Callable[[Any], Any]) -> Mutant:
    """A function gives something changed."""
    original = getattr(module, name)
    return lambda patch: patch.setattr(module, name, lambda *given: change(original(*given)))


def _nearest(patch: Patch, name: str) -> None:
    def resized(images: Any, size: Any, channels: int) -> Any:
        return tf.cast(tf.image.resize(images, size, method="nearest"), tf.uint8)

    if name == "resize_pixels":
        patch.setattr(saved_model, name, resized)
    else:
        decode = saved_model.decode_batch.__globals__["decode_rgb"]
        patch.setattr(
            saved_model,
            name,
            lambda files, size, channels: tf.map_fn(
                lambda one: resized(decode(one)[tf.newaxis], size, channels)[0],
                files,
                fn_output_signature=tf.TensorSpec((*size, channels), tf.uint8),
            ),
        )


def _served(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Mutant:
    """What users are given for the model's outputs is changed."""
    given = Served.given
    return lambda patch: patch.setattr(Served, "given", lambda self, raw: change(given(self, raw)))


def _meaning(change: Callable[[OutputMeaning, tf.Tensor], tf.Tensor]) -> Mutant:
    return lambda patch: patch.setattr(OutputMeaning, "probabilities", change)


def _described(**change: Any) -> Mutant:
    """The record says something else of the probabilities than they are."""
    outputs = Served.outputs.fget  # type: ignore[attr-defined]

    def changed(self: Served) -> tuple[OutputTensor, ...]:
        first, *others = outputs(self)
        return (first.model_copy(update=change), *others)

    return lambda patch: patch.setattr(Served, "outputs", property(changed))


def _reversed_classes(patch: Patch) -> None:
    original = loaded_model.form_and_targets

    def reversed_targets(*given: Any) -> Any:
        form, learned = original(*given)
        return form, tuple(each.model_copy(update={"class_names": each.class_names[::-1]}) for each in learned)

    patch.setattr(loaded_model, "form_and_targets", reversed_targets)


def _reversed_labels(patch: Patch) -> None:
    original = loaded_model.served_outputs

    def reversed_names(*given: Any) -> Served:
        served = original(*given)
        return replace(served, class_names=served.class_names[::-1])

    patch.setattr(loaded_model, "served_outputs", reversed_names)


def _other_keras_file(patch: Patch) -> None:
    give_away = KeptFile.give_away

    def give_other(self: KeptFile, to: Path) -> Any:
        left_out = give_away(self, to)
        model = keras.saving.load_model(to, compile=False)
        model.set_weights([each * 1.01 for each in model.get_weights()])
        model.save(to)
        return left_out

    patch.setattr(KeptFile, "give_away", give_other)


def _only_pixels(change: Callable[[tf.Tensor], tf.Tensor]) -> Mutant:
    return _function(saved_model, "resize_pixels", change)


def _only_files(change: Callable[[tf.Tensor], tf.Tensor]) -> Mutant:
    return _function(saved_model, "decode_batch", change)


def _with_label(change: Callable[[tf.Tensor], tf.Tensor]) -> Mutant:
    return _served(lambda given: given | {"label": change(given["label"])})


def _with_probabilities(change: Callable[[tf.Tensor], tf.Tensor]) -> Mutant:
    return _served(lambda given: given | {"probabilities": change(given["probabilities"])})


MUTANTS: dict[str, Mutant] = {
    "labels in reverse": _reversed_labels,
    "classes in reverse, in the record too": _reversed_classes,
    "the label of another example": _with_label(lambda label: tf.roll(label, 1, axis=0)),
    "the least probable class": _served(
        lambda given: (
            given
            | {"label": tf.gather(tf.constant(["dark", "light", "mid"]), tf.argmin(given["probabilities"], axis=-1))}
        )
    ),
    "the same label for all": _with_label(lambda label: tf.fill(tf.shape(label), "dark")),
    "pixels inverted": _only_pixels(lambda images: 255 - images),
    "pixels in blue, green, red": _only_pixels(lambda images: images[..., ::-1]),
    "pixels resized otherwise": lambda patch: _nearest(patch, "resize_pixels"),
    "pixels one level brighter": _only_pixels(lambda images: tf.where(images < 255, images + 1, images)),
    "files in blue, green, red": _only_files(lambda images: images[..., ::-1]),
    "files resized otherwise": lambda patch: _nearest(patch, "decode_batch"),
    "inputs times 1.01": _inputs(lambda pixels: pixels * 1.01),
    "inputs less the mean of their batch": _inputs(lambda pixels: pixels - tf.reduce_mean(pixels, axis=0) + 100),
    "outputs times 1.01": _outputs(lambda outputs: outputs * 1.01),
    "outputs in another order": _outputs(lambda outputs: tf.roll(outputs, 1, axis=-1)),
    "weights before training": _weights(np.zeros_like),
    "weights times 1.001": _weights(lambda weights: weights * np.float32(1.001)),
    "weights in half precision": _weights(lambda weights: weights.astype(np.float16).astype(np.float32)),
    "another model.keras": _other_keras_file,
    "logits for probabilities": _meaning(lambda meaning, output: output),
    "sigmoids for a softmax": _meaning(lambda meaning, output: tf.math.sigmoid(output)),
    "a softmax that is too sure": _meaning(lambda meaning, output: tf.nn.softmax(output * 1.05)),
    "probabilities in another order": _with_probabilities(lambda values: values[:, ::-1]),
    "probabilities in another precision": _with_probabilities(lambda values: tf.cast(values, tf.float64)),
    "a wrong shape in the record": _described(shape=(4,)),
    "other raw outputs": lambda patch: patch.setattr(
        Served, "given_raw", lambda self, raw: {"outputs": served_outputs.plain(raw[0]) + 0.01}
    ),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_faulty_exporter_is_refused(
    mutant: str, of_images: ExportRequest, tmp_path: Path, monkeypatch: Patch
) -> None:
    MUTANTS[mutant](monkeypatch)
    with pytest.raises(ExportError) as refused:
        proven(of_images, tmp_path)
    assert "\n" not in str(refused.value)
