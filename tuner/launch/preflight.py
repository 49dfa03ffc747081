"""Runs the preflight in a process of its own, before a study is created."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from storage.held_folders import scratch_folder
from tuner.champion.export.trying import ExportTrial
from tuner.errors import DataError, PreflightError, SpaceError
from tuner.launch.local.worker import LocalWorker
from tuner.processes.child_environment import tensorflow_environment
from tuner.spec.search_spec import SearchSpec
from tuner.trial.messages import FROM_PREPARATION, DecodeProgress, Listed, Prepared, StudyRefused
from tuner.trial.preflight import Request

_FRAME = re.compile(r'^ *File "(.+)", line (\d+)', re.MULTILINE)
_OURS = Path(__file__).parents[2]
_NOT_THEIRS = ("<", str(_OURS / "tuner"), str(_OURS / "search_spaces"), sys.prefix, sys.base_prefix)
_ERRORS: dict[str, type[SpaceError | PreflightError]] = {"space": SpaceError, "preflight": PreflightError}


@dataclass(frozen=True)
class Preflight:
    """What the preflight found.

    Attributes:
        folder: the decoded data on this node.
        fingerprint: of the data.
        description: the data in words and counts, as JSON.
        hyperparameters: the search space; empty unless it was explored.
        grid: the values of each parameter, for the grid sampler.
        portfolio: the configurations that the space would have tried first.
        kind: the hyperparameter by which the space tells kinds of models apart, if it does.
        parameters: the default model's size.
        metrics: what one epoch logs.
        warnings: what the study will lack, in one line each.
        class_weights: of the default model's training; None where all classes weigh the same.
        values: the default values of the hyperparameters.
        saved: whether the default model was saved as a trial's is.
    """

    folder: str = ""
    fingerprint: str = ""
    description: dict[str, Any] = field(default_factory=dict)
    hyperparameters: list[dict[str, Any]] = field(default_factory=list)
    grid: dict[str, list[Any]] | None = None
    portfolio: list[dict[str, Any]] = field(default_factory=list)
    kind: str | None = None
    parameters: int | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    class_weights: list[float] | None = None
    values: dict[str, Any] = field(default_factory=dict)
    saved: bool = False


@contextmanager
def log_of_launch(kept: Path, cache: Path) -> Iterator[Path]:
    """Where the preflight of a launch writes its log, which is kept with the study once the block has created it.

    A launch that is refused leaves nothing there. Its log may have a traceback that somebody needs, and goes to the
    node's cache, in place of the last one.

    Args:
        kept: the log in the study's folder.
    """
    with scratch_folder() as scratch:
        log = Path(scratch, kept.name)
        try:
            yield log
        except BaseException:
            _move(log, cache / kept.name)
            raise
        _move(log, kept)


def _move(log: Path, to: Path) -> None:
    # No log is worth a launch.
    with suppress(OSError):
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(log, to)


def preflight(
    spec: SearchSpec,
    cache: Path,
    log: Path,
    *,
    check: bool = True,
    explore: bool = False,
    on_decode: Callable[[int, int], None] | None = None,
    worker: LocalWorker | None = None,
) -> Preflight:
    """Opens the data, builds the default model, runs one batch of each kind, and tries whether it can be exported.

    Args:
        check: build, run and export the model; without it only data and space are looked at.
        explore: list the whole search space.
        on_decode: called with the examples decoded so far and their number.
        worker: stands by, and imports Keras while the data is looked at; its process then does the rest.

    Raises:
        DataError, SpaceError, PreflightError: what is wrong, in one line.
    """
    request = Request(spec=spec, cache=cache, log=log, check=check, explore=explore)
    if not check or spec.space.is_built_in:
        return _run(request, on_decode, worker)
    with scratch_folder() as scratch, ExportTrial(log) as exporter:
        file = Path(scratch, "default.keras")
        # By then its process is gone, and the accelerator is free.
        found = _run(request.model_copy(update={"keep": file}), on_decode, worker)
        if not found.saved:
            return found
        missing = exporter.warnings(spec, file, found.values, Path(found.folder))
        return replace(found, warnings=[*found.warnings, *missing])


def _run(
    request: Request, on_decode: Callable[[int, int], None] | None, worker: LocalWorker | None = None
) -> Preflight:
    if worker is None:
        with _messages_of_own_process(request) as lines:
            return Preflight(**_heard(lines, request, on_decode))
    first = request.model_copy(update={"only_data": True})
    with _messages_of_own_process(first) as lines:
        found = _heard(lines, first, on_decode)
    rest = request.model_copy(update={"data": Path(found["folder"])})
    lines = worker.preflight(rest)
    found |= _heard(lines, rest, on_decode)
    # Until its process has ended: a worker that is told anything before takes it that its launcher has gone.
    deque(lines, maxlen=0)
    return Preflight(**found)


@contextmanager
def _messages_of_own_process(request: Request) -> Iterator[Iterable[bytes]]:
    with scratch_folder() as scratch:
        process = subprocess.Popen(
            [sys.executable, "-m", "tuner.trial.preflight"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=tensorflow_environment(scratch),
        )
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write(request.model_dump_json().encode())
            process.stdin.close()
            yield process.stdout
        finally:
            process.kill()
            process.wait()


def _heard(lines: Iterable[bytes], request: Request, on_decode: Callable[[int, int], None] | None) -> dict[str, Any]:
    """The fields of ``Preflight`` that a process says, up to its last message."""
    found: dict[str, Any] = {}
    last = Prepared if request.only_data else Listed
    for line in lines:
        message = FROM_PREPARATION.validate_json(line)
        if isinstance(message, DecodeProgress):
            if on_decode is not None:
                on_decode(message.done, message.total)
        elif isinstance(message, StudyRefused):
            raise _error(message, request.log)
        else:
            found |= message.model_dump(exclude={"type"})
            if isinstance(message, last):
                return found
    raise PreflightError("the preflight process died; its output is in preflight.log in the data cache ($TUNER_CACHE)")


def _error(refused: StudyRefused, log: Path) -> Exception:
    if refused.traceback:
        with log.open("a") as file:
            file.write(refused.traceback)
    if refused.kind == "data":
        return DataError(refused.message, refused.files, refused.key)
    return _ERRORS[refused.kind](refused.message + _where(refused), refused.key)


def _where(refused: StudyRefused) -> str:
    """The line of the user's code that failed, unless the message has it."""
    frames = [
        (file, line) for file, line in _FRAME.findall(refused.traceback or "") if not file.startswith(_NOT_THEIRS)
    ]
    if not frames or f"line {frames[-1][1]}" in refused.message:
        return ""
    file, line = frames[-1]
    return f" ({file}, line {line})"
