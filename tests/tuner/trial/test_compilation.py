"""Optimizer, loss and metrics of a spec in place of those that a space compiles its models with."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest

from tuner.errors import SpaceError
from tuner.spec.sections import Training
from tuner.trial.compilation import check_compilation, compile_as_asked


def network(**compiled: Any) -> keras.Model:
    x = keras.Input((2,))
    model = keras.Model(x, keras.layers.Dense(2, "softmax")(x))
    if compiled:
        model.compile(**compiled)
    return model


def logs(model: keras.Model) -> set[str]:
    y = np.eye(2)[[0, 1, 0, 1]]
    return set(model.fit(np.zeros((4, 2)), y, sample_weight=np.ones(4), verbose=0).history)


def test_a_model_is_as_keras_tuner_compiles_it_again():
    asked = Training(optimizer="adam", loss="mse", metrics=["mae", "accuracy"])
    tuner = SimpleNamespace(
        optimizer="adam",
        loss="mse",
        metrics=["mae", "accuracy"],
        distribution_strategy=None,
        _filter_metrics=lambda metrics: metrics,
    )
    ours, theirs = (network(optimizer="sgd", loss="kl_divergence", metrics=["mse"]) for _ in range(2))
    compile_as_asked(ours, asked)
    keras_tuner.Tuner._override_compile_args(tuner, theirs)
    assert logs(ours) == logs(theirs) == {"loss", "mae", "accuracy"}
    for model in (ours, theirs):
        assert (type(model.optimizer), model.loss) == (keras.optimizers.Adam, "mse")


def test_what_is_not_asked_for_stays():
    optimizer = keras.optimizers.SGD(0.5)
    model = network(
        optimizer=optimizer,
        loss="mse",
        loss_weights=2.0,
        metrics=["mae"],
        weighted_metrics=["mse"],
        jit_compile=False,
        steps_per_execution=2,
    )
    compile_as_asked(model, Training(metrics="accuracy"))
    assert model.optimizer is optimizer
    assert (model.loss, model.jit_compile, model.steps_per_execution) == ("mse", False, 2)
    assert logs(model) == {"loss", "accuracy", "mse"}
    assert model._compile_loss._user_loss_weights == 2.0
    compile_as_asked(model, Training(loss="mae"))
    assert (model.optimizer, model.loss) == (optimizer, "mae")


def test_a_model_that_is_not_compiled_is_compiled():
    model = network()
    compile_as_asked(model, Training())
    assert not model.compiled
    compile_as_asked(model, Training(loss="categorical_crossentropy"))
    assert logs(model) == {"loss"}


def test_serialised_objects_are_made_anew_for_every_model():
    rate = keras.optimizers.schedules.CosineDecay(0.1, 100)
    optimizer = keras.optimizers.serialize(keras.optimizers.AdamW(rate, weight_decay=0.25))
    asked = Training(
        optimizer=optimizer,
        loss={"class_name": "CategoricalCrossentropy", "config": {"label_smoothing": 0.1}},
        metrics=[{"class_name": "F1Score", "config": {"name": "f1"}}, {"class_name": "AUC"}],
    )
    again = Training.model_validate_json(asked.model_dump_json())
    models = [network(optimizer="sgd", loss="mse"), network()]
    for model in models:
        check_compilation(again)
        compile_as_asked(model, again)
        assert isinstance(model.optimizer, keras.optimizers.AdamW)
        assert isinstance(model.optimizer._learning_rate, keras.optimizers.schedules.CosineDecay)
        assert model.loss.label_smoothing == 0.1
        assert logs(model) == {"loss", "f1", "auc"}
    assert models[0].optimizer is not models[1].optimizer


def test_losses_and_metrics_of_several_outputs():
    x = keras.Input((2,))
    outputs = {name: keras.layers.Dense(1, name=name)(x) for name in ("a", "b")}
    model = keras.Model(x, outputs)
    asked = Training(loss={"a": "mse", "b": {"class_name": "Huber"}}, metrics={"a": ["mae"], "b": "mse"})
    check_compilation(asked)
    compile_as_asked(model, asked)
    y = {name: np.zeros((4, 1)) for name in outputs}
    history = model.fit(np.zeros((4, 2)), y, verbose=0).history
    assert {"a_loss", "b_loss", "a_mae", "b_mse"} <= set(history)


@keras.saving.register_keras_serializable("tests")
class Scaled(keras.losses.Loss):
    def __init__(self, by: float = 1.0, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.by = by

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return self.by * keras.losses.mean_squared_error(y_true, y_pred)


def test_a_registered_loss_of_the_users_own():
    model, asked = network(), {"class_name": "Scaled", "registered_name": "tests>Scaled", "config": {"by": 3.0}}
    compile_as_asked(model, Training(loss=asked))
    assert (type(model.loss), model.loss.by) == (Scaled, 3.0)


@pytest.mark.parametrize(
    ("asked", "key", "said"),
    [
        ({"loss": "cathegorical_crossentropy"}, "loss", "the loss 'cathegorical_crossentropy'; did you mean categ"),
        ({"optimizer": "adma"}, "optimizer", "the optimizer 'adma'"),
        ({"metrics": ["accuracy", "acuracy"]}, "metrics", "the metric 'acuracy'"),
        ({"metrics": {"a": ["mae"], "b": "mea"}}, "metrics", "the metric 'mea'"),
        ({"optimizer": {"class_name": "Adam", "config": {"learnrate": 1}}}, "optimizer", "the optimizer 'Adam'"),
        ({"loss": {"class_name": "Nothing"}}, "loss", "the loss 'Nothing'"),
    ],
)
def test_what_keras_does_not_know_is_said_at_its_key(asked, key, said):
    with pytest.raises(SpaceError) as refused:
        check_compilation(Training(**asked))
    assert refused.value.key == f"training.{key}"
    assert str(refused.value).startswith(f"training.{key}: Keras cannot make {said}")


def test_a_compile_of_the_models_own_that_takes_something_else_is_said():
    class Two(keras.Model):
        def compile(self, first: Any, second: Any) -> None:
            super().compile()

    model = Two()
    model.compile("adam", "adam")
    with pytest.raises(SpaceError, match=r"^training.optimizer: Two.compile does not take") as refused:
        compile_as_asked(model, Training(optimizer="adam"))
    assert refused.value.key == "training.optimizer"
