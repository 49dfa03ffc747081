"""Several objectives and constraints, end to end: worker, trial processes, database, Optuna."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest

from storage import leaderboard, leases, presets, studies

SCORE = {"metric": "val_score", "direction": "maximize"}
SIZES = [SCORE, {"metric": "parameters", "direction": "minimize"}]
ONE_EPOCH = {"epochs": 1, "batch_size": 16}
GRID = {"units": [4, 8, 12], "waste": [0, 8], "diverges": [False]}
PARAMETERS = {
    (units, waste): 64 * (units + waste) + 8 * (units + waste) + 3 for units in (4, 8, 12, 16) for waste in (0, 8)
}


def in_optuna(database, record):
    study = optuna.load_study(study_name=record.name, storage=database.optuna)
    return study, study.get_trials()


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "gp", "brute_force"])
def test_a_sampler_searches_several_objectives(sampler, create_study, run_worker, make_spec, database):
    options = {"tpe": {"n_startup_trials": 2}, "gp": {"n_startup_trials": 2}, "nsga2": {"population_size": 2}}
    spec = make_spec(
        "Sized",
        trials=6,
        objective=SIZES,
        constraints={"parameters": "<= 1000", "val_loss": "< 1e9"},
        sampler={"name": sampler, **options.get(sampler, {})},
        pruner="asha",
        training=ONE_EPOCH,
    )
    record = create_study(spec)
    # What diverged is told as pruned, which samplers must take without values.
    presets.enqueue(database, record.name, {"diverges": True})
    presets.enqueue(database, record.name, {"diverges": False, "units": 16, "waste": 8})
    run_worker(spec)

    trials = leaderboard.trials(database, record.name)
    assert trials[0].outcome == "diverged"
    assert {each.outcome for each in trials} <= {"complete", "diverged"}
    study, told = in_optuna(database, record)
    complete = [each for each in trials if each.outcome == "complete"]
    for each in complete:
        size = PARAMETERS[each.params["units"], each.params["waste"]]
        assert told[each.trial].values == [pytest.approx(each.params["units"] / 100), size]
        assert told[each.trial].constraints["parameters"] == pytest.approx(size / 1000 - 1)
        assert told[each.trial].constraints["val_loss"] < 0
        assert each.measures["parameters"] == size and set(each.measures) == {"val_score", "parameters", "val_loss"}
        assert (each.violation == 0) == (size <= 1000)
    assert any(each.violation for each in complete)
    within = [each for each in complete if not each.violation]
    if within:
        found = {each.trial for each in leaderboard.best(database, record.name, None)}
        assert found == {each.number for each in study.best_trials}


def test_the_models_of_the_front_are_kept(create_study, run_worker, make_spec, database):
    spec = make_spec("Sized", trials=6, objective=SIZES, sampler="grid", keep_checkpoints=2, training=ONE_EPOCH)
    record = create_study(spec, grid=GRID)
    run_worker(spec)

    front = leaderboard.best(database, record.name, None)
    assert [(each.params["units"], each.params["waste"]) for each in front] == [(12, 0), (8, 0), (4, 0)]
    kept = {int(path.parts[-3]) for path in Path(record.artifacts).rglob("best.keras")}
    assert kept == {each.trial for each in front[:2]}
    assert leases.checkpoints(database, record.study_id, record.objectives) == [each.trial for each in front[:2]]


def test_export_bytes_and_latency_are_of_the_kept_model(create_study, run_worker, make_spec, database):
    spec = make_spec("Fast", trials=1, objective=["val_accuracy", "export_bytes", "latency_ms"], training=ONE_EPOCH)
    record = create_study(spec)
    run_worker(spec)
    (trial,) = leaderboard.trials(database, record.name)
    (kept,) = Path(record.artifacts).rglob("best.keras")
    assert trial.measures["export_bytes"] == kept.stat().st_size
    # Reading an epoch's data alone takes longer than a minute on no machine; nothing takes no time.
    assert 0 < trial.measures["latency_ms"] < 60_000
    assert in_optuna(database, record)[1][0].values == list(trial.measures.values())


def test_a_trial_beyond_a_constraint_does_not_reach_the_target(create_study, run_worker, make_spec, database):
    spec = make_spec(
        "Sized",
        trials=3,
        objective=SCORE,
        target=0.1199,
        constraints={"parameters": "<= 1000"},
        sampler="random",
        training=ONE_EPOCH,
    )
    record = create_study(spec)
    for values in ({"units": 16, "waste": 8}, {"units": 12, "waste": 0}, {"units": 4, "waste": 0}):
        presets.enqueue(database, record.name, {**values, "diverges": False})
    run_worker(spec)
    ended = studies.load_study(database, record.name)
    assert (ended.state, ended.reason) == ("finished", "target 0.1199 reached by trial 1")
    assert [each.trial for each in leaderboard.best(database, record.name, 5)] == [1, 0]


def test_a_pruned_trial_is_held_to_the_constraints(create_study, run_worker, make_spec, database):
    spec = make_spec(
        "Sized",
        trials=1,
        objective=SCORE,
        constraints={"parameters": "<= 1000", "latency_ms": "< 1e9"},
        sampler="random",
        pruner={"name": "threshold", "lower": 0.5},
        training={**ONE_EPOCH, "epochs": 2},
    )
    record = create_study(spec)
    presets.enqueue(database, record.name, {"units": 16, "waste": 8, "diverges": False})
    run_worker(spec)
    (trial,) = leaderboard.trials(database, record.name)
    size = PARAMETERS[16, 8]
    assert (trial.outcome, trial.measures["parameters"]) == ("pruned", size)
    assert trial.violation == pytest.approx(size / 1000 - 1)
    told = in_optuna(database, record)[1][0]
    violation = pytest.approx(size / 1000 - 1)
    # By name, and in the list that optuna-dashboard reads. Its model is kept, so its latency is known too.
    assert (told.constraints["parameters"], told.constraints["0"]) == (violation, violation)
    assert told.constraints["latency_ms"] == told.constraints["1"] < 0


def test_what_a_dead_worker_did_not_tell_is_told_the_same(create_study, run_worker, make_spec, database):
    spec = make_spec("Sized", trials=1, objective=SIZES, constraints={"parameters": "<= 1000"}, training=ONE_EPOCH)
    record = create_study(spec)
    lease = leases.start_trial(database, leases.acquire(database, record.study_id, "dead", 3600))
    measures = {"val_score": 0.2, "parameters": 1500.0}
    result = leases.TrialResult(
        lease.trial_id, lease.number, "complete", value=0.2, best_epoch=1, measures=measures, violation=0.5
    )
    leases.close(database, lease, result)
    # It may have died in between.
    optuna.trial.Trial(in_optuna(database, record)[0], lease.trial_id).set_constraint("parameters", 0.5)
    run_worker(spec)
    told = in_optuna(database, record)[1][0]
    assert (told.state.name, told.values, told.constraints["parameters"]) == ("COMPLETE", [0.2, 1500.0], 0.5)


def test_an_adopted_trial_has_the_measures_that_it_would_have_had(
    create_study, start_worker, run_worker, make_spec, database, tmp_path, eventually
):
    gate = tmp_path / "gate"
    spec = make_spec(
        "Slow",
        options={"gate": str(gate)},
        trials=1,
        objective=["val_accuracy", "parameters"],
        constraints={"parameters": "<= 100"},
        training={"epochs": 2, "batch_size": 16},
    )
    record = create_study(spec)
    first = start_worker(spec, lease_seconds=1)
    eventually(lambda: [each for each in leaderboard.trials(database, record.name) if each.epochs == 1])
    first.kill()
    gate.touch()
    run_worker(spec)
    (trial,) = leaderboard.trials(database, record.name)
    assert leaderboard.trial(database, record.name, 0).attempts == 2
    told = in_optuna(database, record)[1][0]
    assert told.values == [trial.value, trial.measures["parameters"]]
    assert told.constraints["parameters"] == trial.violation and trial.violation > 0


def test_enqueued_values_are_what_the_next_trial_has(create_study, run_worker, make_spec, database):
    spec = make_spec("Fast", trials=3, sampler="tpe", training=ONE_EPOCH)
    record = create_study(spec)
    presets.enqueue(database, record.name, {"units": 8, "rate": 0.01})
    presets.enqueue(database, record.name, {"dropped": True})
    run_worker(spec)
    first, second, _ = leaderboard.trials(database, record.name)
    assert first.params == {"units": 8, "rate": 0.01, "dropped": False}
    assert second.params["dropped"] is True and len(second.params) == 3
