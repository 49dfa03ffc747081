"""What a worker counts and times for Prometheus. It always counts, and serves only where it is asked to."""

from __future__ import annotations

import errno
import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pynvml
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Info,
    ProcessCollector,
    start_http_server,
    write_to_textfile,
)
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from tuner.errors import LaunchError
from tuner.trial.outcome import ENDS
from tuner.worker.settings import METRICS_PREFIX, WorkerSettings

_log = logging.getLogger(__name__)


class WorkerMetrics:
    """One worker's counts, from its start.

    Attributes:
        epochs: trained and stored.
        training_seconds: that these epochs took.
        starting_seconds: from starting a trial's process to its built model.
        database_seconds: in calls to the database, waiting for one that is away included. The worker hears nothing
            meanwhile; trials go on.
        attempts_released: attempts that ended early, for another one to go on with the trial.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._trials = Counter(
            "tuner_trials",
            "Number of trials that this worker has closed, by outcome.",
            ["outcome"],
            registry=self.registry,
        )
        for outcome in ENDS:
            self._trials.labels(outcome.value)
        self.attempts_released = self._counter(
            "attempts_released", "Number of attempts that were released so that another attempt continues the trial."
        )
        self.epochs = self._counter("epochs", "Number of epochs that were trained and stored.")
        self.training_seconds = self._counter("training_seconds", "Seconds that the stored epochs took to train.")
        self.starting_seconds = self._counter(
            "starting_seconds", "Seconds from the start of trial processes until their models were built."
        )
        self.database_seconds = self._counter(
            "database_seconds", "Seconds spent in calls to the database, including outages."
        )
        ProcessCollector(registry=self.registry)

    def _counter(self, name: str, meaning: str) -> Counter:
        return Counter(f"tuner_{name}", meaning, registry=self.registry)

    def ended(self, outcome: str) -> None:
        """A trial was closed with an outcome."""
        self._trials.labels(outcome).inc()

    @contextmanager
    def waiting_for_database(self) -> Iterator[None]:
        start = time.monotonic()
        try:
            yield
        finally:
            self.database_seconds.inc(time.monotonic() - start)

    def describe(self, study: str, worker: str, version: str, gpus: Sequence[str]) -> None:
        """Says whose counts these are, and measures the worker's GPUs at every scrape."""
        info = Info("tuner_worker", "The name and version of the worker, and its study.", registry=self.registry)
        info.info({"study": study, "worker": worker, "version": version})
        if gpus:
            self.registry.register(_Gpus(gpus))

    def watch_slots(self, slots: int, busy: Callable[[], int]) -> None:
        """``busy`` is asked from another thread."""
        Gauge("tuner_slots", "Number of trials that the worker can run at the same time.", registry=self.registry).set(
            slots
        )
        Gauge("tuner_slots_busy", "Number of trials that the worker is running.", registry=self.registry).set_function(
            busy
        )

    def serve(self, host: str, port: int) -> str:
        """Answers scrapes from a thread until the process ends, at any free port if ``port`` is taken.

        Returns:
            The address.

        Raises:
            LaunchError: the host is not this machine's, or the port not everybody's.
        """
        try:
            server, _ = start_http_server(port, host, self.registry)
        except OSError as error:
            # Another worker of this node has it: counts are no reason to lose a worker.
            if port and error.errno == errno.EADDRINUSE:
                return self.serve(host, 0)
            raise LaunchError(f"metrics cannot be served at {host}:{port}: {error.strerror or error}") from None
        shown = f"[{host}]" if ":" in host else host
        return f"http://{shown}:{server.server_port}/metrics"

    def write(self, file: Path) -> None:
        """Writes the counts for node_exporter's textfile collector, whole or not at all. Raises OSError."""
        write_to_textfile(str(file), self.registry)


class _Gpus(Collector):
    """How busy each GPU has been in NVML's last sample; a GPU that does not answer is left out."""

    def __init__(self, gpus: Sequence[str]) -> None:
        self._gpus = tuple(gpus)

    def collect(self) -> Iterator[Metric]:
        busy = GaugeMetricFamily(
            "tuner_gpu_busy_ratio", "Share of the last NVML sample during which the GPU was busy.", labels=["gpu"]
        )
        for gpu, share in _busy_shares(self._gpus):
            busy.add_metric([gpu], share)
        yield busy


def _busy_shares(gpus: Sequence[str]) -> Iterator[tuple[str, float]]:
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return
    try:
        for gpu in gpus:
            try:
                yield gpu, pynvml.nvmlDeviceGetUtilizationRates(_handle(gpu)).gpu / 100
            except pynvml.NVMLError:
                continue
    finally:
        pynvml.nvmlShutdown()


def _handle(gpu: str) -> object:
    """Of a GPU as CUDA names it: a number or a UUID."""
    return pynvml.nvmlDeviceGetHandleByIndex(int(gpu)) if gpu.isdigit() else pynvml.nvmlDeviceGetHandleByUUID(gpu)


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
