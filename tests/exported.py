"""Models trained as a trial trains them and exported: what tests of exports look at."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tuner.champion.export.export_model import ExportReport, export_model
from tuner.champion.prediction.predict import Prediction, predict
from tuner.champion.records.request import ExportRequest
from tuner.data.cache import prepare
from tuner.spec.reading import validate_spec

_SPACE = """
def build(hp):
    raise AssertionError("an export builds no model")
"""


@dataclass(frozen=True)
class Exported:
    """A champion, and what was recorded while it was trained."""

    report: ExportReport
    recorded: dict[str, float]
    folder: Path

    def served(self, **tensors: Any) -> dict[str, Any]:
        import tensorflow as tf

        loaded = tf.saved_model.load(str(self.report.folder / "saved_model"))
        return {name: value.numpy() for name, value in loaded.signatures["serving_default"](**tensors).items()}

    def predictions(self, *inputs: Path) -> list[Prediction]:
        return list(predict(self.report.folder, inputs))

    def lines(self, *lines: Any) -> list[Prediction]:
        """Of JSON lines; bytes are lines as they are."""
        file = self.folder / "lines.jsonl"
        file.write_bytes(b"\n".join(line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines))
        with file.open("rb") as stdin:
            return list(predict(self.report.folder, ["-"], stdin=stdin))


def export(
    folder: Path,
    data: dict[str, Any],
    objective: Any,
    build: Callable[[], Any],
    labels: Any = "given",
    space: str = _SPACE,
) -> Exported:
    """Trains as a trial does, keeps the model as a trial does, and exports it."""
    import keras

    from search_spaces.base import StagedModel
    from tuner.data.batches import BatchFormat, TrainingBatches, evaluation_batches
    from tuner.data.model_columns import columns_of

    (folder / "space.py").write_text(space)
    raw = {"study": "kinds", "data": data, "space": f"{folder / 'space.py'}:build", "objective": objective}
    spec = validate_spec(raw, source="test", base=folder)
    prepared = prepare(spec.data, folder / "cache")
    keras.utils.set_random_seed(3)
    built = build()
    staged = built if isinstance(built, StagedModel) else StagedModel(built)
    columns = columns_of(staged.preprocessing or staged.network, prepared)
    form = BatchFormat(labels, staged.preprocessing, columns=columns)
    history = staged.network.fit(
        TrainingBatches(prepared, 8, 1, form).dataset,
        validation_data=evaluation_batches(prepared, 8, form) if prepared.targets else None,
        epochs=3,
        verbose=0,
    )
    recorded = {name: float(values[-1]) for name, values in history.history.items()}
    staged.end_to_end().save(folder / "best.keras")
    request = ExportRequest(
        spec=spec,
        study="kinds",
        trial=2,
        checkpoint=folder / "best.keras",
        value=recorded[spec.objective.metric],
        metrics=recorded,
        params={"batch_size": 8},
        data_fingerprint=prepared.fingerprint,
        cache=folder / "cache",
    )
    return Exported(export_model(request, folder / "champion", folder / "export.log"), recorded, folder)


def verified(exported: Exported, source: str) -> None:
    verification = exported.report.verification
    assert verification.verified, verification.reason
    assert verification.value == pytest.approx(verification.recorded, rel=1e-5)
    assert verification.max_difference is not None and verification.max_difference < 1e-5
    assert source in verification.source
