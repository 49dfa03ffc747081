"""Runs exported files in clean processes: what is run, what it gave and how fast."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, TypeAdapter

from tuner.champion import clean
from tuner.champion.child_process import ENVIRONMENT, describe_exit
from tuner.champion.model.tensors import PIXELS, SERVING
from tuner.champion.records.arithmetic import Device
from tuner.errors import ExportError
from tuner.processes.child_environment import tensorflow_environment

PROJECT = ("tuner", "storage", "search_spaces")
TRAINING = ("tensorflow", "keras", "keras_tuner")
# Keras imports them where they are installed, which takes a third of its time.
NEEDLESS = ("sklearn", "pandas")
_PACKAGE = "champion_proof"
# It ends with the process that waits for it (PR_SET_PDEATHSIG, SIGKILL), as ``tuner.processes.parents`` has it.
_PROGRAM = (
    "import ctypes, sys; ctypes.CDLL(None).prctl(1, 9, 0, 0, 0); "
    f"sys.path.insert(0, sys.argv.pop(1)); from {_PACKAGE}.inference import main; main()"
)
# Examples compared at once.
_BLOCK = 4096


@dataclass(frozen=True)
class Structure:
    """How ``model.keras`` takes its columns."""

    structure: str
    names: tuple[str, ...]
    dtypes: tuple[str, ...]


@dataclass(frozen=True)
class CleanRun:
    """A file to run.

    Attributes:
        columns: the examples, as ``tuner.champion.clean`` describes them.
        keep: the outputs to compare and score, and the signature of a SavedModel that gives them; those of
            ``model.keras`` in their order. What the signature ``pixels`` gives is computed from the files' images.
        takes: of ``model.keras``.
    """

    name: str
    runtime: Literal["saved_model", "keras", "onnx", "litert"]
    path: Path
    columns: Mapping[str, Any]
    keep: tuple[tuple[str, str], ...]
    takes: Structure | None = None


@dataclass(frozen=True)
class Timing:
    """Median milliseconds for one example; examples per second in batches of 32."""

    latency_ms: float
    per_second: float


@dataclass(frozen=True)
class CleanOutputs:
    """What a file gave: an .npy file for each output that was kept, (examples, ...), by ``kept_as``."""

    files: Mapping[str, Path]
    examples: int
    seconds: float
    timing: Timing
    device: Device = "cpu"

    @cached_property
    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        return {tensor: np.load(file, mmap_mode="r") for tensor, file in self.files.items()}


@dataclass(frozen=True)
class NotRun:
    """Why a file was not run, or failed: only the former may be no fault of the file."""

    reason: str
    failed: bool


class _Ran(BaseModel):
    examples: int = 0
    seconds: float = 0.0
    latency_ms: float = 0.0
    per_second: float = 0.0
    device: Device = "cpu"
    error: str | None = None
    skipped: str | None = None


_RESULT = TypeAdapter(dict[str, _Ran])


def run_clean(
    runs: Sequence[CleanRun], batch_size: int, forbidden: Sequence[str], workspace: Path, log: Path
) -> dict[str, CleanOutputs | NotRun]:
    """Runs files one after another in a new process.

    Args:
        forbidden: packages that the process cannot import.
        workspace: an existing folder, which receives the outputs.
        log: receives what the process prints.

    Returns:
        What became of each, by its name.

    Raises:
        ExportError: the process died.
    """
    files = {
        run.name: {kept_as(*each): workspace / f"{run.name}-{index}.npy" for index, each in enumerate(run.keep)}
        for run in runs
    }
    described = [_described(run, files[run.name]) for run in runs]
    result = workspace / "result.json"
    request = {"forbidden": [*PROJECT, *NEEDLESS, *forbidden], "batch_size": batch_size, "runs": described}
    _run(request | {"result": os.fspath(result)}, workspace, log)
    found = _RESULT.validate_json(result.read_bytes())
    result.unlink()
    return {name: _outcome(ran, files[name]) for name, ran in found.items()}


def _described(run: CleanRun, files: Mapping[str, Path]) -> dict[str, Any]:
    takes = run.takes
    structure = {} if takes is None else {"structure": takes.structure, "names": takes.names, "dtypes": takes.dtypes}
    return {
        "name": run.name,
        "runtime": run.runtime,
        "path": os.fspath(run.path),
        "columns": run.columns,
        "keep": [
            {"tensor": tensor, "signature": signature, "file": os.fspath(files[kept_as(signature, tensor)])}
            for signature, tensor in run.keep
        ],
    } | structure


def _run(request: dict[str, Any], workspace: Path, log: Path) -> None:
    path = workspace / "request.json"
    # ASCII: undecodable bytes of file names are lone surrogates, kept as escapes.
    path.write_text(json.dumps(request), encoding="ascii")
    with log.open("ab") as output:
        ended = subprocess.run(
            [sys.executable, "-I", "-c", _PROGRAM, os.fspath(code_of_proof(workspace)), os.fspath(path)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=tensorflow_environment(workspace) | ENVIRONMENT,
            cwd=workspace,
            check=False,
        )
    if ended.returncode != 0 or not Path(request["result"]).exists():
        raise ExportError(f"the verification ended with {describe_exit(ended.returncode)}; its output is in {log}")


def code_of_proof(workspace: Path) -> Path:
    """A folder with a copy of the package that the clean process runs, and nothing else of the project."""
    folder = workspace / "code"
    if not folder.exists():
        shutil.copytree(Path(clean.__file__).parent, folder / _PACKAGE, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def _outcome(ran: _Ran, files: Mapping[str, Path]) -> CleanOutputs | NotRun:
    if ran.skipped is not None:
        return NotRun(ran.skipped, failed=False)
    if ran.error is not None:
        return NotRun(ran.error, failed=True)
    outputs = CleanOutputs(files, ran.examples, ran.seconds, Timing(ran.latency_ms, ran.per_second), ran.device)
    if problem := _problem(outputs.arrays):
        return NotRun(problem, failed=True)
    return outputs


def _problem(arrays: Mapping[str, npt.NDArray[Any]]) -> str | None:
    """What is wrong with outputs whatever the task; None if nothing is."""
    for tensor, values in arrays.items():
        if values.dtype.kind in "fc" and not all(np.isfinite(block).all() for block in blocks(values)):
            return f"its output {tensor} contains numbers that are not finite"
    return None


def blocks(values: npt.NDArray[Any]) -> Any:
    """An array's rows, a bounded number at a time."""
    return (values[start : start + _BLOCK] for start in range(0, len(values), _BLOCK))


def largest(values: npt.NDArray[Any]) -> float:
    """The largest absolute value."""
    return max((float(np.abs(wide(block)).max(initial=0)) for block in blocks(values)), default=0.0)


def differences(one: CleanOutputs, other: CleanOutputs, tensors: Sequence[str]) -> tuple[float, ...]:
    """The largest absolute difference of each tensor between two files' outputs of the same examples.

    Raises:
        ExportError: they are not of the same shape.
    """
    for tensor in tensors:
        mine, theirs = one.arrays[tensor].shape, other.arrays[tensor].shape
        if mine != theirs:
            raise ExportError(f"{tensor} is of shape {mine} in one file and {theirs} in another")
    return tuple(furthest(one.arrays[tensor], other.arrays[tensor]) for tensor in tensors)


def furthest(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> float:
    """The largest absolute difference of two arrays of one shape."""
    pairs = zip(blocks(one), blocks(other), strict=True)
    return max((float(np.abs(wide(a) - wide(b)).max(initial=0)) for a, b in pairs), default=0.0)


def wide(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Numbers whose differences do not wrap around."""
    return values.astype(np.result_type(values.dtype, np.float64))


def kept_as(signature: str, tensor: str) -> str:
    """The name by which an output is kept: the tensor's, but for a second signature that gives the same."""
    return f"{signature}/{tensor}" if signature == PIXELS else tensor


def serving(tensors: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Outputs of ``serving_default`` to keep."""
    return tuple((SERVING, tensor) for tensor in tensors)
