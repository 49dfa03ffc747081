"""A child process that takes and gives one JSON object a line; TensorFlow lives there only."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tuner.errors import ExportError
from tuner.processes.child_environment import scratch_folder, tensorflow_environment

# The exporting and the verifying process are alive at once and may share a GPU.
ENVIRONMENT = {"TF_FORCE_GPU_ALLOW_GROWTH": "true"}


class JsonChild:
    """``python -m module``, ended when the block is left.

    Args:
        module: its main calls ``serve``.
        log: receives what it prints, from its very start.
        user_code: it may import modules out of the current folder, where a spec's are.
        inherited: descriptors that it has too, under the same numbers.
    """

    def __init__(self, module: str, log: Path, *, user_code: bool = True, inherited: Sequence[int] = ()) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        self._log = log
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
        self._process.kill()
        with contextlib.suppress(BrokenPipeError):
            self._process.communicate()
        self._scratch.cleanup()

    def send(self, message: dict[str, Any]) -> None:
        """Sends a message; that the child has died shows when its answer is awaited."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(message).encode("ascii") + b"\n")
            self._process.stdin.flush()

    def receive(self) -> dict[str, Any] | None:
        """The next message, or None if the child has ended."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        # A line that was cut off by the child's death is no message.
        return json.loads(line) if line.endswith(b"\n") else None

    def ask(self, question: dict[str, Any], called: str) -> dict[str, Any]:
        """The answer to a question.

        Args:
            called: what the process is called in errors.

        Raises:
            ExportError: the child refuses, saying why, or has died.
        """
        self.send(question)
        answer = self.receive()
        if answer is None:
            raise ExportError(f"the {called} ended with {self.how_it_ended()}; its output is in {self._log}")
        if "refused" in answer:
            raise ExportError(answer["refused"])
        return answer

    def how_it_ended(self) -> str:
        """``signal 9`` or ``exit code 1``, of a child that sends no more."""
        return describe_exit(self._process.wait())


def describe_exit(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


Receive = Callable[[], dict[str, Any] | None]
Say = Callable[[dict[str, Any]], None]


def serve(work: Callable[[Receive, Say], None]) -> None:
    """The child's side: runs ``work`` with the parent's messages and a way to answer.

    What anything prints goes to the log that the command line names.
    """
    from tuner.trial.process import redirect_output

    messages = os.fdopen(os.dup(1), "w", buffering=1, encoding="ascii")
    redirect_output(Path(sys.argv[1]))

    def receive() -> dict[str, Any] | None:
        line = sys.stdin.readline()
        return json.loads(line) if line else None

    def say(message: dict[str, Any]) -> None:
        messages.write(json.dumps(message) + "\n")

    work(receive, say)
    messages.close()
    sys.stdout.flush()
    sys.stderr.flush()
    # Tearing TensorFlow down can hang; everything has been said.
    os._exit(0)
