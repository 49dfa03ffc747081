"""Trains the champion's hyperparameters again, in a process of its own."""

from __future__ import annotations

from pathlib import Path

from tuner.champion.child_process import ChildProcess
from tuner.champion.messages import FROM_RETRAINING, PrepareTraining, TrainAgain, TrainedAgain
from tuner.champion.records.request import ExportRequest
from tuner.champion.records.retraining import Retraining
from tuner.data.splits import TEST, TRAIN, VALIDATION
from tuner.trial.assignment import trial_seed

# Seeds of executions have smaller numbers.
_FIRST_NEW_SEED = 1000


def retrain(
    request: ExportRequest, epochs: int, workspace: Path, log: Path, *, refit: bool, times: int
) -> ExportRequest:
    """The request with how its hyperparameters did in further trainings.

    Args:
        epochs: how long each training is.
        workspace: an existing folder for the models.
        log: receives what the process prints.
        refit: train on the validation split too, and export the first of these models in place of the trial's.

    Raises:
        ExportError: the trial cannot be trained again.
    """
    on = (TRAIN, VALIDATION) if refit else (TRAIN,)
    runs = []
    with ChildProcess("tuner.champion.choosing.retraining_process", FROM_RETRAINING, log) as child:
        child.send(PrepareTraining(request=request, splits=on, epochs=epochs, workspace=workspace))
        for index, seed in enumerate(_seeds(request, times, refit)):
            file = workspace / f"retrained-{index}.keras"
            answer = child.ask(TrainAgain(seed=seed, file=file), TrainedAgain, "process that retrains the champion")
            runs.append(answer.run)
            if index or not refit:
                file.unlink()
    retraining = Retraining(trained_on=on, epochs=epochs, runs=tuple(runs), exported=refit)
    if not refit:
        return request.model_copy(update={"retraining": retraining})
    assert runs[0].test is not None
    value = runs[0].test.value
    return request.model_copy(
        update={
            "checkpoint": workspace / "retrained-0.keras",
            "split": TEST,
            "value": value,
            "metrics": {request.spec.objective.metric.replace("val_", "test_", 1): value},
            "retraining": retraining,
        }
    )


def _seeds(request: ExportRequest, times: int, refit: bool) -> list[int]:
    """The trial's own for a model that is exported, then others that the study has not used."""
    own = [trial_seed(request.spec.seed, request.trial)] if refit else []
    others = range(times - len(own))
    return own + [trial_seed(request.spec.seed, request.trial, _FIRST_NEW_SEED + index) for index in others]
