"""Samplers learn from pruned trials what these would have come to."""

from __future__ import annotations

from collections.abc import Sequence

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from tuner.worker.search.comparing import Comparison
from tuner.worker.search.sampling import make_sampler

UNIT = {"x": FloatDistribution(0.0, 1.0)}


def trial(number: int, scores: Sequence[float], *, pruned: bool, x: float = 0.5, outcome: str = "") -> FrozenTrial:
    made = create_trial(
        state=TrialState.PRUNED if pruned else TrialState.COMPLETE,
        value=None if pruned else max(scores),
        params={"x": x},
        distributions=UNIT,
        intermediate_values=dict(enumerate(scores, 1)),
        user_attrs={"outcome": outcome} if outcome else {},
    )
    made.number = number
    return made


def worth(trials: Sequence[FrozenTrial], maximize: bool = True) -> list[float | None]:
    return [each.value for each in Comparison().of(trials, maximize)]


def test_a_pruned_trial_gains_what_the_others_gained():
    first = trial(0, [0.1, 0.2, 0.25, 0.3], pruned=False)
    second = trial(1, [0.3, 0.4, 0.6, 0.6], pruned=False)
    ended = trial(2, [0.25, 0.2], pruned=True)
    # From the second epoch to the third 0.05 and 0.2, at the median 0.125; from there 0.05 and 0, at the median 0.025.
    assert worth([first, second, ended]) == [0.3, 0.6, pytest.approx(0.4)]


def test_less_is_better_where_the_objective_is_minimized():
    first, ended = trial(0, [3.0, 2.0, 1.5], pruned=False), trial(1, [2.5, 2.75], pruned=True)
    assert worth([first, ended], maximize=False)[1] == pytest.approx(2.0)


def test_nobody_who_went_on_leaves_the_value_as_it_was():
    assert worth([trial(0, [0.2], pruned=True), trial(1, [0.3], pruned=True)]) == [0.2, 0.3]


@pytest.mark.parametrize(
    "lost", [trial(1, [0.9, float("nan")], pruned=True), trial(1, [0.9], pruned=True, outcome="diverged")]
)
def test_a_trial_that_diverged_stays_behind_all_others(lost):
    seen = Comparison().of([trial(0, [0.1, 0.2], pruned=False), lost], maximize=True)
    assert (seen[1].state, seen[1].values) == (TrialState.PRUNED, None)


def test_what_is_known_grows_with_the_study():
    comparison, ended = Comparison(), trial(0, [0.2], pruned=True)
    assert [each.value for each in comparison.of([ended], True)] == [0.2]
    grown = [ended, trial(1, [0.3, 0.5], pruned=False)]
    assert [each.value for each in comparison.of(grown, True)] == [pytest.approx(0.4), 0.5]
    # The study's own trials are as they were.
    assert ended.state is TrialState.PRUNED


def test_of_many_trials_the_best_and_the_latest_are_shown_whatever_was_asked_before():
    scores = [0.9, 0.1, 0.2, 0.3, 0.4, 0.5, 0.15, 0.25, 0.35, 0.45]
    trials = [trial(number, [score, score], pruned=number == 5) for number, score in enumerate(scores)]
    comparison = Comparison(most=5)
    assert [each.number for each in comparison.of(trials[:5], True)] == [0, 1, 2, 3, 4]
    assert [each.number for each in comparison.of(trials[:8], True)] == [0, 4, 5, 6, 7]
    shown = comparison.of(trials, True)
    assert [each.number for each in shown] == [0, 6, 7, 8, 9]
    assert [each.number for each in Comparison(most=5).of(trials, False)] == [1, 6, 7, 8, 9]
    # The one that was pruned would have gained nothing more.
    assert [each.value for each in Comparison(most=9).of(trials[:6], True)][5] == 0.5


@pytest.mark.parametrize(
    "sampler",
    [
        {"name": "tpe", "n_startup_trials": 1},
        {"name": "tpe", "multivariate": False, "group": False, "n_startup_trials": 1},
        {"name": "gp", "n_startup_trials": 1, "deterministic_objective": True},
    ],
    ids=["tpe", "tpe univariate", "gp"],
)
def test_samplers_go_where_pruned_trials_were_better(sampler, make_spec):
    """One bad trial was never pruned; better ones were, further up."""
    spec, comparison = make_spec(sampler=sampler, seed=1), Comparison()
    study = optuna.create_study(direction=spec.objective.direction)
    for number in range(12):
        x = number / 11
        study.add_trial(trial(number, [x, x + 0.1, x + 0.2][: 3 if number == 0 else 1], pruned=number > 0, x=x))
    drawn = []
    for _ in range(12):
        asked = study.ask()
        study.sampler = make_sampler(spec, asked.number, comparison=comparison)
        drawn.append(optuna.Trial(study, asked._trial_id).suggest_float("x", 0.0, 1.0))
        study.tell(asked, state=TrialState.FAIL)
    assert sum(drawn) / len(drawn) > 0.5, drawn


def test_a_paused_trial_is_worth_what_a_pruned_one_is_also_while_it_goes_on():
    first, pruned = trial(0, [0.1, 0.2, 0.3], pruned=False), trial(1, [0.3], pruned=True)
    comparison = Comparison()
    for outcome in ("paused", "promoted"):
        paused = trial(2, [0.3], pruned=True, outcome=outcome)
        paused.state = TrialState.RUNNING
        seen = comparison.of([first, pruned, paused], maximize=True)
        assert seen[2].state is TrialState.COMPLETE
        assert seen[2].value == seen[1].value == pytest.approx(0.5)
    running = trial(3, [0.3], pruned=True)
    running.state = TrialState.RUNNING
    assert comparison.of([first, pruned, paused, running], maximize=True)[3].state is TrialState.RUNNING
    # When it has gone on, it teaches what it gained, once.
    ended = trial(2, [0.3, 0.9, 0.9], pruned=False)
    grown = comparison.of([first, pruned, ended, running], maximize=True)
    assert grown[1].value == pytest.approx(0.3 + 0.35 + 0.05)
