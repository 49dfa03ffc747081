"""A format that cannot carry a model."""

from __future__ import annotations


class FormatRefused(Exception):
    """No file of a format is written for a model.

    Attributes:
        reason: why, in one line.
        alternative: what to use in its place.
    """

    def __init__(self, reason: str, alternative: str) -> None:
        super().__init__(f"{reason}: {alternative}")
        self.reason = reason
        self.alternative = alternative
