"""A trial's kept model and what it gives for the examples of the splits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from tuner.champion.model.bootstrap import resampled
from tuner.champion.model.kept_trial import KeptTrial, load_kept_trial
from tuner.champion.model.metrics import Batch, compiled_metrics, with_outputs
from tuner.champion.model.subject import Subject, find_subject, form_and_targets
from tuner.champion.records.assessment import Resampled
from tuner.champion.records.request import ExportRequest
from tuner.champion.records.scorable import metric_of
from tuner.data.batches import BatchFormat, evaluation_batches, inputs_of
from tuner.data.model_columns import columns_of
from tuner.data.prepared import PreparedData, TargetFacts
from tuner.data.splits import TEST, VALIDATION
from tuner.data.summary import summary_of
from tuner.errors import ExportError
from tuner.trial.model import parameters_of
from tuner.trial.space import load_space

# One array for each leaf of what the model gives, (examples, ...).
Outputs = tuple[npt.NDArray[Any], ...]


class NotCompiled(ExportError):
    """A model that does not compute the objective."""


@dataclass(frozen=True, eq=False)
class Evaluated:
    """Attributes: ``outputs``: by split; ``learned``: what the model makes of each target."""

    request: ExportRequest
    data: PreparedData
    form: BatchFormat
    kept: KeptTrial
    subject: Subject
    outputs: dict[str, Outputs]
    learned: tuple[TargetFacts, ...] = ()

    @property
    def parameters(self) -> int:
        return parameters_of(self.subject.model)

    @property
    def structure(self) -> Any:
        """Of what the model gives for a batch."""
        return keras.tree.map_structure(lambda _: 0, self.subject.output)

    def metrics(self, split: str, outputs: Sequence[Any] | None = None) -> dict[str, float]:
        """The model's compiled metrics and loss on a split, of its own outputs or of others."""
        return compiled_metrics(self.subject.model, self._with_outputs(split, outputs), loss=self.kept.computes_loss)

    @property
    def metric(self) -> str:
        """The objective, as the model calls it."""
        return metric_of(self.request.spec.objective.metric)

    def score(self, split: str, outputs: Sequence[Any] | None = None) -> Resampled:
        """The objective on a split and on resamples of it, see ``resampling``.

        Raises:
            NotCompiled: the model was not compiled with it.
        """
        metrics = self.metrics(split, outputs)
        if self.metric not in metrics:
            objective, known = self.request.spec.objective.metric, ", ".join(sorted(metrics))
            if reason := self.kept.without(objective):
                raise NotCompiled(reason)
            raise NotCompiled(f"{objective} is not a metric that the model was compiled with ({known})")
        values = resampled(self.subject.model, self.metric, self._with_outputs(split, outputs))
        return Resampled(metrics[self.metric], values, len(self.data.split(split)))

    def _with_outputs(self, split: str, outputs: Sequence[Any] | None) -> Iterable[Batch]:
        batches = evaluation_batches(self.data, self.request.evaluation_batch, self.form, split)
        return with_outputs(batches, self.outputs[split] if outputs is None else outputs, self.structure)


def evaluate(request: ExportRequest, data: PreparedData, splits: Sequence[str] = (VALIDATION, TEST)) -> Evaluated:
    """Loads a trial's model with the user's code and runs it on those of the splits that there are.

    Raises:
        ExportError: it cannot be loaded or called.
        SpaceError: the space cannot be found.
    """
    # The space's module has the layers that the model may contain.
    space = load_space(request.spec, summary_of(data))
    kept = load_kept_trial(request, space, data)
    subject = find_subject(space, kept.model, inputs_of(next(iter(evaluation_batches(data, 2, BatchFormat())))))
    form, learned = form_and_targets(space, subject, data, request.spec)
    if subject.takes is None:
        form = replace(form, columns=columns_of(subject.model, data))
    scored = [] if subject.unscorable else [split for split in splits if split in data.splits]
    outputs = {split: run(subject.model, data, request.evaluation_batch, form, split) for split in scored}
    return Evaluated(request, data, form, kept, subject, outputs, learned)


def run(model: keras.Model, data: PreparedData, batch_size: int, form: BatchFormat, split: str) -> Outputs:
    """What a model gives for a split, numbers in float32."""
    pieces = [
        keras.tree.flatten(model.predict_on_batch(inputs_of(batch)))
        for batch in evaluation_batches(data, batch_size, form, split)
    ]
    return tuple(_plain(np.concatenate(leaf)) for leaf in zip(*pieces, strict=True))


def _plain(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    # bfloat16 is of no kind that NumPy knows.
    return values.astype(np.float32) if values.dtype.kind in "fV" and values.dtype != np.float64 else values
