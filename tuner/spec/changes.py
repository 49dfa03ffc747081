"""Which keys of a stored spec may change, and in which two specs differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

FREE_KEYS = ("trials", "timeout", "target", "stop_when.no_better_in", "budget.epochs", "budget.trial_time", "priority")
# They describe the machines that run the search, not the search.
_FREE_SECTIONS = ("resources.", "launch.")


def differences(stored: Mapping[str, Any], given: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """The dotted keys in which two stored specs differ, with both values.

    ``resources`` and ``launch`` are not compared.
    """
    flat_stored, flat_given = _flatten(stored), _flatten(given)
    keys = sorted(set(flat_stored) | set(flat_given))
    return [
        (key, flat_stored.get(key), flat_given.get(key))
        for key in keys
        if flat_stored.get(key) != flat_given.get(key) and not key.startswith(_FREE_SECTIONS)
    ]


def _flatten(node: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in node.items():
        if isinstance(value, Mapping):
            flat.update(_flatten(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat
