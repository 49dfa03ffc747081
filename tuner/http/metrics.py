"""What the service counts for Prometheus: its requests, and how the database's studies stand."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from storage.database import Database
from storage.errors import DatabaseUnavailable
from storage.totals import totals

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class ServiceMetrics:
    """One service's counts, from its start."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "tuner_http_requests",
            "Number of requests that the service has answered.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "tuner_http_request_seconds",
            "Seconds until the service began to answer a request.",
            ["route"],
            registry=self.registry,
        )
        self._database = Gauge(
            "tuner_database_up", "Whether the database answers: 1 if it does, 0 if it does not.", registry=self.registry
        )
        ProcessCollector(registry=self.registry)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request was answered. ``route`` is a pattern: there are few of them."""
        self._requests.labels(method, route, status).inc()
        self._seconds.labels(route).observe(seconds)

    def text(self, database: Database) -> bytes:
        """All of it, for Prometheus; without the studies while the database is away."""
        of_studies = CollectorRegistry()
        of_studies.register(_Studies(database))
        try:
            studies = generate_latest(of_studies)
            self._database.set(1)
        except DatabaseUnavailable:
            studies = b""
            self._database.set(0)
        return generate_latest(self.registry) + studies


class _Studies(Collector):
    def __init__(self, database: Database) -> None:
        self._database = database

    def describe(self) -> list[Metric]:
        # Nothing is asked of the database before somebody wants to know.
        return []

    def collect(self) -> Iterator[Metric]:
        found = totals(self._database)
        studies = GaugeMetricFamily("tuner_studies", "Number of studies, by state.", labels=["state"])
        for state, count in found.studies.items():
            studies.add_metric([state], count)
        yield studies
        trials = GaugeMetricFamily("tuner_trials_ended", "Number of ended trials, by outcome.", labels=["outcome"])
        for outcome, count in found.trials.items():
            trials.add_metric([outcome], count)
        yield trials
        yield GaugeMetricFamily("tuner_workers_live", "Number of workers that were seen recently.", value=found.workers)
        yield GaugeMetricFamily(
            "tuner_leases_waiting", "Number of trials that running studies are still to run.", value=found.waiting
        )
