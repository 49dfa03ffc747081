"""A table's columns reach the inputs of their names, whichever of them a model takes and in whatever order."""

import itertools
import warnings

import numpy as np
import pytest

from tuner.data.batches import BatchFormat, TrainingBatches, evaluation_batches
from tuner.data.cache import prepare
from tuner.data.model_columns import columns_of, given_to, refuse_other_keys
from tuner.spec.data import Csv

NAMES = ("age", "signal", "noise", "zone")


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    folder = tmp_path_factory.mktemp("table")
    rows = [f"{i},{100 + i},{1000 + i},{10_000 + i},{'ab'[i % 2]}" for i in range(40)]
    (folder / "t.csv").write_text("\n".join([",".join(NAMES) + ",y", *rows]))
    return prepare(Csv(kind="csv", path=folder / "t.csv", label_column="y"), folder / "cache")


def listing(names, rename=lambda name: name):
    """A model that gives its inputs side by side, in the order of ``names``."""
    import keras

    inputs = {rename(name): keras.Input((), name=rename(name)) for name in names}
    return keras.Model(inputs, keras.ops.stack(list(inputs.values()), axis=1))


@pytest.mark.parametrize(
    "names", [each for count in (1, 2, 3, 4) for each in itertools.combinations(NAMES[::-1], count)], ids="-".join
)
def test_every_choice_of_columns_gets_its_own(table, names):
    model = listing(names)
    form = BatchFormat(columns=columns_of(model, table))
    with warnings.catch_warnings():
        refuse_other_keys()
        given = model.predict(evaluation_batches(table, 8, form), verbose=0)
    expected = {name: column.values for name, column in zip(NAMES, table.split("validation").inputs, strict=True)}
    assert given.tolist() == np.stack([expected[name] for name in names], axis=1).tolist()
    batch = next(iter(TrainingBatches(table, 4, 0, form).dataset))[0]
    assert set(batch) == set(names)
    whole = next(iter(evaluation_batches(table, 8, BatchFormat())))[0]
    assert np.array_equal(model(given_to(model, whole)), given[:8])


def test_an_input_that_the_data_lacks_is_refused_and_named(table):
    model = listing(NAMES, rename=lambda name: name.upper())
    with pytest.raises(ValueError, match=r"takes 'AGE', 'SIGNAL', .* the data does not have: .* of the data, 'age', "):
        columns_of(model, table)
    with pytest.raises(ValueError, match="takes 'AGE'"):
        given_to(model, dict.fromkeys(NAMES, 0))


def test_models_without_named_inputs_are_given_all(table):
    import keras

    class Own(keras.Model):
        def call(self, inputs):
            return inputs["signal"]

    assert columns_of(Own(), table) is None
    assert columns_of(listing(NAMES), table) is None
    assert given_to(Own(), {"signal": 1, "noise": 2}) == {"signal": 1, "noise": 2}


def test_a_model_inside_another_is_not_given_other_columns_in_silence(table):
    import keras

    class Outer(keras.Model):
        def __init__(self):
            super().__init__()
            self.inner = listing(["signal", "noise"])

        def call(self, inputs):
            return self.inner(inputs)

    with warnings.catch_warnings():
        refuse_other_keys()
        with pytest.raises(UserWarning, match="structure of `inputs` doesn't match"):
            Outer().predict(evaluation_batches(table, 8, BatchFormat()), verbose=0)
