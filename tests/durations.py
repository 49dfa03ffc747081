"""How long each module of tests takes, which decides the order of the modules and which of them are fast.

``tests/durations.json`` has the seconds of each, as ``scripts/test --record-durations`` measured them last. The longest
modules begin first, since one begun last would leave the other core without work. A module that is not there yet counts
as the longest.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from itertools import accumulate
from pathlib import Path

import pytest

# The quickest modules are in the fast tier, their slow tests apart, as far as together they take no longer than this on
# one core. What is marked `fast` comes on top.
QUICK_SECONDS = 130.0


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("durations")
    group.addoption("--fast", action="store_true", help="Run the fast tier: quick modules, and tests marked `fast`.")
    group.addoption("--record-durations", action="store_true", help="Write the seconds of each module that runs.")


def pytest_configure(config: pytest.Config) -> None:
    # Under pytest-xdist the process that starts the workers hears of every test.
    if config.getoption("--record-durations") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Recorder(config.rootpath))


# After pytest's own order, which keeps tests of the same database together.
@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    recorded = read_durations(config.rootpath)
    modules = {item: item.path.relative_to(config.rootpath).as_posix() for item in items}
    if config.getoption("--fast"):
        quick = _quick_modules(recorded)
        fast = {item: _is_fast(item, modules[item] in quick) for item in items}
        config.hook.pytest_deselected(items=[item for item in items if not fast[item]])
        items[:] = [item for item in items if fast[item]]
    items.sort(key=lambda item: (-recorded.get(modules[item], math.inf), modules[item]))


def read_durations(root: Path) -> dict[str, float]:
    """The seconds of each module that was measured, by its path in the project."""
    read: dict[str, float] = json.loads(_file(root).read_text(encoding="utf-8"))
    return read


def _file(root: Path) -> Path:
    return root / "tests" / "durations.json"


def _quick_modules(recorded: dict[str, float]) -> set[str]:
    ascending = sorted(recorded, key=lambda module: recorded[module])
    sums = accumulate(recorded[module] for module in ascending)
    return {module for module, total in zip(ascending, sums, strict=True) if total <= QUICK_SECONDS}


def _is_fast(item: pytest.Item, quick: bool) -> bool:
    return item.get_closest_marker("fast") is not None or (quick and item.get_closest_marker("slow") is None)


class _Recorder:
    """Adds up the seconds of each module's tests, their fixtures included."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._seconds: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        # A test may be inherited from another package: its id has the module that runs it.
        self._seconds[report.nodeid.split("::")[0]] += report.duration  # type: ignore[assignment]

    def pytest_sessionfinish(self) -> None:
        # What did not run this time keeps its seconds, and what is no more loses them.
        known = read_durations(self._root) | {module: round(value, 1) for module, value in self._seconds.items()}
        there = {module: known[module] for module in sorted(known) if (self._root / module).is_file()}
        _file(self._root).write_text(json.dumps(there, indent=0) + "\n", encoding="utf-8")
