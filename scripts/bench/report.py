"""What every benchmark says at its end: a table for people, JSON for programs, and how busy the machine was."""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

_PACKAGES = ("keras-champion", "keras", "tensorflow", "optuna", "sqlalchemy")


class Report:
    """Collects rows of equal keys, then prints them.

    Args:
        benchmark: its name.
        title: what is measured, in one line.
    """

    def __init__(self, benchmark: str, title: str) -> None:
        self._benchmark = benchmark
        self._title = title
        self._load_before = os.getloadavg()[0]
        self._rows: list[dict[str, Any]] = []
        self.facts: dict[str, Any] = {}

    def add(self, **row: Any) -> None:
        self._rows.append(row)

    def publish(self, file: Path | None) -> None:
        """Prints the table to standard error and JSON to standard output; ``file`` receives the JSON too."""
        machine = self._machine()
        _print_table(self._title, self._rows)
        console = Console(stderr=True, highlight=False, soft_wrap=True)
        for name, value in self.facts.items():
            if isinstance(value, dict):
                continue
            console.print(f"{name.replace('_', ' ')}: {_shown(value)}")
        console.print(
            f"{machine['cores']} cores; load average {machine['load_before']:.1f} at the start, "
            f"{machine['load_after']:.1f} at the end (the benchmark's own work is in the latter)"
        )
        result = {"benchmark": self._benchmark, "rows": self._rows, "facts": self.facts, "machine": machine}
        text = json.dumps(result, indent=2)
        if file is not None:
            file.write_text(text + "\n", encoding="utf-8")
        print(text)

    def _machine(self) -> dict[str, Any]:
        return {
            "cores": len(psutil.Process().cpu_affinity() or ()),
            "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
            "load_before": self._load_before,
            "load_after": os.getloadavg()[0],
            "python": platform.python_version(),
            **{package: version(package) for package in _PACKAGES},
        }


def say(line: str) -> None:
    """Progress, on standard error."""
    print(line, file=sys.stderr, flush=True)


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least ``share`` of the values do not exceed: of 20, the 18th for 0.9."""
    ordered = sorted(values)
    return ordered[max(0, -(-round(share * 1000) * len(ordered) // 1000) - 1)]


def median(values: Sequence[float]) -> float:
    return float(statistics.median(values))


def _print_table(title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    table = Table(title=title, title_justify="left", box=None, header_style="bold", padding=(0, 2, 0, 0))
    for column in dict.fromkeys(name for row in rows for name in row):
        numeric = all(isinstance(row.get(column), int | float | None) for row in rows)
        table.add_column(column.replace("_", " "), justify="right" if numeric else "left")
    for row in rows:
        table.add_row(*(_shown(row.get(column)) for column in dict.fromkeys(name for r in rows for name in r)))
    Console(stderr=True, highlight=False, width=160).print(table)


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.3f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
