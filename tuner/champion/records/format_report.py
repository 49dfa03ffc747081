"""How an exported file did in a clean process that has its runtime alone."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class FormatReport(BaseModel):
    """One exported file, or why it was not written.

    Attributes:
        name: ``keras``, ``saved_model``, ``onnx``, ``litert``, ``litert_float16`` or ``litert_int8``.
        file: relative to the export; None if it was refused.
        bytes: its size, a folder's in all.
        takes: its inputs and what they are, in words.
        gives: its outputs, in words.
        value: the objective from its outputs; None if it cannot be computed again.
        verified: it is the study's value: exactly for Keras's own files, which are refused otherwise; as near as
            ``max_difference`` allows for the others; of quantised ones it may differ, by ``cost``.
        cost: of quantised ones by how much ``value`` is worse than the SavedModel's; negative where it is better.
        max_difference: the largest absolute difference between its outputs and the SavedModel's.
        latency_ms: median milliseconds for one example; None where it did not run in a clean process.
        per_second: examples per second in batches of 32, reading them not included.
        needs: the classes and functions of the user's own that a ``.keras`` file names, each as ``module.name``.
        left_out: what the model was trained with, and the file is without.
        refused: why there is no such file.
        alternative: what to use instead.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    file: str | None = None
    bytes: int | None = None
    takes: dict[str, str] = {}
    gives: str = ""
    value: float | None = None
    verified: bool = False
    cost: float | None = None
    max_difference: float | None = None
    latency_ms: float | None = None
    per_second: float | None = None
    needs: dict[str, str] = {}
    left_out: tuple[str, ...] = ()
    refused: str | None = None
    alternative: str | None = None
