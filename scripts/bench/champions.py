"""Champions of the built-in spaces beside baselines of a minute, on examples that neither has seen.

Each data set is divided once, a fifth kept back or its own test part; a search with every default runs for so many
minutes, its champion is exported and predicts what was kept back. Scores have 90% intervals by the bootstrap. Aim: on
tables the best baseline's score within its interval and the mean rank first, on texts two points above TF-IDF with
logistic regression, on images ten above KerasTuner in the same time.

With ``--configurations``, a JSON file with a list of {hyperparameter: value}, each is trained in this process instead,
with defaults for what it does not name, which takes seconds: that is how portfolios are chosen. ``--choose N`` then
says which N of them, tried in turn, lose least to the best of all on each set.
"""

from __future__ import annotations

import argparse
import json
import os
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from champions_scores import Score
from champions_sets import SETS, Divided, divided
from report import Report, say
from tiny_study import workplace


def main() -> None:
    options = _options()
    warnings.filterwarnings("ignore")
    report = Report("champions", f"Test scores; searches of {options.minutes:g} minutes")
    with workplace() as temporary:
        folder = options.work or temporary
        found = [
            divided(SETS[name], options.data, folder / "sets" / name) for name in options.sets if _there(name, options)
        ]
        if options.configurations:
            _configurations(report, found, folder, options)
        else:
            _champions(report, found, folder, options)
    report.publish(options.json)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="the folder of data sets")
    parser.add_argument("--sets", nargs="+", choices=list(SETS), default=list(SETS))
    parser.add_argument("--minutes", type=float, default=10.0, help="of each search")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--configurations", type=Path, help="a JSON file: train these instead of searching")
    parser.add_argument("--choose", type=int, help="so many of the configurations for a portfolio")
    parser.add_argument("--work", type=Path, help="a folder for data and studies that stays")
    parser.add_argument("--json", type=Path, help="write the JSON to this file too")
    return parser.parse_args()


def _there(name: str, options: argparse.Namespace) -> bool:
    file = SETS[name].file
    found = file.startswith("sklearn:") or (options.data / file).exists()
    if not found:
        say(f"{name} is left out: there is no {options.data / file}")
    return bool(found)


def _champions(report: Report, found: Sequence[Divided], folder: Path, options: argparse.Namespace) -> None:
    from champions_baselines import baselines_of
    from champions_search import search

    for files in found:
        scores: dict[str, Score] = {}
        for name, run in baselines_of(files, options.minutes).items():
            say(f"{files.data.name}: {name} ...")
            began = time.monotonic()
            scores[name] = run()
            _add(report, files, name, scores[name], seconds=time.monotonic() - began)
        for seed in options.seeds:
            say(f"{files.data.name}: a search of {options.minutes:g} minutes, seed {seed} ...")
            searched = search(files, folder / f"{files.data.name}-{seed}", options.minutes, seed)
            name = f"champion, seed {seed}"
            scores[name] = searched.score
            _add(
                report,
                files,
                name,
                searched.score,
                seconds=searched.seconds,
                trials=searched.trials,
                first_after=searched.first_seconds,
            )
        sign = -1 if files.data.measure == "rmse" else 1
        order = sorted(scores, key=lambda name: -sign * scores[name].value)
        report.facts[f"order on {files.data.name}"] = " > ".join(order)


def _add(report: Report, files: Divided, name: str, found: Score, **more: Any) -> None:
    report.add(
        set=files.data.name,
        measure=files.data.measure,
        model=name,
        test=found.value,
        low=found.low,
        high=found.high,
        **more,
    )


def _configurations(report: Report, found: Sequence[Divided], folder: Path, options: argparse.Namespace) -> None:
    from champions_portfolio import Tried, chosen
    from champions_trial import one_thread, train

    one_thread()
    configurations = json.loads(options.configurations.read_text())
    tried = []
    for files in found:
        for place, values in enumerate(configurations):
            for seed in options.seeds:
                try:
                    trained = train(files, values, folder / "cache", seed)
                except ValueError as error:
                    say(f"{files.data.name}: {values}: {error}")
                    continue
                tried.append(Tried(files.data.name, files.data.measure, place, trained))
                more = {"validation": trained.validation, "epochs": len(trained.values), "cpu_seconds": trained.seconds}
                _add(report, files, json.dumps(values), trained.test, **more, first_epoch_ended=trained.first_seconds)
    if options.choose:
        for place in chosen(tried, options.choose):
            say(json.dumps(configurations[place]))
        report.facts["portfolio"] = json.dumps([configurations[place] for place in chosen(tried, options.choose)])


if __name__ == "__main__":
    main()
