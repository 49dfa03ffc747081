"""Predictions of an exported champion for raw files. TensorFlow runs in a child process only."""

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
    """One file's most probable class, or why there is none.

    Attributes:
        file: as given, or the path of a file inside a folder that was given.
        label: the class's name; None where there is an error.
        probability: of that class, in [0, 1]; None where there is an error.
        error: what is wrong with the file, one line.
    """

    file: Path
    label: str | None
    probability: float | None
    error: str | None = None


def predict(
    folder: Path | str,
    inputs: Sequence[Path | str],
    on_progress: Progress | None = None,
    *,
    log: Path | None = None,
) -> Iterator[Prediction]:
    """Predicts raw image files with the exported SavedModel.

    The export is checked at once, before anything is predicted.

    Args:
        folder: an export.
        inputs: files, and folders that are searched for images, in the order of the results.
        on_progress: called with (files done, files).
        log: a file that receives what TensorFlow prints.

    Returns:
        One prediction per file, as they come. A file that cannot be read or decoded has an error
        and does not stop the others.

    Raises:
        PredictError: the folder is not an intact export; while iterating, the model cannot be run.
    """
    folder = Path(folder)
    champion = read_champion(folder)
    return _predictions(champion, folder, list(expand([Path(given) for given in inputs])), on_progress, log)


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
            answer = {"error": item.error} if item.error else next(answers)
            yield _prediction(champion, item.file, answer)
            if on_progress:
                on_progress(done, len(inputs))


def _answers(
    champion: Champion, folder: Path, files: list[Path], log: Path | None
) -> Generator[dict[str, Any], None, None]:
    """What the predicting process says about each file; it is started when the first is asked for."""
    with JsonChild("tuner.champion.predicting", log or Path(os.devnull)) as child:
        child.send(
            {
                "saved_model": os.fspath(folder.absolute() / SAVED_MODEL),
                "files": [os.fspath(file.absolute()) for file in files],
                "image_size": champion.input.image_size,
            }
        )
        for _ in files:
            answer = child.receive()
            if answer is None:
                seen = f"; its output is in {log}" if log else ""
                raise PredictError(f"the process ended with {child.how_it_ended()}{seen}")
            if "refused" in answer:
                raise PredictError(f"{folder} cannot be run: {answer['refused']}")
            yield answer


def _prediction(champion: Champion, file: Path, answer: dict[str, Any]) -> Prediction:
    if answer.get("error"):
        return Prediction(file, None, None, answer["error"])
    return Prediction(file, champion.class_names[answer["column"]], answer["probability"])
