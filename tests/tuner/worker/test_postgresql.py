"""The same worker on PostgreSQL, with the database going away in the middle."""

from __future__ import annotations

from pathlib import Path

import pytest
from disruption.proxy import Proxy

from storage import leaderboard, leases, progress
from storage.connecting import connect


@pytest.fixture
def database(new_postgres_url):
    opened = connect(new_postgres_url, create=True)
    yield opened
    opened.close()


@pytest.fixture
def proxy(database):
    """A way to the database that can be cut."""
    target = database.engine.url
    return Proxy(target.host, target.port or 5432)


@pytest.fixture
def proxied_url(database, proxy):
    return database.engine.url.set(host="127.0.0.1", port=proxy.port).render_as_string(hide_password=False)


def assert_exact(database, record, epochs):
    trials = leaderboard.trials(database, record.name)
    assert [(t.trial, t.outcome, t.epochs) for t in trials] == [(n, "complete", epochs) for n in range(record.budget)]
    assert leases.counts(database, record.study_id).closed == record.budget
    assert [leaderboard.trial(database, record.name, t.trial).attempts for t in trials] == [1] * record.budget


def test_a_database_that_goes_away_costs_no_trial_and_no_epoch(
    create_study, start_worker, make_spec, database, proxy, proxied_url, eventually
):
    spec = make_spec("Fast", trials=3, training={"epochs": 20, "batch_size": 16, "early_stopping": None})
    record = create_study(spec)
    # The lease runs out while the database is away; nobody adopts the trial, so the worker keeps it.
    worker = start_worker(spec, proxied_url, lease_seconds=1)
    for trial in (0, 2):
        eventually(lambda trial=trial: _epochs(database, spec.study, trial) >= 2)
        proxy.cut()
        eventually(
            lambda trial=trial: "trials continue" in worker.log.read_text().partition(f"trial {trial}: attempt")[2]
        )
        eventually(lambda trial=trial: leases.counts(database, record.study_id).held == 0)
        proxy.restore()
    assert worker.wait(120)
    worker.raise_if_failed()
    assert_exact(database, record, epochs=20)
    assert worker.log.read_text().count("trials continue") == 2
    assert worker.log.read_text().count("the database is back") == 2


def _epochs(database, study, trial):
    return next((t.epochs for t in leaderboard.trials(database, study) if t.trial == trial), 0)


def test_a_worker_leaves_in_order_while_the_database_is_away(
    create_study, start_worker, run_worker, make_spec, database, proxy, proxied_url, tmp_path, eventually
):
    gate = tmp_path / "gate"
    spec = make_spec("Slow", options={"gate": str(gate)}, trials=1, training={"epochs": 3, "batch_size": 16})
    record = create_study(spec)
    worker = start_worker(spec, proxied_url, lease_seconds=1)
    eventually(lambda: _epochs(database, spec.study, 0) == 1)
    proxy.cut()
    eventually(lambda: "trials continue" in worker.log.read_text())
    worker.stop()
    assert worker.wait(30)
    worker.raise_if_failed()
    said = worker.log.read_text()
    assert said.count("cannot use the database") == 2
    assert "this worker's leases will expire" in said
    assert list(Path(record.artifacts).rglob("*.npz"))

    gate.touch()
    run_worker(spec)
    ended = leaderboard.trial(database, spec.study, 0)
    assert (ended.summary.outcome, [epoch.epoch for epoch in ended.curve]) == ("complete", [1, 2, 3])
    assert "resumed after epoch 1" in _trial_log(ended)


def test_a_database_that_returns_while_its_worker_leaves_misses_no_epoch(
    create_study, start_worker, run_worker, make_spec, database, proxy, proxied_url, tmp_path, eventually
):
    gate = tmp_path / "gate"
    spec = make_spec("Slow", options={"gate": str(gate)}, trials=1, training={"epochs": 3, "batch_size": 16})
    record = create_study(spec)
    worker = start_worker(spec, proxied_url)
    eventually(lambda: _epochs(database, spec.study, 0) == 1)
    proxy.cut()
    gate.touch()
    # The worker waits with epoch 2; epoch 3 and the trial's end are behind it.
    eventually(lambda: list(Path(record.artifacts).rglob("best.keras")))
    worker.stop()
    proxy.restore()
    assert worker.wait(30)
    worker.raise_if_failed()

    run_worker(spec)
    ended = leaderboard.trial(database, spec.study, 0)
    assert (ended.summary.outcome, [epoch.epoch for epoch in ended.curve]) == ("complete", [1, 2, 3])


@pytest.mark.fast
def test_a_worker_that_starts_during_an_outage_waits(
    create_study, start_worker, make_spec, database, proxy, proxied_url, eventually
):
    spec = make_spec("Fast", trials=1)
    create_study(spec)
    proxy.cut()
    worker = start_worker(spec, proxied_url)
    eventually(lambda: "this worker waits for it" in worker.log.read_text())
    proxy.restore()
    assert worker.wait(60)
    worker.raise_if_failed()
    assert progress.status(database, spec.study).complete == 1
    assert worker.log.read_text().count("cannot use the database") == 1


def _trial_log(ended):
    return Path(ended.log).read_text()
