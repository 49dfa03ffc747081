"""What the tests of every engine ask of its workers."""

from __future__ import annotations

from tests.waiting import within
from tuner.launch.engine import Engine, Handle, WorkerState


def until_states(seconds: float, engine: Engine, handle: Handle, *wanted: WorkerState) -> None:
    """Waits until the workers of a launch are in these states; a failure tells what they are and say instead."""
    try:
        # Asking starts processes, which take time from the workers that are waited for.
        within(seconds, lambda: states(engine, handle) == [*wanted], pause=0.5)
    except AssertionError:
        raise AssertionError(f"not {wanted} in {seconds:g} s, but {engine.workers(handle)}") from None


def states(engine: Engine, handle: Handle) -> list[WorkerState]:
    return [worker.state for worker in engine.workers(handle)]


def log(engine: Engine, handle: Handle, worker: str) -> str:
    return b"".join(engine.log(handle, worker)).decode()
