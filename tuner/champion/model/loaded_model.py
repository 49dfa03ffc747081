"""A trial's model with the user's code, ready to be written: what it is, takes and gives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import keras

from tuner.champion.model.kept_trial import KeptTrial, load_kept_trial
from tuner.champion.model.served_outputs import Served, served_outputs
from tuner.champion.model.subject import Subject, find_subject, form_and_targets
from tuner.champion.model.tensors import data_input, own_input
from tuner.champion.records.champion_json import ChampionInput
from tuner.champion.records.request import ExportRequest
from tuner.data.batches import BatchFormat, evaluation_batches, inputs_of
from tuner.data.model_columns import columns_of
from tuner.data.prepared import PreparedData, TargetFacts
from tuner.data.structures import in_structure
from tuner.data.summary import summary_of
from tuner.trial.space import load_space


class LoadedExport:
    """A model to export.

    Raises:
        ExportError: it cannot be loaded or called, or gives what its task cannot use.
    """

    request: ExportRequest
    kept: KeptTrial
    subject: Subject
    form: BatchFormat
    learned: tuple[TargetFacts, ...]
    served: Served

    def __init__(self, request: ExportRequest, data: PreparedData) -> None:
        self.request, self._data = request, data
        # The space's module has the layers that the model may contain.
        space = load_space(request.spec, summary_of(data))
        self.kept = load_kept_trial(request, space, data)
        trained = self.kept.model
        examples = inputs_of(next(iter(evaluation_batches(data, 2, BatchFormat(), request.split))))
        self.subject = find_subject(space, trained, examples)
        self.form, learned = form_and_targets(space, self.subject, data, request.spec)
        if self.subject.takes is None:
            self.form = replace(self.form, columns=columns_of(self.subject.model, data))
        self.learned = learned if self.subject.is_trained else ()
        self.served = served_outputs(self.subject.model, self.subject.output, self.learned)

    @property
    def model(self) -> keras.Model:
        return self.subject.model

    @cached_property
    def takes(self) -> ChampionInput:
        subject, outputs = self.subject, self.served.outputs
        if subject.takes is None:
            return data_input(self.request.spec.data, self._data, outputs, self.form.columns)
        return own_input(subject.takes, subject.structure, outputs)

    def batches(self, size: int, split: str | None = None) -> Iterator[Any]:
        """A split's batches as training evaluates them, ``request.split``'s unless another is named."""
        split = split or self.request.split
        return iter(evaluation_batches(self._data, size, self.form, split))

    def inputs(self, size: int) -> Iterator[Any]:
        """Batches of what the model takes, for the examples that prove it."""
        subject = self.subject
        if subject.takes is None:
            return map(inputs_of, self.batches(size))
        names: Sequence[str] = [each.name for each in subject.takes]
        return iter([in_structure(subject.structure, names, subject.drawn)])
