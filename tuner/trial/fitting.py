"""Whether targets, outputs and losses can go together, as far as that shows before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from search_spaces.base import LabelForm
from tuner.data.classes import class_values
from tuner.data.prepared import PreparedData, TargetFacts
from tuner.errors import PreflightError
from tuner.trial.losses import Learner, value_range

Shape = tuple[int | None, ...]


def check_targets(data: PreparedData, learned_by: Sequence[Learner], forms: Sequence[LabelForm]) -> None:
    """Raises PreflightError: one of Keras's own losses cannot learn a target by its output."""
    for place, (facts, learner, form) in enumerate(zip(data.targets, learned_by, forms, strict=True)):
        if learner.kind is None or learner.shape is None:
            continue
        shown = f"the target {facts.name!r}" if facts.name else "the target"
        if problem := _problem(data, place, learner, form):
            raise PreflightError(f"{shown} and the model do not go together: {problem}", "data.task")


def _problem(data: PreparedData, place: int, learner: Learner, form: LabelForm) -> str | None:
    facts = data.targets[place]
    output = learner.shape
    assert output is not None
    target = _target_shape(facts, form)
    if learner.activation == "softmax" and learner.kind is not None and output and output[-1] == 1:
        return "the output is a softmax over one unit, which is always 1: use a sigmoid, or a unit for each class"
    if learner.kind == "index":
        return _index_problem(data, place, learner, form, target, output)
    if learner.kind != "one_hot" and facts.task == "classification" and learner.units == 1:
        return _one_number_problem(facts, learner, form) or _range_problem(data, place, learner, form)
    if _alike(target, output) or (learner.kind != "one_hot" and _alike(_plain(target), _plain(output))):
        return _range_problem(data, place, learner, form)
    advice = _advice(facts, learner)
    return (
        f"it is {_shown(target)}, the output {_shown(output)}, and the loss {learner.name} compares them number by "
        f"number{advice}"
    )


def _advice(facts: TargetFacts, learner: Learner) -> str:
    if facts.task != "classification":
        return ""
    classes = len(facts.class_names)
    if learner.kind == "one_hot":
        return f". Let the last layer have {classes} units, one for each class"
    return (
        f". For {classes} classes use {classes} units with a softmax and sparse_categorical_crossentropy; for "
        "quantities one unit"
    )


def _target_shape(facts: TargetFacts, form: LabelForm) -> Shape:
    if form == "given":
        return facts.shape
    return (len(facts.class_names),) if form == "one_hot" else ()


def _index_problem(
    data: PreparedData, place: int, learner: Learner, form: LabelForm, target: Shape, output: Shape
) -> str | None:
    facts, units = data.targets[place], output[-1] if output else None
    if not (_alike(target, output[:-1]) or _alike(target, (*output[:-1], 1))):
        return (
            f"it is {_shown(target)}, the output {_shown(output)}, and the loss {learner.name} takes the number of a "
            "class for each row of the output"
        )
    if units is None:
        return None
    if form == "integer" or (facts.coding == "index" and facts.task == "classification"):
        classes = len(facts.class_names)
        return None if classes <= units else f"it has {classes} classes, and the model gives {units} numbers"
    spread = value_range(data, place, learner.ignored)
    if not spread.whole:
        return f"it has numbers that are no integers, and the loss {learner.name} takes the numbers of classes"
    if spread.low < 0 or spread.high >= units:
        return (
            f"it has integers from {spread.low:.0f} to {spread.high:.0f}, and the model gives {units} numbers: the "
            f"loss {learner.name} takes 0 to {units - 1}"
        )
    return None


def _range_problem(data: PreparedData, place: int, learner: Learner, form: LabelForm) -> str | None:
    low, high = learner.taken
    if form != "given" or data.targets[place].coding == "one_hot" or (low, high) == (-inf, inf):
        return None
    spread = value_range(data, place)
    if spread.low >= low and spread.high <= high:
        return None
    takes = f"{low:g} to {high:g}" if high < inf else f"nothing below {low:g}"
    return f"it has numbers from {spread.low:g} to {spread.high:g}, and the loss {learner.name} takes {takes}"


def doubts(learned_by: Sequence[Learner]) -> list[str]:
    """Losses that take an output for what it is not, though Keras trains on it: sentences for people."""
    found = []
    for each in learned_by:
        if each.logits is False and each.activation == "linear":
            found.append(
                f"the loss {each.name} takes the model's output for probabilities, and the last layer has no "
                "activation: give it a softmax or sigmoid, or the loss from_logits=True"
            )
        if each.logits and each.activation in ("softmax", "sigmoid"):
            found.append(
                f"the loss {each.name} has from_logits=True, and the last layer's {each.activation} makes "
                "probabilities already: leave one of them out"
            )
    return found


def _one_number_problem(facts: TargetFacts, learner: Learner, form: LabelForm) -> str | None:
    """One number for several classes: probabilities of the second of two, or quantities that are the user's own."""
    classes = len(facts.class_names)
    if learner.kind == "binary" or facts.coding == "one_hot":
        if classes == 2 and (form != "given" or facts.coding != "one_hot"):
            return None
        return f"it has {classes} classes, and the model gives one number, with the loss {learner.name}"
    if facts.coding == "values" or (classes == 2 and not _are_numbers(facts)):
        return None
    if classes == 2 and class_values(facts).tolist() == [0, 1]:
        return None
    listed = "its labels are numbers that were taken for classes" if _are_numbers(facts) else "its labels are names"
    hint = ": data.task: regression learns the numbers themselves" if _are_numbers(facts) else ""
    return (
        f"it has {classes} classes ({listed}), and the loss {learner.name} with one number would learn their order"
        f"{hint}"
    )


def _are_numbers(facts: TargetFacts) -> bool:
    try:
        [float(name) for name in facts.class_names]
    except ValueError:
        return False
    return True


def _plain(shape: Shape) -> Shape:
    return shape[:-1] if shape and shape[-1] == 1 else shape


def _alike(one: Shape, other: Shape) -> bool:
    return len(one) == len(other) and all(
        mine is None or its is None or mine == its for mine, its in zip(one, other, strict=True)
    )


def _shown(shape: Shape) -> str:
    sizes = ["examples", *("any" if size is None else str(size) for size in shape)]
    return f"({', '.join(sizes)})"
