"""The process that runs an exported SavedModel on raw examples.

``python -m tuner.champion.prediction.prediction_process LOG``
takes ``{"saved_model", "input", "files", "task", "class_names"}``, of which
files are paths, and descriptors to read JSON lines from. It says ``{"answers": [...]}`` for each batch: for each
example, in order, ``{"row", "named"}`` with what the model gives or ``{"error"}``; after a file's last one ``{"end":
file}``. Or ``{"refused": reason}`` if the model cannot be run at all.
"""

from __future__ import annotations

import os
import sys
import threading
import traceback
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from tuner.champion.child import Receive, Say, serve
from tuner.champion.model.tensors import IMAGE_BYTES, SERVING
from tuner.champion.prediction.answers import answers_of
from tuner.champion.prediction.batching import BATCH, TABLE_BATCH, Batch, Entry, batches_of, by_shape
from tuner.champion.prediction.items import FileEnd, Item, all_items
from tuner.champion.records.champion_json import ChampionInput, ImageInput
from tuner.processes.quick_imports import without_collection

# While one batch is in the network, which keeps no core busy all the time, the next one is decoded.
_AT_ONCE = 2
_AHEAD = 4

Answer = dict[str, Any]


def work(receive: Receive, say: Say) -> None:
    """Answers the parent's one question."""
    message = receive()
    assert message is not None
    threading.Thread(target=_end_with_parent, args=(receive,), daemon=True).start()
    try:
        takes: ChampionInput = TypeAdapter(ChampionInput).validate_python(message["input"])
        model = ServedModel(message["saved_model"], takes, message["task"], message["class_names"])
        files = [file if isinstance(file, int) else Path(file) for file in message["files"]]
        most = TABLE_BATCH if takes.kind == "table" else BATCH
        for answers in _answers(model, batches_of(all_items(files, takes), most)):
            say({"answers": answers})
    except Exception as error:
        traceback.print_exc()
        say({"refused": f"{type(error).__name__}: {' '.join(str(error).split())[:1000]}"})


def _end_with_parent(receive: Receive) -> None:
    # It may wait for lines that nobody will want an answer to.
    while receive() is not None:
        pass
    os._exit(1)


def _answers(model: ServedModel, batches: Iterator[Batch]) -> Iterator[list[Answer]]:
    """The answers to each batch, in order; examples are read while others are predicted."""
    running: deque[Future[list[Answer]]] = deque()
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for batch in batches:
            running.append(pool.submit(model.answers, batch.entries))
            while running and (batch.last or len(running) > _AHEAD or running[0].done()):
                yield running.popleft().result()
        for future in running:
            yield future.result()


class ServedModel:
    """A SavedModel's ``serving_default``, a batch of examples at a time.

    Args:
        folder: the SavedModel.
        takes: what it takes.
        task: what its outputs mean, with ``class_names``.
    """

    def __init__(self, folder: str, takes: ChampionInput, task: str, class_names: list[str]) -> None:
        # A SavedModel needs no Keras, which TensorFlow imports too where it can.
        sys.modules.setdefault("keras", None)  # type: ignore[arg-type]  # as the import system takes it
        with without_collection():
            import tensorflow as tf

            # The signature does not keep the model alive.
            self._loaded = tf.saved_model.load(folder)
        self._serve = self._loaded.signatures[SERVING]
        self._takes, self._task, self._class_names = takes, task, class_names

    def answers(self, entries: list[Entry]) -> list[Answer]:
        """What is to be said about each example and each end of a file, in order; may be called from threads."""
        readable = [entry.tensors for entry in entries if isinstance(entry, Item) and entry.tensors is not None]
        results = iter(self._run_groups(readable))
        return [_told(entry, results) for entry in entries]

    def _run_groups(self, examples: list[dict[str, Any]]) -> list[Answer]:
        found: list[Answer] = [{}] * len(examples)
        for places in by_shape(examples):
            for place, answer in zip(places, self._run_all([examples[place] for place in places]), strict=True):
                found[place] = answer
        return found

    def _run_all(self, examples: list[dict[str, Any]]) -> list[Answer]:
        import tensorflow as tf

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


def _told(entry: Entry, results: Iterator[Answer]) -> Answer:
    if isinstance(entry, FileEnd):
        return {"end": entry.file}
    told = {name: value for name, value in (("row", entry.row), ("named", entry.named)) if value is not None}
    return told | ({"error": entry.error} if entry.tensors is None else next(results))


if __name__ == "__main__":
    serve(work)
