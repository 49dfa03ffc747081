"""Predictions of an exported champion for raw examples. TensorFlow runs in a child process only."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tuner.champion.child import JsonChild
from tuner.champion.inputs import Input, expand
from tuner.champion.record import SAVED_MODEL, Champion, read_champion
from tuner.errors import PredictError

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Prediction:
    """What a model says about an example, or why there is nothing to say.

    Attributes:
        file: as given, or the path of a file inside a folder that was given.
        row: of a file with rows, from 1 without the header; None for a file that is one example.
        label: the most probable class's name; None for other tasks, and where there is an error.
        probability: of that class, in [0, 1]; likewise.
        labels: of multi-label, those that are likely, with their probabilities.
        value: of regression and other models: a number, nested lists of numbers, or a dict of them by output.
        error: what is wrong with the example, one line.
    """

    file: Path
    label: str | None
    probability: float | None
    error: str | None = None
    row: int | None = None
    labels: dict[str, float] | None = None
    value: Any = None


def predict(
    folder: Path | str,
    inputs: Sequence[Path | str],
    on_progress: Progress | None = None,
    *,
    log: Path | None = None,
) -> Iterator[Prediction]:
    """Predicts raw examples with the exported SavedModel.

    The export is checked at once, before anything is predicted.

    Args:
        folder: an export.
        inputs: files of the kind that the model takes, and folders that are searched for such files, in the order of
            the results: image files; .txt files, and CSV or Parquet files with the texts' column; CSV or Parquet files
            with a table's columns; .npz or .npy files with arrays.
        on_progress: called with (files done, files).
        log: a file that receives what TensorFlow prints.

    Returns:
        One prediction per example, as they come. A file or a row that cannot be read has an error
        and does not stop the others.

    Raises:
        PredictError: the folder is not an intact export, or the model takes something else than files; while
            iterating, the model cannot be run.
    """
    folder = Path(folder)
    champion = read_champion(folder)
    if champion.input.kind == "model":
        raise PredictError(
            f"{folder} takes {', '.join(champion.input.signatures['serving_default'])}, which are no files: load its "
            "saved_model with TensorFlow"
        )
    given = list(expand([Path(given) for given in inputs], champion.input.kind))
    return _predictions(champion, folder, given, on_progress, log)


def _predictions(
    champion: Champion,
    folder: Path,
    inputs: list[Input],
    on_progress: Progress | None,
    log: Path | None,
) -> Iterator[Prediction]:
    readable = [item.file for item in inputs if item.error is None]
    with contextlib.closing(_answers(champion, folder, readable, log)) as answers:
        for done, item in enumerate(inputs, start=1):
            if item.error:
                yield Prediction(item.file, None, None, item.error)
            else:
                for answer in answers:
                    if "end" in answer:
                        break
                    yield _prediction(item.file, answer)
            if on_progress:
                on_progress(done, len(inputs))


def _answers(
    champion: Champion, folder: Path, files: list[Path], log: Path | None
) -> Generator[dict[str, Any], None, None]:
    """What the predicting process says; it is started when the first answer is asked for."""
    with JsonChild("tuner.champion.predicting", log or Path(os.devnull)) as child:
        child.send(
            {
                "saved_model": os.fspath(folder.absolute() / SAVED_MODEL),
                "files": [os.fspath(file.absolute()) for file in files],
                "input": champion.input.model_dump(mode="json"),
                "task": champion.task,
                "class_names": champion.class_names,
            }
        )
        ended = 0
        while ended < len(files):
            answer = child.receive()
            if answer is None:
                seen = f"; its output is in {log}" if log else ""
                raise PredictError(f"the process ended with {child.how_it_ended()}{seen}")
            if "refused" in answer:
                raise PredictError(f"{folder} cannot be run: {answer['refused']}")
            ended += "end" in answer
            yield answer


def _prediction(file: Path, answer: dict[str, Any]) -> Prediction:
    return Prediction(
        file=file,
        label=answer.get("label"),
        probability=answer.get("probability"),
        error=answer.get("error"),
        row=answer.get("row"),
        labels=answer.get("labels"),
        value=answer.get("value"),
    )
