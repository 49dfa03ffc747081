"""SearchSpec: the one description of a search that YAML, the command line and Python share."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    Strict,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)

from tuner.constraints import Constraint, normal_comparison, parse_comparison
from tuner.errors import Problem, SpecError
from tuner.objective import MEASURES, Objective, infer_direction
from tuner.spec_problems import SpecModel, contradiction, leave_out, problems_of

SAMPLERS = ("tpe", "random", "gp", "cmaes", "qmc", "nsga2", "grid", "brute_force")
PRUNERS = ("asha", "hyperband", "median", "percentile", "patient", "threshold", "none")
SPACES = ("image", "text", "structured")
# Optuna's CMA-ES knows one objective only.
ONE_OBJECTIVE = ("cmaes",)

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|d)?")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_NAME_AND_VALUE = re.compile(r"([^=\[]+(?:\[[^\]]*\])?)=(.*)", re.DOTALL)
STUDY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def parse_duration(value: Any) -> Any:
    """Seconds from ``90m``, ``2h``, ``1d``, ``45s`` or a number of seconds; anything else is left to the type check."""
    if isinstance(value, str):
        match = _DURATION.fullmatch(value.strip())
        if not match:
            raise ValueError("use a number of seconds, or one with a unit: 45s, 90m, 2h, 1d")
        return float(match[1]) * _SECONDS[match[2] or "s"]
    return value


def _resolve(path: Path, info: ValidationInfo) -> Path:
    base = (info.context or {}).get("base", Path.cwd())
    try:
        return Path(base, path.expanduser()).absolute()
    except RuntimeError:
        raise ValueError(f"there is no user {path.parts[0]!r}") from None


# YAML's `true` is not the number 1.
PositiveInt = Annotated[int, Strict(), Field(gt=0)]
Count = Annotated[int, Strict(), Field(ge=0)]
# Each is a row in the database from the start.
MOST_TRIALS = 1_000_000
_TEN_YEARS = 10 * 365 * 86400
Duration = Annotated[float, BeforeValidator(parse_duration), Field(gt=0, le=_TEN_YEARS)]
ResolvedPath = Annotated[Path, AfterValidator(_resolve)]
Memory = Annotated[str, Field(pattern=r"^\d+[KMGT]$")]
Comparison = Annotated[str, BeforeValidator(normal_comparison)]


def _resolve_code(name: str, info: ValidationInfo) -> str:
    place, colon, attribute = name.rpartition(":")
    if not colon or not attribute.isidentifier():
        raise ValueError("package.module:function or path/to/file.py:function")
    return f"{_resolve(Path(place), info)}:{attribute}" if place.endswith(".py") else name


# A function of the user's.
CodePlace = Annotated[str, AfterValidator(_resolve_code)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class SplitSettings(_Section):
    """How examples are divided; shared by every kind of data."""

    validation_split: float = Field(default=0.2, ge=0, lt=1)
    test_split: float = Field(default=0.0, ge=0, lt=1)
    seed: Count = 0
    on_error: Literal["fail", "skip"] = "fail"

    def key_of(self, source: str) -> str:
        """The dotted key of the spec that says where that split's examples come from."""
        return "data.path"

    @property
    def unlabelled(self) -> str | None:
        """The key by which the data is without labels; None if it has some, or if only reading it can tell."""
        return None

    @property
    def given_splits(self) -> frozenset[str]:
        """The splits beside ``train`` that the data itself names."""
        return frozenset()

    @model_validator(mode="after")
    def _something_left(self) -> Self:
        if "validation" not in self.given_splits and self.validation_split == 0:
            message = "must be above 0 unless validation data is given"
            raise contradiction(message, "validation_split", "validation", "split_column", "split_values")
        if self.validation_split + self.test_split >= 1:
            message = "validation_split and test_split must leave something to train on"
            raise contradiction(message, "validation_split", "test_split")
        return self


class _Places(SplitSettings):
    """One place that is split here, or one for each split."""

    path: ResolvedPath | None = None
    train: ResolvedPath | None = None
    validation: ResolvedPath | None = None
    test: ResolvedPath | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.path is None) == (self.train is None):
            raise contradiction("give either path (split here) or train (and validation, test)", "path", "train")
        if self.path is not None and (self.validation or self.test):
            other = "validation" if self.validation else "test"
            raise contradiction("validation and test go with train, not with path", other, "path")
        return self

    @property
    def given_splits(self) -> frozenset[str]:
        return frozenset(name for name in ("validation", "test") if getattr(self, name))

    def key_of(self, source: str) -> str:
        return "data.path" if source == "train" and self.path is not None else f"data.{source}"

    @property
    def places(self) -> dict[str, Path]:
        """By split; one given as ``path`` is ``train``'s."""
        found = {"train": self.path or self.train, "validation": self.validation, "test": self.test}
        return {name: place for name, place in found.items() if place is not None}


class ImageDirectory(_Places):
    """Folders of JPEG, PNG, BMP or GIF files, one folder per class, or without classes."""

    kind: Literal["image_directory"]
    labels: Literal["folders", "none"] = "folders"
    image_size: tuple[PositiveInt, PositiveInt] = (32, 32)
    color_mode: Literal["rgb", "grayscale"] = "rgb"

    @property
    def unlabelled(self) -> str | None:
        return "labels" if self.labels == "none" else None

    @property
    def channels(self) -> int:
        return 3 if self.color_mode == "rgb" else 1


class TextDirectory(_Places):
    """Folders of UTF-8 .txt files, one folder per class."""

    kind: Literal["text_directory"]


ColumnType = Literal["number", "integer", "category", "text"]
LabelledTask = Literal["auto", "classification", "multi_label", "regression"]


class Csv(_Places):
    """Rows of CSV (also compressed with gzip) or Parquet files: texts or tables.

    With ``text_column`` an example is one text; without it, all columns but those with another use, as a table.
    """

    kind: Literal["csv"]
    label_column: str | None = None
    label_separator: Annotated[str, Field(min_length=1)] | None = None
    task: LabelledTask = "auto"
    text_column: str | None = None
    columns: dict[str, ColumnType] = {}
    ignore: tuple[str, ...] = ()
    weight_column: str | None = None
    split_column: str | None = None
    split_values: dict[Literal["train", "validation", "test"], str] = {
        "train": "train",
        "validation": "validation",
        "test": "test",
    }
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","

    @property
    def unlabelled(self) -> str | None:
        return "label_column" if self.label_column is None else None

    @property
    def given_splits(self) -> frozenset[str]:
        if self.split_column is None:
            return super().given_splits
        return frozenset(self.split_values) - {"train"}

    @model_validator(mode="after")
    def _one_use_each(self) -> Self:
        uses = [(key, getattr(self, key)) for key in ("label_column", "text_column", "weight_column", "split_column")]
        uses += [("ignore", name) for name in self.ignore] + [("columns", name) for name in self.columns]
        named = [name for _, name in uses if name is not None]
        twice = [(key, name) for key, name in uses if named.count(name) > 1]
        if twice:
            listed = ", ".join(map(repr, sorted({name for _, name in twice})))
            raise contradiction(f"each column has one use: {listed} has several", twice[-1][0])
        if self.split_column is not None and self.train is not None:
            message = "split_column goes with path: train, validation and test are splits already"
            raise contradiction(message, "split_column", "train")
        if self.text_column is not None and self.columns:
            message = "columns describes tables; with text_column an example is one text"
            raise contradiction(message, "columns", "text_column")
        if self.task == "multi_label" and self.label_separator is None:
            message = "task: multi_label needs label_separator, which divides a row's labels"
            raise contradiction(message, "label_separator", "task")
        if self.label_column is None and (self.label_separator or self.task != "auto"):
            message = "label_separator and task describe the label_column; name it"
            raise contradiction(message, "label_column", "label_separator", "task")
        return self


class Npz(SplitSettings):
    """Arrays in a NumPy .npz file: ``x``, ``y``, or ``x_train``, ``y_train``, ``x_val``, ``y_val``, ``x_test`` ..."""

    kind: Literal["npz"]
    path: ResolvedPath
    task: LabelledTask = "auto"


class Python(SplitSettings):
    """What a function returns: arrays, a ``tf.data.Dataset`` or a ``keras.utils.PyDataset``."""

    kind: Literal["python"]
    source: CodePlace
    args: dict[str, Any] = {}
    task: LabelledTask = "auto"

    def key_of(self, source: str) -> str:
        return "data.source"


DataSpec = ImageDirectory | TextDirectory | Csv | Npz | Python
# By the value of ``kind``.
DATA_KINDS: dict[str, type[DataSpec]] = {
    "image_directory": ImageDirectory,
    "text_directory": TextDirectory,
    "csv": Csv,
    "npz": Npz,
    "python": Python,
}


class EarlyStopping(_Section):
    patience: Count = 5
    min_delta: float = Field(default=0.0, ge=0)


ClassWeight = Literal["auto", "none", "balanced", "sqrt"]


class Training(_Section):
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


class Resources(_Section):
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


class RaySettings(_Section):
    """The Ray cluster that workers run on."""

    address: str | None = None
    runtime_env: dict[str, Any] = {}
    labels: dict[str, str] = {}
    max_restarts: Count = 3
    autoscales: bool = False


class SlurmSettings(_Section):
    """What the array job of workers asks of Slurm."""

    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    time: str | None = None
    array_limit: PositiveInt | None = None
    extra: tuple[str, ...] = ()
    setup: tuple[str, ...] = ()


class LaunchSettings(_Section):
    """Where workers run when `tuner launch --on` names an engine; a section for each."""

    ray: RaySettings = RaySettings()
    slurm: SlurmSettings = SlurmSettings()


class _Named(BaseModel):
    """A name with options: written ``tpe``, or ``{name: tpe, n_startup_trials: 20}``."""

    model_config = ConfigDict(extra="allow", frozen=True)
    names: ClassVar[tuple[str, ...]] = ()
    name: str

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        if cls.names and name not in cls.names:
            raise ValueError(f"unknown name {name!r}; one of {', '.join(cls.names)}")
        return name

    @property
    def options(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


class Sampler(_Named):
    names = SAMPLERS
    name: str = "tpe"


class Pruner(_Named):
    names = PRUNERS
    name: str = "asha"


class Space(_Named):
    """``image``, ``package.module:HyperModelClass`` or ``path/to/file.py:HyperModelClass``, with options."""

    @field_validator("name")
    @classmethod
    def _place(cls, name: str, info: ValidationInfo) -> str:
        place, colon, attribute = name.rpartition(":")
        if not colon:
            if name not in SPACES:
                raise ValueError(
                    f"unknown space {name!r}; one of {', '.join(SPACES)}, or package.module:HyperModelClass, "
                    "or path/to/file.py:HyperModelClass"
                )
            return name
        if not attribute.isidentifier():
            raise ValueError(f"{attribute!r} after the colon is not a class name")
        return f"{_resolve(Path(place), info)}:{attribute}" if place.endswith(".py") else name


class WarmStart(_Section):
    """A study whose best trials are tried first: written ``other_study``, or ``{study: other_study, trials: 10}``."""

    study: str = Field(min_length=1)
    trials: PositiveInt = 5

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"study": value} if isinstance(value, str) else value


class SearchSpec(_Section):
    """Everything that defines a study. Paths are absolute once it has been read."""

    study: str
    data: Annotated[DataSpec, Field(discriminator="kind")]
    space: Space
    objectives: Annotated[tuple[Objective, ...], Field(validation_alias="objective")]
    constraints: dict[str, Comparison] = {}
    trials: Annotated[PositiveInt, Field(le=MOST_TRIALS)] = 30
    timeout: Duration | None = None
    target: Annotated[float, Field(allow_inf_nan=False)] | None = None
    sampler: Sampler = Sampler()
    pruner: Pruner = Pruner()
    warm_start: WarmStart | None = None
    seed: Annotated[Count, Field(lt=2**31)] = 0
    training: Training = Training()
    resources: Resources = Resources()
    launch: LaunchSettings = LaunchSettings()
    priority: Annotated[int, Strict(), Field(ge=-1000, le=1000)] = 0
    keep_checkpoints: PositiveInt = 5
    storage: str | None = None
    artifacts: str | None = None

    @field_validator("study")
    @classmethod
    def _plain_name(cls, name: str) -> str:
        if not STUDY_NAME.fullmatch(name):
            raise ValueError("letters, digits, '.', '_' and '-', starting with a letter or digit, at most 100")
        return name

    @field_validator("objectives", mode="before")
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
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"{twice} stands there twice")
        if names[0] in MEASURES:
            raise ValueError(
                f"{names[0]} is measured after training; the first objective decides about the best epoch and early "
                f"stopping and must be one that every epoch logs: [val_accuracy, {names[0]}]"
            )
        return objectives

    @field_validator("sampler")
    @classmethod
    def _takes_the_objectives(cls, sampler: Sampler, info: ValidationInfo) -> Sampler:
        if len(info.data.get("objectives", ())) > 1 and sampler.name in ONE_OBJECTIVE:
            raise ValueError(f"{sampler.name} takes one objective only; with several use nsga2 or tpe")
        return sampler

    @field_validator("warm_start")
    @classmethod
    def _can_be_warm(cls, value: WarmStart | None, info: ValidationInfo) -> WarmStart | None:
        if value is None:
            return None
        if value.study == info.data.get("study"):
            raise ValueError("a study cannot start from its own trials; name another one")
        if "sampler" in info.data and info.data["sampler"].name == "grid":
            raise ValueError("the grid sampler tries its own values only; use another sampler, or no warm start")
        return value

    @field_validator("artifacts")
    @classmethod
    def _artifacts_place(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None:
            return None
        if value.startswith("s3://"):
            return value
        if "://" in value:
            raise ValueError("a folder or s3://BUCKET/PREFIX")
        return str(_resolve(Path(value), info))

    @model_validator(mode="after")
    def _something_to_learn(self) -> Self:
        if self.space.name in SPACES and self.data.unlabelled is not None:
            raise contradiction(f"the space {self.space.name} needs labels", f"data.{self.data.unlabelled}", "space")
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


def validate_spec(raw: Any, *, source: str, base: Path) -> SearchSpec:
    """Checks a spec that came as data.

    Args:
        raw: what YAML or JSON gave.
        source: named in errors.
        base: the folder that relative paths are relative to.

    Raises:
        SpecError: with every problem and its key's path.
    """
    if not isinstance(raw, Mapping):
        raise SpecError(
            source,
            [Problem("", "a search spec is a mapping of keys, as `tuner init image` writes it")],
        )
    spec, problems = examine_spec(raw, base=base)
    if spec is None or problems:
        raise SpecError(source, problems)
    return spec


# What stands for a section that is missing or wrong while the others are looked at; the data is where it may be.
_STAND_INS = {
    "study": "study",
    "data": {"kind": "npz", "path": "."},
    "space": "image",
    "objective": "val_loss",
}
# Of looking again without what is wrong; the last ones find a stand-in for every section.
_ROUNDS = 8


def examine_spec(
    raw: Mapping[str, Any], *, base: Path, not_offered: Collection[str] = ()
) -> tuple[SearchSpec | None, list[Problem]]:
    """Everything that is wrong with a spec, and the spec without that, for others to look at.

    pydantic looks at what keys say together once each of them is right, so what is wrong is taken out, and the rest
    looked at again.

    Args:
        base: the folder that relative paths are relative to.
        not_offered: keys, with dots, and kinds of data that are not named where it is said what is allowed.
    """
    described = SpecModel(SearchSpec, DATA_KINDS, _STAND_INS, not_offered)
    problems: list[Problem] = []
    left = dict(raw)
    for _ in range(_ROUNDS):
        try:
            return SearchSpec.model_validate(left, context={"base": base}), problems
        except ValidationError as error:
            problems += problems_of(error, described, known=problems)
            left = deepcopy(left)
            leave_out(left, error, described)
    return None, problems


class _UniqueKeys(yaml.SafeLoader):
    """YAML in which a key stands once: of two values, one would be lost without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if (key := key_node.value) in seen:
                raise yaml.constructor.ConstructorError(None, None, f"duplicate key {key!r}", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


def load_spec(path: Path, overrides: Sequence[str] = ()) -> SearchSpec:
    """Reads a YAML spec.

    Args:
        path: the file.
        overrides: ``dotted.key=value`` each, the value read as YAML.

    Raises:
        SpecError: the file cannot be read, is not YAML, or does not describe a search.
    """
    raw = _read_yaml(path)
    for override in overrides:
        raw = _override(raw, override, str(path))
    return validate_spec(raw, source=str(path), base=path.absolute().parent)


def load_launch_settings(path: Path) -> LaunchSettings:
    """Reads a YAML file with the sections that a spec has under ``launch``. Raises SpecError."""
    raw = _read_yaml(path)
    try:
        return LaunchSettings.model_validate({} if raw is None else raw)
    except ValidationError as error:
        raise SpecError(str(path), problems_of(error, SpecModel(LaunchSettings))) from None


def _read_yaml(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SpecError(str(path), [Problem("", f"cannot be read: {error.strerror}")]) from None
    except UnicodeDecodeError as error:
        raise SpecError(str(path), [Problem("", f"is not UTF-8 text: {error.reason} at byte {error.start}")]) from None
    return parse_yaml(text, str(path))


def parse_yaml(text: str, source: str) -> Any:
    """What a YAML text says. Raises SpecError if it is none, or if a key stands twice in one place."""
    try:
        return yaml.load(text, _UniqueKeys)  # noqa: S506 - it is a SafeLoader
    except yaml.YAMLError as error:
        raise SpecError(source, [Problem("", f"is not YAML: {_one_line(error)}")]) from None


def _override(raw: Any, override: str, source: str) -> dict[str, Any]:
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise SpecError("--set", [Problem("", f"{override!r} is not dotted.key=value")])
    value = _yaml_value("--set", key, text)
    top = dict(raw) if isinstance(raw, Mapping) else {}
    node = top
    *parents, last = key.split(".")
    for parent in parents:
        if isinstance(node.get(parent), list):
            raise SpecError("--set", [Problem(parent, f"is a list: set it whole, --set {parent}=[...]")])
        node[parent] = _expanded(parent, node.get(parent))
        node = node[parent]
    node[last] = value
    return top


def read_values(given: Sequence[str]) -> dict[str, Any]:
    """Hyperparameter values of ``name=value`` each, the value read as YAML.

    Raises:
        SpecError: one is not ``name=value``, or a name stands there twice.
    """
    found: dict[str, Any] = {}
    for item in given:
        # Optuna's names may have conditions appended: units[model=a].
        match = _NAME_AND_VALUE.fullmatch(item)
        if match is None:
            raise SpecError("enqueue", [Problem("", f"{item!r} is not name=value")])
        name = match[1]
        if name in found:
            raise SpecError("enqueue", [Problem(name, "stands there twice")])
        found[name] = _yaml_value("enqueue", name, match[2])
    return found


def _yaml_value(source: str, key: str, text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise SpecError(source, [Problem(key, f"the value is not YAML: {_one_line(error)}")]) from None


def _expanded(key: str, value: Any) -> dict[str, Any]:
    """The mapping that a section's short form stands for, so that a key can be set in it."""
    if isinstance(value, str):
        return {"metric" if key == "objective" else "name": value}
    return dict(value) if isinstance(value, Mapping) else {}


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


FREE_KEYS = ("trials", "timeout", "target", "priority")
# They describe the machines that run the search, not the search.
_FREE_SECTIONS = ("resources.", "launch.")


def differences(stored: Mapping[str, Any], given: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """The dotted keys in which two stored specs differ, with both values.

    ``resources`` and ``launch`` are not compared.
    """
    flat_stored, flat_given = _flatten(stored), _flatten(given)
    keys = sorted(set(flat_stored) | set(flat_given))
    return [
        (key, flat_stored.get(key), flat_given.get(key))
        for key in keys
        if flat_stored.get(key) != flat_given.get(key) and not key.startswith(_FREE_SECTIONS)
    ]


def _flatten(node: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in node.items():
        if isinstance(value, Mapping):
            flat.update(_flatten(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat
