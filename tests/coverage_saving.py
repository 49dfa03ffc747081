"""Keeps what coverage measured in the processes that pytest-xdist starts: it kills one that takes long to end."""

from __future__ import annotations

import sys


def pytest_sessionfinish() -> None:
    coverage = sys.modules.get("coverage")
    if coverage is not None and (measuring := coverage.Coverage.current()) is not None:
        measuring.save()
