"""From a study's best trials to an exported champion: chosen, and if asked for retrained or averaged."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from storage import leaderboard
from storage.leaderboard import TrialDetail
from tuner.champion.child import JsonChild
from tuner.champion.choosing.candidates import broken_by, candidates
from tuner.champion.choosing.kept_trial import export_request, kept_trial
from tuner.champion.choosing.scoring import Evaluation
from tuner.champion.export.write_export import ExportReport, export_model
from tuner.champion.formats.offered import ALWAYS, checked_formats
from tuner.champion.placement import check_destination, staging
from tuner.champion.records.assessment import Assessment
from tuner.champion.records.request import ExportRequest
from tuner.champion.records.retraining import Retraining, Run
from tuner.data.splits import TEST, TRAIN, VALIDATION
from tuner.errors import ExportError
from tuner.study.open_study import OpenStudy
from tuner.trial.assignment import trial_seed

# Of each objective, each hyperparameter's share; None with too few complete trials.
Importances = Mapping[str, Mapping[str, float]] | None

# Seeds of executions have smaller numbers.
_FIRST_NEW_SEED = 1000


@dataclass(frozen=True)
class Wish:
    """What is to be exported.

    Attributes:
        trial: a trial's number, in place of the best one's.
        prefer: of several objectives: the best of the Pareto front by it.
        top: how many of the best trials are scored again.
        ensemble: export an average of at most so many of them.
        refit: train the champion again on train and validation, and export that.
        seeds: train it so many times.
        formats: of ``formats.choice.FORMATS``, beside Keras's own.
    """

    trial: int | None = None
    prefer: str | None = None
    top: int = 5
    ensemble: int | None = None
    refit: bool = False
    seeds: int | None = None
    formats: tuple[str, ...] = ALWAYS

    def __post_init__(self) -> None:
        if self.ensemble is not None and (self.refit or self.seeds or self.trial is not None):
            raise ExportError("--ensemble goes with neither --trial, --refit nor --seeds: it averages the best trials")
        if self.ensemble is not None and self.ensemble < 2:
            raise ExportError("--ensemble takes 2 trials at least")
        checked_formats(self.formats)


def make_champion(
    study: OpenStudy,
    wish: Wish,
    to: Path,
    importances: Callable[[], Importances],
) -> ExportReport:
    """Chooses a model and exports it, proven.

    Args:
        importances: of the study's hyperparameters, for the card; asked once it is clear that there is a champion.

    Raises:
        ExportError: there is no such model, or it does not score what was recorded; nothing was written.
    """
    to, log = to.resolve(), study.artifacts.export_log()
    check_destination(to)
    trials = trials_to_export(study, wish)
    with staging(to) as workspace, ExitStack() as stack:
        requests = [stack.enter_context(export_request(study, each)) for each in trials]
        with Evaluation(log) as evaluation:
            assessed = evaluation.assess(requests)
            request = _chosen(requests, assessed)
            if wish.ensemble is not None:
                request = _ensemble(request, evaluation, assessed, wish.ensemble, workspace / "ensemble.keras")
                request = _with_every_history(request, requests)
        if wish.refit or wish.seeds:
            epochs = leaderboard.trial(study.database, study.name, request.trial).best_epoch
            request = _retrained(request, wish, epochs or request.spec.training.epochs, workspace, log)
        shares = (importances() or {}).get(request.spec.objective.metric)
        report = export_model(request.model_copy(update={"importances": shares}), to, log, wish.formats)
    unassessed = assessed if isinstance(assessed, str) else None
    return replace(report, unassessed=unassessed, violated=broken_by(study, request.trial))


def trials_to_export(study: OpenStudy, wish: Wish) -> list[TrialDetail]:
    """The trials that the champion is chosen from, the best first: what the database alone can tell of a wish.

    Raises:
        ExportError: there is no such model.
        UnknownTrial: there is no such trial.
    """
    if wish.refit and TEST not in study.record.summary["splits"]:
        raise ExportError(
            f"--refit trains on the validation split too, and study {study.name} has no test split to score it on: "
            "run a study whose data has a test_split"
        )
    numbers = candidates(study, wish.trial, wish.prefer, max(wish.top, wish.ensemble or 0))
    if wish.ensemble is not None and len(numbers) < 2:
        raise ExportError(
            f"an ensemble needs two trials whose models are kept, and study {study.name} has {len(numbers)}; "
            "keep_checkpoints says how many are kept"
        )
    return [kept_trial(study, number) for number in numbers]


def _chosen(requests: Sequence[ExportRequest], assessed: Assessment | str) -> ExportRequest:
    if isinstance(assessed, str):
        return requests[0]
    request = next(each for each in requests if each.trial == assessed.chosen)
    return request.model_copy(update={"assessment": assessed})


def _ensemble(
    request: ExportRequest, evaluation: Evaluation, assessed: Assessment | str, most: int, file: Path
) -> ExportRequest:
    if isinstance(assessed, str):
        raise ExportError(f"the average of trials cannot be scored: {assessed}; export without --ensemble")
    made = evaluation.ensemble(most, assessed.chosen, file)
    value = made.whole.validation.value
    return request.model_copy(
        update={
            "trial": made.members[0].trial,
            "checkpoint": file,
            "value": value,
            "metrics": {request.spec.objective.metric: value},
            "ensemble": made,
        }
    )


def _with_every_history(request: ExportRequest, requests: Sequence[ExportRequest]) -> ExportRequest:
    assert request.ensemble is not None
    found = {each.trial: each.history for each in requests}
    curves = [curve for member in request.ensemble.members for curve in found[member.trial]]
    return request.model_copy(update={"history": tuple(curves)})


def _retrained(request: ExportRequest, wish: Wish, epochs: int, workspace: Path, log: Path) -> ExportRequest:
    on = (TRAIN, VALIDATION) if wish.refit else (TRAIN,)
    runs = []
    with JsonChild("tuner.champion.choosing.retraining_process", log) as child:
        child.send(
            {
                "request": request.model_dump(mode="json"),
                "on": on,
                "epochs": epochs,
                "workspace": os.fspath(workspace),
            }
        )
        for index, seed in enumerate(_seeds(request, wish)):
            file = workspace / f"retrained-{index}.keras"
            question = {"seed": seed, "file": os.fspath(file)}
            runs.append(Run.model_validate(child.ask(question, "process that retrains the champion")))
            if index or not wish.refit:
                file.unlink()
    retraining = Retraining(trained_on=on, epochs=epochs, runs=tuple(runs), exported=wish.refit)
    if not wish.refit:
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


def _seeds(request: ExportRequest, wish: Wish) -> list[int]:
    """The trial's own for a model that is exported, then others that the study has not used."""
    own = [trial_seed(request.spec.seed, request.trial)] if wish.refit else []
    count = (wish.seeds or 1) - len(own)
    return own + [trial_seed(request.spec.seed, request.trial, _FIRST_NEW_SEED + index) for index in range(count)]
