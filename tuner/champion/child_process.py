"""Child processes, in which alone TensorFlow lives, and the one way in which their parent talks with them.

Messages are pydantic models, one as JSON on each line. The parent asks on the child's standard input, the child answers
on its standard output; what anybody prints there goes to a log. Instead of an answer a child may say ``Refused``.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Literal, Self, TypeVar

from pydantic import TypeAdapter

from storage.held_folders import scratch_folder
from tuner.errors import ExportError, TunerError
from tuner.processes.child_environment import tensorflow_environment
from tuner.processes.messages import Message
from tuner.processes.parents import watch_parent

# The exporting and the verifying process are alive at once and may share a GPU.
ENVIRONMENT = {"TF_FORCE_GPU_ALLOW_GROWTH": "true"}
_LEAVE_SECONDS = 5.0


class Refused(Message):
    """A question that the child cannot answer, and why, for people."""

    type: Literal["refused"] = "refused"
    reason: str


Answer = TypeVar("Answer")
Question = TypeVar("Question")
Wanted = TypeVar("Wanted", bound=Message)


class ChildProcess(Generic[Answer]):
    """``python -m module``, ended when the block is left.

    Args:
        module: its main calls ``serve``.
        answers: the messages that it sends.
        log: receives what it prints, from its very start.
        user_code: it may import modules out of the current folder, where a spec's are.
        inherited: descriptors that it has too, under the same numbers.
    """

    def __init__(
        self,
        module: str,
        answers: TypeAdapter[Answer],
        log: Path,
        *,
        user_code: bool = True,
        inherited: Sequence[int] = (),
    ) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        self._answers, self._log = answers, log
        self._scratch = scratch_folder()
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, *(() if user_code else ("-P",)), "-m", module, os.fspath(log)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                pass_fds=inherited,
                env=tensorflow_environment(self._scratch.name) | ENVIRONMENT,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # What has a handler for it, such as the measuring of coverage, may still write down what it has.
        self._process.terminate()
        with contextlib.suppress(BrokenPipeError):
            try:
                self._process.communicate(timeout=_LEAVE_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.communicate()
        self._scratch.cleanup()

    def send(self, question: Message) -> None:
        """Sends a message; that the child has died shows when its answer is awaited."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(_line(question))
            self._process.stdin.flush()

    def receive(self) -> Answer | None:
        """The next message, or None if the child has ended."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        # A line that was cut off by the child's death is no message.
        return _parsed(self._answers, line) if line.endswith(b"\n") else None

    def ask(self, question: Message, wanted: type[Wanted], called: str) -> Wanted:
        """The answer to a question.

        Args:
            wanted: what the answer is.
            called: what the process is called in errors.

        Raises:
            ExportError: the child refuses, saying why, or has died.
        """
        self.send(question)
        answer = self.receive()
        if answer is None:
            raise ExportError(f"the {called} ended with {self.how_it_ended()}; its output is in {self._log}")
        if isinstance(answer, Refused):
            raise ExportError(answer.reason)
        assert isinstance(answer, wanted), answer
        return answer

    def how_it_ended(self) -> str:
        """``signal 9`` or ``exit code 1``, of a child that sends no more."""
        return describe_exit(self._process.wait())


def describe_exit(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def _line(message: Message) -> bytes:
    # Python's own JSON has NaN, and names of files that are no UTF-8.
    return json.dumps(message.model_dump(mode="json")).encode("ascii") + b"\n"


def _parsed(kind: TypeAdapter[Any], line: bytes | str) -> Any:
    return kind.validate_python(json.loads(line))


Say = Callable[[Message], None]


def serve(work: Callable[[Iterator[Question], Say], None], questions: TypeAdapter[Question]) -> None:
    """The child's side: runs ``work`` with the parent's questions and a way to answer; its errors are refusals.

    What anything prints goes to the log that the command line names.
    """
    from tuner.trial.process import redirect_output

    watch_parent()
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    redirect_output(Path(sys.argv[1]))

    def say(message: Message) -> None:
        answers.write(_line(message))

    try:
        work((_parsed(questions, line) for line in iter(sys.stdin.readline, "")), say)
    except Exception as error:
        traceback.print_exc()
        say(Refused(reason=reason_of(error)))
    answers.close()
    sys.stdout.flush()
    sys.stderr.flush()
    # Tearing TensorFlow down can hang; everything has been said.
    os._exit(0)


def reason_of(error: Exception) -> str:
    """Why a child cannot go on, for people."""
    if isinstance(error, TunerError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'the model cannot be written'}: {error.strerror}"
    return named_reason(error)


def named_reason(error: Exception) -> str:
    """An error with the name of its class, on one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:1000]}"
