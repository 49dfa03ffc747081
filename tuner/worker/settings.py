"""What a worker is told when it is started."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, PositiveFloat, PositiveInt

from tuner.spec import Resources

# What follows it in a worker's log is repeated to the user.
DRIFT_PREFIX = "not as the study was launched: "


class WorkerSettings(BaseModel):
    """One worker's orders. The storage URL is not among them: it may hold a password, so it comes by environment.

    Attributes:
        study: the study's name.
        cache: where this node keeps decoded data.
        resources: this node's slots, in place of the spec's.
        lease_seconds: how long a lease lasts unless it is renewed.
        poll_seconds: how often the study is asked for news.
        max_attempts: how often a trial is tried before it has failed.
        grace_seconds: how long trial processes may take to leave when the worker must.
        allow_version_drift: work with other versions, code or data than the study's, with a warning for each.
        follow_stdin: begin at a line on standard input, and end orderly when it closes: the launcher has gone.
        forkserver_log: start the forkserver before that line comes, with its output there.
    """

    model_config = ConfigDict(frozen=True)

    study: str
    cache: Path
    resources: Resources
    lease_seconds: PositiveFloat = 60.0
    poll_seconds: PositiveFloat = 1.0
    max_attempts: PositiveInt = 3
    grace_seconds: PositiveFloat = 8.0
    allow_version_drift: bool = False
    follow_stdin: bool = False
    forkserver_log: Path | None = None
