"""Predictions of an exported champion for raw examples. TensorFlow runs in a child process only."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

from tuner.champion.child_process import ChildProcess, Refused
from tuner.champion.prediction.answers import keys_of
from tuner.champion.prediction.inputs import Input, expand
from tuner.champion.prediction.messages import FROM_PREDICTING, ExampleAnswer, Predict
from tuner.champion.records.champion_json import SAVED_MODEL, Champion, read_champion
from tuner.errors import PredictError

Progress = Callable[[int, int], None]
_STANDARD_INPUT = 0


@dataclass(frozen=True)
class Prediction:
    """What a model says about an example, or why there is nothing to say.

    Attributes:
        file: as given, the path of a file inside a folder that was given, or the file that a JSON line names.
        row: of a file with rows, from 1 without the header; of standard input, the line's number; None for a file that
            is one example.
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


class Predictions(Iterator[Prediction]):
    """Predictions as they come.

    Attributes:
        said: the attributes of a prediction that this champion's task fills: ``label`` and ``probability``, ``labels``,
            or ``value``.
        files: how many files there are to read.
    """

    def __init__(self, found: Generator[Prediction, None, None], said: tuple[str, ...], files: int) -> None:
        self._found = found
        self.said, self.files = said, files

    def __next__(self) -> Prediction:
        return next(self._found)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the predicting process, if not everything has been read."""
        self._found.close()


def predict(
    folder: Path | str,
    inputs: Sequence[Path | str],
    on_progress: Progress | None = None,
    *,
    log: Path | None = None,
    stdin: IO[Any] | None = None,
) -> Predictions:
    """Predicts raw examples with the exported SavedModel, in batches and in order, without keeping them in memory.

    The export is checked at once, before anything is predicted.

    Args:
        folder: an export.
        inputs: files of the kind that the model takes, and folders that are searched for such files, in the order of
            the results: image files; .txt files, and CSV or Parquet files with the texts' column; CSV or Parquet files
            with a table's columns; .npz or .npy files with arrays. ``-`` is standard input, once: an example in JSON on
            each line, answered as soon as no more is there to be read. An image is ``{"file": path}`` or ``{"base64":
            content}``, a text a string or ``{"text": string}``, a row an object with all columns, null for missing
            values, an array nested lists, or an object of them by name. ``Path("-")`` is a file of that name.
        on_progress: called with (files done, files).
        log: a file that receives what TensorFlow prints.
        stdin: what ``-`` reads in place of this process's standard input: a pipe, socket or file with a descriptor, of
            which nothing has been read yet.

    Returns:
        An iterator with one prediction per example, as they come. A file, row or line that cannot be read has an error
        and does not stop the others. ``close`` it, or use it in a ``with`` statement, to leave before its end.

    Raises:
        PredictError: the folder is not an intact export, the model takes something else than files, or ``-`` is given
            twice or closed; while iterating, the model cannot be run.
    """
    folder = Path(folder)
    champion = read_champion(folder)
    if champion.input.kind == "model":
        raise PredictError(
            f"{folder} takes {', '.join(champion.input.signatures['serving_default'])}, which are no files: load its "
            "saved_model with TensorFlow"
        )
    given = list(expand(inputs, champion.input.kind))
    lines = _check_lines(given, _STANDARD_INPUT if stdin is None else stdin.fileno())
    said = keys_of([each.tensor for each in champion.outputs], champion.task)
    return Predictions(_predictions(champion, folder, given, on_progress, log, lines), said, len(given))


def _check_lines(inputs: list[Input], descriptor: int) -> int:
    times = sum(each.lines for each in inputs)
    if times > 1:
        raise PredictError("standard input, -, is given twice and can be read once; a file of that name is ./-")
    if times:
        try:
            os.fstat(descriptor)
        except OSError:
            raise PredictError("standard input is closed, and - reads it: give it with < or a pipe") from None
    return descriptor


def _predictions(
    champion: Champion,
    folder: Path,
    inputs: list[Input],
    on_progress: Progress | None,
    log: Path | None,
    lines: int,
) -> Generator[Prediction, None, None]:
    readable = [item for item in inputs if item.error is None]
    with contextlib.closing(_answers(champion, folder, readable, log, lines)) as answers:
        for done, item in enumerate(inputs, start=1):
            if item.error:
                yield Prediction(item.file, None, None, item.error)
            else:
                for answer in answers:
                    if answer is None:
                        break
                    yield _prediction(item.file, answer)
            if on_progress:
                on_progress(done, len(inputs))


def _answers(
    champion: Champion, folder: Path, files: list[Input], log: Path | None, lines: int
) -> Generator[ExampleAnswer | None, None, None]:
    """What the predicting process says; it is started when the first answer is asked for."""
    with contextlib.ExitStack() as stack:
        # The child's own standard input is where it hears its parent.
        passed = [os.dup(lines)] if any(file.lines for file in files) else []
        # The current folder may be the export, with a file tensorflow.py in it.
        child = ChildProcess(
            "tuner.champion.prediction.prediction_process",
            FROM_PREDICTING,
            log or Path(os.devnull),
            user_code=False,
            inherited=passed,
        )
        stack.enter_context(child)
        for descriptor in passed:
            os.close(descriptor)
        child.send(
            Predict(
                saved_model=folder.absolute() / SAVED_MODEL,
                takes=champion.input,
                task=champion.task,
                class_names=champion.class_names,
                files=tuple(passed[0] if each.lines else each.file.absolute() for each in files),
            )
        )
        ended = 0
        while ended < len(files):
            message = child.receive()
            if message is None:
                seen = f"; its output is in {log}" if log else ""
                raise PredictError(f"the process ended with {child.how_it_ended()}{seen}")
            if isinstance(message, Refused):
                raise PredictError(f"{folder} cannot be run: {message.reason}")
            ended += sum(answer is None for answer in message.answers)
            yield from message.answers


def _prediction(file: Path, answer: ExampleAnswer) -> Prediction:
    return Prediction(
        file=Path(answer.get("named", file)),
        label=answer.get("label"),
        probability=answer.get("probability"),
        error=answer.get("error"),
        row=answer.get("row"),
        labels=answer.get("labels"),
        value=answer.get("value"),
    )
