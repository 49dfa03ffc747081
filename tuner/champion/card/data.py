"""What is known of a champion, as data: ``card.json``, and what ``card.md`` is written from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from tuner.champion.records.assessment import Score
from tuner.champion.records.champion_json import Champion
from tuner.champion.records.confusion import ClassReport, Confusion
from tuner.champion.records.format_report import FormatReport
from tuner.champion.records.retraining import Spread
from tuner.champion.records.trial_curve import TrialCurve
from tuner.spec.objective import Objective

# Of so few examples a share says little.
_RARE = 30


class _Facts(BaseModel):
    model_config = ConfigDict(frozen=True)


class CardData(_Facts):
    """What the model was trained on; ``splits`` has numbers of examples."""

    kind: str
    fingerprint: str
    splits: dict[str, int]
    class_names: tuple[str, ...]


class VerifiedScore(_Facts):
    """What the exported SavedModel scored; ``reason`` says why it is not verified, if it is not."""

    verified: bool
    reason: str | None
    value: float | None
    recorded: float
    examples: int
    source: str


class ScoredModel(_Facts):
    """A model that was compared; ``exported`` is the champion itself. ``test`` is None without such a split."""

    model: str
    exported: bool
    validation: Score
    test: Score | None
    parameters: int


class TrainedAgain(_Facts):
    """The champion's hyperparameters trained again; ``exported`` says that one of those models is the champion."""

    trained_on: tuple[str, ...]
    epochs: int
    times: int
    exported: bool
    validation: Spread | None
    test: Spread | None


class ModelCard(_Facts):
    """A champion, for people and programs.

    Attributes:
        model: what it is: a trial, a retrained one, an average of several.
        score: of the exported files, from raw examples.
        scores: the champion and what it was chosen from, with 95% intervals.
        classes: precision and recall of each class; empty for other tasks.
        confusion: examples of each class (rows) by the class that they were taken for (columns).
        curves: the trial's epochs; of an average those of each trial, of a retrained model those of the trial whose
            hyperparameters it has.
        importances: each hyperparameter's share in the study's objective; None with too few complete trials.
        formats: how each exported file did in its runtime, and which could not be written.
        loading: how to load each format, in Markdown.
        limits: what the model is not known to do, a sentence each.
        pictures: files beside the card by what they show: ``confusion``, ``curves``.
    """

    format: Literal[1] = 1
    study: str
    trial: int
    model: str
    task: str
    objective: Objective
    score: VerifiedScore
    data: CardData
    scores: tuple[ScoredModel, ...]
    trained_again: TrainedAgain | None
    classes: tuple[ClassReport, ...]
    confusion: Confusion | None
    curves: tuple[TrialCurve, ...]
    params: dict[str, Any]
    importances: dict[str, float] | None
    formats: tuple[FormatReport, ...]
    loading: str
    limits: tuple[str, ...]
    versions: dict[str, str]
    hardware: str
    exported_at: str
    pictures: dict[str, str]


def model_card(
    champion: Champion,
    curves: Sequence[TrialCurve],
    importances: Mapping[str, float] | None,
    loading: str,
    pictures: Mapping[str, str],
) -> ModelCard:
    """The card of a champion."""
    checked = champion.verification
    return ModelCard(
        study=champion.study,
        trial=champion.trial,
        model=_what(champion),
        task=champion.task,
        objective=champion.objective,
        score=VerifiedScore(
            verified=checked.verified,
            reason=checked.reason,
            value=checked.value,
            recorded=checked.recorded,
            examples=checked.examples,
            source=checked.source,
        ),
        data=CardData(
            kind=champion.spec.get("data", {}).get("kind", champion.input.kind),
            fingerprint=champion.data_fingerprint,
            splits=champion.splits,
            class_names=champion.class_names,
        ),
        scores=_scores(champion),
        trained_again=_trained_again(champion),
        classes=() if checked.confusion is None else checked.confusion.classes,
        confusion=checked.confusion,
        curves=tuple(curves),
        params=champion.params,
        importances=None if importances is None else dict(importances),
        formats=champion.formats,
        loading=loading,
        limits=_limits(champion),
        versions=champion.versions,
        hardware=champion.hardware,
        exported_at=champion.exported_at,
        pictures=dict(pictures),
    )


def _what(champion: Champion) -> str:
    if champion.ensemble is not None:
        return f"average of trials {', '.join(str(each.trial) for each in champion.ensemble.members)}"
    again = champion.retraining is not None and champion.retraining.exported
    return f"trial {champion.trial}{', retrained' if again else ''}"


def _scores(champion: Champion) -> tuple[ScoredModel, ...]:
    retrained = champion.retraining is not None and champion.retraining.exported
    if champion.ensemble is not None:
        made = champion.ensemble
        costs = {"this average": made.whole, f"trial {made.single_trial} alone": made.single}
        return tuple(
            ScoredModel(
                model=model,
                exported=cost is made.whole,
                validation=cost.validation,
                test=cost.test,
                parameters=cost.parameters,
            )
            for model, cost in costs.items()
        )
    if champion.assessment is None:
        return ()
    chosen = champion.assessment.chosen
    return tuple(
        ScoredModel(
            model=f"trial {each.trial}" + (" (chosen)" if each.trial == chosen else ""),
            exported=each.trial == chosen and not retrained,
            validation=each.validation,
            test=each.test,
            parameters=each.parameters,
        )
        for each in champion.assessment.candidates
    )


def _trained_again(champion: Champion) -> TrainedAgain | None:
    again = champion.retraining
    if again is None:
        return None
    return TrainedAgain(
        trained_on=again.trained_on,
        epochs=again.epochs,
        times=len(again.runs),
        exported=again.exported,
        validation=again.validation,
        test=again.test,
    )


def _limits(champion: Champion) -> tuple[str, ...]:
    found = [
        "The scores hold for examples like those described above. "
        "Nothing is known about how the model does on data of another origin."
    ]
    if "test" not in champion.splits:
        found.append("There was no test split, so every score comes from the examples by which the model was chosen.")
    if champion.verification.confusion is not None:
        rare = [each.name for each in champion.verification.confusion.classes if each.examples < _RARE]
        if rare:
            found.append(f"The scores rest on fewer than {_RARE} examples of each of these classes: {', '.join(rare)}.")
    return tuple(found)
