"""A trial's model with the user's code, ready to be written: what it is, takes and gives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import keras

from tuner.champion.model.served import Served, served_outputs
from tuner.champion.model.subject import Subject, find_subject, load_trained
from tuner.champion.model.tensors import data_input, own_input
from tuner.champion.records.champion_json import ChampionInput
from tuner.champion.records.request import ExportRequest
from tuner.data.batches import BatchFormat, evaluation_batches, in_structure
from tuner.data.model_columns import columns_of
from tuner.data.prepared import PreparedData
from tuner.data.summary import summary_of
from tuner.trial.space import labels_of, load_space


class LoadedExport:
    """A model to export.

    Raises:
        ExportError: it cannot be loaded or called, or gives what its task cannot use.
    """

    subject: Subject
    served: Served

    def __init__(self, request: ExportRequest, data: PreparedData) -> None:
        self._request, self._data = request, data
        # The space's module registers the layers that the model may contain.
        space = load_space(request.spec, summary_of(data))
        trained = load_trained(request.subject, request.checkpoint)
        self._form = BatchFormat(labels_of(space))
        examples = next(self.batches(2))[0]
        self.subject = find_subject(space, trained, examples)
        if self.subject.takes is None:
            self._form = replace(self._form, columns=columns_of(self.subject.model, data))
        targets = data.targets if self.subject.is_trained else ()
        self.served = served_outputs(self.subject.model, self.subject.output, targets)

    @property
    def model(self) -> keras.Model:
        return self.subject.model

    @cached_property
    def takes(self) -> ChampionInput:
        subject, outputs = self.subject, self.served.outputs
        if subject.takes is None:
            return data_input(self._request.spec.data, self._data, outputs, self._form.columns)
        return own_input(subject.takes, subject.structure, outputs)

    def batches(self, size: int, split: str | None = None) -> Iterator[tuple[Any, ...]]:
        """A split's batches as training evaluates them, ``request.split``'s unless another is named."""
        split = split or self._request.split
        return iter(evaluation_batches(self._data, size, self._form, split))

    def inputs(self, size: int) -> Iterator[Any]:
        """Batches of what the model takes, for the examples that prove it."""
        subject = self.subject
        if subject.takes is None:
            return (x for x, *_ in self.batches(size))
        names: Sequence[str] = [each.name for each in subject.takes]
        return iter([in_structure(subject.structure, names, subject.drawn)])
