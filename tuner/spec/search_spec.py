"""SearchSpec: the one description of a search that YAML, the command line, HTTP and Python share."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    Strict,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)

from tuner.spec.choices import ONE_OBJECTIVE, Pruner, Sampler, Space, WarmStart
from tuner.spec.constraints import Constraint, parse_comparison
from tuner.spec.data import DataSpec
from tuner.spec.field_types import Comparison, Count, Duration, PositiveInt, Section, resolve
from tuner.spec.hyperparameters import Hyperparameters
from tuner.spec.objective import MEASURES, MetricName, Objective, infer_direction
from tuner.spec.problems import contradiction
from tuner.spec.sections import Budget, LaunchSettings, Resources, StopWhen, Training

STUDY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
# Each is a row in the database from the start.
MOST_TRIALS = 1_000_000
# Where the timeout decides: more than a day of toy trials on one slot, and few enough to be rows.
MOST_IN_TIME = 1_000
_WrittenObjective = MetricName | Objective
_WrittenObjectives = _WrittenObjective | Annotated[list[_WrittenObjective], Field(min_length=1)]


class SearchSpec(Section):
    """A search for the best Keras model: its data, its search space, its budget and how it runs."""

    # Once a spec has been read, its paths are absolute.
    study: str = Field(
        description="The study's name. It has at most 100 letters, digits, dots, underscores and hyphens, and starts "
        "with a letter or digit. If the study exists already, `tuner launch` continues it.",
        json_schema_extra={"pattern": f"^{STUDY_NAME.pattern}$"},
    )
    data: Annotated[DataSpec, Field(discriminator="kind")] = Field(
        description="The examples: where they are, what they are and how they are divided into splits."
    )
    space: Space = Field(
        description="The models that are tried: a built-in search space, or a KerasTuner hypermodel of your own as "
        "`package.module:HyperModelClass` or `path/to/file.py:HyperModelClass`. Options go beside its name.",
        examples=[{"name": "structured", "families": ["mlp"]}, "my_space.py:MySpace"],
    )
    objectives: Annotated[tuple[Objective, ...], Field(validation_alias="objective")] = Field(
        description="The metric that decides which trial is best. The direction of a metric of your own must be given. "
        "If there are several objectives, the first one leads, and it must be a metric that every epoch logs.",
        examples=[{"metric": "my_score", "direction": "maximize"}, ["val_accuracy", "parameters"]],
    )
    constraints: dict[str, Comparison] = Field(
        default={},
        description="The limits that a trial must keep to become the champion. Each is a comparison with a number, "
        "under the name of a metric or of `parameters`, `export_bytes` or `latency_ms`.",
        examples=[{"parameters": "<= 1e6", "val_loss": "< 0.5"}, {"val_accuracy": ">= 0.9"}],
    )
    trials: Annotated[PositiveInt, Field(le=MOST_TRIALS)] = Field(
        default=30,
        description="The number of configurations that are tried. The default is enough to see what a search space "
        f"can do; with a `timeout` or a `budget` it is {MOST_IN_TIME}, so that these decide. The number may be raised "
        "later.",
    )
    timeout: Duration | None = Field(
        default=None,
        description="The time that the search may take, in seconds or with a unit (`s`, `m`, `h`, `d`). After it no "
        "trial starts, and running trials end with the epoch that they are in; their best epoch counts. A trial that "
        "could not end an epoch in the time that is left does not start. By default there is no limit. The timeout "
        "may be changed later.",
        examples=["90m"],
    )
    budget: Budget = Field(
        default=Budget(),
        description="What all trials together may train, in epochs or in time. By default there is no limit.",
    )
    target: Annotated[float, Field(allow_inf_nan=False)] | None = Field(
        default=None,
        description="The value of the leading objective at which the study ends early. By default all trials run. The "
        "target may be changed later.",
        examples=[0.95],
    )
    stop_when: StopWhen = Field(
        default=StopWhen(),
        description="When the study ends by itself although trials are left. By default all trials run.",
    )
    sampler: Sampler = Field(
        default=Sampler(),
        description="How the next configuration is chosen: `tpe`, `random`, `gp`, `cmaes`, `qmc`, `nsga2`, `grid` or "
        "`brute_force`. The default suits almost every search. Options of Optuna's sampler go beside its name.",
        examples=[{"name": "tpe", "n_startup_trials": 20}],
    )
    pruner: Pruner = Field(
        default=Pruner(),
        description="How trials that fall behind the others are ended early: `asha`, `promote`, `hyperband`, "
        "`median`, `percentile`, `patient`, `threshold` or `none`. The default spends most epochs on the best trials; "
        "`promote` pauses the others instead of ending them. Options go beside the name.",
        examples=[{"name": "median", "n_warmup_steps": 4}],
    )
    warm_start: WarmStart | None = Field(
        default=None,
        description="Other studies in the same database whose best trials are tried first: a name, a list of names, or "
        "these and the number of trials. By default the study starts from the defaults that its search space gives.",
        examples=[{"study": "other", "trials": 10}],
    )
    seed: Annotated[Count, Field(lt=2**31)] = Field(
        default=0,
        description="The random seed of the sampler and of every trial. The same seed repeats a search as far as the "
        "hardware allows.",
    )
    hyperparameters: Hyperparameters = Field(
        default=Hyperparameters(),
        description="The hyperparameters that are otherwise than the search space declares them: fixed, narrowed or "
        "overridden.",
    )
    training: Training = Field(
        default=Training(),
        description="How each trial is trained: for how long, in which batches and precision, and with which "
        "callbacks.",
    )
    resources: Resources = Field(
        default=Resources(),
        description="The resources that trials and workers use. They may be changed whenever the study is launched.",
    )
    launch: LaunchSettings = Field(
        default=LaunchSettings(),
        description="The settings of the engines that run workers. Only those of the engine that `tuner launch --on` "
        "names are used.",
    )
    priority: Annotated[int, Strict(), Field(ge=-1000, le=1000)] = Field(
        default=0,
        description="The study's priority in a standing pool, from -1000 to 1000. Workers of `tuner work --any` take "
        "the studies with the highest priority first. It may be changed later.",
    )
    keep_checkpoints: PositiveInt | None = Field(
        default=None,
        description="The number of best trials whose models are kept on disk, from which the champion is chosen and "
        "averaged. By default these are the best 5, and up to 20 as long as the models together have at most 500 MB.",
        examples=[10],
    )
    storage: str | None = Field(
        default=None,
        description="The URL of the database. By default it is `$TUNER_STORAGE`, or else `sqlite:///tuner.db` in the "
        "working directory.",
        examples=["postgresql://USER@HOST/DATABASE"],
    )
    artifacts: str | None = Field(
        default=None,
        description="The folder, or `s3://BUCKET/PREFIX`, for models and logs. By default it is `tuner-artifacts/` "
        "beside the SQLite file, or in the working directory with another database.",
        examples=["s3://my-bucket/tuner"],
    )

    @model_validator(mode="before")
    @classmethod
    def _as_many_as_there_is_time_for(cls, written: Any) -> Any:
        if not isinstance(written, Mapping) or "trials" in written:
            return written
        budget = written.get("budget")
        limits = dict(budget).values() if isinstance(budget, Mapping | Budget) else ()
        limited = written.get("timeout") is not None or any(each is not None for each in limits)
        return {**written, "trials": MOST_IN_TIME} if limited else written

    @field_validator("study")
    @classmethod
    def _plain_name(cls, name: str) -> str:
        if not STUDY_NAME.fullmatch(name):
            raise ValueError(
                "must consist of at most 100 letters, digits, '.', '_' and '-', and start with a letter or digit"
            )
        return name

    @field_validator("objectives", mode="before", json_schema_input_type=_WrittenObjectives)
    @classmethod
    def _with_directions(cls, value: Any) -> Any:
        each = value if isinstance(value, list | tuple) else [value]
        if not each:
            raise ValueError("name at least one metric, such as val_accuracy")
        return [{"metric": one, "direction": infer_direction(one)} if isinstance(one, str) else one for one in each]

    @field_validator("objectives")
    @classmethod
    def _one_leads(cls, objectives: tuple[Objective, ...]) -> tuple[Objective, ...]:
        names = [each.metric for each in objectives]
        twice = next((name for name, count in Counter(names).items() if count > 1), None)
        if twice is not None:
            raise ValueError(f"the metric {twice} is listed twice")
        if names[0] in MEASURES:
            raise ValueError(
                f"{names[0]} is measured only after training, but the first objective decides about the best epoch and "
                f"early stopping, so it must be a metric that every epoch logs; for example: [val_accuracy, {names[0]}]"
            )
        return objectives

    @field_validator("sampler")
    @classmethod
    def _takes_the_objectives(cls, sampler: Sampler, info: ValidationInfo) -> Sampler:
        if len(info.data.get("objectives", ())) > 1 and sampler.name in ONE_OBJECTIVE:
            raise ValueError(f"the sampler {sampler.name} takes only one objective; use nsga2 or tpe with several")
        return sampler

    @field_validator("warm_start")
    @classmethod
    def _can_be_warm(cls, value: WarmStart | None, info: ValidationInfo) -> WarmStart | None:
        if value is None:
            return None
        if info.data.get("study") in value.study:
            raise ValueError("a study cannot start from its own trials; name another study")
        if "sampler" in info.data and info.data["sampler"].name == "grid":
            raise ValueError(
                "the grid sampler tries only the values of its grid; use another sampler or leave out warm_start"
            )
        return value

    @field_validator("artifacts")
    @classmethod
    def _artifacts_place(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None:
            return None
        if value.startswith("s3://"):
            return value
        if "://" in value:
            raise ValueError("must be a folder or s3://BUCKET/PREFIX")
        return str(resolve(Path(value), info))

    @model_validator(mode="after")
    def _something_to_learn(self) -> Self:
        if self.space.is_built_in and self.data.unlabelled is not None:
            raise contradiction(
                f"the search space {self.space.name} needs labels", f"data.{self.data.unlabelled}", "space"
            )
        return self

    @model_validator(mode="after")
    def _epochs_of_one_execution(self) -> Self:
        if self.budget.epochs is not None and self.training.executions_per_trial > 1:
            raise contradiction(
                "epochs cannot be counted out among several executions of a trial; use trial_time",
                "budget.epochs",
                "training.executions_per_trial",
            )
        return self

    @model_validator(mode="after")
    def _compiled_once(self) -> Self:
        """What built-in spaces compile goes with the output layer and the schedule that they choose."""
        for part in ("optimizer", "loss", "metrics"):
            if self.space.is_built_in and getattr(self.training, part) is not None:
                raise contradiction(
                    f"the search space {self.space.name} chooses optimizer, loss and metrics itself, with the output "
                    "layer and the learning rate that go with them; leave it out, or use a search space of your own",
                    f"training.{part}",
                    "space",
                )
        return self

    @property
    def objective(self) -> Objective:
        """The leading objective: it decides about early stopping, the best epoch, pruning and the target."""
        return self.objectives[0]

    @property
    def limits(self) -> tuple[Constraint, ...]:
        """The constraints, parsed."""
        return tuple(Constraint(name, *parse_comparison(text)) for name, text in self.constraints.items())

    @property
    def wanted(self) -> tuple[str, ...]:
        """What must be known of a trained model besides its value: every objective and constraint, if there are more.

        Empty for one objective without constraints.
        """
        if len(self.objectives) == 1 and not self.constraints:
            return ()
        return tuple(dict.fromkeys([*(each.metric for each in self.objectives), *self.constraints]))

    @model_serializer(mode="wrap")
    def _as_written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        data: dict[str, Any] = handler(self)
        if "objectives" in data:
            every = data.pop("objectives")
            data["objective"] = every[0] if len(every) == 1 else list(every)
        return data

    def stored(self) -> dict[str, Any]:
        """The spec as JSON for the study's record, without what may hold a password: the storage URL, ``launch``."""
        return self.model_dump(mode="json", exclude={"storage", "launch"})
