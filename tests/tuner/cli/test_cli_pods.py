"""What pods run, without a cluster: workers of which any may be the first, told to leave and replaced."""

from __future__ import annotations

import re
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from tuner import api
from tuner.launch.kubernetes.pod_template import LEAVE_CODE

WAITING = Path(__file__).with_name("waiting_spaces.py")


@pytest.mark.slow
def test_workers_that_come_at_once_create_one_study_and_may_be_replaced_until_it_is_stopped(place, raw_spec):
    gate = place.folder / "gate"
    training = {"epochs": 10_000, "batch_size": 16, "early_stopping": None}
    space = {"name": f"{WAITING}:UntilGate", "gate": str(gate)}
    spec = place.write_spec(raw_spec() | {"space": space, "trials": 2, "training": training})
    pod = ("work", "shapes", "--create-from", spec, "--grace", "20", "--leave-code", str(LEAVE_CODE))
    pods = [place.start(*pod), place.start(*pod)]
    for number in (0, 1):
        place.wait_for_epoch("shapes", trial=number)
    for each in pods:
        each.terminate()
    said = [each.communicate(timeout=60)[1] for each in pods]
    assert [each.returncode for each in pods] == [LEAVE_CODE, LEAVE_CODE], said
    now = api.study_status("shapes", storage=place.storage)
    assert (now.state, now.open, now.budget) == ("running", 2, 2)

    assert place.run("stop", "shapes").code == 0
    late = place.run(*pod)
    assert (late.code, api.study_status("shapes", storage=place.storage).state) == (0, "stopped"), late.err

    assert place.run("launch", spec, "--no-work").code == 0
    gate.touch()
    ended = place.run(*pod, "--metrics-port", "0", "--metrics-file", "tuner.prom")
    assert ended.code == 0, ended.err
    assert "Metrics: http://127.0.0.1:" in ended.err
    assert 'tuner_trials_total{outcome="complete"} 2.0' in (place.folder / "tuner.prom").read_text(encoding="utf-8")
    assert re.search(r"^training +\d+% of its workers' slot time", place.run("status", "shapes").out, re.MULTILINE)
    now = api.study_status("shapes", storage=place.storage)
    assert (now.state, now.complete, now.budget) == ("finished", 2, 2)


def test_a_spec_of_another_study_is_refused(place, raw_spec, tuner):
    place.write_spec(raw_spec())
    ran = tuner("work", "digits", "--create-from", "spec.yaml", cwd=place.folder)
    assert ran.code == 1
    assert ran.complaints == ["error: spec.yaml: study: is 'shapes', but the study to work on is 'digits'"]


def test_a_manifest_is_alone_on_standard_output(place, raw_spec, tuner):
    raw = raw_spec() | {"artifacts": "s3://bucket/prefix"}
    place.write_spec(raw)
    volume = f"team:{Path(raw['data']['path']).parent}"
    options = ("--workers", 2, "--set", "resources.gpus_per_worker=1.0", "--volume", volume)
    ran = tuner("manifest", "spec.yaml", *options, cwd=place.folder)
    assert ran.code == 0, ran.err
    assert ran.err.startswith("Warning: space: ")
    for document in yaml.safe_load_all(ran.out):
        kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)
    written = tuner("manifest", "spec.yaml", *options, "--output", "job.yaml", cwd=place.folder)
    assert (written.code, written.out) == (0, "")
    assert (place.folder / "job.yaml").read_text(encoding="utf-8") == ran.out


@pytest.mark.fast
def test_what_pods_cannot_reach_is_one_line(place, raw_spec, tuner):
    place.write_spec(raw_spec())
    ran = tuner("manifest", "spec.yaml", cwd=place.folder)
    assert (ran.code, ran.out) == (1, "")
    assert len(ran.complaints) == 1 and "data.path: pods do not have" in ran.complaints[0]
