"""The settings with which a worker is started."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveFloat, PositiveInt

from tuner.spec.sections import Resources
from tuner.study.locations import default_cache_root

SETTINGS_VARIABLE = "TUNER_WORKER"
STORAGE_VARIABLE = "TUNER_STORAGE"
# Whoever started a worker looks at the end of its log for one of these: its exit code may be somebody else's to see.
ERROR_PREFIX = "tuner worker: error: "
LEFT_LINE = "tuner worker: left in order"
# On the standard input of a worker that follows it: begin no more trials, leave when those that run have ended.
DRAIN_WORD = b"drain\n"
# After the messages of a preflight, whose process has gone.
PREFLIGHT_END = b"\n"
# What follows them in a worker's log is repeated to the user.
DRIFT_PREFIX = "not as the study was launched: "
METRICS_PREFIX = "metrics at "
STORE_PREFIX = "no trial begins: "


class WorkerSettings(BaseModel):
    """One worker's orders. The storage URL is not among them: it may hold a password, so it comes by environment.

    Attributes:
        study: the study's name.
        name: what the launch calls this worker; None for one that nobody named.
        id: what it is called in the database, where it may be announced already; None for a new one.
        cache: where this node keeps decoded data.
        resources: this node's slots, in place of the spec's.
        gpus: how many GPUs of this node it takes; None for as many as its slots need, or all that are free.
        share_gpus: the GPUs that it sees may be taken by other workers too: an engine divides them.
        cores: CPU cores that it divides among its slots; None for all that it may run on.
        lease_seconds: how long a lease lasts unless it is renewed.
        poll_seconds: how often the study is asked for news.
        max_attempts: how often a trial is tried before it has failed.
        grace_seconds: how long trial processes may take to leave when the worker must.
        allow_version_drift: work with other versions, code or data than the study's, with a warning for each.
        follow_stdin: begin at an empty line on standard input, and end orderly when it closes: the launcher has gone.
            Any other line before is the ``Request`` of a preflight.
        preflight_messages: the descriptor to which a preflight's messages are written.
        metrics_port: where Prometheus may ask for the worker's counts; 0 for any free port, None for nowhere.
        metrics_host: the address that this is answered at.
        metrics_file: a file that they are written to besides, every ``metrics_file_seconds`` and at the end.
        forkserver_log: start the forkserver before that line comes, with its output there.
    """

    model_config = ConfigDict(frozen=True)

    study: str
    name: str | None = None
    id: str | None = Field(default=None, max_length=128)
    cache: Path = Field(default_factory=default_cache_root)
    resources: Resources
    gpus: NonNegativeInt | None = None
    share_gpus: bool = False
    cores: PositiveInt | None = None
    lease_seconds: PositiveFloat = 60.0
    poll_seconds: PositiveFloat = 1.0
    max_attempts: PositiveInt = 3
    grace_seconds: PositiveFloat = 8.0
    allow_version_drift: bool = False
    follow_stdin: bool = False
    preflight_messages: int | None = None
    metrics_port: int | None = Field(default=None, ge=0, le=65535)
    metrics_host: str = "127.0.0.1"
    metrics_file: Path | None = None
    metrics_file_seconds: PositiveFloat = 15.0
    forkserver_log: Path | None = None
