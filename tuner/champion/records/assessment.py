"""The best trials scored again, with intervals, and which of them is the champion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, PlainSerializer, PlainValidator

from tuner.spec.objective import Objective

CONFIDENCE = 0.95

Values = Annotated[
    npt.NDArray[np.float64] | None,
    PlainValidator(lambda values: None if values is None else np.asarray(values, np.float64)),
    PlainSerializer(lambda values: None if values is None else values.tolist()),
]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, ser_json_inf_nan="strings")


class Score(_Frozen):
    """A metric on a split.

    Attributes:
        value: on all its examples.
        low, high: the 95% percentile interval of the bootstrap (Efron and Tibshirani, An Introduction to the Bootstrap,
            1993, chapter 13); None where the metric cannot be computed on resampled examples.
        examples: how many there are.
    """

    value: float
    low: float | None
    high: float | None
    examples: int


class Candidate(_Frozen):
    """One of the best trials.

    Attributes:
        parameters: of its model.
        validation, test: the objective on these splits; ``test`` is None where there is no such split.
        within_noise: it is no worse than the best by more than one standard error; False where that is not known.
    """

    trial: int
    parameters: int
    validation: Score
    test: Score | None
    within_noise: bool = False


class Assessment(_Frozen):
    """How the champion was chosen.

    Attributes:
        objective: what the trials are compared by.
        candidates: the best trials, the best by validation first.
        chosen: the champion's trial. It is chosen by validation alone.
        resamples: of the bootstrap.
    """

    objective: Objective
    candidates: tuple[Candidate, ...]
    chosen: int
    resamples: int

    @property
    def champion(self) -> Candidate:
        return next(each for each in self.candidates if each.trial == self.chosen)

    @property
    def best(self) -> Candidate:
        """The best by validation."""
        return self.candidates[0]

    @property
    def optimism(self) -> float | None:
        """By how much the validation score flatters the champion: it was chosen for being high. None without a test
        split; negative if the test split turned out easier."""
        champion = self.champion
        return None if champion.test is None else self._lead(champion.validation.value, champion.test.value)

    @property
    def given_up(self) -> float:
        """Validation score that the smaller model costs; 0 if the best one was chosen."""
        return self._lead(self.best.validation.value, self.champion.validation.value)

    @property
    def missed(self) -> float | None:
        """By how much the best candidate on the test split beats the champion there: what choosing by validation cost.
        None without a test split."""
        tested = [each.test.value for each in self.candidates if each.test is not None]
        if not tested or self.champion.test is None:
            return None
        return max(self._lead(value, self.champion.test.value) for value in tested)

    def _lead(self, value: float, other: float) -> float:
        return value - other if self.objective.direction == "maximize" else other - value


@dataclass(frozen=True, eq=False)
class Resampled:
    """A metric on a split and on resamples of it.

    Attributes:
        values: shape (resamples,); the same examples are drawn for every model. None where it cannot be resampled.
    """

    value: float
    values: Values
    examples: int

    def score(self) -> Score:
        if self.values is None:
            return Score(value=self.value, low=None, high=None, examples=self.examples)
        tail = (1 - CONFIDENCE) / 2
        # Some resamples have no value: an AUC needs both classes.
        low, high = np.nanquantile(self.values, (tail, 1 - tail)).tolist()
        return Score(value=self.value, low=low, high=high, examples=self.examples)


@dataclass(frozen=True, eq=False)
class Scores:
    """A trial's scores as they were computed."""

    trial: int
    parameters: int
    validation: Resampled
    test: Resampled | None


def assess(objective: Objective, scored: Sequence[Scores], *, smallest: bool = False) -> Assessment:
    """Chooses among the best trials by validation, the best one or the smallest of those within noise of it.

    Noise is one standard error of the difference to the best, on the same resampled examples: the one-standard-error
    rule (Hastie, Tibshirani and Friedman, The Elements of Statistical Learning, 2nd edition, section 7.10).

    Args:
        scored: at least one.
        smallest: choose the smallest model, at some cost in the score.
    """
    sign = 1 if objective.direction == "maximize" else -1
    ordered = sorted(scored, key=lambda each: (-sign * each.validation.value, each.parameters, each.trial))
    candidates = tuple(
        Candidate(
            trial=each.trial,
            parameters=each.parameters,
            validation=each.validation.score(),
            test=each.test and each.test.score(),
            within_noise=_within_noise(ordered[0].validation, each.validation),
        )
        for each in ordered
    )
    chosen = candidates[0]
    if smallest:
        # The order of the candidates decides between models of one size.
        chosen = min((each for each in candidates if each.within_noise), key=lambda each: each.parameters)
    resamples = max(0 if each.validation.values is None else len(each.validation.values) for each in ordered)
    return Assessment(objective=objective, candidates=candidates, chosen=chosen.trial, resamples=resamples)


def _within_noise(best: Resampled, other: Resampled) -> bool:
    difference = abs(best.value - other.value)
    if difference == 0:
        return True
    if best.values is None or other.values is None:
        return False
    return difference <= float(np.nanstd(best.values - other.values, ddof=1))
