"""Where a worker's counts are shown: to whoever asks over HTTP, and in a file."""

from __future__ import annotations

import logging
import math
import time

from tuner.worker.metrics import WorkerMetrics
from tuner.worker.settings import METRICS_PREFIX, WorkerSettings

_log = logging.getLogger(__name__)


class Publishing:
    """Serves and writes the counts as the settings say, which is not at all unless they do.

    Raises:
        LaunchError: they cannot be served there.
    """

    def __init__(self, metrics: WorkerMetrics, settings: WorkerSettings) -> None:
        self._metrics = metrics
        self._file = settings.metrics_file
        self._every = settings.metrics_file_seconds
        self._written = -math.inf
        if settings.metrics_port is not None:
            address = metrics.serve(settings.metrics_host, settings.metrics_port)
            _log.info("%s%s", METRICS_PREFIX, address)

    def write_if_due(self) -> None:
        if time.monotonic() - self._written >= self._every:
            self.write()

    def write(self) -> None:
        """A file that cannot be written is said in the log, and tried no more."""
        if self._file is None:
            return
        self._written = time.monotonic()
        try:
            self._metrics.write(self._file)
        except OSError as error:
            _log.warning("metrics cannot be written to %s: %s", self._file, error)
            self._file = None
