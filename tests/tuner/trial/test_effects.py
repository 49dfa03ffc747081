"""Which hyperparameters the launch warns of, and which it must not warn of."""

from __future__ import annotations

import functools
import types
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest
import tensorflow as tf

from tuner.data.prepared import TargetFacts
from tuner.trial import effects, space_effects
from tuner.trial.reads import ReadValues, strings_in
from tuner.trial.space import BuildFunction
from tuner.trial.space_effects import effect_warning

layers = keras.layers
SETTINGS = {"gamma": 1.0}


@pytest.fixture
def data(table_data):
    target = TargetFacts(name="", task="regression", dtype="float32")
    return table_data({"number": np.arange(9, dtype=np.float32)}, np.arange(9, dtype=np.float32), target)


@pytest.fixture
def warning(data, make_spec):
    """``warning(space)``: what the launch says of a space."""

    def warning(space: Any, read: Any = (), **keys: Any) -> str | None:
        space = space if isinstance(space, keras_tuner.HyperModel) else BuildFunction(space)
        return effect_warning(make_spec(**keys), space, data, read)

    return warning


def network(*more: Any, units: int = 2, rate: float = 0.1, **compiled: Any) -> keras.Model:
    model = keras.Sequential([keras.Input((1,)), layers.Dense(units), *more, layers.Dropout(0.1), layers.Dense(1)])
    model.compile(**{"optimizer": keras.optimizers.Adam(rate), "loss": "mse", **compiled})
    return model


def value(hp: Any) -> float:
    return hp.Float("value", 0.25, 0.75, default=0.5)


class Own(keras.Model):
    """Without ``get_config``."""

    def __init__(self, **given: Any) -> None:
        super().__init__()
        self.hidden, self.out = [layers.Dense(2), layers.Dense(2)], layers.Dense(1)
        for name, each in given.items():
            setattr(self, name, each)

    def call(self, inputs: Any) -> Any:
        inputs = inputs["number"][:, None] if isinstance(inputs, dict) else inputs
        return self.out(self.hidden[1](self.hidden[0](inputs)))

    @tf.function
    def traced(self, inputs: Any) -> Any:
        return inputs


def own(optimizer: Any = "sgd", kind: Any = Own, **given: Any) -> keras.Model:
    model = kind(**given)
    model.compile(optimizer, "mse")
    return model


def graph(call: Any) -> keras.Model:
    inputs = keras.Input((1,))
    model = keras.Model(inputs, layers.Dense(1)(call(inputs)))
    model.compile("sgd", "mse")
    return model


def class_with(alpha: float) -> type[keras.Model]:
    class Local(Own):
        def train_step(self, data: Any) -> Any:
            return {"loss": alpha * keras.ops.sum(self(data[0]))}

    return Local


def focal(gamma: float) -> Any:
    def loss(y: Any, predicted: Any) -> Any:
        return keras.ops.mean(keras.ops.abs(y - predicted) ** gamma)

    return loss


def by_global(y: Any, predicted: Any) -> Any:
    return keras.ops.mean(keras.ops.abs(y - predicted) ** SETTINGS["gamma"])


def with_global(hp: Any) -> keras.Model:
    SETTINGS["gamma"] = value(hp)
    return network(loss=by_global)


def scaled(by: float, y: Any, predicted: Any) -> Any:
    return keras.ops.mean(y - predicted) * by


class Callable_:
    def __init__(self, by: float) -> None:
        self.by = by

    def __call__(self, y: Any, predicted: Any) -> Any:
        return keras.ops.mean(y - predicted) * self.by


def with_weights(hp: Any) -> keras.Model:
    model = network()
    model.layers[0].set_weights([np.full((1, 2), value(hp)), np.zeros(2)])
    return model


def with_policy(hp: Any) -> keras.Model:
    keras.mixed_precision.set_global_policy(hp.Choice("policy", ["float32", "mixed_bfloat16"]))
    try:
        return network()
    finally:
        keras.mixed_precision.set_global_policy("float32")


def seeded(hp: Any) -> keras.Model:
    model = network()
    keras.utils.set_random_seed(hp.Int("seed", 0, 5))
    return model


def frozen(hp: Any) -> keras.Model:
    model = network()
    model.layers[0].trainable = hp.Boolean("tuned", default=True)
    return model


def repeated(hp: Any) -> keras.Model:
    return network(*[layers.Dense(2) for _ in range(hp.Int("depth", 0, 3))])


def momentum(hp: Any) -> keras.Model:
    """A value that is used beside one other value only, as people write it."""
    kind, much = hp.Choice("kind", ["adam", "sgd"]), hp.Float("momentum", 0, 0.9)
    return network(optimizer=keras.optimizers.SGD(0.1, much) if kind == "sgd" else "adam")


def two_deep(hp: Any) -> keras.Model:
    on, kind, rate = hp.Boolean("on"), hp.Choice("kind", ["a", "b"]), value(hp)
    return network(*([layers.Dropout(rate)] if on and kind == "b" else [layers.ReLU()] if on else []), units=3)


def conditional(hp: Any) -> keras.Model:
    kind = hp.Choice("kind", ["a", "b"])
    with hp.conditional_scope("kind", ["b"]):
        units = hp.Int("units", 3, 9)
    return network(units=units if kind == "b" else 2)


def fragile(hp: Any) -> keras.Model:
    if hp.Int("units", 2, 9) > 5:
        raise ValueError("too large")
    return network()


def opaque(hp: Any) -> keras.Model:
    rate = value(hp)
    return own(numbers=(each * rate for each in range(3)))


def held(hp: Any) -> keras.Model:
    value(hp)
    return own(hp=hp)


def single(hp: Any) -> keras.Model:
    hp.Choice("one", ["only"])
    hp.Int("two", 4, 4)
    hp.Fixed("three", 7)
    return network()


class Stored(keras_tuner.HyperModel):
    def build(self, hp: Any) -> keras.Model:
        self.rate = value(hp)
        return network()


USED: dict[str, Any] = {
    "units": lambda hp: network(units=hp.Int("units", 2, 8)),
    "layers": repeated,
    "a layer's rate": lambda hp: network(layers.Dropout(value(hp))),
    "augmentation": lambda hp: network(layers.GaussianNoise(value(hp))),
    "the activation": lambda hp: network(layers.Activation(hp.Choice("activation", ["relu", "tanh"]))),
    "an initializer": lambda hp: network(layers.Dense(2, kernel_initializer=keras.initializers.Constant(value(hp)))),
    "a regularizer": lambda hp: network(layers.Dense(2, kernel_regularizer=keras.regularizers.L2(value(hp)))),
    "a constraint": lambda hp: network(layers.Dense(2, kernel_constraint=keras.constraints.MaxNorm(value(hp)))),
    "the rate": lambda hp: network(rate=value(hp)),
    "the schedule": lambda hp: network(rate=keras.optimizers.schedules.ExponentialDecay(0.1, 10, value(hp))),
    "the optimizer": lambda hp: network(optimizer=hp.Choice("optimizer", ["sgd", "adam"])),
    "clipping": lambda hp: network(optimizer=keras.optimizers.SGD(clipnorm=value(hp))),
    "the loss": lambda hp: network(loss=hp.Choice("loss", ["mse", "mae"])),
    "a loss's number": lambda hp: network(loss=keras.losses.Huber(value(hp))),
    "the weight of the loss": lambda hp: network(loss_weights=[value(hp)]),
    "a metric": lambda hp: network(metrics=[keras.metrics.Precision(value(hp))]),
    "steps": lambda hp: network(steps_per_execution=hp.Int("steps", 1, 4)),
    "a closure": lambda hp: network(loss=focal(value(hp))),
    "a partial": lambda hp: network(loss=functools.partial(scaled, value(hp))),
    "an object": lambda hp: network(loss=Callable_(value(hp))),
    "a method": lambda hp: network(loss=Callable_(value(hp)).__call__),
    "a default": lambda hp: network(loss=lambda y, p, by=value(hp): keras.ops.mean(y - p) * by),
    "a global": with_global,
    "a lambda layer": lambda hp: (lambda by: network(layers.Lambda(lambda x: x * by)))(value(hp)),
    "one of two lambdas": lambda hp: network(
        layers.Lambda({"a": lambda x: x + 1, "b": lambda x: x + 2}[hp.Choice("which", ["a", "b"])])
    ),
    "an operation": lambda hp: graph(lambda x: keras.ops.multiply(x, value(hp))),
    "an order": lambda hp: graph(
        lambda x: layers.ReLU()(layers.Dense(1)(x)) if hp.Boolean("first") else layers.Dense(1)(layers.ReLU()(x))
    ),
    "a shortcut": lambda hp: graph(lambda x: keras.ops.add(layers.Dense(1)(x), x) if hp.Boolean("on") else x),
    "an attribute": lambda hp: own(alpha=value(hp)),
    "an attribute in a structure": lambda hp: own(options={"loss": [types.SimpleNamespace(alpha=value(hp))]}),
    "a tensor": lambda hp: own(alpha=tf.constant(value(hp))),
    "a variable": lambda hp: own(alpha=keras.Variable(value(hp))),
    "a variable of TensorFlow": lambda hp: own(alpha=tf.Variable(value(hp))),
    "an array": lambda hp: own(alpha=np.array([value(hp)])),
    "an optimizer of its own": lambda hp: own(other=keras.optimizers.Adam(value(hp))),
    "a class that build makes": lambda hp: own(kind=class_with(value(hp))),
    "a nested model": lambda hp: network(keras.Sequential([layers.Dense(2), layers.Dropout(value(hp))])),
    "weights": with_weights,
    "precision": with_policy,
    "a seed": seeded,
    "what is trained": frozen,
    "momentum of another optimizer": momentum,
    "two conditions": two_deep,
    "a scope": conditional,
    "what can fail": fragile,
    "what nobody can look into": opaque,
    "what holds all of them": held,
    "one value": single,
    "the space itself": Stored(),
    "the batch size": lambda hp: network(units=2 + 0 * hp.Int("batch_size", 8, 64)),
}


@pytest.mark.parametrize("case", USED)
def test_no_word_of_what_has_an_effect(case, warning):
    assert warning(USED[case]) is None


def dropped(hp: Any) -> keras.Model:
    hp.Float("rate", 1e-4, 1e-2, sampling="log")
    return network()


def printed(hp: Any) -> keras.Model:
    print(hp.Int("width", 32, 512))
    return network(units=hp.Int("units", 2, 8))


def overwritten(hp: Any) -> keras.Model:
    model = network(rate=value(hp))
    model.compile("adam", "mse")
    return model


def in_one_branch(hp: Any) -> keras.Model:
    kind = hp.Choice("kind", ["a", "b"])
    with hp.conditional_scope("kind", ["a"]):
        hp.Boolean("inner")
    return network(units=2 if kind == "a" else 3)


def unused_by_a_class(hp: Any) -> keras.Model:
    hp.Int("width", 1, 3)
    return own(optimizer=keras.optimizers.Adam(value(hp)), alpha=0.5)


class DropsAll(layers.Layer):
    def __init__(self, rate: float = 0.0) -> None:
        super().__init__()

    def call(self, inputs: Any) -> Any:
        return inputs


NOTHING = "no effect on the model, its optimizer, its data or fit in the configurations that were tried: "
UNUSED: dict[str, tuple[Any, str]] = {
    "dropped": (dropped, "rate, with 0.0001, 0.01 and 0.00505"),
    "printed": (printed, "width, with 32, 512 and 272"),
    "overwritten": (overwritten, "value, with 0.5, 0.75 and 0.25"),
    "in one branch": (in_one_branch, "inner, with False and True"),
    "beside a class": (unused_by_a_class, "width, with 1, 3 and 2"),
    "dropped by a layer": (lambda hp: network(DropsAll(value(hp))), "value, with 0.5, 0.75 and 0.25"),
    "epochs without a fit": (lambda hp: network(units=2 + 0 * hp.Int("epochs", 5, 20)), "epochs, with 5, 20 and 13"),
}


@pytest.fixture
def few(monkeypatch):
    """Fewer surroundings, where none would show anything."""
    monkeypatch.setattr(effects, "_AT_RANDOM", 2)


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("case", UNUSED)
def test_what_has_no_effect_is_named_with_the_values_tried(case, warning):
    space, listed = UNUSED[case]
    assert warning(space) == f"the following hyperparameter has {NOTHING}{listed}"


@pytest.mark.usefixtures("few")
def test_what_the_spec_fixes_is_not_judged(warning):
    assert warning(printed, hyperparameters={"entries": {"width": 64}}) is None


@pytest.mark.fast
@pytest.mark.usefixtures("few")
def test_all_are_named_in_one_sentence(warning):
    def build(hp: Any) -> keras.Model:
        return network(units=hp.Int("units", 2, 8) + 0 * hp.Int("a", 1, 2) + 0 * hp.Boolean("b"))

    assert warning(build) == f"the following hyperparameters have {NOTHING}a, with 1 and 2; b, with False and True"


class Fitted(keras_tuner.HyperModel):
    """Reads what it uses in ``fit``, some of it beside other values only, and by names that it puts together."""

    def build(self, hp: Any) -> keras.Model:
        for name in ("size", "patience", "noise_1", "dropped"):
            hp.Int(name, 1, 9)
        return network()

    def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
        if len(args) > 3:
            kwargs["callbacks"] = self.stopping(hp)
        return model.fit(*args, batch_size=hp.get("size"), **kwargs)

    def stopping(self, hp: Any) -> Any:
        return [keras.callbacks.EarlyStopping(patience=hp.get("patience") + hp.get(f"noise_{1}"))]


@pytest.mark.usefixtures("few")
def test_what_fit_may_read_is_not_judged(warning):
    assert warning(Fitted()) == f"the following hyperparameter has {NOTHING}dropped, with 1, 9 and 5"
    assert warning(Fitted(), read={"dropped"}) is None


class Stops(keras.callbacks.Callback):
    def __init__(self, context: Any) -> None:
        super().__init__()
        self.after = context.hyperparameters["stop"]


@pytest.mark.usefixtures("few")
def test_what_a_callback_of_the_spec_may_read_is_not_judged(warning):
    def build(hp: Any) -> keras.Model:
        return network(units=2 + 0 * hp.Int("stop", 1, 2) + 0 * hp.Int("other", 1, 2))

    training = {"epochs": 1, "callbacks": [f"{__file__}:Stops"]}
    assert warning(build, training=training) == f"the following hyperparameter has {NOTHING}other, with 1 and 2"


def test_a_build_that_draws_its_own_numbers_is_not_judged(warning):
    def build(hp: Any) -> keras.Model:
        value(hp)
        return own(noise=np.random.default_rng().random())

    assert warning(build) is None


@pytest.mark.fast
def test_no_word_where_time_is_short(warning, monkeypatch, capsys):
    monkeypatch.setattr(space_effects, "_SECONDS", 0)
    assert warning(dropped) is None
    assert "that takes too long" in capsys.readouterr().out


@pytest.mark.fast
@pytest.mark.parametrize(
    ("read", "names"),
    [
        (lambda values: values["a"], {"a"}),
        (lambda values: values.get("b"), {"b"}),
        (lambda values: "a" in values, set()),
        (lambda values: values.pop("a"), {"a"}),
        (dict, {"a", "b"}),
        (lambda values: {**values}, {"a", "b"}),
        (lambda values: values | {"c": 1}, {"a", "b"}),
        (lambda values: {"c": 1} | values, {"a", "b"}),
        (lambda values: list(values.items()), {"a", "b"}),
        (lambda values: list(values.values()), {"a", "b"}),
        (str, {"a", "b"}),
        (lambda values: hyperparameters(values).get("b"), {"b"}),
        (lambda values: hyperparameters(values).Int("a", 1, 9), {"a"}),
        (lambda values: hyperparameters(values).copy(), {"a", "b"}),
    ],
)
def test_which_values_are_read(read, names):
    values = ReadValues({"a": 1, "b": 2})
    read(values)
    assert values.read == names


def hyperparameters(values: Any) -> keras_tuner.HyperParameters:
    hp = keras_tuner.HyperParameters()
    hp.values = values
    return hp


def test_strings_are_found_in_what_is_called():
    found = strings_in(Fitted.fit, Fitted)
    assert {"size", "patience", "noise_"} <= found
    assert "dropped" not in found
