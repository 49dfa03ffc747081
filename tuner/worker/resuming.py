"""Which resume checkpoints an attempt may go on from.

The database has the last word. Each attempt, before it starts, writes down which checkpoints of earlier attempts it
found (``leases.save_resume``, fenced). Whoever comes after it looks at what was written since, and then at that list:
what a worker that was frozen writes after its trial was adopted is in neither.
"""

from __future__ import annotations

from typing import Any

from storage.artifacts import StudyArtifacts
from storage.leases import Lease

# As many as there can be a reason to fall back to.
_NAMED = 4


def resume_keys(artifacts: StudyArtifacts, lease: Lease) -> tuple[str, ...]:
    """Keys of the checkpoints to go on from, the best one first.

    Raises:
        ArtifactsUnavailable: the store is away.
    """
    if lease.number is None:
        return ()
    known = lease.resume or {"run": 0, "before": []}
    files = artifacts.resume_files(lease.number)
    since = [file.artifact.key for file in files if known["run"] <= file.run < lease.token]
    return tuple([*since, *known["before"]][:_NAMED])


def resume_record(lease: Lease, keys: tuple[str, ...]) -> dict[str, Any]:
    """What an attempt writes down of what it found."""
    return {"run": lease.token, "before": list(keys)}
