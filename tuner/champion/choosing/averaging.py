"""Averages several trials' models into one end-to-end Keras model."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from search_spaces.base import compile_like
from tuner.champion.choosing.scored_trial import Evaluated, Outputs, run
from tuner.champion.model.probabilities import Activation, output_meaning
from tuner.champion.model.subject import load_trained
from tuner.champion.records.ensemble import Cost, Ensemble, Member
from tuner.data.batches import evaluation_batches, inputs_of
from tuner.data.model_columns import columns_of, given_to
from tuner.data.prepared import InputFacts
from tuner.data.splits import TEST, VALIDATION
from tuner.data.structures import in_structure
from tuner.errors import ExportError
from tuner.trial.measures import latency_ms
from tuner.trial.model import parameters_of

# The least probability whose logarithm is taken.
_LEAST = 1e-7


def average(evaluated: Sequence[Evaluated], most: int, single: int, file: Path) -> Ensemble:
    """Chooses trials, averages their models and saves the average.

    Trials are added one by one, the one first with which the average does best on validation, again and again (Caruana,
    Niculescu-Mizil, Crew and Ksikes, Ensemble selection from libraries of models, ICML 2004); a trial that is added
    twice weighs twice. Of the averages on the way the best one is taken.

    Args:
        evaluated: the trials to choose from, the best first.
        most: add no more than so many times.
        single: the trial to compare with.
        file: the ``.keras`` file to write.

    Raises:
        ExportError: the models do not fit together.
    """
    ways = {_way(each) for each in evaluated}
    shapes = {tuple(leaf.shape[1:] for leaf in each.outputs[VALIDATION]) for each in evaluated}
    if len(ways) > 1 or len(shapes) > 1:
        raise ExportError(
            "the best trials' models do not give the same kind of outputs, so they cannot be averaged: export "
            "a single trial"
        )
    activation = ways.pop()
    counts = _chosen(evaluated, most, activation)
    members = [(evaluated[place], count) for place, count in counts.most_common()]
    model = _averaged(members, activation)
    model.save(file)
    alone = next(each for each in evaluated if each.request.trial == single)
    return Ensemble(
        members=tuple(Member(trial=each.request.trial, weight=count / counts.total()) for each, count in members),
        average="outputs" if activation is None else "probabilities",
        whole=_cost(model, members[0][0], _run(model, members[0][0]), file),
        single_trial=single,
        single=_cost(alone.subject.model, alone, alone.outputs, alone.request.checkpoint),
    )


def _way(evaluated: Evaluated) -> Activation | None:
    """What makes probabilities of a classifier's output; None for what is averaged as it is."""
    targets = evaluated.learned
    if len(targets) != 1 or targets[0].task not in ("classification", "multi_label"):
        return None
    return output_meaning(evaluated.subject.model, evaluated.subject.output, targets[0]).activation


def _chosen(evaluated: Sequence[Evaluated], most: int, activation: Activation | None) -> Counter[int]:
    """How often each trial, by its place, is in the average."""
    objective = evaluated[0].request.spec.objective
    outputs = [_to_average(each.outputs[VALIDATION], activation) for each in evaluated]

    def value(places: Sequence[int]) -> float:
        mean = tuple(np.mean([outputs[place][leaf] for place in places], axis=0) for leaf in range(len(outputs[0])))
        return evaluated[0].metrics(VALIDATION, _from_average(mean, activation))[evaluated[0].metric]

    sign = 1 if objective.direction == "maximize" else -1
    places = [0]
    best: tuple[float, list[int]] | None = None
    while len(places) < most:
        # An average has two members at least.
        options = range(len(evaluated)) if len(set(places)) > 1 else range(1, len(evaluated))
        found = max((sign * value([*places, each]), -each) for each in options)
        places.append(-found[1])
        if best is None or found[0] > best[0]:
            best = found[0], list(places)
    assert best is not None
    return Counter(best[1])


def _to_average(outputs: Outputs, activation: Activation | None) -> list[npt.NDArray[Any]]:
    wide = [each.astype(np.float64) if each.dtype.kind == "f" else each for each in outputs]
    if activation == "softmax":
        powers = np.exp(wide[0] - wide[0].max(axis=-1, keepdims=True))
        return [powers / powers.sum(axis=-1, keepdims=True)]
    return [1 / (1 + np.exp(-wide[0]))] if activation == "sigmoid" else wide


def _from_average(mean: Sequence[npt.NDArray[Any]], activation: Activation | None) -> list[npt.NDArray[np.float32]]:
    """In the form that the members' loss and metrics take."""
    found = [each.astype(np.float32) for each in mean]
    if activation in ("softmax", "sigmoid"):
        found = [_in_logits(found[0], activation, np.clip, np.log)]
    return found


def _in_logits(mean: Any, activation: Activation, clip: Callable[..., Any], log: Callable[[Any], Any]) -> Any:
    if activation == "softmax":
        return log(clip(mean, _LEAST, 1.0))
    return log(clip(mean, _LEAST, 1.0)) - log(clip(1.0 - mean, _LEAST, 1.0))


def _averaged(members: Sequence[tuple[Evaluated, int]], activation: Activation | None) -> keras.Model:
    """One model of the data's inputs, compiled as the first member."""
    data = members[0][0].data
    taken = [each.form.columns for each, _ in members]
    used = [each for each in data.inputs if any(columns is None or each.name in columns for columns in taken)]
    leaves = [_input(facts, place) for place, facts in enumerate(used)]
    inputs = in_structure(data.structure, [each.name for each in used], leaves)
    given: list[list[Any]] = []
    for each, count in members:
        # Uncompiled, or each member would be saved with its optimizer.
        model = load_trained(each.request.subject, each.request.checkpoint, compiled=False, users=each.kept.users)
        model.trainable = False
        # Two trials of one family have models of one name.
        model.name = f"trial_{each.request.trial}"
        outputs = [keras.ops.cast(leaf, "float32") for leaf in keras.tree.flatten(model(given_to(model, inputs)))]
        given += [_activated(outputs, activation)] * count
    names = _output_names(members[0][0].subject.model, len(given[0]))
    mean = [
        _back(keras.layers.Average()(list(leaf)), activation, name)
        for name, leaf in zip(names, zip(*given, strict=True), strict=True)
    ]
    whole = keras.Model(inputs, keras.tree.pack_sequence_as(members[0][0].structure, mean), name="ensemble")
    # It is not trained any more; another optimizer would be saved with state for every weight.
    compile_like(whole, members[0][0].subject.model, optimizer="sgd")
    return whole


def _input(facts: InputFacts, place: int) -> Any:
    dtype = "float32" if facts.kind == "image" else facts.dtype
    return keras.Input(facts.shape, dtype=dtype, name=facts.name if facts.name.isidentifier() else f"input_{place}")


def _activated(outputs: list[Any], activation: Activation | None) -> list[Any]:
    if activation == "softmax":
        return [keras.ops.softmax(outputs[0])]
    return [keras.ops.sigmoid(outputs[0])] if activation == "sigmoid" else outputs


def _back(mean: Any, activation: Activation | None, name: str) -> Any:
    if activation in ("softmax", "sigmoid"):
        mean = _in_logits(mean, activation, keras.ops.clip, keras.ops.log)
    # Losses and metrics of several outputs go by the outputs' names.
    return keras.layers.Identity(name=name)(mean)


def _output_names(model: keras.Model, count: int) -> list[str]:
    own = getattr(model, "output_names", None) or []
    return list(own) if len(own) == count else [f"output_{place}" for place in range(count)]


def _run(model: keras.Model, like: Evaluated) -> dict[str, Outputs]:
    form = replace(like.form, columns=columns_of(model, like.data))
    return {split: run(model, like.data, like.request.evaluation_batch, form, split) for split in like.outputs}


def _cost(model: keras.Model, like: Evaluated, outputs: dict[str, Outputs], file: Path) -> Cost:
    form = replace(like.form, columns=columns_of(model, like.data))
    example = inputs_of(next(iter(evaluation_batches(like.data, 1, form))))
    return Cost(
        validation=like.score(VALIDATION, outputs[VALIDATION]).score(),
        test=like.score(TEST, outputs[TEST]).score() if TEST in outputs else None,
        parameters=parameters_of(model),
        bytes=os.path.getsize(file),
        latency_ms=latency_ms(model, example),
    )
