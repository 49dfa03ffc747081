"""Statistics of the training split's columns, computed once per node and kept in ``meta.json``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from search_spaces.statistics import (
    CategoryStatistics,
    NumberStatistics,
    Statistics,
    TargetStatistics,
    TextStatistics,
)

_KINDS: dict[str, Callable[..., Statistics]] = {
    "number": NumberStatistics,
    "integer": CategoryStatistics,
    "category": CategoryStatistics,
    "text": TextStatistics,
}


def input_statistics(kind: str, stored: Mapping[str, Any] | None) -> Statistics | None:
    """An input's statistics as ``meta.json`` has them."""
    if stored is None:
        return None
    values: dict[str, Any] = {name: tuple(item) if isinstance(item, list) else item for name, item in stored.items()}
    return _KINDS[kind](**values)


def target_statistics(stored: Mapping[str, Any] | None) -> TargetStatistics | None:
    if stored is None:
        return None
    return TargetStatistics(**{name: tuple(values) for name, values in stored.items()})
