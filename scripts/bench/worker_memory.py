"""The worker's resident memory over many fast trials. Aim: under 250 MB."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import psutil
from report import Report, median, say
from tiny_study import tiny_spec, workplace

from storage.progress import StudyStatus
from tuner import api

_MB = 1e6


class Samples:
    """The worker's resident set size as the study goes on: (trials done, MB) each."""

    def __init__(self) -> None:
        self.taken: list[tuple[int, float]] = []

    def take(self, status: StudyStatus) -> None:
        """Samples the study's one worker, unless it has not come or has gone."""
        done = status.complete + status.pruned + status.failed
        for worker in status.workers:
            try:
                resident = psutil.Process(worker.pid).memory_info().rss / _MB
            except psutil.NoSuchProcess:
                return
            # A process that has ended and is not yet waited for has none.
            if resident > 0:
                self.taken.append((done, resident))


def main() -> None:
    options = _options()
    report = Report("worker_memory", f"The worker's resident memory over {options.trials} trials")
    started, samples = time.monotonic(), Samples()
    with workplace() as folder:
        say(f"{options.trials} trials of one epoch ...")
        spec = tiny_spec(folder, options.trials)
        api.launch(spec, storage=f"sqlite:///{folder / 'tuner.db'}", on_status=samples.take)
    per_phase = max(1, options.trials // 4)
    for first in range(0, options.trials, per_phase):
        phase = [mb for done, mb in samples.taken if first <= done < first + per_phase]
        if phase:
            report.add(
                trials_done=f"{first} to {min(first + per_phase, options.trials) - 1}",
                samples=len(phase),
                first_mb=round(phase[0], 1),
                median_mb=round(median(phase), 1),
                max_mb=round(max(phase), 1),
                last_mb=round(phase[-1], 1),
            )
    resident = [mb for _, mb in samples.taken]
    report.facts |= {
        "start_mb": round(resident[0], 1),
        "max_mb": round(max(resident), 1),
        "end_mb": round(resident[-1], 1),
        "seconds": round(time.monotonic() - started, 1),
        "aim": "under 250 MB",
    }
    report.publish(options.json)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--json", type=Path, help="write the JSON to this file too")
    return parser.parse_args()


if __name__ == "__main__":
    main()
