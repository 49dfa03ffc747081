"""Which of the best trials is the champion, and what choosing it cost."""

from __future__ import annotations

import numpy as np
import pytest

from tuner.champion.records.assessment import Resampled, Scores, assess
from tuner.spec.objective import Objective

ACCURACY = Objective(metric="val_accuracy", direction="maximize")
LOSS = Objective(metric="val_loss", direction="minimize")


def _right(share: float, seed: int, examples: int = 400) -> Resampled:
    """An accuracy with its bootstrap, of examples that are right independently of each other."""
    right = np.random.default_rng(seed).permutation(np.arange(examples) < share * examples)
    drawn = np.random.default_rng(1).integers(0, examples, (500, examples))
    return Resampled(float(right.mean()), right[drawn].mean(axis=1), examples)


def test_the_best_is_chosen_or_of_those_within_noise_the_smallest() -> None:
    scored = [
        Scores(0, 900, _right(0.90, 1), _right(0.80, 5)),
        Scores(1, 100, _right(0.89, 2), _right(0.85, 6)),
        Scores(2, 10, _right(0.70, 3), _right(0.60, 7)),
    ]
    assert assess(ACCURACY, scored).chosen == 0
    found = assess(ACCURACY, scored, smallest=True)
    assert [each.trial for each in found.candidates] == [0, 1, 2]
    assert [each.within_noise for each in found.candidates] == [True, True, False]
    assert found.chosen == 1
    assert found.given_up == pytest.approx(0.01)
    assert found.optimism == pytest.approx(0.04)
    assert found.missed == pytest.approx(0.0)
    assert found.resamples == 500


def test_intervals_are_those_of_a_proportion() -> None:
    score = _right(0.9, 1).score()
    # Normal approximation: 1.96 standard errors.
    half = 1.96 * (0.9 * 0.1 / 400) ** 0.5
    assert score.low == pytest.approx(0.9 - half, abs=0.006)
    assert score.high == pytest.approx(0.9 + half, abs=0.006)


def test_less_is_better_for_a_loss_and_the_cost_has_its_sign() -> None:
    found = assess(
        LOSS,
        [
            Scores(0, 5, Resampled(0.5, np.array([0.5, 0.51, 0.49]), 3), Resampled(0.7, None, 3)),
            Scores(1, 4, Resampled(0.4, np.array([0.4, 0.41, 0.39]), 3), Resampled(0.9, None, 3)),
        ],
    )
    assert found.chosen == 1
    assert found.optimism == pytest.approx(0.5)
    assert found.missed == pytest.approx(0.2)


def test_differences_are_of_the_same_examples() -> None:
    """Two models that are always one example apart differ by more than noise, however wide their intervals are."""
    values = np.linspace(0.5, 0.9, 50)
    found = assess(
        ACCURACY,
        [Scores(0, 9, Resampled(0.71, values + 0.01, 9), None), Scores(1, 1, Resampled(0.7, values, 9), None)],
        smallest=True,
    )
    assert found.chosen == 0
    assert found.optimism is None and found.missed is None


def test_without_resamples_only_equals_are_within_noise() -> None:
    found = assess(
        ACCURACY,
        [
            Scores(0, 9, Resampled(0.7, None, 9), None),
            Scores(1, 3, Resampled(0.7, None, 9), None),
            Scores(2, 1, Resampled(0.69, None, 9), None),
        ],
        smallest=True,
    )
    assert found.chosen == 1
    assert found.best.trial == 1  # of equals the smaller one comes first
    assert found.champion.validation.low is None


def test_a_resample_that_has_no_value_does_not_count() -> None:
    score = Resampled(0.5, np.array([0.4, np.nan, 0.6]), 3).score()
    assert score.low is not None and score.high is not None
    assert 0.4 <= score.low < score.high <= 0.6
