"""What the tests share, by subject: each plugin has the fixtures of one."""

from __future__ import annotations

import signal

from hypothesis import HealthCheck, settings

# Who starts the tests in the background may have them ignore it, and their children would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Examples are the same in every run, and no test fails because the machine is busy.
settings.register_profile("repeated", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("repeated")

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
