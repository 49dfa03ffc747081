"""The process that runs an exported SavedModel on raw examples.

``python -m tuner.champion.prediction.prediction_process LOG``; ``messages`` has what it is asked and answers.
"""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any

from tuner.champion.child_process import Say, serve
from tuner.champion.model.tensors import IMAGE_BYTES, SERVING
from tuner.champion.prediction.answers import answers_of
from tuner.champion.prediction.batching import BATCH, TABLE_BATCH, Batch, Entry, batches_of, by_shape
from tuner.champion.prediction.items import FileEnd, Item, all_items
from tuner.champion.prediction.messages import TO_PREDICTING, ExampleAnswer, Predict, Predicted
from tuner.champion.records.champion_json import ChampionInput, ImageInput
from tuner.processes.quick_imports import without_collection

# While one batch is in the network, which keeps no core busy all the time, the next one is decoded.
_AT_ONCE = 2
_AHEAD = 4


def work(questions: Iterator[Predict], say: Say) -> None:
    """Answers the parent's one question."""
    asked = next(questions)
    threading.Thread(target=_end_with_parent, args=(questions,), daemon=True).start()
    model = ServedModel(asked.saved_model, asked.takes, asked.task, asked.class_names)
    most = TABLE_BATCH if asked.takes.kind == "table" else BATCH
    for predicted in _predicted(model, batches_of(all_items(asked.files, asked.takes), most)):
        say(predicted)


def _end_with_parent(questions: Iterator[Predict]) -> None:
    # It may wait for lines that nobody will want an answer to.
    for _ in questions:
        pass
    os._exit(1)


def _predicted(model: ServedModel, batches: Iterator[Batch]) -> Iterator[Predicted]:
    """The answers to each batch, in order; examples are read while others are predicted."""
    running: deque[Future[Predicted]] = deque()
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

    def __init__(self, folder: Path, takes: ChampionInput, task: str, class_names: Sequence[str]) -> None:
        # A SavedModel needs no Keras, which TensorFlow imports too where it can.
        sys.modules.setdefault("keras", None)  # type: ignore[arg-type]  # as the import system takes it
        with without_collection():
            import tensorflow as tf

            # The signature does not keep the model alive.
            self._loaded = tf.saved_model.load(os.fspath(folder))
        self._serve = self._loaded.signatures[SERVING]
        self._takes, self._task, self._class_names = takes, task, class_names

    def answers(self, entries: list[Entry]) -> Predicted:
        """What is to be said about each example and each end of a file, in order; may be called from threads."""
        readable = [entry.tensors for entry in entries if isinstance(entry, Item) and entry.tensors is not None]
        results = iter(self._run_groups(readable))
        # Who receives them checks them.
        return Predicted.model_construct(answers=tuple(_answer(entry, results) for entry in entries))

    def _run_groups(self, examples: list[dict[str, Any]]) -> list[ExampleAnswer]:
        found: list[ExampleAnswer] = [ExampleAnswer()] * len(examples)
        for places in by_shape(examples):
            for place, answer in zip(places, self._run_all([examples[place] for place in places]), strict=True):
                found[place] = answer
        return found

    def _run_all(self, examples: list[dict[str, Any]]) -> list[ExampleAnswer]:
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

    def _one_by_one(self, examples: list[dict[str, Any]], error: Exception) -> list[ExampleAnswer]:
        if len(examples) == 1:
            return [{"error": f"the model refuses it: {' '.join(str(error).split())[:300]}"}]
        return [answer for example in examples for answer in self._run_all([example])]

    def _run(self, examples: list[dict[str, Any]]) -> list[ExampleAnswer]:
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


def _answer(entry: Entry, results: Iterator[ExampleAnswer]) -> ExampleAnswer | None:
    if isinstance(entry, FileEnd):
        return None
    given = ExampleAnswer(error=entry.error or "") if entry.tensors is None else next(results)
    if entry.row is not None:
        given["row"] = entry.row
    if entry.named is not None:
        given["named"] = entry.named
    return given


if __name__ == "__main__":
    serve(work, TO_PREDICTING)
