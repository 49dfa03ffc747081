"""Runs every file of a request over all examples, keeps its outputs and times it."""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections import defaultdict
from collections.abc import Iterator
from statistics import median
from typing import Any

import numpy as np

from .columns import Column, raw_columns
from .guard import shut_out
from .runtimes import Outputs, Runtime, Skipped, open_runtime

_THROUGHPUT_BATCH = 32
_LATENCY_SECONDS = 0.2
_THROUGHPUT_SECONDS = 0.3
_FEWEST_CALLS = 3


def run_all(request: dict[str, Any]) -> dict[str, Any]:
    """What becomes of each run, by its name."""
    return {run["name"]: _described(run, request["batch_size"]) for run in request["runs"]}


def _described(run: dict[str, Any], batch_size: int) -> dict[str, Any]:
    try:
        return run_file(run, batch_size)
    except Skipped as reason:
        return {"skipped": str(reason)}
    except Exception as error:
        traceback.print_exc()
        return {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:1000]}"}


def run_file(run: dict[str, Any], batch_size: int) -> dict[str, Any]:
    """Feeds the examples through an exported file.

    Raises:
        Skipped: the file needs the code of its user.
        Exception: whatever keeps it from being loaded or run, or the outputs from being written.
    """
    started = time.monotonic()
    runtime = open_runtime(run)
    columns, examples = raw_columns(run["columns"])
    writers = [_Writer(each["file"], examples) for each in run["keep"]]
    for start in range(0, examples, batch_size):
        outputs = _on_batch(runtime, _slice(columns, start, min(start + batch_size, examples)))
        for writer, values in zip(writers, outputs, strict=True):
            writer.write(values)
    for writer in writers:
        writer.close()
    seconds = time.monotonic() - started
    # Of a SavedModel what users call is timed, not everything that is proven.
    timed = getattr(runtime, "served", runtime)
    return {"examples": examples, "seconds": seconds, "device": _device()} | _timed(timed, columns, examples)


def _device() -> str:
    """Where TensorFlow computes, if it does."""
    tf = sys.modules.get("tensorflow")
    return "gpu" if tf is not None and tf.config.list_physical_devices("GPU") else "cpu"


def _slice(columns: dict[str, Column], start: int, stop: int) -> dict[str, Any]:
    return {tensor: column(start, stop) for tensor, column in columns.items()}


def _on_batch(runtime: Runtime, batch: dict[str, Any]) -> Outputs:
    """The outputs for a batch; images of several sizes, which are no single tensor, go through one size at a time."""
    groups = list(_by_size(batch))
    if len(groups) == 1:
        return runtime(batch)
    parts = [runtime({tensor: [values[i] for i in places] for tensor, values in batch.items()}) for places in groups]
    order = np.argsort(np.concatenate(groups))
    return [np.concatenate(each)[order] for each in zip(*parts, strict=True)]


def _by_size(batch: dict[str, Any]) -> Iterator[list[int]]:
    """The places of the examples that are alike in shape."""
    values = next(iter(batch.values()))
    shapes: dict[Any, list[int]] = defaultdict(list)
    for place, each in enumerate(values):
        shapes[getattr(each, "shape", ())].append(place)
    yield from shapes.values()


class _Writer:
    """Writes an output's batches to a .npy file as they come; strings, which are short, at the end."""

    def __init__(self, file: str, examples: int) -> None:
        self._file, self._examples, self._done = file, examples, 0
        self._array: Any = None
        self._strings: list[bytes] = []

    def write(self, values: Any) -> None:
        if values.dtype.hasobject:
            self._strings += values.ravel().tolist()
            return
        if self._array is None:
            shape = (self._examples, *values.shape[1:])
            self._array = np.lib.format.open_memmap(self._file, "w+", values.dtype, shape)
        self._array[self._done : self._done + len(values)] = values
        self._done += len(values)

    def close(self) -> None:
        if self._array is None:
            np.save(self._file, np.array(self._strings, np.bytes_))
        else:
            self._array.flush()


def _timed(runtime: Runtime, columns: dict[str, Column], examples: int) -> dict[str, float]:
    """Median milliseconds for one example, and examples per second in batches of 32, reading them not included."""
    one = _slice(columns, 0, 1)
    several = _slice(columns, 0, min(examples, _THROUGHPUT_BATCH))
    # Alike, so that they are one tensor; a split may have fewer than a batch.
    alike = next(_by_size(several))
    chosen = [alike[i % len(alike)] for i in range(_THROUGHPUT_BATCH)]
    batch = {tensor: [values[i] for i in chosen] for tensor, values in several.items()}
    return {
        "latency_ms": 1000 * _seconds(runtime, one, _LATENCY_SECONDS),
        "per_second": _THROUGHPUT_BATCH / _seconds(runtime, batch, _THROUGHPUT_SECONDS),
    }


def _seconds(runtime: Runtime, batch: dict[str, Any], budget: float) -> float:
    runtime(batch)
    taken: list[float] = []
    while len(taken) < _FEWEST_CALLS or sum(taken) < budget:
        started = time.perf_counter()
        runtime(batch)
        taken.append(time.perf_counter() - started)
    return median(taken)


def main() -> None:
    with open(sys.argv[1], encoding="ascii") as file:
        request = json.load(file)
    shut_out(request["forbidden"])
    found = run_all(request)
    with open(request["result"], "w", encoding="ascii") as file:
        json.dump(found, file)
    sys.stdout.flush()
    sys.stderr.flush()
    # Tearing TensorFlow down can hang; the result is on disk.
    os._exit(0)
