"""The process that runs an exported SavedModel on raw examples.

``python -m tuner.champion.predicting LOG`` takes ``{"saved_model", "input", "files", "task", "class_names"}`` and says
for each file's examples, in order, ``{"file", "row"}`` with what the model gives or ``{"error"}``; after a file's last
one ``{"end": file}``. Or ``{"refused": reason}`` if the model cannot be run at all.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from tuner.champion.answers import answers_of
from tuner.champion.child import Receive, Say, serve
from tuner.champion.items import Item, items_of
from tuner.champion.record import ChampionInput, ImageInput
from tuner.champion.tensors import IMAGE_BYTES, SERVING

BATCH = 64

Answer = dict[str, Any]


def work(receive: Receive, say: Say) -> None:
    """Answers the parent's one question."""
    message = receive()
    assert message is not None
    try:
        takes: ChampionInput = TypeAdapter(ChampionInput).validate_python(message["input"])
        model = ServedModel(message["saved_model"], takes, message["task"], message["class_names"])
        files = [Path(file) for file in message["files"]]
        for items in _batches(_all_items(files, takes)):
            for item, answer in zip(items, model.answers(items), strict=True):
                say({"end": item} if isinstance(item, int) else {"file": item.file, "row": item.row} | answer)
    except Exception as error:
        traceback.print_exc()
        say({"refused": f"{type(error).__name__}: {' '.join(str(error).split())[:1000]}"})


def _all_items(files: list[Path], takes: ChampionInput) -> Iterator[Item | int]:
    """The examples of all files; a file's place where it ends."""
    for index, file in enumerate(files):
        yield from items_of(index, file, takes)
        yield index


def _batches(items: Iterable[Item | int]) -> Iterator[list[Item | int]]:
    batch: list[Item | int] = []
    for item in items:
        batch.append(item)
        if len(batch) == BATCH:
            yield batch
            batch = []
    yield batch


class ServedModel:
    """A SavedModel's ``serving_default``, a batch of examples at a time.

    Args:
        folder: the SavedModel.
        takes: what it takes.
        task: what its outputs mean, with ``class_names``.
    """

    def __init__(self, folder: str, takes: ChampionInput, task: str, class_names: list[str]) -> None:
        import tensorflow as tf

        # The signature does not keep the model alive.
        self._loaded = tf.saved_model.load(folder)
        self._serve = self._loaded.signatures[SERVING]
        self._takes, self._task, self._class_names = takes, task, class_names

    def answers(self, items: list[Item | int]) -> Iterator[Answer]:
        """What is to be said about each example, in order."""
        readable = [item.tensors for item in items if isinstance(item, Item) and item.tensors is not None]
        results = iter(self._run_all(readable))
        for item in items:
            if isinstance(item, int):
                yield {}
            else:
                yield {"error": item.error} if item.tensors is None else next(results)

    def _run_all(self, examples: list[dict[str, Any]]) -> list[Answer]:
        import tensorflow as tf

        if not examples:
            return []
        try:
            return self._run(examples)
        except tf.errors.InvalidArgumentError as error:
            if not isinstance(self._takes, ImageInput):
                return self._one_by_one(examples, error)
            # One bad file fails its batch: the others are run without it.
            problems = [self._problem(example[IMAGE_BYTES]) for example in examples]
            good = [each for each, problem in zip(examples, problems, strict=True) if problem is None]
            results = iter(self._run(good) if good else [])
            return [{"error": problem} if problem else next(results) for problem in problems]

    def _one_by_one(self, examples: list[dict[str, Any]], error: Exception) -> list[Answer]:
        if len(examples) == 1:
            return [{"error": f"the model refuses it: {' '.join(str(error).split())[:300]}"}]
        return [answer for example in examples for answer in self._run_all([example])]

    def _run(self, examples: list[dict[str, Any]]) -> list[Answer]:
        import numpy as np
        import tensorflow as tf

        wanted = self._serve.structured_input_signature[1]
        given = {}
        for tensor in examples[0]:
            values, dtype = [example[tensor] for example in examples], wanted[tensor].dtype
            given[tensor] = tf.constant(
                values if dtype == tf.string else np.asarray(values).astype(dtype.as_numpy_dtype), dtype
            )
        outputs = {name: value.numpy() for name, value in self._serve(**given).items()}
        return answers_of(outputs, self._task, self._class_names)

    def _problem(self, content: bytes) -> str | None:
        from tuner.data.decode import UndecodableImage

        try:
            self._decode(content)
        except UndecodableImage as error:
            return f"is not an image: {error}"
        return None

    @cached_property
    def _decode(self) -> Any:
        from tuner.data.decode import file_decoder

        assert isinstance(self._takes, ImageInput)
        return file_decoder(self._takes.image_size, 3)


if __name__ == "__main__":
    serve(work)
