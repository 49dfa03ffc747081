"""Samplers with pruners race on a table of configurations that were trained once, with a simulated clock.

`replay train SPEC` trains random configurations of a spec's search space, as a study of the service, and writes every
epoch's score to a file; run again with more `--configurations` it goes on. `replay race TABLE` fits what lies between
them and lets searches race: those of Optuna as its users write them, the service's, and any that `--search` describes.
Regret is how much worse the configuration that looked best so far is than the best of 5,000 at random, by the fitted
curves without their noise: the mean over the seeds, and its 95% interval (bootstrap) after the last epoch.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import yaml
from replay_curves import Curves
from replay_race import race
from replay_systems import Make, optunas, service
from replay_table import Table, train
from report import Report, say

_FOLDER = Path("build", "replay")
_RESAMPLES = 1000


def main() -> None:
    options = _options()
    if options.command == "train":
        table = train(options.spec, options.configurations, options.folder)
        file = options.folder / f"{table.study}.json"
        table.write(file)
        say(f"{len(table.configurations)} configurations of {table.epochs} epochs: {file}")
        return
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    curves = Curves(Table.read(options.table))
    report = Report("replay", f"Regret after so many epochs, mean of {options.seeds} seeds; 95% interval of the last")
    for workers in options.workers:
        for name, make in _searches(curves.table, options).items():
            row = _row(curves, make, workers, options)
            say(f"{workers} workers, {name}: {row}")
            report.add(workers=workers, search=name, **row)
    report.facts |= {
        "table": str(options.table),
        "configurations": len(curves.table.configurations),
        "explained variance of best scores left out": curves.explained,
        "noise of an epoch": curves.noise,
        "best possible": curves.best_possible,
    }
    report.publish(options.json)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    trains = commands.add_parser("train", help="make a table, or go on with it")
    trains.add_argument("spec", type=Path, help="whose data, space, objective and epochs are used")
    trains.add_argument("--configurations", type=int, default=400)
    trains.add_argument("--folder", type=Path, default=_FOLDER)
    races = commands.add_parser("race", help="let searches race on a table")
    races.add_argument("table", type=Path)
    races.add_argument("--seeds", type=int, default=100)
    races.add_argument("--workers", type=int, nargs="+", default=[1])
    races.add_argument("--epochs", type=int, nargs="+", default=[50, 100, 200, 300], help="where regret is shown")
    races.add_argument("--trials", type=int, default=30, help="what the service's specs say")
    races.add_argument("--patience", type=int, default=3, help="of early stopping")
    races.add_argument("--only", nargs="+", default=["*"], help="names of the searches, with * and ?")
    races.add_argument(
        "--search",
        action="append",
        default=[],
        metavar="NAME=YAML",
        help="one more, by keys of a spec",
    )
    races.add_argument("--defaults-first", action="store_true", help="the space's defaults are good: begin with them")
    races.add_argument("--json", type=Path, help="write the JSON to this file too")
    return parser.parse_args()


def _searches(table: Table, options: argparse.Namespace) -> dict[str, Make]:
    common: dict[str, Any] = {"trials": options.trials, "defaults_first": options.defaults_first}

    def ours(said: Mapping[str, Any]) -> Make:
        return service(table.epochs, maximize=table.maximize, **common, **said)

    every = {"service": ours({}), "service random": ours({"sampler": "random"})}
    every |= optunas(table.epochs, table.maximize)
    found = {name: make for name, make in every.items() if any(fnmatch(name, each) for each in options.only)}
    described = (each.partition("=") for each in options.search)
    return found | {name: ours(yaml.safe_load(said)) for name, _, said in described}


def _row(curves: Curves, make: Make, workers: int, options: argparse.Namespace) -> dict[str, Any]:
    began = time.perf_counter()
    last = max(options.epochs)
    ran = [race(curves, make, seed, workers, last, options.patience) for seed in range(options.seeds)]
    regrets = np.array([each.regrets for each in ran])
    low, high = _interval(regrets[:, -1])
    shown = {f"{epochs} epochs": round(float(regrets[:, epochs - 1].mean()), 4) for epochs in options.epochs}
    clock = round(float(np.mean([each.seconds[-1] for each in ran])), 1)
    took = round((time.perf_counter() - began) / options.seeds, 2)
    return shown | {"interval": f"{low:.4f} to {high:.4f}", "simulated seconds": clock, "seconds a seed": took}


def _interval(values: np.ndarray) -> tuple[float, float]:
    rng = np.random.default_rng(0)
    means = rng.choice(values, (_RESAMPLES, len(values))).mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


if __name__ == "__main__":
    main()
