"""What the predicting process is asked, and what it answers, over the pipe of ``child_process``.

It takes one ``Predict``, and says ``Predicted`` for each batch, or ``Refused`` if the model cannot be run at all.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter
from typing_extensions import TypedDict

from tuner.champion.child_process import Refused
from tuner.champion.records.champion_json import ChampionInput
from tuner.processes.messages import Message


class Predict(Message):
    """Asks for predictions of all examples in some files.

    Attributes:
        saved_model: the folder to load.
        takes: what it takes.
        task, class_names: what its outputs mean.
        files: paths, and descriptors to read JSON lines from.
    """

    type: Literal["predict"] = "predict"
    saved_model: Path
    takes: ChampionInput
    task: str
    class_names: tuple[str, ...]
    files: tuple[int | Path, ...]


class ExampleAnswer(TypedDict, total=False):
    """What the model says of an example, or what is wrong with it; see ``predict.Prediction``.

    A table has millions of them: a dict takes a fifth of a model's time.

    Attributes:
        named: the file that a JSON line names.
    """

    row: int
    named: str
    label: str
    probability: float
    labels: dict[str, float]
    value: Any
    error: str


class Predicted(Message):
    """The answers to a batch, in order; None stands where a file has no more examples."""

    type: Literal["predicted"] = "predicted"
    answers: tuple[ExampleAnswer | None, ...]


FromPredicting = Annotated[Predicted | Refused, Field(discriminator="type")]

TO_PREDICTING: TypeAdapter[Predict] = TypeAdapter(Predict)
FROM_PREDICTING: TypeAdapter[FromPredicting] = TypeAdapter(FromPredicting)
