"""What a worker counts, as Prometheus reads it while and after it works."""

from __future__ import annotations

import socket
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from storage import progress
from tuner.errors import LaunchError
from tuner.spec.sections import Resources
from tuner.trial.outcome import Outcome
from tuner.worker.metrics import Publishing, WorkerMetrics
from tuner.worker.settings import WorkerSettings


def read(text):
    """Values by name and labels, and the labels of ``tuner_worker_info``."""
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    values = {(each.name, *each.labels.values()): each.value for each in samples if each.name != "tuner_worker_info"}
    (info,) = [each.labels for each in samples if each.name == "tuner_worker_info"]
    return values, info


@pytest.mark.slow
def test_a_worker_can_be_scraped_while_it_works(make_spec, create_study, start_worker, eventually, database, tmp_path):
    spec = make_spec("Slow", options={"gate": str(tmp_path / "gate"), "free_epochs": 2}, training={"epochs": 3})
    create_study(spec)
    worker = start_worker(spec, metrics_port=0)
    (said,) = eventually(worker.news)
    address = said.removeprefix("Metrics: ")
    assert address.startswith("http://127.0.0.1:")

    def trained():
        worker.raise_if_failed()
        found, info = read(urlopen(address).read().decode())
        return (found, info) if found["tuner_epochs_total",] >= 2 else None

    values, info = eventually(trained)
    (live,) = progress.status(database, spec.study).workers
    assert (info["study"], info["worker"]) == (spec.study, live.id)
    assert values["tuner_slots",] == values["tuner_slots_busy",] == 1
    assert values["tuner_training_seconds_total",] > 0
    assert values["tuner_starting_seconds_total",] > 0
    assert values["tuner_database_seconds_total",] > 0
    worker.stop()
    assert worker.wait(60)


@pytest.mark.fast
@pytest.mark.slow
def test_a_file_has_what_the_study_has(make_spec, create_study, run_worker, database, tmp_path):
    spec = make_spec("Outcomes", trials=2, sampler="grid")
    create_study(spec, grid={"case": ["complete", "exception"]})
    file = tmp_path / "tuner.prom"
    run_worker(spec, metrics_file=file)
    values, _ = read(file.read_text())
    now = progress.status(database, spec.study)
    counted = {outcome.value: values.get(("tuner_trials_total", outcome.value), 0) for outcome in Outcome}
    assert {name: count for name, count in counted.items() if count} == now.outcomes
    assert now.outcomes == {"complete": 1, "failed": 1}
    assert values["tuner_slots_busy",] == 0
    (worker,) = now.workers
    share = values["tuner_training_seconds_total",] / worker.slot_seconds
    assert 0 < share < 1
    assert now.training_share == pytest.approx(share, rel=0.01)


def test_a_port_that_is_taken_costs_no_worker():
    metrics = WorkerMetrics()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        address = metrics.serve("127.0.0.1", port)
    assert address != f"http://127.0.0.1:{port}/metrics"
    assert b"tuner_trials_total" in urlopen(address).read()


def test_a_host_that_is_not_this_machines_ends_the_worker_with_the_reason(make_spec, create_study, run_worker):
    spec = make_spec()
    create_study(spec)
    with pytest.raises(LaunchError, match=r"metrics cannot be served at 192\.0\.2\.1:0: "):
        run_worker(spec, metrics_port=0, metrics_host="192.0.2.1")


def test_a_file_that_cannot_be_written_is_said_once(tmp_path, caplog):
    orders = WorkerSettings(
        study="s", cache=tmp_path, resources=Resources(), metrics_file=tmp_path / "nowhere" / "file"
    )
    publishing = Publishing(WorkerMetrics(), orders)
    publishing.write_if_due()
    publishing.write()
    assert caplog.text.count("metrics cannot be written") == 1


def test_every_outcome_has_a_count_from_the_start():
    counted = WorkerMetrics().registry.get_sample_value
    shown = {each for each in Outcome if counted("tuner_trials_total", {"outcome": each.value}) is not None}
    assert shown == set(Outcome) - {Outcome.INTERRUPTED, Outcome.PAUSED}


def test_gpus_that_nvml_does_not_know_are_left_out():
    metrics = WorkerMetrics()
    metrics.describe("digits", "worker", "1", ["GPU-00000000-0000-0000-0000-000000000000", "4711"])
    families = {family.name: family for family in metrics.registry.collect()}
    assert families["tuner_gpu_busy_ratio"].samples == []
