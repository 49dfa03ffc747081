"""``tuner best`` on a study of 10,000 trials, as a whole process, beside Optuna's own way. Aim: at most 1 s."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import optuna
from databases import KINDS, fresh_database
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from report import Report, median, say
from tiny_study import workplace

from storage.connecting import connect

STUDY = "bench"
_FIVE = 5
DISTRIBUTIONS: dict[str, BaseDistribution] = {
    **{f"float_{i}": FloatDistribution(1e-5, 1.0, log=True) for i in range(6)},
    **{f"int_{i}": IntDistribution(1, 512) for i in range(4)},
    **{f"choice_{i}": CategoricalDistribution(["a", "b", "c", "d"]) for i in range(4)},
}
_OPTUNA = (
    "import optuna, os; study = optuna.load_study(study_name={name!r}, storage=os.environ['BENCH_STORAGE']); "
    "print(len(study.best_trials))"
)


@dataclass(frozen=True)
class Measured:
    """A process: its wall and CPU time, in seconds."""

    wall: float
    cpu: float


def main() -> None:
    options = _options()
    report = Report("best_query", f"The best {_FIVE} of {options.trials:,} trials, whole processes")
    for kind in options.storage or KINDS:
        with workplace() as folder, fresh_database(kind, folder, options.postgres) as url:
            say(f"{kind}: adding {options.trials:,} trials of {len(DISTRIBUTIONS)} parameters ...")
            started = time.monotonic()
            fill(url, options.trials)
            say(f"{kind}: added in {time.monotonic() - started:.0f} s; {options.repeats} runs of each ...")
            for what, runs in _measure(url, options.repeats).items():
                report.add(
                    database=kind,
                    process=what,
                    median_seconds=median([run.wall for run in runs]),
                    min_seconds=min(run.wall for run in runs),
                    max_seconds=max(run.wall for run in runs),
                    cpu_seconds=median([run.cpu for run in runs]),
                )
    report.facts["aim"] = "`tuner best` in at most 1 s"
    report.publish(options.json)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--storage", choices=KINDS, action="append", help="only this kind; may be given twice")
    parser.add_argument("--postgres", default=os.environ.get("TUNER_TEST_POSTGRES_URL"), help="a server's URL")
    parser.add_argument("--json", type=Path, help="write the JSON to this file too")
    return parser.parse_args()


def fill(url: str, count: int, epochs: int = 0) -> None:
    """Makes a plain Optuna study of complete trials; each has reported so many epochs."""
    database = connect(url, create=True)
    try:
        study = optuna.create_study(storage=database.optuna, study_name=STUDY, direction="maximize")
        study.add_trials(random_trials(count, epochs))
    finally:
        database.close()


def random_trials(count: int, epochs: int = 0) -> Iterator[optuna.trial.FrozenTrial]:
    """Complete trials at random; each has reported so many epochs."""
    study, sampler = optuna.create_study(), optuna.samplers.RandomSampler(seed=0)
    values = np.random.Generator(np.random.PCG64(0)).uniform(0, 1, count)
    return (_trial(study, sampler, float(value), epochs) for value in values)


def _trial(
    study: optuna.Study, sampler: optuna.samplers.BaseSampler, value: float, epochs: int
) -> optuna.trial.FrozenTrial:
    empty = optuna.trial.create_trial(value=value)
    params = {
        name: sampler.sample_independent(study, empty, name, distribution)
        for name, distribution in DISTRIBUTIONS.items()
    }
    curve = {epoch: value * (1 - 0.8**epoch) for epoch in range(1, epochs + 1)}
    return optuna.trial.create_trial(params=params, distributions=DISTRIBUTIONS, value=value, intermediate_values=curve)


def _measure(url: str, repeats: int) -> dict[str, list[Measured]]:
    """Runs each process ``repeats`` times, in turns, after one run that warms the disk's cache."""
    tuner = Path(sys.executable).with_name("tuner")
    driver_url = url.replace("postgresql://", "postgresql+psycopg://", 1)
    processes = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "import tuner.cli": [sys.executable, "-c", "import tuner.cli"],
        "tuner best": [str(tuner), "best", STUDY, "-k", str(_FIVE), "--format", "json"],
        "optuna best_trials": [sys.executable, "-c", _OPTUNA.format(name=STUDY)],
    }
    environment = os.environ | {"TUNER_STORAGE": url, "BENCH_STORAGE": driver_url}
    runs: dict[str, list[Measured]] = {name: [] for name in processes}
    for repeat in range(repeats + 1):
        for name, command in processes.items():
            measured = _run(command, environment)
            if repeat:
                runs[name].append(measured)
    return runs


def _run(command: list[str], environment: dict[str, str]) -> Measured:
    started = time.monotonic()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Measured(wall, usage.ru_utime + usage.ru_stime)


if __name__ == "__main__":
    main()
