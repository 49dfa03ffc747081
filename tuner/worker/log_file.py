"""A worker's own log, kept with the study's artifacts: read whichever engine ran it, whatever became of its node."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from storage.artifacts import StudyArtifacts
from storage.errors import StorageError
from tuner.errors import TunerError

LOG_FORMAT = "%(asctime)s %(levelname)s %(message)s"
_log = logging.getLogger(__name__)


@contextmanager
def kept_log(artifacts: StudyArtifacts, worker_id: str) -> Iterator[None]:
    """Writes what this process logs to a file too, with the error that ends the block, and keeps it after that."""
    handler = _handler(artifacts.worker_log(worker_id))
    handler.setFormatter(logging.Formatter(LOG_FORMAT))
    logging.getLogger().addHandler(handler)
    try:
        yield
    except (TunerError, StorageError) as error:
        # Whoever called prints it.
        handler.handle(_log.makeRecord(_log.name, logging.ERROR, __file__, 0, "%s", (error,), None))
        raise
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()
        _keep(artifacts, worker_id)


def _handler(file: Path) -> logging.Handler:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        return logging.FileHandler(file, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        _log.warning("this worker's log cannot be written: %s: %s", file, error.strerror)
        return logging.NullHandler()


def _keep(artifacts: StudyArtifacts, worker_id: str) -> None:
    try:
        artifacts.keep_worker_log(worker_id)
    except (StorageError, OSError) as error:
        _log.warning("this worker's log could be kept on its machine only: %s", error)
