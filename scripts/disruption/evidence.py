"""What a study left behind: rows of the database, and what workers and trial processes printed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import MetaData, select

from storage import leaderboard
from storage.database import Database
from storage.leaderboard import TrialDetail
from storage.studies import StudyRecord
from storage.tables import LeaseRow
from tuner.worker.patience import MEANWHILE
from tuner.worker.settings import STORE_PREFIX

_RUN = re.compile(r"run-(\d+)")
_BEGIN = re.compile(r"^--- trial \d+, attempt (\d+)")
_RESUMED = re.compile(r"^resumed after epoch (\d+)")
_EPOCH = re.compile(r"^Epoch (\d+) - ")
_CHECKPOINT = re.compile(r"^Epoch (\d+) - .* - resume checkpoint$")
_SAID = re.compile(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),(\d{3}) \w+ (.*)$", re.MULTILINE)
_STARTS = re.compile(r"trial (\d+): attempt (\d+) starts")
_ADOPTED = re.compile(r"trial (\d+) was adopted by another worker")


@dataclass(frozen=True)
class Run:
    """One process's work on a trial, as it printed it.

    Attributes:
        token: of the lease, which orders a trial's runs; None where the log does not say.
        attempt: as the process was told; one that was given back is counted again.
        resumed: the epoch that it went on after; 0 for the beginning.
        epochs: those that it trained, in their order.
        checkpoint: the last epoch that it wrote a checkpoint after; 0 for none.
    """

    token: int | None
    attempt: int
    resumed: int
    epochs: tuple[int, ...]
    checkpoint: int


@dataclass(frozen=True)
class Start:
    """A worker began an attempt at a trial, at a time in Unix seconds."""

    at: float
    worker: str
    trial: int
    attempt: int


@dataclass(frozen=True)
class LeaseFacts:
    state: str
    trial_id: int | None
    number: int | None


def runs_of(folder: Path) -> list[Run]:
    """The runs of a trial, in their order, from every log below its folder."""
    logs = sorted((_token(log) or 0, str(log), log) for log in folder.rglob("*.log"))
    return [run for _, _, log in logs for run in _runs_in(log)]


def _token(log: Path) -> int | None:
    found = _RUN.fullmatch(log.parent.name)
    return int(found[1]) if found else None


def _runs_in(log: Path) -> Iterator[Run]:
    parts: list[tuple[int, list[str]]] = []
    for line in log.read_text(errors="replace").splitlines():
        if begin := _BEGIN.match(line):
            parts.append((int(begin[1]), []))
        elif parts:
            parts[-1][1].append(line)
    for attempt, lines in parts:
        yield Run(
            token=_token(log),
            attempt=attempt,
            resumed=max(_numbers(_RESUMED, lines), default=0),
            epochs=tuple(_numbers(_EPOCH, lines)),
            checkpoint=max(_numbers(_CHECKPOINT, lines), default=0),
        )


def _numbers(pattern: re.Pattern[str], lines: list[str]) -> list[int]:
    return [int(found[1]) for line in lines if (found := pattern.match(line))]


def said(log: str) -> Iterator[tuple[float, str]]:
    """When a worker said what."""
    for found in _SAID.finditer(log):
        yield datetime.strptime(found[1], "%Y-%m-%d %H:%M:%S").timestamp() + int(found[2]) / 1000, found[3]


def outages_said(log: str) -> list[float]:
    """When a worker said that the database is away."""
    return [at for at, words in said(log) if MEANWHILE in words]


def stores_said(log: str) -> list[float]:
    """When a worker said that the artifacts cannot be written."""
    return [at for at, words in said(log) if words.startswith(STORE_PREFIX)]


def starts_in(worker: str, log: str) -> list[Start]:
    return [
        Start(at, worker, int(found[1]), int(found[2])) for at, words in said(log) if (found := _STARTS.match(words))
    ]


def abandoned_in(log: str) -> set[tuple[int, int]]:
    """Trial and attempt of each that a living worker gave up, since another one had adopted it meanwhile."""
    attempts: dict[int, int] = {}
    abandoned = set()
    for _, words in said(log):
        if found := _STARTS.match(words):
            attempts[int(found[1])] = int(found[2])
        elif (found := _ADOPTED.match(words)) and int(found[1]) in attempts:
            abandoned.add((int(found[1]), attempts[int(found[1])]))
    return abandoned


def lease_facts(database: Database, record: StudyRecord) -> list[LeaseFacts]:
    with database.reading() as session:
        rows = session.scalars(select(LeaseRow).where(LeaseRow.study_id == record.study_id))
        return [LeaseFacts(row.state, row.trial_id, row.number) for row in rows]


def details(database: Database, study: str) -> dict[int, TrialDetail]:
    """Every trial of a study by its number."""
    return {each.trial: leaderboard.trial(database, study, each.trial) for each in leaderboard.trials(database, study)}


def dump(database: Database, file: Path) -> None:
    """Every row of every table, as JSON by table."""
    tables, rows = MetaData(), dict[str, list[dict[str, Any]]]()
    tables.reflect(database.engine)
    with database.reading() as session:
        for table in tables.sorted_tables:
            rows[table.name] = [dict(row._mapping) for row in session.execute(select(table))]
    file.write_text(json.dumps(rows, indent=1, default=str), encoding="utf-8")
