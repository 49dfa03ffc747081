"""Which checkpoints an attempt goes on from, and how many attempts its trial has had without a new epoch.

The database has the last word on both. Each attempt, before it starts, writes down which checkpoints of earlier
attempts it found, and how many epochs (``leases.save_resume``, fenced). Whoever comes after looks at what was written
since, and then at that list: what a worker that was frozen writes after its trial was adopted is in neither.
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


def fruitless_attempts(lease: Lease, recorded: int) -> int:
    """How many attempts there were since the trial's last new epoch, this one included.

    Args:
        recorded: epochs of the trial that the database has.
    """
    return lease.attempts - _forgiven(lease, recorded)


def what_was_found(lease: Lease, keys: tuple[str, ...], recorded: int) -> dict[str, Any]:
    """What an attempt writes down."""
    return {"run": lease.token, "before": list(keys), "epochs": recorded, "forgiven": _forgiven(lease, recorded)}


def _forgiven(lease: Lease, recorded: int) -> int:
    """How many of the attempts before this one the trial has made good by a new epoch."""
    known = lease.resume or {}
    made_good = lease.attempts - 1 if recorded > known.get("epochs", 0) else int(known.get("forgiven", 0))
    return min(made_good, lease.attempts - 1)
