"""The process that runs an exported SavedModel on raw files.

``python -m tuner.champion.predicting LOG`` takes ``{"saved_model", "files", "image_size"}`` and says
for each file, in order, ``{"column", "probability"}`` of its most probable class or ``{"error"}``;
or ``{"refused": reason}`` if the model cannot be run at all.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from tuner.champion.child import Receive, Say, serve
from tuner.data.bad_files import unreadable_reason

BATCH = 64

Answer = dict[str, Any]


def work(receive: Receive, say: Say) -> None:
    """Answers the parent's one question."""
    message = receive()
    assert message is not None
    try:
        model = ServedModel(message["saved_model"], tuple(message["image_size"]))
        files = message["files"]
        for start in range(0, len(files), BATCH):
            for answer in model.answers(files[start : start + BATCH]):
                say(answer)
    except Exception as error:
        traceback.print_exc()
        say({"refused": f"{type(error).__name__}: {' '.join(str(error).split())[:1000]}"})


class ServedModel:
    """A SavedModel's ``serving_default``, a batch of files at a time.

    Args:
        folder: the SavedModel.
        size: (height, width) that it decodes to.
    """

    def __init__(self, folder: str, size: tuple[int, int]) -> None:
        import tensorflow as tf

        # The signature does not keep the model alive.
        self._loaded = tf.saved_model.load(folder)
        self._serve = self._loaded.signatures["serving_default"]
        self._size = size

    def answers(self, files: list[str]) -> Iterator[Answer]:
        """What is to be said about each file, in order."""
        contents = [_read(file) for file in files]
        readable = [content for content in contents if isinstance(content, bytes)]
        results = iter(self._run_all(readable))
        for content in contents:
            yield next(results) if isinstance(content, bytes) else {"error": content}

    def _run_all(self, contents: list[bytes]) -> list[Answer]:
        import tensorflow as tf

        if not contents:
            return []
        try:
            return self._run(contents)
        except tf.errors.InvalidArgumentError:
            # One bad file fails its batch: the others are run without it.
            problems = [self._problem(content) for content in contents]
            good = [c for c, problem in zip(contents, problems, strict=True) if problem is None]
            results = iter(self._run(good) if good else [])
            return [{"error": problem} if problem else next(results) for problem in problems]

    def _run(self, contents: list[bytes]) -> list[Answer]:
        import tensorflow as tf

        given = self._serve(image_bytes=tf.constant(contents))["probabilities"].numpy()
        columns = given.argmax(axis=1)
        return [
            {"column": int(column), "probability": float(row[column])}
            for column, row in zip(columns, given, strict=True)
        ]

    def _problem(self, content: bytes) -> str | None:
        from tuner.data.decode import UndecodableImage

        try:
            self._decode(content)
        except UndecodableImage as error:
            return f"is not an image: {error}"
        return None

    @cached_property
    def _decode(self) -> Callable[[bytes], Any]:
        from tuner.data.decode import file_decoder

        return file_decoder(self._size, 3)


def _read(file: str) -> bytes | str:
    """The file's content, or why it cannot be read."""
    try:
        return Path(file).read_bytes()
    except OSError as error:
        return unreadable_reason(error)


if __name__ == "__main__":
    serve(work)
