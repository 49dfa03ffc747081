"""Every sampler and pruner that a spec may name, end to end: worker, trial processes, database."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest
from optuna.distributions import FloatDistribution

from storage import leaderboard, leases, presets, progress, studies
from tuner.errors import SpecError
from tuner.spec.choices import PRUNERS, SAMPLERS
from tuner.worker.search.sampling import ENUMERATING, make_pruner, make_sampler

GRID_OF_FAST = {"units": [4, 8], "rate": [0.001, 0.01], "dropped": [False, True]}


@pytest.mark.parametrize("name", [name for name in SAMPLERS if name not in ENUMERATING])
def test_a_sampler_fills_the_budget(name, create_study, run_worker, make_spec, database):
    options = {"n_startup_trials": 2} if name in ("tpe", "gp", "cmaes") else {}
    options = {"population_size": 2} if name == "nsga2" else options
    spec = make_spec("Fast", trials=4, sampler={"name": name, **options}, training={"epochs": 1, "batch_size": 16})
    create_study(spec)
    run_worker(spec)

    trials = leaderboard.trials(database, spec.study)
    assert [t.outcome for t in trials] == ["complete"] * 4
    assert all(set(t.params) == {"units", "rate", "dropped"} for t in trials)
    assert {t.params["units"] for t in trials} <= {4, 8}


@pytest.mark.parametrize("name", ENUMERATING)
def test_an_enumerated_space_ends_the_study(name, create_study, run_worker, make_spec, database):
    spec = make_spec("Fast", trials=20, sampler=name, training={"epochs": 1, "batch_size": 16})
    create_study(spec, grid=GRID_OF_FAST)
    run_worker(spec)

    trials = [t for t in leaderboard.trials(database, spec.study) if t.outcome]
    assert len({tuple(t.params.items()) for t in trials}) == len(trials) == 8
    now = progress.status(database, spec.study)
    assert (now.state, now.complete, now.open) == ("finished", 8, 12)
    assert now.reason == "every configuration of the search space has been tried"


def test_a_random_draw_does_not_depend_on_what_was_drawn_before(make_spec):
    spec, distribution = make_spec(sampler="random", seed=5), FloatDistribution(0.0, 1.0)

    def draw(number, names):
        sampler, study = make_sampler(spec, number), optuna.create_study()
        frozen = study._storage.get_trial(study.ask()._trial_id)
        return {name: sampler.sample_independent(study, frozen, name, distribution) for name in names}

    whole = draw(3, ("units", "rate", "dropped"))
    assert len(set(whole.values())) == 3
    # As another worker goes on after the first one died between two of them.
    assert draw(3, ("units",)) | draw(3, ("rate", "dropped")) == whole
    assert draw(4, ("units", "rate", "dropped")) != whole


def test_trial_0_takes_the_defaults_whichever_lease_it_comes_from(
    create_study, start_worker, make_spec, database, eventually
):
    spec = make_spec("Deterministic", trials=2, sampler="random", training={"epochs": 1, "batch_size": 16})
    record = create_study(spec)
    # A worker that has the first lease, and is slow to make a trial of it.
    slow = leases.acquire(database, record.study_id, "slow", 3600)
    worker = start_worker(spec)
    eventually(lambda: leases.counts(database, record.study_id).closed)
    leases.release(database, slow, spend_attempt=False)
    assert worker.wait(60)
    trials = leaderboard.trials(database, spec.study)
    assert trials[0].params == {"units": 6, "rate": 0.001}
    assert trials[1].params != trials[0].params


def test_the_first_trial_draws_what_nobody_chose(create_study, run_worker, make_spec, database):
    spec = make_spec("Unadvised", trials=1, sampler="random", training={"epochs": 1, "batch_size": 16})
    create_study(spec)
    run_worker(spec)
    (first,) = leaderboard.trials(database, spec.study)
    assert first.params["advised"] == 6
    assert first.params["rate"] > 1e-4


def test_the_portfolio_is_tried_first_and_what_is_enqueued_before_it(create_study, run_worker, make_spec, database):
    spec = make_spec("Deterministic", trials=3, sampler="random", training={"epochs": 1, "batch_size": 16})
    create_study(spec, portfolio=[{}, {"units": 9}])
    presets.enqueue(database, spec.study, {"units": 8})
    run_worker(spec)
    # The first configuration gave way, and what a configuration does not name is a default.
    found = [each.params for each in leaderboard.trials(database, spec.study)]
    assert found[0] == {"units": 8, "rate": 0.001}
    assert found[1] == {"units": 9, "rate": 0.001}
    assert found[2]["rate"] != 0.001


OPTIONS = {
    "threshold": {"lower": 0.55},
    "patient": {"patience": 0, "wrapped": {"name": "median", "n_startup_trials": 1}},
}
OPTIONS |= {"median": {"n_startup_trials": 1}, "percentile": {"n_startup_trials": 1}}


@pytest.mark.parametrize("name", PRUNERS)
def test_a_pruner_decides(name, create_study, run_worker, make_spec, database):
    spec = make_spec(
        "Ranked",
        trials=4,
        sampler="grid",
        pruner={"name": name, **OPTIONS.get(name, {})},
        training={"epochs": 3, "batch_size": 16, "early_stopping": None},
        objective={"metric": "val_score", "direction": "maximize"},
    )
    create_study(spec, grid={"score": [0.9, 0.7, 0.5, 0.3]})
    run_worker(spec)

    trials = leaderboard.trials(database, spec.study)
    assert {t.outcome for t in trials} <= {"complete", "pruned"}
    pruned = [t for t in trials if t.outcome == "pruned"]
    assert (not pruned) == (name == "none")
    assert all(t.epochs < 3 or name == "hyperband" for t in pruned)
    assert studies.load_study(database, spec.study).state == "finished"


def test_a_pruned_trial_that_ranks_keeps_the_model_of_its_best_epoch(create_study, run_worker, make_spec, database):
    spec = make_spec(
        "Ranked",
        trials=3,
        sampler="grid",
        keep_checkpoints=1,
        # Ends the better trials, which is absurd, and known in advance.
        pruner={"name": "threshold", "upper": 0.6, "n_warmup_steps": 2},
        training={"epochs": 3, "batch_size": 16, "early_stopping": None},
        objective={"metric": "val_score", "direction": "maximize"},
    )
    record = create_study(spec, grid={"score": [0.9, 0.8, 0.3]})
    run_worker(spec)

    trials = {trial.params["score"]: trial for trial in leaderboard.trials(database, spec.study)}
    assert [(trials[score].outcome, trials[score].epochs) for score in (0.9, 0.8, 0.3)] == [
        ("pruned", 2), ("pruned", 2), ("complete", 3)
    ]  # fmt: skip
    first = leaderboard.trial(database, spec.study, trials[0.9].trial)
    # The first epoch is the better one; it is worth as much as the second one lets it.
    values = [epoch.metrics["val_score"] for epoch in first.curve]
    assert (first.best_epoch, first.summary.value) == (1, sum(values) / 2)
    (told,) = [each for each in database.optuna.get_all_trials(record.study_id) if each.number == first.summary.trial]
    assert (told.value, told.intermediate_values) == (first.summary.value, {1: values[0], 2: first.summary.value})

    assert [each.trial for each in leaderboard.best(database, spec.study, 5)] == [
        trials[0.9].trial, trials[0.3].trial
    ]  # fmt: skip
    kept = [trial for trial in trials.values() if leaderboard.trial(database, spec.study, trial.trial).checkpoint]
    assert [trial.params["score"] for trial in kept] == [0.9]
    assert [path.parts[-3] for path in Path(record.artifacts).rglob("best.keras")] == [f"{kept[0].trial:05d}"]


def test_no_trial_is_pruned_at_its_last_epoch(create_study, run_worker, make_spec, database):
    spec = make_spec(
        "Ranked",
        trials=3,
        sampler="grid",
        pruner={"name": "threshold", "upper": 0.0, "n_warmup_steps": 2},
        training={"epochs": 2, "batch_size": 16, "early_stopping": None},
        objective={"metric": "val_score", "direction": "maximize"},
    )
    create_study(spec, grid={"score": [0.9, 0.7, 0.5]})
    run_worker(spec)
    assert [(t.outcome, t.epochs) for t in leaderboard.trials(database, spec.study)] == [("complete", 2)] * 3


@pytest.mark.parametrize(("epochs", "first"), [(10, 1), (20, 1), (100, 6)])
def test_halving_begins_after_a_sixteenth_of_the_epochs(epochs, first, make_spec):
    spec = make_spec(pruner="asha", training={"epochs": epochs})
    study = optuna.create_study(direction="maximize", pruner=make_pruner(spec))
    for value in (0.9, 0.8, 0.7, 0.6):
        trial = study.ask()
        decided = []
        for epoch in range(1, first + 1):
            trial.report(value, epoch)
            decided.append(trial.should_prune())
        assert decided == [False] * (first - 1) + [value < 0.9]


@pytest.mark.parametrize(
    ("reported", "pruned"),
    [([0.1, 0.2, 0.2, 0.2], False), ([0.1, 0.2, 0.2, 0.2, 0.2], True), ([0.1, 0.2, 0.2, 0.2, 0.2000001], True)],
)
def test_patience_counts_the_epochs_without_a_better_value(reported, pruned, make_spec):
    pruner = {"name": "patient", "patience": 2, "min_delta": 0.001, "wrapped": {"name": "threshold", "upper": 0.0}}
    study = optuna.create_study(direction="maximize", pruner=make_pruner(make_spec(pruner=pruner)))
    trial = study.ask()
    for epoch, value in enumerate(reported, 1):
        trial.report(value, epoch)
    assert trial.should_prune() is pruned


@pytest.mark.parametrize(
    ("section", "named", "said"),
    [
        (
            "sampler",
            {"name": "tpe", "startup": 3},
            "sampler.startup: unknown option; did you mean n_startup_trials? allowed",
        ),
        (
            "sampler",
            {"name": "tpe", "n_startup_trials": "many"},
            "sampler.n_startup_trials: must be an integer (it is 'many')",
        ),
        ("sampler", {"name": "tpe", "multivariate": 1}, "sampler.multivariate: must be a boolean (it is 1)"),
        # It comes from the spec's seed, and no YAML gives a function.
        ("sampler", {"name": "tpe", "seed": 1}, "sampler.seed: unknown option"),
        ("sampler", {"name": "tpe", "gamma": 3}, "sampler.gamma: unknown option"),
        ("sampler", {"name": "grid", "search_space": 3}, "sampler.search_space: must be a mapping"),
        ("sampler", {"name": "qmc", "qmc_type": "nope"}, "sampler: qmc:"),
        ("pruner", {"name": "asha", "reduction_factor": 1}, "pruner: asha:"),
        ("pruner", {"name": "threshold"}, "pruner: threshold:"),
        ("pruner", {"name": "patient", "wrapped": "patient"}, "pruner.wrapped: one of"),
        ("pruner", {"name": "patient", "wrapped": "nope"}, "pruner.wrapped: there is no 'nope'; choose one of asha"),
        (
            "pruner",
            {"name": "patient", "wrapped": {"name": "median", "n_warmup_steps": "x"}},
            "pruner.wrapped.n_warmup",
        ),
    ],
)
def test_impossible_options_are_refused_with_their_key(section, named, said, make_spec):
    spec = make_spec(**{section: named})
    with pytest.raises(SpecError) as refused:
        make_sampler(spec, 0) if section == "sampler" else make_pruner(spec)
    assert said in str(refused.value)
