"""The Pareto front, held against Optuna's own."""

from __future__ import annotations

import optuna
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import create_trial

from storage.ranking import Standing, front, ranked

POINTS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6), st.sampled_from([0, 0, 0, 1, 2])), max_size=25)
optuna.logging.set_verbosity(optuna.logging.WARNING)


def standings(points: list[tuple[int, int, int]]) -> list[Standing]:
    return [Standing(i, i, (float(a), float(b)), float(c)) for i, (a, b, c) in enumerate(points)]


@given(POINTS)
def test_the_front_is_optunas(points: list[tuple[int, int, int]]) -> None:
    study = optuna.create_study(directions=["minimize", "minimize"])
    for a, b, violation in points:
        study.add_trial(create_trial(values=[a, b], constraints={"c": violation}))
    found = front(standings(points))
    if any(violation == 0 for _, _, violation in points):
        assert {each.number for each in found} == {each.number for each in study.best_trials}
        assert found == sorted(found, key=lambda each: (each.losses, each.number))
    else:
        assert [each.violation for each in found] == sorted(float(violation) for _, _, violation in points)


@given(POINTS)
def test_everything_is_ranked_once_with_the_front_first(points: list[tuple[int, int, int]]) -> None:
    every = standings(points)
    order = ranked(every)
    assert sorted(each.number for each in order) == list(range(len(points)))
    assert order[: len(front(every))] == front(every)
    violations = [each.violation for each in order]
    assert violations == sorted(violations)


def test_what_leads_goes_first_and_equal_trials_are_both_on_the_front() -> None:
    points = [(2, 0, 0), (1, 1, 0), (1, 1, 0), (1, 2, 0), (0, 3, 0), (0, 0, 1)]
    assert [each.number for each in front(standings(points))] == [4, 1, 2, 0]
    assert [each.number for each in ranked(standings(points))] == [4, 1, 2, 0, 3, 5]
