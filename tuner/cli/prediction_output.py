"""Where predictions go: standard output, or a file that is there when it is whole."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from tuner.errors import PredictError
from tuner.presentation.tables import printable


class Output:
    """A stream whose errors are said in one line.

    Args:
        called: what it is called in them.
    """

    def __init__(self, stream: TextIO, called: str) -> None:
        self._stream = stream
        self._called = called

    def write(self, text: str, *, now: bool = False) -> None:
        """Writes; ``now`` also sends what was kept back until there is more of it.

        Raises:
            PredictError: it cannot be written.
            BrokenPipeError: nobody reads it any more.
        """
        with complaining(self._called):
            self._stream.write(text)
            if now:
                self._stream.flush()


@contextmanager
def opened(output: Path | None) -> Iterator[Output]:
    """What predictions are written to. A file gets its name when the block is left without an error, and else is gone.

    Raises:
        PredictError: it cannot be written.
    """
    if output is None:
        # File names may hold bytes that are not UTF-8; as in JSON they come out escaped.
        if hasattr(sys.stdout, "reconfigure"):
            sys.stdout.reconfigure(errors="backslashreplace")
        stream = Output(sys.stdout, "standard output")
        try:
            yield stream
            stream.write("", now=True)
        except PredictError:
            _drop_standard_output()
            raise
    else:
        # A link stays one: what it leads to is replaced.
        yield from _replaced(Path(os.path.realpath(output)), printable(str(output)))


def _replaced(output: Path, called: str) -> Iterator[Output]:
    with complaining(called):
        if output.exists() and not output.is_file():
            raise PredictError(f"{called} is not a regular file: give another name, or use > instead")
    temporary = output.with_name(f".{output.name}.{os.getpid()}.writing")
    with complaining(called):
        file = temporary.open("x", encoding="utf-8", errors="backslashreplace", newline="")
    try:
        yield Output(file, called)
        with complaining(called):
            file.flush()
            os.fsync(file.fileno())
            file.close()
            os.replace(temporary, output)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        # What could not be written is tried once more.
        with suppress(OSError):
            file.close()
        raise


@contextmanager
def complaining(called: str) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise PredictError(f"{called} cannot be written: {error.strerror}") from None


def _drop_standard_output() -> None:
    """Python would try to write it once more at its end, and complain in its own way."""
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        return
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
