"""The sections ``training``, ``resources`` and ``launch``: how a trial is trained, and where."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, Strict, field_validator, model_validator

from tuner.spec.compilation import LossNames, MetricNames, OptimizerName
from tuner.spec.field_types import CodePlace, Count, Duration, Memory, PositiveInt, Section
from tuner.spec.problems import contradiction


class EarlyStopping(Section):
    """How a trial that no longer improves is ended. With `null`, every trial trains for all epochs."""

    patience: Count = Field(
        default=5,
        description="The number of epochs without improvement after which a trial ends. The default outlasts the usual "
        "ups and downs between epochs.",
    )
    min_delta: float = Field(
        default=0.0,
        ge=0,
        description="The smallest change of the objective, in its own unit, that counts as an improvement. By default "
        "any improvement counts.",
        examples=[0.001],
    )


class StopWhen(Section):
    """When the study ends by itself, before all of its trials have run. By default it does not."""

    no_better_in: PositiveInt | None = Field(
        default=None,
        description="The number of trials, complete or pruned, that may end one after the other without a better one; "
        "then the study ends. The number may be changed later.",
        examples=[20],
    )


class Budget(Section):
    """What all trials together may train, besides `trials` and `timeout`. Give one of them, or neither."""

    epochs: PositiveInt | None = Field(
        default=None,
        description="The number of epochs that all trials together may train; epochs that were lost and trained again "
        "count once. It is never exceeded: a trial for which no epoch is left ends as it would at its last epoch. The "
        "number may be changed later.",
        examples=[400],
    )
    trial_time: Duration | None = Field(
        default=None,
        description="The time that all trials together may train, added up over their epochs, in seconds or with a "
        "unit. No epoch begins that would exceed it if it took as long as the trial's epoch before. It may be changed "
        "later.",
        examples=["2h"],
    )

    @property
    def is_limited(self) -> bool:
        return self.epochs is not None or self.trial_time is not None

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if self.epochs is not None and self.trial_time is not None:
            raise contradiction("give epochs or trial_time, not both", "trial_time", "epochs")
        return self


ClassWeight = Literal["auto", "none", "balanced", "sqrt"]


class Training(Section):
    """How each trial is trained."""

    epochs: PositiveInt = Field(
        default=20,
        description="The largest number of epochs that a trial trains. Early stopping and the pruner end most trials "
        "sooner.",
    )
    batch_size: PositiveInt = Field(
        default=32,
        description="The number of examples in a batch. A hyperparameter named `batch_size` in the search space "
        "overrides it.",
    )
    early_stopping: EarlyStopping | None = Field(default=EarlyStopping(), description=EarlyStopping.__doc__)
    trial_timeout: Duration | None = Field(
        default=None,
        description="The longest time that a trial may take, in seconds or with a unit (`s`, `m`, `h`, `d`). A trial "
        "that takes longer is ended and counts as failed, with the outcome `timed_out`. By default there is no limit.",
        examples=["30m"],
    )
    hang_timeout: Duration | None = Field(
        default=300.0,
        description="The time after which a trial that does nothing is ended and continues from its last checkpoint, "
        "as one whose process was killed. While batches are reported, a trial does nothing if no batch follows for "
        "that long, and for ten times the usual length of a step. Between epochs, and in a `fit` without callbacks, "
        "it does nothing if it does not compute for that long. With `null`, it may wait for ever.",
        examples=["20m"],
    )
    mixed_precision: bool = Field(
        default=False,
        description="Whether models compute with float16 numbers, which is faster on recent GPUs. It is off by default "
        "because it costs some precision.",
    )
    max_parameters: PositiveInt | None = Field(
        default=None,
        description="The largest number of parameters that a model may have. Larger ones are refused before they are "
        "trained, with the outcome `infeasible`. By default there is no limit.",
        examples=[1_000_000],
    )
    deterministic: bool = Field(
        default=False,
        description="Whether equal seeds give bit-equal results. It is off by default because training takes longer.",
    )
    class_weight: ClassWeight = Field(
        default="auto",
        description="How much the examples of each class count: `none` treats all alike, `balanced` gives every class "
        "the same total weight, `sqrt` uses the square roots of those weights, and `auto` is `balanced` if one of two "
        "classes has less than a fifth of the examples and neither `fit`, `train_step` nor the loss is your own. A "
        "hyperparameter named `class_weight` in the search space, with one of these values, overrides it.",
    )
    callbacks: tuple[CodePlace, ...] = Field(
        default=(),
        description="The functions or classes that make Keras callbacks, each as `package.module:factory` or "
        "`path/to/file.py:factory`. They are called anew for every trial.",
        examples=[["my_callbacks.py:reduce_rate", "keras.callbacks:TerminateOnNaN"]],
    )
    tensorboard: bool = Field(
        default=False,
        description="Whether every trial writes TensorBoard logs, with its hyperparameters, beside its other files. "
        "This needs `pip install 'keras-champion[tensorboard]'`.",
    )
    executions_per_trial: PositiveInt = Field(
        default=1,
        description="The number of times that each trial is trained, each time from another seed. The trial's value "
        "is the mean, which is more reliable but multiplies the time that a trial takes.",
    )
    optimizer: OptimizerName | None = Field(
        default=None,
        description="The optimizer in place of the search space's, by its name in Keras or as `keras.optimizers."
        "serialize` gives it. Every model is compiled again with it, so that a learning rate of the search space has "
        "no effect. Built-in spaces choose their own.",
        examples=["adam", {"class_name": "AdamW", "config": {"learning_rate": 0.001}}],
    )
    loss: LossNames | None = Field(
        default=None,
        description="The loss in place of the search space's, by its name in Keras or as `keras.losses.serialize` "
        "gives it; of several outputs a list, or a mapping by their names. Built-in spaces choose their own.",
        examples=["mse", {"class_name": "CategoricalCrossentropy", "config": {"label_smoothing": 0.1}}],
    )
    metrics: MetricNames | None = Field(
        default=None,
        description="The metrics in place of the search space's, as `model.compile` takes them: names, or what "
        "`keras.metrics.serialize` gives. The objective must be among them, or a loss. Built-in spaces choose their "
        "own.",
        examples=[["accuracy"], [{"class_name": "F1Score", "config": {"average": "macro"}}]],
    )
    run_eagerly: bool = Field(
        default=False,
        description="Whether training steps run as plain Python instead of a compiled graph. This is slow and only "
        "meant for debugging.",
    )
    jit_compile: bool | Literal["auto"] = Field(
        default="auto",
        description="Whether XLA compiles the training steps. With `auto`, the search space decides when it "
        "compiles the model.",
    )

    @model_validator(mode="after")
    def _compiled_or_not(self) -> Self:
        if self.run_eagerly and self.jit_compile is True:
            message = "run_eagerly and jit_compile cannot both be true"
            raise contradiction(message, "jit_compile", "run_eagerly")
        return self


class Resources(Section):
    """The resources that trials and workers use. They may differ at every launch of a study."""

    slots: PositiveInt | Literal["auto"] = Field(
        default="auto",
        description="The number of trials that run at a time on one machine. With `auto`, there are as many as its "
        "GPUs have room for, or one on a machine without GPUs.",
    )
    gpus_per_trial: Count | Literal["auto"] = Field(
        default="auto",
        description="The number of GPUs that a trial trains on. With two or more, each batch is divided among them. "
        "With `auto`, it is one, or none on a machine without GPUs.",
    )
    trials_per_gpu: PositiveInt = Field(
        default=1,
        description="The number of trials that share a GPU. More than one is worthwhile for small models, which leave "
        "most of a GPU idle.",
    )
    threads_per_slot: PositiveInt | Literal["auto"] = Field(
        default="auto",
        description="The number of CPU threads of each trial. With `auto`, the machine's cores are divided evenly "
        "among the slots.",
    )
    workers: PositiveInt = Field(
        default=1,
        description="The number of workers that an engine runs, with `tuner launch --on local`, `ray` or `slurm`.",
    )
    cpus_per_worker: PositiveInt | None = Field(
        default=None,
        description="The number of CPU cores of each worker. By default the engine decides.",
    )
    gpus_per_worker: Annotated[float, Strict(), Field(ge=0, allow_inf_nan=False)] | None = Field(
        default=None,
        description="The number of GPUs of each worker, or the part of one where the engine can divide GPUs. By "
        "default the engine decides.",
        examples=[1, 0.5],
    )
    memory_per_worker: Memory | None = Field(
        default=None,
        description="The memory of each worker: a number and a unit, which is `K`, `M`, `G` or `T`. By default the "
        "engine decides.",
        examples=["16G"],
    )

    @field_validator("gpus_per_worker")
    @classmethod
    def _whole_or_a_part(cls, gpus: float | None) -> float | None:
        if gpus is not None and gpus > 1 and gpus != int(gpus):
            raise ValueError("must be a whole number of GPUs or a part of one GPU, such as 0.5")
        return gpus


class RaySettings(Section):
    """The Ray cluster that workers run on, with `tuner launch --on ray`."""

    address: str | None = Field(
        default=None,
        description="The address of the Ray cluster: `auto` or `HOST:6379` on one of its nodes, and "
        "`ray://HOST:10001` elsewhere. By default it is `$RAY_ADDRESS`, the cluster that this machine belongs to, or "
        "one that is started on this machine.",
        examples=["ray://head:10001"],
    )
    runtime_env: dict[str, Any] = Field(
        default={},
        description="The runtime environment of the workers, as Ray defines it. Its `working_dir` takes the place of "
        "the current folder. It is kept in the database, so it must not hold secrets.",
        examples=[{"pip": ["my-package"], "env_vars": {"NAME": "value"}}],
    )
    labels: dict[str, str] = Field(
        default={},
        description="The labels that a node must have for a worker to run on it. By default any node will do.",
        examples=[{"region": "eu"}],
    )
    max_restarts: Count = Field(
        default=3,
        description="How often a worker whose node died is started again. A few restarts survive lost nodes, and a "
        "limit ends a worker that kills its node each time.",
    )
    autoscales: bool = Field(
        default=False,
        description="Whether the cluster adds nodes when they are needed. If so, workers may ask for more than its "
        "present nodes have.",
    )


class SlurmSettings(Section):
    """The job array that workers run in, with `tuner launch --on slurm`."""

    partition: str | None = Field(
        default=None,
        description="The partition that the jobs run in. By default it is the cluster's default partition.",
    )
    account: str | None = Field(
        default=None,
        description="The account that pays for the jobs. By default it is your default account.",
    )
    qos: str | None = Field(
        default=None,
        description="The quality of service of the jobs. By default the cluster decides.",
    )
    time: str | None = Field(
        default=None,
        description="The time limit of each job, in Slurm's notation. A worker that reaches it is queued again. By "
        "default it is the partition's limit.",
        examples=["04:00:00"],
    )
    array_limit: PositiveInt | None = Field(
        default=None,
        description="The largest number of workers that run at the same time. By default all of them may.",
    )
    extra: tuple[str, ...] = Field(
        default=(),
        description="Further options of `sbatch`. They override those that come from the spec.",
        examples=[["--constraint=a100"]],
    )
    setup: tuple[str, ...] = Field(
        default=(),
        description="Shell commands that run before each worker. `export TUNER_PYTHON=...` selects another "
        "interpreter.",
        examples=[["module load cuda"]],
    )


class LaunchSettings(Section):
    """The engines that run workers. Only the one that `tuner launch --on` names is used."""

    ray: RaySettings = Field(
        default=RaySettings(),
        description="The Ray cluster on which `tuner launch --on ray` starts workers.",
    )
    slurm: SlurmSettings = Field(
        default=SlurmSettings(),
        description="The job array in which `tuner launch --on slurm` starts workers.",
    )
