"""The sections ``training``, ``resources`` and ``launch``: how a trial is trained, and where."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, Strict, field_validator, model_validator

from tuner.spec.field_types import CodePlace, Count, Duration, Memory, PositiveInt, Section
from tuner.spec.problems import contradiction


class EarlyStopping(Section):
    patience: Count = 5
    min_delta: float = Field(default=0.0, ge=0)


ClassWeight = Literal["auto", "none", "balanced", "sqrt"]


class Training(Section):
    epochs: PositiveInt = 20
    batch_size: PositiveInt = 32
    early_stopping: EarlyStopping | None = EarlyStopping()
    trial_timeout: Duration | None = None
    mixed_precision: bool = False
    max_parameters: PositiveInt | None = None
    deterministic: bool = False
    class_weight: ClassWeight = "auto"
    callbacks: tuple[CodePlace, ...] = ()
    tensorboard: bool = False
    executions_per_trial: PositiveInt = 1
    run_eagerly: bool = False
    jit_compile: bool | Literal["auto"] = "auto"

    @model_validator(mode="after")
    def _compiled_or_not(self) -> Self:
        if self.run_eagerly and self.jit_compile is True:
            message = "run_eagerly and jit_compile: true exclude each other"
            raise contradiction(message, "jit_compile", "run_eagerly")
        return self


class Resources(Section):
    slots: PositiveInt | Literal["auto"] = "auto"
    gpus_per_trial: Count | Literal["auto"] = "auto"
    trials_per_gpu: PositiveInt = 1
    threads_per_slot: PositiveInt | Literal["auto"] = "auto"
    workers: PositiveInt = 1
    cpus_per_worker: PositiveInt | None = None
    gpus_per_worker: Annotated[float, Strict(), Field(ge=0, allow_inf_nan=False)] | None = None
    memory_per_worker: Memory | None = None

    @field_validator("gpus_per_worker")
    @classmethod
    def _whole_or_a_part(cls, gpus: float | None) -> float | None:
        if gpus is not None and gpus > 1 and gpus != int(gpus):
            raise ValueError("a whole number of GPUs, or a part of one, such as 0.5")
        return gpus


class RaySettings(Section):
    """The Ray cluster that workers run on."""

    address: str | None = None
    runtime_env: dict[str, Any] = Field(default={})
    labels: dict[str, str] = Field(default={})
    max_restarts: Count = 3
    autoscales: bool = False


class SlurmSettings(Section):
    """What the array job of workers asks of Slurm."""

    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    time: str | None = None
    array_limit: PositiveInt | None = None
    extra: tuple[str, ...] = ()
    setup: tuple[str, ...] = ()


class LaunchSettings(Section):
    """Where workers run when `tuner launch --on` names an engine; a section for each."""

    ray: RaySettings = RaySettings()
    slurm: SlurmSettings = SlurmSettings()
