"""Every way a trial can end: its outcome, its reason stored, and the search goes on."""

from __future__ import annotations

import pytest

from storage import leaderboard, leases, progress, studies

EXPECTED = {
    "complete": ("complete", "complete", None),
    "value_error": ("infeasible", "failed", "build refused the configuration: kernel 9 does not fit into 8 pixels"),
    "exception": ("failed", "failed", "RuntimeError: a bug of the space's author"),
    "too_large": ("infeasible", "failed", "the model has 294,915 parameters, more than max_parameters 100,000"),
    "nan": ("diverged", "pruned", "the loss is nan in batch"),
    "keyboard_interrupt": ("failed", "failed", "given up after 3 attempts (1: KeyboardInterrupt"),
    "sigkill": ("failed", "failed", "given up after 3 attempts (1: killed by SIGKILL"),
    "sigterm": ("failed", "failed", "given up after 3 attempts (1: stopped"),
    "memory": ("out_of_memory", "failed", "out of memory ("),
    "hang": ("timed_out", "failed", "no end within trial_timeout (15 s); 0 epochs trained"),
    "not_compiled": ("failed", "failed", "TypeError: build returned a model that is not compiled"),
    "exit": ("failed", "failed", "ended with exit code 7 and no result"),
}


@pytest.mark.slow
def test_each_end_has_its_outcome_and_the_search_goes_on(create_study, run_worker, make_spec, database):
    spec = make_spec(
        "Outcomes",
        trials=len(EXPECTED),
        sampler="grid",
        training={"epochs": 1, "batch_size": 16, "trial_timeout": 15, "max_parameters": 100_000},
        resources={"slots": 2},
    )
    record = create_study(spec, grid={"case": list(EXPECTED)})
    run_worker(spec)

    trials = leaderboard.trials(database, spec.study)
    details = {item.params["case"]: leaderboard.trial(database, spec.study, item.trial) for item in trials}
    assert {case: (d.summary.outcome, d.summary.state) for case, d in details.items()} == {
        case: (outcome, state) for case, (outcome, state, _) in EXPECTED.items()
    }
    for case, (_, _, reason) in EXPECTED.items():
        assert (reason is None) == (details[case].reason is None), case
        assert reason is None or reason in details[case].reason
    assert "a bug of the space's author" in details["exception"].traceback
    assert leases.counts(database, record.study_id).closed == len(EXPECTED)
    assert studies.load_study(database, spec.study).state == "finished"


def test_a_bug_in_every_trial_stops_the_study_with_its_cause(create_study, run_worker, make_spec, database):
    spec = make_spec("AlwaysBroken", trials=30, training={"epochs": 1})
    create_study(spec)
    run_worker(spec)

    now = progress.status(database, spec.study)
    assert now.state == "failed"
    assert "5 trials in a row failed with the same cause: RuntimeError at spaces.py" in now.reason
    assert (now.failed, now.complete) == (5, 0)
    assert now.open == 25


def test_a_full_disk_fails_the_trial_and_the_study_goes_on(create_study, run_worker, make_spec, database):
    spec = make_spec("FillsDisk", trials=2, sampler="grid")
    create_study(spec, grid={"full": [False, True]})
    run_worker(spec)

    ends = {
        t.params["full"]: leaderboard.trial(database, spec.study, t.trial)
        for t in leaderboard.trials(database, "shapes")
    }
    assert ends[False].summary.outcome == "complete"
    assert ends[True].summary.outcome == "failed"
    assert "File too large" in ends[True].reason
    assert ends[True].checkpoint is None
    assert studies.load_study(database, spec.study).state == "finished"


def test_a_fatal_error_ends_the_search(create_study, run_worker, make_spec, database):
    spec = make_spec("Fatal", trials=4)
    create_study(spec)
    run_worker(spec)
    now = progress.status(database, spec.study)
    assert (now.state, now.failed) == ("failed", 1)
    assert now.reason == "trial 0 ended the search: FatalValueError: the license server is away"
