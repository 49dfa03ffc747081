"""What a trial process and its worker say to each other, as JSON: no pickles cross the pipe.

A trial process sends Suggest (answered by Suggested), EpochDone (answered by Verdict), and ends with Finished. A worker
may send Stop at any time.
"""

from __future__ import annotations

from multiprocessing.connection import Connection
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from tuner.processes.messages import Message
from tuner.trial.outcome import Outcome

Decision = Literal["continue", "prune", "pause", "finish", "stop"]


class Building(Message):
    """The process is ready and ``build`` begins."""

    type: Literal["building"] = "building"


class Suggest(Message):
    """Asks for a hyperparameter's value; ``value`` given means: record this one."""

    type: Literal["suggest"] = "suggest"
    name: str
    distribution: str
    value: Any = None


class Built(Message):
    """The model stands."""

    type: Literal["built"] = "built"
    parameters: int


class EpochDone(Message):
    """An epoch's metrics. ``epoch`` counts from 1 and on through the trial's executions; those count from 0.

    ``value`` is what the execution would be worth if it ended here; None where no epoch of it has logged the objective.
    """

    type: Literal["epoch"] = "epoch"
    epoch: int
    execution: int = 0
    value: float | None = None
    metrics: dict[str, float]
    seconds: float


class StoreState(Message):
    """Whether the study's artifacts can be written: why not, or None where they can again."""

    type: Literal["store"] = "store"
    away: str | None = None


class KeptModel(Message):
    """The best epoch's model among the study's artifacts."""

    key: str
    size: int | None
    sha256: str | None


class Finished(Message):
    """The end of the attempt, failures as data.

    ``cause`` is equal for equal failures, ``reason`` is for people; ``measures`` has the value of every objective and
    constraint, where the spec has more than one objective. ``ends_study``: no other trial shall begin.
    """

    type: Literal["finished"] = "finished"
    outcome: Outcome
    value: float | None = None
    best_epoch: int | None = None
    metrics: dict[str, float] = Field(default_factory=dict)
    measures: dict[str, float] = Field(default_factory=dict)
    model: KeptModel | None = None
    cause: str | None = None
    reason: str | None = None
    traceback: str | None = None
    ends_study: bool = False


class Suggested(Message):
    type: Literal["suggested"] = "suggested"
    value: Any = None
    error: str | None = None


class Verdict(Message):
    """The answer to an epoch: go on, end here as pruned, be laid aside as if pruned but with a checkpoint, end here as
    complete, or keep a checkpoint and leave.

    ``keeps_model`` says of a trial that is pruned or paused whether its best epoch's model is worth keeping.
    """

    type: Literal["verdict"] = "verdict"
    epoch: int
    decision: Decision
    keeps_model: bool = True


class Stop(Message):
    """Leave now, within the current batch, with a resume checkpoint."""

    type: Literal["stop"] = "stop"


FromTrial = Annotated[Building | Suggest | Built | EpochDone | StoreState | Finished, Field(discriminator="type")]
ToTrial = Annotated[Suggested | Verdict | Stop, Field(discriminator="type")]

_FROM_TRIAL: TypeAdapter[FromTrial] = TypeAdapter(FromTrial)
_TO_TRIAL: TypeAdapter[ToTrial] = TypeAdapter(ToTrial)


def send(connection: Connection, message: Message) -> None:
    connection.send_bytes(message.model_dump_json().encode())


def receive_from_trial(connection: Connection) -> FromTrial:
    """Raises EOFError when the process has gone."""
    return _FROM_TRIAL.validate_json(connection.recv_bytes())


def receive_from_worker(connection: Connection) -> ToTrial:
    """Raises EOFError when the worker has gone."""
    return _TO_TRIAL.validate_json(connection.recv_bytes())


class DecodeProgress(Message):
    """Examples decoded so far, while the node's cache is built."""

    type: Literal["decoding"] = "decoding"
    done: int
    total: int


class Prepared(Message):
    """The data is decoded and split: where, and what it is."""

    type: Literal["prepared"] = "prepared"
    folder: str
    fingerprint: str
    description: dict[str, Any]


class Listed(Message):
    """The search space: every hyperparameter, the values of a grid if one was asked for, its portfolio and kind."""

    type: Literal["listed"] = "listed"
    hyperparameters: list[dict[str, Any]]
    grid: dict[str, list[Any]] | None = None
    portfolio: list[dict[str, Any]]
    kind: str | None = None


class Checked(Message):
    """The model with default values ran a batch of each kind.

    Attributes:
        warnings: what the study will lack.
        values: the default values.
        saved: whether the model is in the file that was asked for.
    """

    type: Literal["checked"] = "checked"
    parameters: int
    metrics: dict[str, float]
    warnings: list[str] = Field(default_factory=list)
    class_weights: list[float] | None = None
    values: dict[str, Any] = Field(default_factory=dict)
    saved: bool = False


class StudyRefused(Message):
    """Why the study cannot run; ``kind`` says which of the service's errors it is, ``key`` where in the spec."""

    type: Literal["study_refused"] = "study_refused"
    kind: Literal["data", "space", "preflight"]
    message: str
    key: str
    files: list[str] = Field(default_factory=list)
    traceback: str | None = None


FromPreparation = Annotated[DecodeProgress | Prepared | Listed | Checked | StudyRefused, Field(discriminator="type")]
FROM_PREPARATION: TypeAdapter[FromPreparation] = TypeAdapter(FromPreparation)
