"""No configuration is tried twice unless somebody asks for it, and a space that is used up ends its study."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import optuna
import pytest
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
)
from optuna.pruners import NopPruner
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState

from storage import leaderboard, progress
from tuner.trial.outcome import OUTCOME_ATTRIBUTE
from tuner.worker.search.comparing import Comparison
from tuner.worker.search.optuna_trials import LiveTrial, live_trial
from tuner.worker.search.sampling import make_sampler

COLOURS = CategoricalDistribution(["red", "green", "blue"])
SIZES = IntDistribution(1, 2)
SHARES = FloatDistribution(0.0, 1.0, step=0.5)
RATES = FloatDistribution(0.0, 1.0)

Begin = Callable[[], LiveTrial]


@pytest.fixture
def beginning(make_spec) -> Callable[..., Begin]:
    """Makes a study in memory, and gives what begins its trials."""

    def make(sampler: Any = "random", grid: Any = None) -> Begin:
        storage, spec, comparison = InMemoryStorage(), make_spec(sampler=sampler), Comparison()
        study = optuna.create_study(storage=storage, study_name="tried", direction="maximize")
        numbers: Iterator[int] = count()

        def begin() -> LiveTrial:
            trial_id = storage.create_new_trial(study._study_id)
            sampler = make_sampler(spec, next(numbers), grid, comparison)
            return live_trial("tried", storage, trial_id, sampler, NopPruner())

        return begin

    return make


def ask(trial: LiveTrial, name: str, distribution: BaseDistribution, value: Any = None) -> Any:
    return trial.suggest(name, distribution_to_json(distribution), value)


def build(trial: LiveTrial) -> tuple[Any, ...]:
    """Seven configurations: four of red, one of each other colour but blue, which has two."""
    colour = ask(trial, "colour", COLOURS)
    if colour == "red":
        return colour, ask(trial, "size", SIZES), ask(trial, "flag", CategoricalDistribution([False, True]))
    return (colour, ask(trial, "share", IntDistribution(3, 4))) if colour == "blue" else (colour,)


@pytest.mark.parametrize(
    "sampler", ["random", {"name": "tpe", "n_startup_trials": 2}, "qmc", {"name": "nsga2", "population_size": 2}]
)
def test_each_configuration_once_until_nothing_is_left(sampler, beginning):
    begin, seen = beginning(sampler), []
    for _ in range(7):
        trial = begin()
        seen.append(build(trial))
        assert not trial.exhausted
        trial.tell(TrialState.COMPLETE, [float(len(seen))], {})
    assert len(set(seen)) == 7
    assert trial.exhausted
    # More are asked for: they are given, and none waits for ever.
    assert build(begin()) in seen


def test_workers_that_race_take_different_ones(beginning):
    begin = beginning()
    first, second = begin(), begin()
    drawn: dict[LiveTrial, list[Any]] = {first: [], second: []}
    for name, distribution in (("size", SIZES), ("share", SHARES)):
        for trial in (first, second):
            drawn[trial].append(ask(trial, name, distribution))
    assert drawn[first] != drawn[second]
    assert not first.exhausted


def test_what_somebody_asks_for_is_tried_again(beginning):
    begin = beginning()
    for _ in range(2):
        trial = begin()
        assert ask(trial, "colour", COLOURS, "green") == "green"
        trial.tell(TrialState.COMPLETE, [0.5], {})


def test_a_continuous_parameter_is_never_used_up(beginning):
    begin = beginning()
    for _ in range(4):
        trial = begin()
        ask(trial, "one", IntDistribution(1, 1)), ask(trial, "rate", RATES)
        trial.tell(TrialState.COMPLETE, [0.5], {})
        assert not trial.exhausted


def test_choices_that_depend_on_other_values_are_never_called_used_up(beginning):
    begin, seen = beginning(), []
    for _ in range(6):
        trial = begin()
        deep = ask(trial, "deep", CategoricalDistribution([False, True]))
        seen.append((deep, ask(trial, "activation", CategoricalDistribution(["relu", "tanh", "gelu"][: 2 + deep]))))
        trial.tell(TrialState.COMPLETE, [0.5], {})
        assert not trial.exhausted
    assert len(set(seen)) == 5


def test_a_space_without_hyperparameters_may_be_trained_as_often_as_the_spec_says(beginning):
    trial = beginning()()
    trial.tell(TrialState.COMPLETE, [0.5], {})
    assert not trial.exhausted


@pytest.mark.parametrize("sampler", ["random", "brute_force", "grid"])
def test_what_is_paused_has_been_tried(beginning, sampler):
    begin = beginning(sampler, {"colour": ["red", "green", "blue"], "size": [1, 2]} if sampler == "grid" else None)
    trials, seen = [], set()
    for left in reversed(range(6)):
        trials.append(begin())
        seen.add((ask(trials[-1], "colour", COLOURS), ask(trials[-1], "size", SIZES)))
        assert not trials[-1].exhausted, "it has not come to anything"
        trials[-1].remember(OUTCOME_ATTRIBUTE, "promoted" if left == 3 else "paused")
        assert trials[-1].exhausted == (left == 0)
    assert len(seen) == 6
    trials[0].tell(TrialState.PRUNED, [], {})
    trials[0].tell(TrialState.PRUNED, [], {})
    assert trials[0].exhausted


def test_a_study_ends_when_its_space_is_used_up(create_study, run_worker, make_spec, database):
    spec = make_spec("Fast", trials=20, sampler="random", training={"epochs": 1, "batch_size": 16})
    create_study(spec)
    run_worker(spec)
    trials = [t for t in leaderboard.trials(database, spec.study) if t.outcome]
    assert len({tuple(t.params.items()) for t in trials}) == len(trials) == 8
    now = progress.status(database, spec.study)
    assert (now.state, now.reason) == ("finished", "every configuration of the search space has been tried")


def test_a_study_ends_when_nothing_better_comes(create_study, run_worker, make_spec, database):
    spec = make_spec(
        "Ranked",
        trials=8,
        sampler="random",
        pruner="none",
        stop_when={"no_better_in": 2},
        training={"epochs": 1, "batch_size": 16},
        objective={"metric": "val_score", "direction": "maximize"},
    )
    create_study(spec)
    run_worker(spec)
    # The first trial takes the default, which is the best of all.
    now = progress.status(database, spec.study)
    assert (now.state, now.complete, now.open) == ("finished", 3, 5)
    assert now.reason == "no better trial in 2; the best is trial 0"
