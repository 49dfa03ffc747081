"""What the tests share, by subject: each plugin has the fixtures of one."""

from __future__ import annotations

pytest_plugins = [
    "tests.coverage_saving",
    "tests.durations",
    "tests.fixtures.databases",
    "tests.fixtures.exports",
    "tests.fixtures.object_store",
    "tests.fixtures.prepared_data",
    "tests.fixtures.processes",
    "tests.fixtures.service",
]
