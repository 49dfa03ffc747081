"""How a node's GPUs and cores are divided among slots."""

from __future__ import annotations

import pytest

from tuner.errors import LaunchError
from tuner.spec.sections import Resources
from tuner.worker.node.devices import plan_slots, visible_gpus

FOUR = ("0", "1", "2", "3")


def test_one_slot_with_every_core_where_there_is_no_gpu():
    (plan,) = plan_slots(Resources(), (), 8)
    assert (plan.devices, plan.share_device, plan.threads) == ((), False, 8)


def test_cores_are_divided_among_slots():
    assert [plan.threads for plan in plan_slots(Resources(slots=3), (), 8)] == [2, 2, 2]
    assert [plan.threads for plan in plan_slots(Resources(slots=4), (), 2)] == [1, 1, 1, 1]


def test_a_slot_for_each_gpu():
    plans = plan_slots(Resources(), FOUR, 8)
    assert [plan.devices for plan in plans] == [("0",), ("1",), ("2",), ("3",)]
    assert not any(plan.share_device for plan in plans)


def test_several_gpus_for_a_trial_leave_no_half_group():
    plans = plan_slots(Resources(gpus_per_trial=3), FOUR, 8)
    assert [plan.devices for plan in plans] == [("0", "1", "2")]


def test_trials_that_share_a_gpu_are_spread_and_told_so():
    plans = plan_slots(Resources(trials_per_gpu=2), ("0", "1"), 8)
    assert [plan.devices for plan in plans] == [("0",), ("1",), ("0",), ("1",)]
    assert all(plan.share_device for plan in plans)


def test_a_slot_without_gpus_on_a_node_with_some():
    assert [plan.devices for plan in plan_slots(Resources(slots=2, gpus_per_trial=0), FOUR, 8)] == [(), ()]


@pytest.mark.parametrize(
    ("resources", "said"),
    [
        (Resources(gpus_per_trial=5), "resources.gpus_per_trial: 5 GPUs are requested, but this node has 4"),
        (Resources(slots=5), "need 5 GPUs; this node has 4"),
        (Resources(slots=5, gpus_per_trial=2, trials_per_gpu=2), "need 6 GPUs; this node has 4"),
    ],
)
def test_more_gpus_than_the_node_has_are_refused(resources, said):
    with pytest.raises(LaunchError, match=said):
        plan_slots(resources, FOUR, 8)


def test_hidden_gpus_are_not_used(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert visible_gpus() == ()
