"""The service on a study of 10,000 trials.

Aims: the data of the study's page in at most 300 ms, p95 of ``GET best`` under 50 ms with 50 clients at once, and a
server of less than 400 MB.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psutil
from best_query import DISTRIBUTIONS, STUDY
from databases import KINDS, fresh_database
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
)
from optuna.storages._rdb import models
from optuna.trial import TrialState
from report import Report, median, say
from sqlalchemy import text, update
from tiny_study import workplace

from storage import studies
from storage.connecting import connect
from storage.database import Database
from storage.studies import StudyRecord
from storage.tables import Base, LeaseRow

# What the page asks for when it is opened.
_PAGE = ("", "/best", "/trials?sort=-value&limit=50", "/charts/history", "/charts/curves")
# What it draws below, when that is looked at.
_LATER = ("/charts/importances", "/charts/parameters")


def main() -> None:
    options = _options()
    report = Report("service", f"The service on a study of {options.trials:,} trials")
    for kind in options.storage or KINDS:
        with workplace() as folder, fresh_database(kind, folder, options.postgres) as url:
            say(f"{kind}: adding {options.trials:,} trials ...")
            fill(url, options.trials, options.epochs)
            with _served(url) as (address, process):
                _measure(report, kind, address, process, options)
    report.facts["aim"] = "page at most 300 ms, p95 of best under 50 ms with 50 clients, memory under 400 MB"
    report.publish(options.json)


def fill(url: str, count: int, epochs: int) -> None:
    """A launched study whose trials are all complete, written at once: training them would take days."""
    database = connect(url, create=True)
    record = _launched(database, count)
    draw, began = random.Random(0), datetime(2026, 1, 1, tzinfo=UTC)
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in _TABLES}
    for number in range(count):
        _add_trial(rows, record.study_id, number, draw.random(), began + timedelta(seconds=number), epochs)
        for name, distribution in DISTRIBUTIONS.items():
            given = {"param_value": _drawn(draw, distribution), "distribution_json": _KINDS[name]}
            rows["trial_params"].append({"trial_id": number + 1, "param_name": name, **given})
    tables = models.BaseModel.metadata.tables | Base.metadata.tables
    with database.writing() as session:
        trial_of = update(LeaseRow).where(LeaseRow.study_id == record.study_id)
        for name in _TABLES:
            session.execute(tables[name].insert(), rows[name])
        session.execute(
            trial_of.values(state="closed", token=1, attempts=1, trial_id=LeaseRow.ordinal + 1, number=LeaseRow.ordinal)
        )
        if database.engine.dialect.name == "postgresql":
            # As its autovacuum does a minute after rows have come.
            session.execute(text("ANALYZE"))
    database.close()


_TABLES = ("trials", "trial_values", "trial_intermediate_values", "trial_params", "tuner_epochs", "tuner_trials")
_KINDS = {name: distribution_to_json(distribution) for name, distribution in DISTRIBUTIONS.items()}


def _launched(database: Database, budget: int) -> StudyRecord:
    return studies.create_study(
        database,
        STUDY,
        objectives=[{"metric": "val_accuracy", "direction": "maximize"}],
        spec={"study": STUDY, "trials": budget, "training": {"epochs": 20}},
        summary={},
        fingerprint="f" * 64,
        artifacts="artifacts",
        budget=budget,
        versions={},
        space={"hyperparameters": []},
    )


def _add_trial(
    rows: dict[str, list[dict[str, Any]]], study_id: int, number: int, value: float, start: datetime, epochs: int
) -> None:
    id, end = number + 1, start + timedelta(seconds=60)
    naive = {"datetime_start": start.replace(tzinfo=None), "datetime_complete": end.replace(tzinfo=None)}
    trial = {"trial_id": id, "number": number, "study_id": study_id, "state": TrialState.COMPLETE}
    rows["trials"].append(trial | naive)
    rows["trial_values"].append({"trial_id": id, "objective": 0, "value": value, "value_type": "FINITE"})
    for epoch in range(1, epochs + 1):
        reached = value * (1 - 0.8**epoch)
        step = {"trial_id": id, "step": epoch, "intermediate_value": reached, "intermediate_value_type": "FINITE"}
        rows["trial_intermediate_values"].append(step)
        metrics = {"val_accuracy": reached, "loss": 1 - reached}
        told = {"trial_id": id, "epoch": epoch, "study_id": study_id, "metrics": metrics, "seconds": 10.0}
        rows["tuner_epochs"].append(told | {"run": 1, "at": start + timedelta(seconds=10 * epoch)})
    result = {"trial_id": id, "study_id": study_id, "number": number, "lease_id": id, "outcome": "complete"}
    result |= {"value": value, "best_epoch": epochs, "metrics": {"val_accuracy": value}, "epochs": epochs}
    rows["tuner_trials"].append(result | {"seconds": 10.0 * epochs, "parameters": 1000, "closed_at": end})


def _drawn(draw: random.Random, distribution: BaseDistribution) -> float:
    if isinstance(distribution, CategoricalDistribution):
        return float(draw.randrange(len(distribution.choices)))
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    return float(draw.randint(1, 512)) if isinstance(distribution, IntDistribution) else draw.uniform(1e-5, 1.0)


def _measure(report: Report, kind: str, address: str, process: psutil.Process, options: argparse.Namespace) -> None:
    at = f"{address}/api/v1/studies/{STUDY}"
    with httpx.Client(timeout=60) as http:
        for part in (*_PAGE, *_LATER):
            seconds = _seconds(lambda part=part: http.get(at + part).raise_for_status(), options.repeats)
            report.add(database=kind, what=f"GET ...{part}", milliseconds=1000 * median(seconds), aim="")
        seconds = _seconds(lambda: http.get(f"{address}/studies/{STUDY}").raise_for_status(), options.repeats)
        report.add(database=kind, what="the page itself, rendered", milliseconds=1000 * median(seconds), aim="")
    page = asyncio.run(_pages(at, options.repeats))
    report.add(database=kind, what="study page's data", milliseconds=1000 * median(page), aim="300")
    waits = sorted(asyncio.run(_crowd(f"{at}/best", options.clients, options.requests)))
    for share, aim in ((0.5, ""), (0.95, "50"), (1.0, "")):
        wait = waits[min(len(waits) - 1, int(share * len(waits)))]
        report.add(
            database=kind,
            what=f"GET best, {options.clients} clients, p{share * 100:.0f}",
            milliseconds=1000 * wait,
            aim=aim,
        )
    report.facts[f"memory of the server on {kind}, MB (asked: 400)"] = round(process.memory_info().rss / 1e6)


def _seconds(ask: object, repeats: int) -> list[float]:
    found = []
    for _ in range(repeats):
        started = time.perf_counter()
        ask()  # type: ignore[operator]
        found.append(time.perf_counter() - started)
    return found


async def _pages(at: str, repeats: int) -> list[float]:
    """The page's questions at the same time, as a browser asks them."""
    found = []
    async with httpx.AsyncClient(timeout=60) as http:
        for _ in range(repeats):
            started = time.perf_counter()
            answers = await asyncio.gather(*(http.get(at + part) for part in _PAGE))
            found.append(time.perf_counter() - started)
            assert all(answer.status_code == 200 for answer in answers)
    return found


async def _crowd(url: str, clients: int, requests: int) -> list[float]:
    """Each client asks again as soon as it has its answer, over a connection of its own."""
    host, _, path = url.removeprefix("http://").partition("/")
    name, _, port = host.partition(":")
    text = f"GET /{path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
    waits: list[float] = []

    async def client() -> None:
        # A client of few instructions: it shares the machine with the server.
        reader, writer = await asyncio.open_connection(name, int(port))
        for count in range(requests):
            started = time.perf_counter()
            writer.write(text)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
            length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
            await reader.readexactly(int(length))
            if count:
                waits.append(time.perf_counter() - started)
        writer.close()

    await asyncio.gather(*(client() for _ in range(clients)))
    return waits


@contextmanager
def _served(url: str) -> Iterator[tuple[str, psutil.Process]]:
    tuner = Path(sys.executable).with_name("tuner")
    command = [str(tuner), "serve", "--port", "0", "--rate", "0"]
    process = subprocess.Popen(command, env=os.environ | {"TUNER_STORAGE": url}, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        if " is served at " not in line:
            raise SystemExit(line + process.stderr.read())
        yield line.partition(" is served at ")[2].split()[0], psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=5, help="that each trial has reported")
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--requests", type=int, default=100, help="of each client")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--storage", choices=KINDS, action="append", help="only this kind; may be given twice")
    parser.add_argument("--postgres", default=os.environ.get("TUNER_TEST_POSTGRES_URL"), help="a server's URL")
    parser.add_argument("--json", type=Path, help="write the JSON to this file too")
    return parser.parse_args()


if __name__ == "__main__":
    main()
