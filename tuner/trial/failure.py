"""What kind of end an exception is, and how it is told."""

from __future__ import annotations

import re
import traceback
from pathlib import Path
from types import TracebackType

from keras_tuner.errors import FailedTrialError, FatalError

from storage.files import is_of_file_system
from tuner.trial import out_of_memory
from tuner.trial.messages import Finished
from tuner.trial.outcome import Outcome

_NUMBERS = re.compile(r"0x[0-9a-f]+|\d+(\.\d+)?")
# TensorFlow's own frames say nothing to the author of a space, and can be hundreds.
_LIBRARY = re.compile(r"[/\\](site-packages[/\\](tensorflow|keras|keras_tuner)|tuner[/\\]trial)[/\\]")


class Infeasible(Exception):
    """A configuration that cannot be trained: refused by the space itself, or above ``max_parameters``."""


class Diverged(Exception):
    """A loss or objective that is not a finite number."""


class Interrupted(Exception):
    """The worker asked this process to leave."""

    def __init__(self) -> None:
        super().__init__("stopped by its worker")


def describe(error: BaseException) -> Finished:
    """The end of a trial that raised ``error``."""
    if isinstance(error, Interrupted):
        return Finished(outcome=Outcome.INTERRUPTED, reason=str(error))
    outcome = _outcome(error)
    text = " ".join(str(error).split())
    return Finished(
        outcome=outcome,
        ends_study=isinstance(error, FatalError),
        cause=_cause(error, text),
        reason=_reason(error, outcome, text),
        traceback="".join(traceback.format_exception(error)),
    )


def _outcome(error: BaseException) -> Outcome:
    if isinstance(error, FatalError):
        return Outcome.FAILED
    if isinstance(error, Infeasible | FailedTrialError):
        return Outcome.INFEASIBLE
    if isinstance(error, Diverged):
        return Outcome.DIVERGED
    # A disk that is full, or away, is no fault of the configuration: another attempt may find it well again.
    if isinstance(error, KeyboardInterrupt) or is_of_file_system(error):
        return Outcome.INTERRUPTED
    # TensorFlow raises ResourceExhaustedError, and InternalError or RuntimeError with one of these texts.
    if isinstance(error, MemoryError) or (isinstance(error, Exception) and out_of_memory.speaks_of_memory(str(error))):
        return Outcome.OUT_OF_MEMORY
    return Outcome.FAILED


def _reason(error: BaseException, outcome: Outcome, text: str) -> str:
    if outcome is Outcome.INFEASIBLE or outcome is Outcome.DIVERGED:
        return text
    said = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return (out_of_memory.reason(said) if outcome is Outcome.OUT_OF_MEMORY else said)[:2000]


def _cause(error: BaseException, text: str) -> str:
    """Equal for failures with one origin: the exception's type, the innermost line of the user's code, and the text
    without its numbers (shapes and addresses differ from trial to trial)."""
    place = _innermost_user_frame(error.__traceback__)
    return f"{type(error).__name__}{place}: {_NUMBERS.sub('#', text)}"[:300]


def _innermost_user_frame(trace: TracebackType | None) -> str:
    frames = [frame for frame in traceback.extract_tb(trace) if not _LIBRARY.search(frame.filename)]
    return f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
