"""A trial's kept model and what it gives for the examples of the splits."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from tuner.champion.model.bootstrap import RowMetric
from tuner.champion.model.kept_trial import KeptTrial, load_kept_trial
from tuner.champion.model.metrics import Batch, Steps, adds_losses, compiled_metrics, with_outputs
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

# Tracing a model takes a second or more, which so many batches do not.
_EAGER_BATCHES = 16
_ROWS_AT_ONCE = 256
_SMALL_EXAMPLE = 4096
# One array for each leaf of what the model gives, (examples, ...).
Outputs = tuple[npt.NDArray[Any], ...]


class NotCompiled(ExportError):
    """A model that does not compute the objective."""


@dataclass(frozen=True, eq=False)
class Evaluated:
    """A trial's model and what it gives.

    Attributes:
        outputs: by split.
        learned: what the model makes of each target.
        scorer: whose loss and metrics score this model's outputs, since they are the same: tracing them takes a second.
    """

    request: ExportRequest
    data: PreparedData
    form: BatchFormat
    kept: KeptTrial
    subject: Subject
    outputs: dict[str, Outputs]
    learned: tuple[TargetFacts, ...] = ()
    scorer: Evaluated | None = None
    _on_rows: dict[str, RowMetric] = field(default_factory=dict, init=False)
    _steps: Steps = field(default_factory=dict, init=False)

    @property
    def parameters(self) -> int:
        return parameters_of(self.subject.model)

    @property
    def structure(self) -> Any:
        """Of what the model gives for a batch."""
        return keras.tree.map_structure(lambda _: 0, self.subject.output)

    def metrics(self, split: str, outputs: Sequence[Any] | None = None) -> dict[str, float]:
        """The model's compiled metrics and loss on a split, of its own outputs or of others."""
        if self.scorer is not None:
            return self.scorer.metrics(split, self.outputs[split] if outputs is None else outputs)
        batches = self._with_outputs(split, outputs)
        return compiled_metrics(self.subject.model, batches, loss=self.kept.computes_loss, known=self._steps)

    @property
    def metric(self) -> str:
        """The objective, as the model calls it."""
        return metric_of(self.request.spec.objective.metric)

    def scores_as(self, other: Evaluated) -> bool:
        """Whether the other's loss and metrics are those of this model, so that one may score for both."""
        return (
            self._compilation is not None
            and self._compilation == other._compilation
            and self.learned == other.learned
            and self.form.labels == other.form.labels
            and [(each.dtype, each.shape[1:]) for each in self.outputs[VALIDATION]]
            == [(each.dtype, each.shape[1:]) for each in other.outputs[VALIDATION]]
            and self.structure == other.structure
        )

    @property
    def _compilation(self) -> str | None:
        """What the model is scored by, as its file has it; None where that does not tell all."""
        if self.kept.lost or adds_losses(self.subject.model):
            return None
        try:
            config = dict(self.subject.model.get_compile_config() or {})
            config.pop("optimizer", None)
            if self.metric != "loss" and not self.request.spec.limits:
                # Nobody asks for it; a search may draw how far labels are smoothed.
                for each in ("loss", "loss_weights"):
                    config.pop(each, None)
            return json.dumps(config, sort_keys=True)
        except Exception:
            return None

    def score(self, split: str, outputs: Sequence[Any] | None = None, *, resampled: bool = True) -> Resampled:
        """The objective on a split and on resamples of it, see ``bootstrap``.

        Args:
            outputs: of another model in place of this one's.
            resampled: without, it has no interval.

        Raises:
            NotCompiled: the model was not compiled with it.
        """
        metrics = self.metrics(split, outputs)
        if self.metric not in metrics:
            objective, known = self.request.spec.objective.metric, ", ".join(sorted(metrics))
            if reason := self.kept.without(objective):
                raise NotCompiled(reason)
            raise NotCompiled(f"{objective} is not a metric that the model was compiled with ({known})")
        values = self.resampled(split, self.outputs[split] if outputs is None else outputs) if resampled else None
        return Resampled(metrics[self.metric], values, len(self.data.split(split)))

    def resampled(self, split: str, outputs: Sequence[Any]) -> npt.NDArray[np.float64] | None:
        """The objective of outputs on resamples of a split, (resamples,); None where it has none."""
        scorer = self.scorer or self
        return scorer._rows(split).resampled(outputs) if scorer._is_of_rows else None

    def quick_score(self, outputs: Sequence[Any]) -> float:
        """The objective on validation, of outputs among many that are compared."""
        scorer = self.scorer or self
        if scorer._is_of_rows:
            return scorer._rows(VALIDATION).on_all(outputs)
        return self.metrics(VALIDATION, outputs)[self.metric]

    def _rows(self, split: str) -> RowMetric:
        if split not in self._on_rows:
            self._on_rows[split] = RowMetric(self.subject.model, self.metric, self._with_outputs(split, None))
        return self._on_rows[split]

    @property
    def _is_of_rows(self) -> bool:
        """Layers may add losses while they are called."""
        return self.metric != "loss" or not adds_losses(self.subject.model)

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
    size = max(batch_size, _ROWS_AT_ONCE) if _is_small(data) else batch_size
    is_short = len(data.split(split)) <= _EAGER_BATCHES * size
    predict = partial(model, training=False) if is_short else model.predict_on_batch
    pieces = [
        [np.asarray(leaf) for leaf in keras.tree.flatten(predict(inputs_of(batch)))]
        for batch in evaluation_batches(data, size, form, split)
    ]
    return tuple(_plain(np.concatenate(leaf)) for leaf in zip(*pieces, strict=True))


def _is_small(data: PreparedData) -> bool:
    """Whether many examples at once are no matter of memory: rows of a table and texts."""
    return sum(math.prod(size or 1 for size in each.shape) for each in data.inputs) <= _SMALL_EXAMPLE


def _plain(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    # bfloat16 is of no kind that NumPy knows.
    return values.astype(np.float32) if values.dtype.kind in "fV" and values.dtype != np.float64 else values
