"""Which models are averaged, of outputs whose worth is known."""

from __future__ import annotations

import numpy as np
import pytest

from tuner.champion.choosing.selection import MOST_MEMBERS, select

TRUTH = np.linspace(-1.0, 1.0, 200)


def _worth(outputs):
    return -float(np.mean((outputs[0] - TRUTH) ** 2))


def _outputs(*errors):
    """Models that are wrong by independent errors of these sizes."""
    noise = np.random.default_rng(0).normal(size=(len(errors), len(TRUTH)))
    return [[TRUTH + size * each] for size, each in zip(errors, noise, strict=True)]


@pytest.mark.fast
def test_errors_that_are_independent_cancel_out():
    outputs = _outputs(0.5, 0.5, 0.5, 0.5, 0.5, 3.0)
    counts = select(outputs, [1] * 6, 100, _worth)
    assert 5 not in counts and len(counts) >= 3
    whole = [np.average([outputs[place][0] for place in counts], axis=0, weights=list(counts.values()))]
    assert _worth(whole) > _worth(outputs[0]) / 2


def test_the_best_alone_is_taken_where_no_average_is_better():
    outputs = [[TRUTH], [TRUTH + 1], [TRUTH + 2]]
    assert select(outputs, [1] * 3, 100, _worth) is None
    assert select([outputs[0], outputs[0]], [1, 1], 100, _worth) is None
    assert select(outputs[:1], [1], 100, _worth) is None


def test_a_better_model_weighs_more():
    counts = select(_outputs(0.2, 0.4), [1, 1], 100, _worth)
    assert counts[0] > counts[1] > 0


def test_the_members_fit_into_the_room_and_are_few():
    outputs = _outputs(*[0.5] * 12)
    assert len(select(outputs, [1] * 12, 100, _worth)) <= MOST_MEMBERS
    counts = select(outputs, [50, 30, 30, 20, *[90] * 8], 100, _worth)
    assert set(counts) <= {0, 1, 2, 3} and sum([50, 30, 30, 20][place] for place in counts) <= 100
    assert select(outputs, [101] * 12, 100, _worth) is None
