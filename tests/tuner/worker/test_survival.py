"""Workers and trial processes that are stopped, killed and frozen: the budget stays exact and nothing is done twice."""

from __future__ import annotations

import os
import signal
import tempfile
import threading
from pathlib import Path

import psutil
import pytest
from disruption.models import same_weights

from storage import leaderboard, leases, progress, studies
from storage.connecting import connect
from storage.held_folders import scratch_folder
from tuner.worker.taking_up import what_was_found
from tuner.worker.trial_process import start_forkserver


def curve(database, study, number):
    """Epochs and metrics of a trial, as stored."""
    return [(epoch.epoch, epoch.metrics) for epoch in leaderboard.trial(database, study, number).curve]


@pytest.fixture
def gate(tmp_path):
    return tmp_path / "gate"


@pytest.fixture
def slow(make_spec, gate):
    """One epoch is free; the others wait for the gate."""
    return make_spec("Slow", options={"gate": str(gate)}, trials=2, training={"epochs": 3, "batch_size": 16})


@pytest.fixture
def system_folder():
    """For temporary files, with a path that leaves room for sockets in it."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def trained_an_epoch(database, study):
    return lambda: [t for t in progress.status(database, study).running_trials if t.epoch]


def trial_processes(worker):
    """The processes that the worker's forkserver has forked."""
    forkservers = [
        child
        for child in psutil.Process(worker.pid).children(recursive=True)
        if "forkserver" in " ".join(child.cmdline())
    ]
    parents = {child.pid for child in forkservers}
    return [child for child in forkservers if child.ppid() in parents]


def assert_exact(database, record, epochs):
    """Every lease closed once, by a trial of its own, with every epoch there once."""
    trials = leaderboard.trials(database, record.name)
    assert [t.trial for t in trials] == list(range(record.budget))
    assert {t.outcome for t in trials} == {"complete"}
    assert leases.counts(database, record.study_id).closed == record.budget
    for trial in trials:
        assert [epoch for epoch, _ in curve(database, record.name, trial.trial)] == list(range(1, epochs + 1))


@pytest.mark.fast
def test_a_stopped_trial_goes_on_as_if_nothing_had_happened(create_study, run_worker, make_spec, database, eventually):
    spec = make_spec(
        "Deterministic",
        trials=1,
        sampler="random",
        seed=3,
        training={"epochs": 20, "batch_size": 16, "deterministic": True, "early_stopping": {"patience": 17}},
    )
    undisturbed = spec.model_copy(update={"study": "undisturbed"})
    create_study(undisturbed)
    run_worker(undisturbed)

    record = create_study(spec)
    stops = 0
    while studies.load_study(database, spec.study).state != "finished":
        studies.take_up(database, record.study_id, timeout=None)
        watcher = threading.Thread(
            target=_stop_after_more_epochs, args=(str(database.engine.url), spec.study, stops < 2, eventually)
        )
        watcher.start()
        run_worker(spec, poll_seconds=0.02)
        watcher.join()
        stops += 1
    assert stops > 1
    assert curve(database, spec.study, 0) == curve(database, "undisturbed", 0)
    assert leaderboard.trial(database, spec.study, 0).attempts == 1
    assert _values(database, spec.study) == _values(database, "undisturbed")


def test_a_trial_that_was_interrupted_after_its_last_epoch_keeps_the_same_model(
    create_study, run_worker, start_worker, make_spec, database, gate, eventually
):
    training = {"epochs": 2, "batch_size": 16, "deterministic": True}
    spec = make_spec("Lingers", options={"gate": str(gate)}, trials=1, sampler="random", training=training)
    create_study(spec)
    worker = start_worker(spec)
    eventually(lambda: trained_an_epoch(database, spec.study)() and len(curve(database, spec.study, 0)) == 2)
    worker.stop()
    assert worker.wait(30)
    gate.touch()
    run_worker(spec)
    ended = leaderboard.trial(database, spec.study, 0)
    assert "resumed after epoch 2" in Path(ended.log).read_text()

    undisturbed = spec.model_copy(update={"study": "undisturbed"})
    create_study(undisturbed)
    run_worker(undisturbed)
    assert same_weights(Path(ended.checkpoint), Path(leaderboard.trial(database, "undisturbed", 0).checkpoint))


def _stop_after_more_epochs(url, study, stop, eventually):
    database = connect(url)
    before = sum(len(curve(database, study, t.trial)) for t in leaderboard.trials(database, study))
    if stop:
        eventually(
            lambda: sum(len(curve(database, study, t.trial)) for t in leaderboard.trials(database, study)) > before
        )
        studies.request_stop(database, study)
    database.close()


def _values(database, study):
    return [(t.value, t.params, t.metrics, t.epochs) for t in leaderboard.trials(database, study)]


def test_sigterm_leaves_a_checkpoint_and_an_open_lease(
    create_study, start_worker, run_worker, slow, gate, database, eventually
):
    record = create_study(slow)
    worker = start_worker(slow)
    eventually(trained_an_epoch(database, slow.study))
    worker.stop()
    assert worker.wait(10)
    worker.raise_if_failed()

    assert leases.counts(database, record.study_id).held == 0
    waiting = leaderboard.trial(database, slow.study, 0)
    assert (waiting.summary.state, waiting.attempts) == ("waiting", 0)
    assert list(Path(record.artifacts, record.name, "trials/00000/run-001/resume").glob("epoch-000001.*.npz"))
    gate.touch()
    run_worker(slow)
    assert_exact(database, record, epochs=3)
    assert "resumed after epoch 1" in Path(leaderboard.trial(database, slow.study, 0).log).read_text()


def test_a_killed_worker_takes_its_trials_along_and_another_adopts_them(
    create_study, start_worker, run_worker, slow, gate, database, eventually, monkeypatch, system_folder
):
    record = create_study(slow)
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("TMPDIR", str(system_folder))
        worker = start_worker(slow, lease_seconds=2)
    eventually(trained_an_epoch(database, slow.study))
    (orphan,) = trial_processes(worker)
    # One that is halted cannot see that its worker has gone.
    orphan.suspend()
    worker.kill()
    psutil.wait_procs([orphan], timeout=20)
    assert not orphan.is_running()
    assert list(system_folder.iterdir())
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(tempfile, "tempdir", str(system_folder))
        with scratch_folder() as mine:
            assert list(system_folder.iterdir()) == [Path(mine)]

    gate.touch()
    run_worker(slow, lease_seconds=2)
    assert_exact(database, record, epochs=3)
    assert leaderboard.trial(database, slow.study, 0).attempts == 2


def test_a_frozen_worker_writes_nothing_once_its_trial_is_adopted(
    create_study, start_worker, slow, gate, database, eventually
):
    record = create_study(slow)
    frozen = start_worker(slow, lease_seconds=1)
    eventually(trained_an_epoch(database, slow.study))
    os.kill(frozen.pid, signal.SIGSTOP)
    adopter = start_worker(slow, lease_seconds=1)
    eventually(lambda: leaderboard.trial(database, slow.study, 0).attempts == 2)
    os.kill(frozen.pid, signal.SIGCONT)
    eventually(lambda: "was adopted by another worker" in frozen.log.read_text())
    gate.touch()
    assert adopter.wait(60)
    assert frozen.wait(60)
    frozen.raise_if_failed()
    assert_exact(database, record, epochs=3)


def test_a_trial_whose_worker_died_before_telling_is_told(create_study, run_worker, make_spec, database):
    spec = make_spec("Fast", trials=2)
    record = create_study(spec)
    lease = leases.start_trial(database, leases.acquire(database, record.study_id, "dead", 60))
    result = leases.TrialResult(lease.trial_id, lease.number, "complete", value=0.25, best_epoch=1)
    leases.close(database, lease, result)
    run_worker(spec)
    told = leaderboard.trial(database, spec.study, 0).summary
    assert (told.state, told.value) == ("complete", 0.25)
    assert progress.status(database, spec.study).complete == 2


def test_attempts_that_nobody_survived_are_given_up(create_study, run_worker, make_spec, database):
    spec = make_spec("Fast", trials=1)
    record = create_study(spec)
    for _ in range(3):
        lease = leases.acquire(database, record.study_id, "dead", 0)
        leases.start_trial(database, lease)
    run_worker(spec)
    ended = leaderboard.trial(database, spec.study, 0)
    assert ended.summary.outcome == "failed"
    silent = "its worker went silent"
    assert ended.reason == f"given up after 3 attempts (1: {silent}; 2: {silent}; 3: {silent})"


def test_attempts_before_a_new_epoch_do_not_count(create_study, run_worker, make_spec, database):
    spec = make_spec("Fast", trials=1, training={"epochs": 6, "batch_size": 16})
    record = create_study(spec)
    # Nobody survives, and each brings one epoch more; of the last two neither does.
    for epoch in (1, 2, 3, 4, 4, 4):
        lease = leases.start_trial(database, leases.acquire(database, record.study_id, "dead", 60))
        recorded = leases.stored_epochs(database, lease.trial_id)
        leases.save_resume(database, lease, what_was_found(lease, (), recorded))
        leases.record_epoch(database, lease, epoch, {"val_accuracy": 0.5}, 1.0)
        leases.renew(database, [lease], 0)
    run_worker(spec)
    ended = leaderboard.trial(database, spec.study, 0)
    assert (ended.summary.outcome, ended.attempts) == ("complete", 7)


def test_a_killed_trial_process_is_restarted_at_once_and_given_up_with_every_attempts_reason(
    create_study, start_worker, slow, gate, database, eventually
):
    record = create_study(slow)
    leases.start_trial(database, leases.acquire(database, record.study_id, "dead", 0))
    worker = start_worker(slow)
    for attempt in (2, 3):
        eventually(lambda attempt=attempt: f"trial 0: attempt {attempt} starts" in worker.log.read_text())
        (process,) = eventually(lambda: trial_processes(worker))
        process.kill()
    eventually(lambda: leaderboard.trial(database, slow.study, 0).summary.outcome)
    ended = leaderboard.trial(database, slow.study, 0)
    assert ended.summary.outcome == "failed"
    killed = "killed by SIGKILL"
    assert ended.reason == f"given up after 3 attempts (1: its worker went silent; 2: {killed}; 3: {killed})"

    (trained,) = eventually(trained_an_epoch(database, slow.study))
    assert trained.trial == 1
    for attempt in (2, 3, 4):
        (process,) = eventually(lambda: trial_processes(worker))
        process.kill()
        eventually(lambda attempt=attempt: f"trial 1: attempt {attempt} starts" in worker.log.read_text())
    gate.touch()
    assert worker.wait(60)
    second = leaderboard.trial(database, slow.study, 1)
    # The first attempt brought an epoch, and does not count.
    assert (second.attempts, second.summary.outcome) == (4, "complete")
    assert [epoch for epoch, _ in curve(database, slow.study, 1)] == [1, 2, 3]
    assert leases.counts(database, record.study_id).closed == 2


def test_no_trial_starts_after_the_timeout(create_study, run_worker, make_spec, database):
    spec = make_spec("Deterministic", trials=50, timeout=1)
    create_study(spec)
    run_worker(spec)
    now = progress.status(database, spec.study)
    assert (now.state, now.reason) == ("finished", "the timeout has passed")
    assert now.open > 40
    assert now.running == 0


def test_a_trial_ends_with_its_epoch_once_the_timeout_has_passed(
    create_study, start_worker, make_spec, database, eventually
):
    epochs = 10**6
    spec = make_spec("Fast", training={"epochs": epochs, "batch_size": 16, "early_stopping": {"patience": epochs}})
    record = create_study(spec)
    worker = start_worker(spec)
    eventually(trained_an_epoch(database, spec.study))
    assert studies.take_up(database, record.study_id, timeout=0)
    assert worker.wait(60)
    now = progress.status(database, spec.study)
    assert (now.state, now.reason, now.complete, now.open) == ("finished", "the timeout has passed", 1, 2)
    trial = leaderboard.trial(database, spec.study, 0)
    assert trial.checkpoint and 1 <= trial.summary.epochs < epochs


def test_the_target_ends_the_study(create_study, run_worker, make_spec, database):
    spec = make_spec("Fast", trials=50, target=0.1)
    create_study(spec)
    run_worker(spec)
    now = progress.status(database, spec.study)
    assert (now.state, now.complete, now.open) == ("finished", 1, 49)
    assert "target 0.1 reached by trial 0" in now.reason
    assert leaderboard.trial(database, spec.study, 0).summary.epochs == 1


def test_a_fit_of_its_own_that_returns_a_number(create_study, run_worker, make_spec, database):
    spec = make_spec("ReturnsNumber", trials=1)
    create_study(spec)
    run_worker(spec)
    only = leaderboard.trial(database, spec.study, 0).summary
    assert (only.outcome, only.value, only.epochs) == ("complete", 0.5, 1)


def test_only_the_best_models_are_kept(create_study, run_worker, make_spec, database):
    spec = make_spec(
        "Ranked",
        trials=5,
        sampler="brute_force",
        keep_checkpoints=2,
        objective={"metric": "val_score", "direction": "maximize"},
    )
    record = create_study(spec)
    run_worker(spec)
    best = [t.trial for t in leaderboard.best(database, spec.study, 2)]
    kept = sorted(int(path.parts[-3]) for path in Path(record.artifacts).rglob("best.keras"))
    assert kept == sorted(best)
    assert leases.checkpoints(database, record.study_id, [{"metric": "val_score", "direction": "maximize"}]) == best


def test_trials_leave_no_temporary_files(create_study, run_worker, make_spec, tmp_path, monkeypatch):
    spec = make_spec("Fast", trials=2)
    create_study(spec)
    # The forkserver keeps its socket in a temporary folder of its own for as long as this process lives.
    start_forkserver(tmp_path / "forkserver.log")
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    run_worker(spec)
    assert list((tmp_path / "temporary").iterdir()) == []
