"""What MLflow is told of a champion, and the folder that its users load: the export as it is, and an ``MLmodel``."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

from tuner.champion.records.assessment import Score
from tuner.champion.records.champion_json import SAVED_MODEL, Champion

# The export has a folder of its own: it has no files but those that champion.json lists.
EXPORT = "export"
DIGEST = "champion.digest"
_REFUSED_IN_KEYS = re.compile(r"[^\w\-. /]")


def parameters(champion: Champion) -> dict[str, str]:
    """The hyperparameters; what MLflow refuses in a name is ``_``."""
    return {_key(name): str(value) for name, value in champion.params.items()}


def metrics(champion: Champion) -> dict[str, float]:
    """The best epoch's metrics, and the champion's own with their intervals, as ``champion.…``."""
    told = {_key(name): value for name, value in champion.metrics.items()}
    if not math.isnan(champion.value):
        told["champion.value"] = champion.value
    if champion.verification.value is not None:
        told["champion.verified_value"] = champion.verification.value
    for split, score in _scores(champion):
        if score is not None:
            bounds = {"": score.value, ".low": score.low, ".high": score.high}
            told |= {f"champion.{split}{name}": value for name, value in bounds.items() if value is not None}
    return told


def tags(champion: Champion, version: int, digest: str) -> dict[str, str]:
    """Where it came from, for the run and for the model's version."""
    told = {
        "study": champion.study,
        "version": version,
        "trial": champion.trial,
        "objective": f"{champion.objective.direction} {champion.objective.metric}",
        "verified": "yes" if champion.verification.verified else "no",
        "data_fingerprint": champion.data_fingerprint,
        **{f"versions.{_key(name)}": value for name, value in champion.versions.items()},
    }
    return {f"champion.{name}": str(value) for name, value in told.items()} | {DIGEST: digest}


def write_mlmodel(folder: Path, champion: Champion, run_id: str, artifact_path: str) -> None:
    """Writes the ``MLmodel`` beside the export: MLflow's TensorFlow flavour on the SavedModel's ``serving_default``.

    ``mlflow.pyfunc`` and ``mlflow.tensorflow`` load it; both take the signature's tensors by name.
    """
    from mlflow.models import Model

    model = Model(artifact_path=artifact_path, run_id=run_id)
    model.add_flavor(
        "tensorflow",
        # MLflow's name for a SavedModel that is called by its signature; the others want a callable object.
        model_type="tf1-estimator",
        saved_model_dir=f"{EXPORT}/{SAVED_MODEL}",
        meta_graph_tags=["serve"],
        signature_def_key="serving_default",
    )
    python = {"python_version": champion.versions["python"]} if "python" in champion.versions else {}
    model.add_flavor("python_function", loader_module="mlflow.tensorflow", **python)
    model.save(folder / "MLmodel")


def _scores(champion: Champion) -> list[tuple[str, Score | None]]:
    """Of what is exported, by split."""
    of: Any = champion.assessment and champion.assessment.champion
    if champion.ensemble is not None:
        of = champion.ensemble.whole
    elif champion.retraining is not None and champion.retraining.exported:
        of = champion.retraining.runs[0]
    return [("validation", of.validation), ("test", of.test)] if of is not None else []


def _key(name: str) -> str:
    return _REFUSED_IN_KEYS.sub("_", name)
