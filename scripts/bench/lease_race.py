"""Processes that race for the leases of one study and train nothing: acquire, start the trial, store an epoch, close.

Ends with 1 unless every lease was closed once, by a trial of its own. Optuna is not told of the trials.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from pathlib import Path
from threading import BrokenBarrierError

from databases import KINDS, fresh_database
from report import Report, say
from sqlalchemy import func, select, text
from tiny_study import workplace

from storage import leases, studies
from storage.connecting import connect
from storage.database import Database
from storage.leases import TrialResult
from storage.studies import StudyRecord
from storage.tables import EpochRow, LeaseRow

# A process holds two connections, ours and Optuna's, and a third for a moment when it opens Optuna's storage.
_CONNECTIONS_EACH = 3
_SPARE_CONNECTIONS = 20
_LEASE_SECONDS = 600.0
_START_SECONDS = 300.0
_context = get_context("fork")


@dataclass(frozen=True)
class Race:
    """Attributes: seconds from the start to the last close; connections to the server at the end, None for SQLite."""

    seconds: float
    connections: int | None


def main() -> int:
    options = _options()
    report = Report("lease_race", f"{options.leases} leases without training: acquire, start, one epoch, close")
    room = max(options.processes) * _CONNECTIONS_EACH + _SPARE_CONNECTIONS
    faults: list[str] = []
    for kind in options.storage or KINDS:
        alone = None
        for processes in options.processes:
            with (
                workplace() as folder,
                fresh_database(kind, folder, options.postgres, [f"max_connections={max(100, room)}"]) as url,
            ):
                say(f"{kind}: {processes} processes ...")
                race, found = _measure(url, processes, options.leases)
            rate = options.leases / race.seconds
            alone = alone or rate
            report.add(
                database=kind,
                processes=processes,
                leases_per_second=rate,
                of_one_process=rate / alone if options.processes[0] == 1 else None,
                distinct_trials=options.leases - len(found),
                connections=race.connections,
            )
            faults += [f"{kind}, {processes} processes: {fault}" for fault in found]
    report.facts["faults"] = "; ".join(faults) or "none"
    report.publish(options.json)
    return 1 if faults else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--leases", type=int, default=500)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 8, 64], help="(%(default)s)")
    parser.add_argument("--storage", choices=KINDS, action="append", help="only this kind; may be given twice")
    parser.add_argument("--postgres", default=os.environ.get("TUNER_TEST_POSTGRES_URL"), help="a server's URL")
    parser.add_argument("--json", type=Path, help="write the JSON to this file too")
    return parser.parse_args()


def _measure(url: str, processes: int, budget: int) -> tuple[Race, list[str]]:
    # Nothing may be connected when the processes are forked.
    database = connect(url, create=True)
    record = studies.create_study(
        database,
        "race",
        objectives=[{"metric": "val_accuracy", "direction": "maximize"}],
        spec={},
        summary={},
        fingerprint="",
        artifacts="",
        budget=budget,
        versions={},
        space={},
    )
    database.close()
    ready, done, counted = (_context.Barrier(processes + 1) for _ in range(3))
    runners = [
        _context.Process(target=_run, args=(url, record, f"worker-{index}", (ready, done, counted)), daemon=True)
        for index in range(processes)
    ]
    for runner in runners:
        runner.start()
    ready.wait(_START_SECONDS)
    started = time.monotonic()
    done.wait(_LEASE_SECONDS)
    seconds = time.monotonic() - started
    connections = _connections(database)
    counted.wait(_START_SECONDS)
    for runner in runners:
        runner.join()
    faults = [f"a process ended with {runner.exitcode}" for runner in runners if runner.exitcode]
    faults += _faults(database, record)
    database.close()
    return Race(seconds, connections), faults


def _run(url: str, record: StudyRecord, worker: str, barriers: tuple[Barrier, Barrier, Barrier]) -> None:
    ready, done, counted = barriers
    try:
        database = connect(url)
        # Optuna's engine connects when it is first used.
        assert database.rdb is not None
        ready.wait(_START_SECONDS)
        while lease := leases.acquire(database, record.study_id, worker, _LEASE_SECONDS):
            lease = leases.start_trial(database, lease)
            assert lease.trial_id is not None and lease.number is not None
            leases.record_epoch(database, lease, 1, {"val_accuracy": 0.5}, 1.0)
            result = TrialResult(lease.trial_id, lease.number, "complete", value=0.5, best_epoch=1)
            leases.close(database, lease, result)
        done.wait(_LEASE_SECONDS)
        counted.wait(_START_SECONDS)
    except BrokenBarrierError:
        # Another one has failed, and says why.
        sys.exit(1)
    except BaseException:
        # The others shall not wait for this one.
        for barrier in barriers:
            barrier.abort()
        raise


def _connections(database: Database) -> int | None:
    if database.dialect != "postgresql":
        return None
    others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    with database.reading() as session:
        return session.execute(text(others)).scalar_one()


def _faults(database: Database, record: StudyRecord) -> list[str]:
    """What is not as it must be, one entry for each lease that is not closed by a trial of its own."""
    of_study = LeaseRow.study_id == record.study_id
    with database.reading() as session:
        rows = session.execute(select(LeaseRow.ordinal, LeaseRow.state, LeaseRow.number).where(of_study)).all()
        epochs = session.scalars(
            select(func.count()).select_from(EpochRow).where(EpochRow.study_id == record.study_id)
        ).one()
    numbers = [trial.number for trial in database.optuna.get_all_trials(record.study_id, deepcopy=False)]
    seen: set[int | None] = {None}
    faults = []
    for row in rows:
        if row.state != "closed" or row.number in seen:
            faults.append(f"lease {row.ordinal} is {row.state} with trial {row.number}")
        seen.add(row.number)
    if numbers != list(range(record.budget)):
        faults.append(f"Optuna has {len(numbers)} trials, {len(set(numbers))} of them distinct")
    if epochs != record.budget:
        faults.append(f"{epochs} epochs are stored")
    return faults


if __name__ == "__main__":
    sys.exit(main())
