"""Which GPUs a worker may use, and how its slots share the node."""

from __future__ import annotations

import os
from dataclasses import dataclass

import psutil
import pynvml

from tuner.errors import LaunchError
from tuner.spec.sections import Resources
from tuner.worker.node.cores import quota_cores


@dataclass(frozen=True)
class SlotPlan:
    """What one slot's trials get.

    Attributes:
        devices: the GPUs, as CUDA names them; empty for none.
        share_device: other slots use the same GPU.
        threads: CPU threads.
    """

    devices: tuple[str, ...]
    share_device: bool
    threads: int


def visible_gpus() -> tuple[str, ...]:
    """The GPUs of this node that this process may use: those of CUDA_VISIBLE_DEVICES, else all that NVML counts."""
    try:
        pynvml.nvmlInit()
        try:
            count = pynvml.nvmlDeviceGetCount()
        finally:
            pynvml.nvmlShutdown()
    except pynvml.NVMLError:
        return ()
    allowed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if allowed is None:
        return tuple(str(index) for index in range(count))
    return tuple(name.strip() for name in allowed.split(",") if name.strip() not in ("", "-1"))


def usable_cores() -> int:
    """The CPU cores this process may run on, as many as its container's limit pays for.

    Not every Slurm confines its jobs to those that it has given them.
    """
    limits = [float(len(psutil.Process().cpu_affinity()))]
    if (quota := quota_cores()) is not None:
        limits.append(quota)
    if (given := os.environ.get("SLURM_CPUS_ON_NODE", "")).isdecimal():
        limits.append(int(given))
    return max(1, round(min(limits)))


def plan_slots(resources: Resources, gpus: tuple[str, ...], cores: int) -> tuple[SlotPlan, ...]:
    """Divides a node's GPUs and cores among slots.

    Raises:
        LaunchError: the slots need more GPUs than the node has.
    """
    per_trial = _gpus_per_trial(resources, gpus)
    groups = [gpus[i : i + per_trial] for i in range(0, len(gpus) - per_trial + 1, per_trial)] if per_trial else []
    room = len(groups) * resources.trials_per_gpu if per_trial else 1
    slots = room if resources.slots == "auto" else resources.slots
    if per_trial and slots > room:
        raise LaunchError(
            f"resources: {slots} slots with gpus_per_trial {per_trial} and trials_per_gpu {resources.trials_per_gpu} "
            f"need {-(-slots // resources.trials_per_gpu) * per_trial} GPUs; this node has {len(gpus)}"
        )
    threads = max(1, cores // slots) if resources.threads_per_slot == "auto" else resources.threads_per_slot
    return tuple(
        SlotPlan(
            devices=groups[index % len(groups)] if groups else (),
            share_device=bool(groups) and resources.trials_per_gpu > 1,
            threads=threads,
        )
        for index in range(slots)
    )


def _gpus_per_trial(resources: Resources, gpus: tuple[str, ...]) -> int:
    if resources.gpus_per_trial == "auto":
        return 1 if gpus else 0
    if resources.gpus_per_trial > len(gpus):
        raise LaunchError(
            f"resources.gpus_per_trial: {resources.gpus_per_trial} GPUs are requested, but this node has {len(gpus)}"
        )
    return resources.gpus_per_trial
