"""The preflight, in its own process."""

from __future__ import annotations

from pathlib import Path

import pytest

from tuner.errors import PreflightError, SpaceError
from tuner.launch.preflight import preflight


def test_a_large_default_model_and_an_idle_hyperparameter_are_not_the_end_of_the_study(make_spec, cache, tmp_path):
    spec = make_spec("Forgets", training={"epochs": 1, "batch_size": 16, "max_parameters": 1})
    found = preflight(spec, cache, tmp_path / "preflight.log")
    assert found.parameters > 1
    assert set(found.metrics) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert found.warnings == [
        "the following hyperparameter has no effect on the model, its optimizer, its data or fit in the configurations "
        "that were tried: forgotten, with 1 and 2"
    ]


MODELS = Path(__file__).parents[1] / "trial" / "models.py"


def refusal(make_spec, cache, tmp_path, space, **keys):
    """The key of the spec at which the preflight refuses a space of models.py, and its message."""
    options = keys.pop("options", {})
    spec = make_spec(**keys)
    named = spec.space.model_validate({"name": f"{MODELS}:{space}", **options})
    with pytest.raises((PreflightError, SpaceError)) as refused:
        preflight(spec.model_copy(update={"space": named}), cache, tmp_path / "preflight.log")
    assert "\n" not in str(refused.value)
    return refused.value.key, str(refused.value)


@pytest.mark.parametrize(
    ("space", "objective", "key", "said"),
    [
        ("GanSpace", "val_loss", "objective", "objective: no epoch logs 'val_loss'; logged are d_loss, g_loss"),
        (
            "CannotBeTested",
            "loss",
            "space",
            "the model with default values failed on its first validation batch, after a training batch: ValueError: ",
        ),
        (
            "ReturnsNothing",
            {"metric": "score", "direction": "maximize"},
            "objective",
            "objective: fit returned NoneType, and its epochs do not log score; pass callbacks to model.fit, or return "
            "a History, a dict of metrics or the objective's value",
        ),
    ],
)
def test_what_would_fail_in_every_trial_is_said_in_a_line(
    make_spec, cache, tmp_path, images, space, objective, key, said
):
    data = {"kind": "image_directory", "path": str(images), "image_size": [8, 8], "color_mode": "grayscale"}
    labels = {"labels": "none"} if space == "GanSpace" else {}
    found, message = refusal(make_spec, cache, tmp_path, space, data=data | labels, objective=objective)
    assert message.startswith(said), message
    assert found == key


def test_a_factory_of_callbacks_that_is_none_is_said(make_spec, cache, tmp_path):
    training = {"epochs": 1, "callbacks": [f"{MODELS}:nothing"]}
    key, message = refusal(make_spec, cache, tmp_path, "Plain", training=training)
    assert key == "training.callbacks"
    assert message == f"training.callbacks {MODELS}:nothing: it gave NoneType, not a keras.callbacks.Callback"


def test_a_model_that_cannot_be_saved_is_a_warning(make_spec, cache, tmp_path, images):
    data = {"kind": "image_directory", "path": str(images), "labels": "none"}
    size = {"image_size": [8, 8], "color_mode": "grayscale"}
    spec = make_spec(data=data | size, objective="g_loss")
    spec = spec.model_copy(update={"space": spec.space.model_validate(f"{MODELS}:UnsaveableSpace")})
    found = preflight(spec, cache, tmp_path / "preflight.log")
    (warning,) = found.warnings
    said = "no model will be kept, because this one cannot be saved: NotImplementedError: Object Gan"
    assert warning.startswith(said)


@pytest.mark.slow
def test_a_metric_of_the_spec_is_there_and_one_that_keras_does_not_know_is_refused(make_spec, cache, tmp_path):
    training = {"epochs": 1, "batch_size": 16, "loss": "categorical_crossentropy", "metrics": [{"class_name": "AUC"}]}
    spec = make_spec("Fast", training=training, objective="val_auc")
    found = preflight(spec, cache, tmp_path / "preflight.log")
    assert set(found.metrics) == {"loss", "auc", "val_loss", "val_auc"}
    key, message = refusal(make_spec, cache, tmp_path, "Plain", training=training | {"metrics": ["acuracy"]})
    assert key == "training.metrics"
    assert message.startswith("training.metrics: Keras cannot make the metric 'acuracy'; did you mean")


@pytest.mark.slow
def test_entries_are_held_against_the_space_and_its_fit(make_spec, cache, tmp_path):
    entries = {"units": {"values": [3, 5]}, "in_fit": 2}
    spec = make_spec("Fast", hyperparameters={"entries": entries})
    named = spec.space.model_validate(f"{MODELS}:AsksInFit")
    found = preflight(spec.model_copy(update={"space": named}), cache, tmp_path / "preflight.log", explore=True)
    units, in_fit = found.hyperparameters
    assert (units["name"], units["values"]) == ("units", [3, 5])
    assert (in_fit["name"], in_fit["kind"]) == ("in_fit", "fixed")


def test_a_listing_has_what_only_fit_declares(make_spec, cache, tmp_path):
    spec = make_spec("Fast")
    spec = spec.model_copy(update={"space": spec.space.model_validate(f"{MODELS}:AsksInFit")})
    found = preflight(spec, cache, tmp_path / "preflight.log", check=False, explore=True)
    assert [each["name"] for each in found.hyperparameters] == ["units", "in_fit"]


@pytest.mark.parametrize(
    ("entries", "key", "said"),
    [
        ({"unit": 3}, "unit", "the search space has no hyperparameter 'unit'; did you mean units or in_fit?"),
        ({"in_fit": {"min_value": 3.5}}, "in_fit", "3.5 is not an integer, and the search space gives it 1, 2"),
    ],
)
def test_an_entry_that_does_not_fit_is_refused_at_its_key(make_spec, cache, tmp_path, entries, key, said):
    found = refusal(make_spec, cache, tmp_path, "AsksInFit", hyperparameters={"entries": entries})
    assert found == (f"hyperparameters.entries.{key}", f"hyperparameters.entries.{key}: {said}")


_OWN = """
import keras


class Doubling(keras.layers.Layer):
    def call(self, inputs):
        return inputs * 2


def certainty(y_true, y_pred):
    return keras.ops.max(y_pred, axis=-1)


def build(hp):
    # In memory alone: a process that exports models builds none.
    @keras.saving.register_keras_serializable("within")
    class Hidden(keras.layers.Layer):
        def call(self, inputs):
            return inputs + 1

    own = Hidden() if hp.Boolean("hides", {hides}) else Doubling()
    last = keras.layers.Dense(3, activation="softmax")
    model = keras.Sequential([keras.Input((8, 8, 1)), own, keras.layers.Flatten(), last])
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy", certainty])
    return model
"""


@pytest.mark.slow
@pytest.mark.parametrize("hides", [False, True])
def test_what_an_export_would_lack_is_a_warning(make_spec, cache, tmp_path, images, hides):
    file = tmp_path / "own_layers.py"
    file.write_text(_OWN.replace("{hides}", str(hides)))
    data = {"kind": "image_directory", "path": str(images), "image_size": [8, 8], "color_mode": "grayscale"}
    spec = make_spec(data=data)
    spec = spec.model_copy(update={"space": spec.space.model_validate(f"{file}:build")})
    found = preflight(spec, cache, tmp_path / "preflight.log")
    if hides:
        (warning,) = found.warnings
        said = "the trials' models cannot be exported as they are: the model of the default values cannot be loaded: "
        assert warning.startswith(f"{said}the class Hidden is registered as within>Hidden")
        return
    layer, metric = found.warnings
    assert layer.startswith(f"the class Doubling ({file}, line 5) is not registered: ")
    assert metric.startswith(f"the metric certainty ({file}, line 10) is not registered: ")
    for warning in found.warnings:
        assert 'put @keras.saving.register_keras_serializable(package="own_layers") above it' in warning
