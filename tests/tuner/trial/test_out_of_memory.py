"""One decision on what speaks of memory: for what a trial raises, and for the log of one that died."""

from __future__ import annotations

from pathlib import Path

import pytest

from tuner.trial import out_of_memory
from tuner.trial.failure import describe
from tuner.trial.outcome import Outcome

SIGNS = [
    "RESOURCE_EXHAUSTED: failed to allocate memory",
    "OOM when allocating tensor with shape[4096,4096]",
    "terminate called after throwing an instance of 'std::bad_alloc'",
    "OSError: [Errno 12] Cannot allocate memory",
    "CUDA_ERROR_OUT_OF_MEMORY: out of memory",
    "INTERNAL: CUDNN_STATUS_ALLOC_FAILED",
    "Out of memory while trying to allocate 17179869184 bytes.",
    "failed to allocate 2.00GiB (2147483648 bytes) from device",
]
OTHERS = [
    "the room is full",
    "CLASSROOM",
    "a boom in sales",
    "BLOOM OOM: a genus of flowers",
    "disk full",
    "out of memory cards",
    "the committee failed to allocate rooms",
]


@pytest.mark.parametrize("text", SIGNS)
def test_a_sign_counts_in_what_is_raised_and_in_a_log(text: str, tmp_path: Path) -> None:
    log = tmp_path / "trial.log"
    log.write_text(f"epoch 1\n{text}\n")
    assert out_of_memory.log_speaks_of_memory(log, killed=False)
    # It went on after it had said so, and then somebody killed it.
    assert not out_of_memory.log_speaks_of_memory(log, killed=True)
    told = describe(RuntimeError(text))
    assert told.outcome is Outcome.OUT_OF_MEMORY
    assert told.reason == out_of_memory.reason(f"RuntimeError: {text}")


@pytest.mark.parametrize("text", OTHERS)
def test_nothing_else_counts(text: str, tmp_path: Path) -> None:
    log = tmp_path / "trial.log"
    log.write_text(text)
    assert not any(out_of_memory.log_speaks_of_memory(log, killed=killed) for killed in (True, False))
    assert describe(RuntimeError(text)).outcome is Outcome.FAILED


@pytest.mark.parametrize(
    "text",
    [
        "slurmstepd: error: Detected 1 oom_kill event in StepId=7.0. Some of the step tasks have been OOM Killed.",
        "slurmstepd: error: Detected 1 oom-kill event: Out Of Memory",
        "Out of memory: Killed process 4711 (python)",
    ],
)
def test_of_a_killed_process_the_killers_words_count(text: str, tmp_path: Path) -> None:
    log = tmp_path / "trial.log"
    log.write_text(f"epoch 1\n{text}\n")
    assert out_of_memory.log_speaks_of_memory(log, killed=True)


def test_the_kernel_counts_its_kills_on_every_node() -> None:
    assert out_of_memory.kernel_kills() >= 0


def test_only_the_end_of_a_log_counts_and_bytes_that_are_no_text_are_passed_over(tmp_path: Path) -> None:
    log = tmp_path / "trial.log"
    log.write_bytes(b"out of memory\n" + b"epoch\n" * 1000)
    assert not out_of_memory.log_speaks_of_memory(log, killed=False)
    log.write_bytes(b"\xff\xfe" * 10 + b"std::bad_alloc\xff")
    assert out_of_memory.log_speaks_of_memory(log, killed=False)
    assert not out_of_memory.log_speaks_of_memory(tmp_path / "missing.log", killed=False)


def test_an_error_that_has_no_words_is_told_as_one_that_has() -> None:
    told = describe(MemoryError())
    assert (told.outcome, told.reason) == (Outcome.OUT_OF_MEMORY, "out of memory (MemoryError)")


def test_a_kill_of_the_kernel_is_taken_for_one_process_only(monkeypatch):
    killed = [3]
    monkeypatch.setattr(out_of_memory, "kernel_kills", lambda: killed[0])
    one, other = out_of_memory.KernelKills(), out_of_memory.KernelKills()
    assert not one.take_one()
    killed[0] += 1
    assert one.take_one() and not one.take_one()
    # Long after, by somebody's hand.
    assert not other.take_one()
    killed[0] += 2
    assert out_of_memory.KernelKills().take_one() is False
    assert one.take_one() and other.take_one()
