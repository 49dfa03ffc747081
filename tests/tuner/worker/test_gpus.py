"""What of a worker only a machine with a GPU shows: NVML's names, what it measures, and a claim that another meets."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tuner.errors import LaunchError
from tuner.spec.sections import Resources
from tuner.worker.metrics import WorkerMetrics
from tuner.worker.node.claims import claim_gpus, identities_of
from tuner.worker.node.devices import plan_slots, visible_gpus

GPUS = visible_gpus()
pytestmark = pytest.mark.skipif(not GPUS, reason="no GPU: NVML does not answer here")

_CLAIM = """
import sys
from pathlib import Path
from tuner.spec.sections import Resources
from tuner.worker.node.claims import claim_gpus, identities_of
from tuner.worker.node.devices import visible_gpus
claim = claim_gpus(Resources(), identities_of(visible_gpus()), "the other worker", folder=Path(sys.argv[1]))
print(*claim.gpus, flush=True)
sys.stdin.read()
"""


def test_a_gpu_has_one_name_on_the_whole_node(monkeypatch: pytest.MonkeyPatch) -> None:
    identities = identities_of(GPUS)
    assert len(set(identities.values())) == len(GPUS)
    assert all(name.startswith(("GPU-", "MIG-")) for name in identities.values())
    uuid = identities[GPUS[0]]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", uuid)
    assert visible_gpus() == (uuid,)
    assert identities_of((uuid,)) == {uuid: uuid}
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert visible_gpus() == ()


def test_one_trial_for_each_gpu_unless_they_share_it() -> None:
    assert [plan.devices for plan in plan_slots(Resources(), GPUS, cores=8)] == [(gpu,) for gpu in GPUS]
    shared = plan_slots(Resources(trials_per_gpu=2), GPUS[:1], cores=8)
    assert [(plan.devices, plan.share_device) for plan in shared] == [((GPUS[0],), True)] * 2


def test_how_busy_it_is() -> None:
    metrics = WorkerMetrics()
    metrics.describe("study", "worker", "1", GPUS)
    [family] = [each for each in metrics.registry.collect() if each.name == "tuner_gpu_busy_ratio"]
    assert {sample.labels["gpu"] for sample in family.samples} == set(GPUS)
    assert all(0 <= sample.value <= 1 for sample in family.samples)


def test_what_another_worker_has_is_not_taken(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _CLAIM, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None and other.stdout.readline().split() == list(GPUS)
        with pytest.raises(LaunchError, match="by the other worker"):
            claim_gpus(Resources(), identities_of(GPUS), "this worker", folder=tmp_path)
        other.kill()
        other.wait()
        assert claim_gpus(Resources(), identities_of(GPUS), "this worker", folder=tmp_path).gpus == GPUS
