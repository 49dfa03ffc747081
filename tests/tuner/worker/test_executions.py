"""A trial of several executions, from the worker to what is shown of it."""

from __future__ import annotations

from statistics import fmean

import pytest

from storage import leaderboard
from tuner.champion.choosing.candidates import export_request, kept_trial
from tuner.presentation.views import print_trial
from tuner.study.open_study import OpenStudy


@pytest.mark.fast
def test_executions_are_recorded_compared_and_shown(create_study, run_worker, make_spec, database, cache, capsys):
    training = {"epochs": 2, "batch_size": 16, "executions_per_trial": 2, "early_stopping": None}
    spec = make_spec("Fast", trials=1, training=training)
    record = create_study(spec)
    run_worker(spec)

    detail = leaderboard.trial(database, spec.study, 0)
    assert [(row.epoch, row.metrics["execution"]) for row in detail.curve] == [(1, 1), (2, 1), (3, 2), (4, 2)]
    values = [row.metrics["val_accuracy"] for row in detail.curve]
    best = fmean(values[:2]), fmean(values[2:])
    assert detail.summary.value == pytest.approx(fmean(best))
    assert detail.summary.epochs == 4

    (trial,) = database.optuna.get_all_trials(record.study_id)
    assert trial.value == detail.summary.value
    # What the pruner compares is what the first execution is worth so far.
    assert trial.intermediate_values == {1: values[0], 2: best[0]}

    study = OpenStudy(database, record, cache)
    with export_request(study, kept_trial(study, 0)) as request:
        # What the proof must find is the score of the epoch that is kept.
        assert request.value == max(values[:2] if best[0] >= best[1] else values[2:])

    print_trial(spec.study, detail)
    shown = capsys.readouterr().out
    assert "the mean of 2 executions (spread " in shown
    assert f"the best one in epoch {detail.best_epoch}" in shown
    assert shown.splitlines()[-5].split()[:3] == ["epoch", "execution", "accuracy"]
