"""What a container's CPU limit leaves, as Linux's control groups say it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tuner.worker.node.cores import quota_cores

LIMITS = {
    "none": ({}, None),
    "no limit": ({".": "max 100000"}, None),
    "a container's own": ({".": "250000 100000", "pod": "max 100000"}, 2.5),
    "the least counts": ({".": "max 100000", "pod": "200000 100000", "pod/worker": "400000 100000"}, 2.0),
    "another's": ({"other": "100000 100000"}, None),
}


@pytest.mark.parametrize("case", LIMITS)
def test_the_least_quota_around_a_process_counts(case: str, tmp_path: Path) -> None:
    written, expected = LIMITS[case]
    groups = tmp_path / "cgroup"
    groups.write_text("12:cpu:/elsewhere\n0::/pod/worker\n", encoding="utf-8")
    for folder, text in written.items():
        (tmp_path / "root" / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / "root" / folder / "cpu.max").write_text(f"{text}\n", encoding="utf-8")
    assert quota_cores(groups, tmp_path / "root") == expected


def test_no_control_groups_are_no_limit(tmp_path: Path) -> None:
    assert quota_cores(tmp_path / "missing", tmp_path) is None
