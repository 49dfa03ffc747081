"""What a new study takes from the best trials of other ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from storage import leaderboard, studies
from storage.database import Database
from storage.errors import UnknownStudy
from storage.leaderboard import TrialSummary
from tuner.errors import Problem, SpecError
from tuner.launch.likeness import Description, likeness_of_data
from tuner.launch.presets import fitting
from tuner.spec.search_spec import SearchSpec


@dataclass(frozen=True)
class Other:
    """A study to start from.

    Attributes:
        best: its trials that are complete and within its constraints, the best first.
        data: as its launch described it; None for a study that Optuna alone has.
    """

    name: str
    best: list[TrialSummary]
    data: Description | None = None


@dataclass(frozen=True)
class WarmStarted:
    """Presets for the first trials, in their order, and a line for each study that says where they are from."""

    presets: list[dict[str, Any]]
    said: list[str]


@dataclass(frozen=True)
class _Offer:
    """What one study gives: the values of its trials that the new space allows.

    Attributes:
        weight: the share of its values that fit, times 0.1 to 1 by how alike the data is: somebody named the study.
    """

    other: Other
    values: list[dict[str, Any]]
    weight: float


def others_of(database: Database, spec: SearchSpec) -> list[Other]:
    """The studies that ``warm_start`` names.

    Raises:
        SpecError: there is no such study.
    """
    return [] if spec.warm_start is None else [_other(database, spec, name) for name in spec.warm_start.study]


def _other(database: Database, spec: SearchSpec, name: str) -> Other:
    assert spec.warm_start is not None
    try:
        best = leaderboard.best(database, name, min(spec.warm_start.trials, spec.trials))
    except UnknownStudy as error:
        raise SpecError("spec", [Problem("warm_start", f"{error}, in the same database")]) from None
    try:
        data: Description | None = studies.load_study(database, name).summary
    except UnknownStudy:
        data = None
    return Other(name, [each for each in best if not each.violation], data)


def warm_started(
    spec: SearchSpec, others: Sequence[Other], space: Sequence[Mapping[str, Any]], data: Description
) -> WarmStarted:
    """The trials' values that the new space allows.

    Several studies share the first trials by their weights, after D'Hondt: the next one goes to the study whose weight,
    divided by one more than it has, is the highest. Equal configurations are tried once.

    Args:
        space: every hyperparameter, as the preflight listed it.
        data: the new study's, as its launch describes it.
    """
    assert spec.warm_start is not None
    offers = [_offer(each, space, data) for each in others]
    presets: list[dict[str, Any]] = []
    taken: dict[str, list[int]] = {each.name: [] for each in others}
    waiting = {each.other.name: list(zip(each.other.best, each.values, strict=True)) for each in offers}
    while len(presets) < min(spec.warm_start.trials, spec.trials):
        giving = [each for each in offers if waiting[each.other.name]]
        if not giving:
            break
        offer = max(giving, key=lambda each: each.weight / (len(taken[each.other.name]) + 1))
        trial, values = waiting[offer.other.name].pop(0)
        if values and values not in presets:
            presets.append(values)
            taken[offer.other.name].append(trial.trial)
    return WarmStarted(presets, [_said(each, taken[each.other.name], alone=len(offers) == 1) for each in offers])


def _offer(other: Other, space: Sequence[Mapping[str, Any]], data: Description) -> _Offer:
    values = [fitting(space, each.params) for each in other.best]
    known = sum(len(each.params) for each in other.best)
    fits = sum(map(len, values)) / known if known else 0.0
    likeness = 1.0 if other.data is None else likeness_of_data(data, other.data)
    return _Offer(other, values, fits * (0.1 + 0.9 * likeness))


def _said(offer: _Offer, numbers: Sequence[int], *, alone: bool) -> str:
    study, best = offer.other.name, offer.other.best
    used, known = sum(map(len, offer.values)), sum(len(each.params) for each in best)
    if not best:
        return f"Warm start: study {study} has no complete trial to start from"
    if not used:
        return f"Warm start: no hyperparameter value of study {study} fits this search space"
    if not numbers:
        return f"Warm start: no configuration of study {study} is tried: other studies are more like this one"
    listed = ", ".join(map(str, numbers))
    which = f"configurations of trials {listed}" if len(numbers) > 1 else f"configuration of trial {listed}"
    left_out = sorted(
        {name for each, values in zip(best, offer.values, strict=True) for name in each.params if name not in values}
    )
    without = f"; not {', '.join(left_out)}" if left_out else ""
    weight = "" if alone else f" (weight {offer.weight:.2f})"
    first = f"{'are' if len(numbers) > 1 else 'is'} tried first"
    return f"Warm start: the {which} of study {study}{weight} {first}; {used} of {known} values fit{without}"
