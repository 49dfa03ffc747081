"""How labels come, what the model makes of them, and what cannot go together, by the compiled loss and its output."""

from pathlib import Path

import keras
import keras_tuner
import numpy as np
import pytest

from tuner.data.prepared import PreparedData, RowOrigin, Split, TargetFacts
from tuner.errors import PreflightError
from tuner.trial.fitting import check_targets, doubts
from tuner.trial.losses import label_forms, learned_targets, learner_of, learners

ROWS = np.arange(12)


class Plain(keras_tuner.HyperModel):
    """Any hypermodel that says nothing about labels."""


def own_loss(y_true, y_pred):
    return keras.ops.mean(keras.ops.square(y_true - y_pred), axis=-1)


def data_of(values, **facts):
    values = np.asarray(values)
    known = TargetFacts(dtype=values.dtype.name, shape=values.shape[1:], **facts)
    split = Split("train", (), (values,), (), RowOrigin("rows", ROWS))
    return PreparedData(Path(), "0" * 64, "python", (), (known,), {"train": split, "validation": split})


def names(count):
    return tuple(str(place) for place in range(count))


FILES = data_of(ROWS % 3, task="classification", class_names=("a", "b", "c"))
TWO_FILES = data_of(ROWS % 2, task="classification", class_names=("no", "yes"))
CSV_NUMBERS = data_of(ROWS % 3, task="classification", class_names=("100", "200", "300"))
ONE_HOT = data_of(np.eye(3)[ROWS % 3], task="classification", class_names=names(3), coding="one_hot")
INTEGERS = data_of(ROWS % 3, task="classification", class_names=names(3), coding="values")
COLUMN = data_of((ROWS % 2)[:, None], task="classification", class_names=names(2), coding="values")
FROM_NINE = data_of(ROWS % 2 + 9, task="classification", class_names=("9", "10"), coding="values")
GAPS = data_of(ROWS % 2 * 2, task="classification", class_names=("0", "2"), coding="values")
HUNDREDS = data_of(ROWS % 10 * 100 + 100, task="classification", class_names=tuple(f"{i}00" for i in range(1, 11)),
                   coding="values")  # fmt: skip
AMOUNTS = data_of(ROWS * 1.5, task="regression")
WHOLE = data_of(ROWS.astype("float32"), task="regression")
SIGNED = data_of(ROWS - 6.0, task="regression")
SIGNS = data_of(ROWS % 2 * 2 - 1, task="classification", class_names=("-1", "1"), coding="values")
IMAGES = data_of(np.full((12, 3), 255, "uint8") * (ROWS[:, None] % 2), task="regression")
ROW = data_of(np.ones((12, 3)), task="regression")
STEPS = data_of(np.ones((12, 5), int), task="regression")


def model_of(units, loss, shape=(4,), activation=None):
    inputs = keras.Input(shape)
    model = keras.Model(inputs, keras.layers.Dense(units, activation)(inputs))
    model.compile("sgd", loss)
    return model


def learned(data, units, loss, **keys):
    model = model_of(units, loss, **keys)
    learned_by = learners(model, data, model._outputs_struct)
    forms = label_forms(Plain(), learned_by, data)
    check_targets(data, learned_by, forms)
    return forms[0], learned_targets(data, learned_by, forms)[0]


SPARSE, CATEGORICAL, BINARY = "sparse_categorical_crossentropy", "categorical_crossentropy", "binary_crossentropy"


@pytest.mark.parametrize(
    "data, units, loss, form, task, class_names",
    [
        (FILES, 3, SPARSE, "given", "classification", ("a", "b", "c")),
        (FILES, 3, CATEGORICAL, "one_hot", "classification", ("a", "b", "c")),
        (FILES, 3, keras.losses.CategoricalFocalCrossentropy(), "one_hot", "classification", ("a", "b", "c")),
        (FILES, 3, BINARY, "one_hot", "classification", ("a", "b", "c")),
        (FILES, 3, "mse", "one_hot", "classification", ("a", "b", "c")),
        (FILES, 5, SPARSE, "given", "classification", ("a", "b", "c", "3", "4")),
        (TWO_FILES, 1, BINARY, "given", "classification", ("no", "yes")),
        (TWO_FILES, 2, CATEGORICAL, "one_hot", "classification", ("no", "yes")),
        (TWO_FILES, 1, "mse", "given", "classification", ("no", "yes")),
        (ONE_HOT, 3, CATEGORICAL, "given", "classification", names(3)),
        (ONE_HOT, 3, SPARSE, "integer", "classification", names(3)),
        (ONE_HOT, 3, "mse", "given", "classification", names(3)),
        (INTEGERS, 3, SPARSE, "given", "classification", names(3)),
        (INTEGERS, 3, CATEGORICAL, "one_hot", "classification", names(3)),
        (INTEGERS, 4, SPARSE, "given", "classification", names(4)),
        (COLUMN, 1, BINARY, "given", "classification", names(2)),
        (COLUMN, 2, SPARSE, "given", "classification", names(2)),
        (FROM_NINE, 2, SPARSE, "integer", "classification", ("9", "10")),
        (FROM_NINE, 11, SPARSE, "given", "classification", names(11)),
        (FROM_NINE, 1, BINARY, "integer", "classification", ("9", "10")),
        (GAPS, 3, SPARSE, "given", "classification", names(3)),
        (HUNDREDS, 1, "mse", "given", "regression", ()),
        (HUNDREDS, 1, keras.losses.Huber(), "given", "regression", ()),
        (HUNDREDS, 1, own_loss, "given", "regression", ()),
        (HUNDREDS, 10, SPARSE, "integer", "classification", HUNDREDS.class_names),
        (COLUMN, 1, "mse", "given", "regression", ()),
        (INTEGERS, 7, own_loss, "given", "none", ()),
        (AMOUNTS, 1, "mae", "given", "regression", ()),
        (WHOLE, 12, SPARSE, "given", "classification", names(12)),
        (ROW, 3, "mse", "given", "regression", ()),
        (ROW, 3, BINARY, "given", "regression", ()),
        (FILES, 3, "cosine_similarity", "one_hot", "classification", ("a", "b", "c")),
        (SIGNS, 1, "hinge", "given", "regression", ()),
        (HUNDREDS, 1, "poisson", "given", "regression", ()),
    ],
)
def test_the_loss_says_how_labels_come_and_what_they_are(data, units, loss, form, task, class_names):
    found, facts = learned(data, units, loss)
    assert (found, facts.task, facts.class_names) == (form, task, class_names)


def test_labels_of_steps_are_learned_as_they_are():
    form, facts = learned(STEPS, 7, SPARSE, shape=(5, 4))
    assert (form, facts) == ("given", STEPS.targets[0])


def test_one_number_from_a_sigmoid_is_a_probability_of_the_second_of_two():
    assert learned(COLUMN, 1, "mse", activation="sigmoid")[1].task == "classification"


@pytest.mark.parametrize(
    "data, units, loss, message",
    [
        (FILES, 1, "mse", r"3 classes \(its labels are names\), and the loss mean_squared_error with one number"),
        (FILES, 1, BINARY, "3 classes, and the model gives one number"),
        (FILES, 2, SPARSE, "3 classes, and the model gives 2 numbers"),
        (FILES, 4, CATEGORICAL, "Let the last layer have 3 units, one for each class"),
        (CSV_NUMBERS, 1, "mae", "data.task: regression learns the numbers themselves"),
        (HUNDREDS, 9, SPARSE, "integers from 100 to 1000, and the model gives 9 numbers"),
        (HUNDREDS, 3, "mse", "compares them number by number"),
        (INTEGERS, 3, "mse", "For 3 classes use 3 units"),
        (AMOUNTS, 20, SPARSE, "numbers that are no integers"),
        (WHOLE, 3, SPARSE, "integers from 0 to 11, and the model gives 3 numbers"),
        (ROW, 1, "mse", r"it is \(examples, 3\), the output \(examples, 1\)"),
        (AMOUNTS, 3, "mse", r"it is \(examples\), the output \(examples, 3\)"),
        (ROW, 3, SPARSE, "takes the number of a class for each row"),
        (AMOUNTS, 1, BINARY, "numbers from 0 to 16.5, and the loss binary_crossentropy takes 0 to 1"),
        (IMAGES, 3, BINARY, "numbers from 0 to 255, and the loss binary_crossentropy takes 0 to 1"),
        (SIGNED, 1, "poisson", "numbers from -6 to 5, and the loss poisson takes nothing below 0"),
        (SIGNED, 1, "mean_squared_logarithmic_error", "takes nothing below 0"),
        (FROM_NINE, 1, "hinge", "numbers from 9 to 10, and the loss hinge takes -1 to 1"),
        (INTEGERS, 3, "cosine_similarity", "For 3 classes use 3 units"),
    ],
)
def test_what_cannot_go_together_is_refused(data, units, loss, message):
    with pytest.raises(PreflightError, match=message):
        learned(data, units, loss)


def test_losses_of_ones_own_take_anything():
    for units in (1, 2, 5):
        learned(ROW, units, own_loss)


def test_several_outputs_have_losses_of_their_own():
    inputs = keras.Input((4,))
    outputs = {"kind": keras.layers.Dense(3, name="kind")(inputs), "size": keras.layers.Dense(1, name="size")(inputs)}
    model = keras.Model(inputs, outputs)
    model.compile("sgd", {"size": "mse", "kind": CATEGORICAL})
    facts = (
        HUNDREDS.targets[0].model_copy(update={"name": "size"}), FILES.targets[0].model_copy(update={"name": "kind"}),
    )  # fmt: skip
    split = Split("train", (), (HUNDREDS.splits["train"].targets[0], ROWS % 3), (), RowOrigin("rows", ROWS))
    data = PreparedData(Path(), "0" * 64, "python", (), facts, {"train": split}, target_structure="dict")
    learned_by = learners(model, data, model._outputs_struct)
    assert [(each.kind, each.shape) for each in learned_by] == [("numbers", (1,)), ("one_hot", (3,))]
    forms = label_forms(Plain(), learned_by, data)
    assert forms == ("given", "one_hot")
    assert [each.task for each in learned_targets(data, learned_by, forms)] == ["regression", "classification"]


def test_losses_are_known_by_name_function_and_class():
    for loss in (SPARSE, keras.losses.sparse_categorical_crossentropy, keras.losses.SparseCategoricalCrossentropy()):
        assert learner_of(loss).kind == "index"
    own = learner_of(own_loss)
    assert (own.kind, own.name) == (None, "own_loss")
    assert learner_of(None).kind is None


def test_a_class_that_the_loss_leaves_out_may_be_any_number():
    loss = keras.losses.SparseCategoricalCrossentropy(ignore_class=255)
    masks = data_of(np.where(np.arange(60).reshape(12, 5) % 4 == 3, 255, 1), task="regression")
    assert learned(masks, 3, loss, shape=(5, 4))[0] == "given"
    with pytest.raises(PreflightError, match="integers from 1 to 255"):
        learned(masks, 3, SPARSE, shape=(5, 4))


@pytest.mark.parametrize("loss", [BINARY, SPARSE, own_loss])
def test_a_softmax_over_one_unit_says_nothing(loss):
    if loss is own_loss:
        learned(COLUMN, 1, loss, activation="softmax")
    else:
        with pytest.raises(PreflightError, match="softmax over one unit, which is always 1"):
            learned(COLUMN, 1, loss, activation="softmax")


@pytest.mark.parametrize(
    "units, loss, activation, said",
    [
        (3, SPARSE, None, "no activation"),
        (3, SPARSE, "softmax", None),
        (3, SPARSE, "relu", None),
        (3, keras.losses.SparseCategoricalCrossentropy(from_logits=True), None, None),
        (3, keras.losses.SparseCategoricalCrossentropy(from_logits=True), "softmax", "from_logits=True"),
        (1, BINARY, None, "no activation"),
        (1, keras.losses.BinaryCrossentropy(from_logits=True), "sigmoid", "from_logits=True"),
        (1, "mse", None, None),
        (3, own_loss, None, None),
    ],
)
def test_outputs_that_a_loss_takes_for_what_they_are_not_are_doubted(units, loss, activation, said):
    model = model_of(units, loss, activation=activation)
    found = doubts(learners(model, INTEGERS, model._outputs_struct))
    assert len(found) == (said is not None)
    assert said is None or said in found[0]
