"""Results as JSON and back: the dataclasses of ``tuner.api``, with NaN and infinities as strings."""

from __future__ import annotations

from functools import cache
from typing import Any

from pydantic import ConfigDict, TypeAdapter


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    # A dataclass takes no settings of its own, but has those of what it is in.
    return TypeAdapter(tuple[kind], config=ConfigDict(ser_json_inf_nan="strings"))  # type: ignore[valid-type]


def as_json(kind: Any, value: Any) -> bytes:
    """A value of a type as JSON: ``as_json(list[TrialSummary], trials)``."""
    return _adapter(kind).dump_json((value,))[1:-1]


def from_json(kind: Any, text: bytes | str) -> Any:
    """What ``as_json`` was given. Raises ValueError if the text is something else."""
    raw = text.encode() if isinstance(text, str) else text
    return _adapter(kind).validate_json(b"[" + raw + b"]")[0]
