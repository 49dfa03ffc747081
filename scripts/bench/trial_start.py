"""From an acquired lease to the first line of ``build``, once the forkserver is warm. Aim: at most 0.25 s."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from databases import KINDS, fresh_database
from report import Report, median, quantile, say
from sqlalchemy import select
from tiny_study import tiny_spec, workplace

from storage.connecting import connect
from storage.tables import LeaseRow
from tuner import api


def main() -> None:
    options = _options()
    report = Report("trial_start", f"Lease acquired to first line of build, {options.trials} trials")
    for kind in options.storage or KINDS:
        with workplace() as folder, fresh_database(kind, folder, options.postgres) as url:
            say(f"{kind}: {options.trials} trials ...")
            seconds = _measure(folder, url, options.trials)
        report.add(
            database=kind,
            trials=len(seconds),
            median_seconds=median(seconds),
            p90_seconds=quantile(seconds, 0.9),
            max_seconds=max(seconds),
        )
    report.facts["aim"] = "at most 0.25 s"
    report.publish(options.json)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--storage", choices=KINDS, action="append", help="only this kind; may be given twice")
    parser.add_argument("--postgres", default=os.environ.get("TUNER_TEST_POSTGRES_URL"), help="a server's URL")
    parser.add_argument("--json", type=Path, help="write the JSON to this file too")
    return parser.parse_args()


def _measure(folder: Path, url: str, trials: int) -> list[float]:
    """The seconds of each trial, in the order of their start."""
    notes = folder / "notes.jsonl"
    api.launch(tiny_spec(folder, trials, notes=str(notes)), storage=url)
    # The first to build is the preflight.
    began = sorted(json.loads(line)["began"] for line in notes.read_text().splitlines())[1:]
    acquired = _acquired(url)
    return [start - lease for start, lease in zip(began, acquired, strict=True)]


def _acquired(url: str) -> list[float]:
    """When each lease was acquired, by the database's clock, which here is this machine's, in Unix seconds."""
    database = connect(url)
    try:
        with database.reading() as session:
            found = session.scalars(select(LeaseRow.acquired_at).where(LeaseRow.acquired_at.is_not(None)))
            return sorted(each.timestamp() for each in found if each is not None)
    finally:
        database.close()


if __name__ == "__main__":
    main()
