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
from tuner.champion.choosing.selection import select
from tuner.champion.model.probabilities import Activation, output_meaning
from tuner.champion.model.subject import load_trained
from tuner.champion.records.ensemble import Cost, Ensemble, Limits, Member
from tuner.data.batches import evaluation_batches, inputs_of
from tuner.data.model_columns import columns_of, given_to
from tuner.data.prepared import InputFacts
from tuner.data.splits import TEST, VALIDATION
from tuner.data.structures import in_structure
from tuner.errors import ExportError
from tuner.spec.constraints import broken
from tuner.trial.measures import latency_ms
from tuner.trial.model import parameters_of

# The least probability whose logarithm is taken.
_LEAST = 1e-7
_PARAMETER_BYTES = 4


class NoAverage(ExportError):
    """No average is exported; the reason is for people."""


def average(evaluated: Sequence[Evaluated], limits: Limits, single: int, file: Path) -> Ensemble:
    """Chooses trials, averages their models and saves the average.

    Probabilities are averaged, and other outputs as they are. Where an average is too large or too slow, or breaks a
    constraint of the study that its best model keeps, its lightest members are left out.

    Args:
        evaluated: the trials to choose from, the best first.
        single: the trial to compare with.
        file: the ``.keras`` file to write.

    Raises:
        NoAverage: the models do not fit together, or no average is better than the best of them.
        ExportError: a model cannot be loaded.
    """
    counts, activation = _chosen(evaluated, limits)
    alone = next(each for each in evaluated if each.request.trial == single)
    reasons: list[str] = []
    while len(counts) > 1:
        members = [(evaluated[place], count) for place, count in counts.most_common()]
        model = _averaged(members, activation)
        model.save(file)
        like = members[0][0]
        outputs = _run(model, like)
        whole = _cost(model, like, outputs, file)
        reasons = _too_much(whole, limits) or _broken(whole, like, outputs)
        if not reasons:
            return Ensemble(
                members=tuple(
                    Member(trial=each.request.trial, weight=count / counts.total()) for each, count in members
                ),
                average="outputs" if activation is None else "probabilities",
                whole=whole,
                single_trial=single,
                single=_cost(alone.subject.model, alone, alone.outputs, alone.request.checkpoint),
            )
        file.unlink()
        del counts[counts.most_common()[-1][0]]
    raise NoAverage(f"every average of trials is beyond a limit: {'; '.join(reasons)}")


def _chosen(evaluated: Sequence[Evaluated], limits: Limits) -> tuple[Counter[int], Activation | None]:
    """How often each trial, by its place, is in the average, and what makes probabilities of their outputs.

    Raises:
        NoAverage: there is none.
    """
    first = evaluated[0]
    objective = first.request.spec.objective
    if len(evaluated) < 2:
        raise NoAverage("the model of one trial only is kept")
    ways = {_way(each) for each in evaluated}
    shapes = {tuple(leaf.shape[1:] for leaf in each.outputs[VALIDATION]) for each in evaluated}
    if len(ways) > 1 or len(shapes) > 1:
        raise NoAverage("the best trials' models do not give the same kind of outputs, so they cannot be averaged")
    if any(leaf.dtype.kind != "f" for leaf in first.outputs[VALIDATION]):
        raise NoAverage("the models' outputs are not numbers that can be averaged")
    activation = ways.pop()
    sign = 1 if objective.direction == "maximize" else -1
    counts = select(
        [_to_average(each.outputs[VALIDATION], activation) for each in evaluated],
        [each.parameters * _PARAMETER_BYTES for each in evaluated],
        limits.bytes,
        lambda mean: sign * first.quick_score(_from_average(mean, activation)),
    )
    if counts is None:
        raise NoAverage(f"no average of trials is better on validation than trial {first.request.trial} alone")
    return counts, activation


def _too_much(whole: Cost, limits: Limits) -> list[str]:
    found = []
    if whole.bytes > limits.bytes:
        found.append(f"it has {whole.bytes:,} bytes (max_bytes is {limits.bytes:,})")
    if whole.latency_ms > limits.latency_ms:
        found.append(
            f"a prediction takes {whole.latency_ms:.3g} ms on this machine (max_latency_ms is {limits.latency_ms:g})"
        )
    return found


def _broken(whole: Cost, like: Evaluated, outputs: dict[str, Outputs]) -> list[str]:
    """The study's constraints that an average breaks, in words."""
    limits = like.request.spec.limits
    if not limits:
        return []
    metrics = {f"val_{name}": value for name, value in like.metrics(VALIDATION, outputs[VALIDATION]).items()}
    measures = {
        "parameters": float(whole.parameters),
        "export_bytes": float(whole.bytes),
        "latency_ms": whole.latency_ms,
    }
    return broken(limits, metrics | measures)


def _way(evaluated: Evaluated) -> Activation | None:
    """What makes probabilities of a classifier's output; None for what is averaged as it is."""
    targets = evaluated.learned
    if len(targets) != 1 or targets[0].task not in ("classification", "multi_label"):
        return None
    return output_meaning(evaluated.subject.model, evaluated.subject.output, targets[0]).activation


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
