"""The CPU time that a container's limit leaves: its processes may run on every core of the node, for a while."""

from __future__ import annotations

from pathlib import Path


def quota_cores(groups: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")) -> float | None:
    """The least quota of this process's control groups (version 2); None without any.

    Args:
        groups: lists the process's groups.
        root: where groups have their files.
    """
    found = [quota for folder in _folders(groups, root) if (quota := _quota(folder / "cpu.max")) is not None]
    return min(found, default=None)


def _folders(groups: Path, root: Path) -> list[Path]:
    """The process's group and those around it, whose limits hold too."""
    try:
        lines = groups.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    named = next((line.removeprefix("0::") for line in lines if line.startswith("0::")), None)
    if named is None:
        return []
    inner = Path(named.lstrip("/"))
    return [root / part for part in (inner, *inner.parents)]


def _quota(file: Path) -> float | None:
    try:
        quota, period = file.read_text(encoding="utf-8").split()
    except (OSError, ValueError):
        return None
    return None if quota == "max" else int(quota) / int(period)
