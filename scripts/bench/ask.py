"""Client CPU of one trial's coordination: asked for 14 parameters, 10 epochs reported; the service beside raw Optuna.

Both work on the same rows, in turns. The service's writes share a transaction with a look at the lease, as a worker's
do, and it lets nothing be tried twice. Aim: at 10,000 trials at most a fifth of Optuna's for asking, and no more than
at 1,000; an epoch in at most 5 ms.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import optuna
from best_query import DISTRIBUTIONS, STUDY, random_trials
from databases import KINDS, fresh_database
from optuna.distributions import distribution_to_json
from optuna.exceptions import ExperimentalWarning
from report import Report, say
from tiny_study import workplace

from storage import leases, studies
from storage.connecting import connect
from storage.database import Database
from tuner.spec.reading import validate_spec
from tuner.study.open_study import OpenStudy
from tuner.worker.search.optuna_trials import OptunaTrials

_EPOCHS = 10
_SCORE = 0.5


@dataclass(frozen=True)
class Measured:
    """Processor time in seconds."""

    ask: float
    epochs: float


def main() -> None:
    options = _options()
    warnings.simplefilter("ignore", ExperimentalWarning)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    report = Report("ask", f"Coordination of a trial of {len(DISTRIBUTIONS)} parameters and {_EPOCHS} epochs")
    for kind in options.storage or KINDS:
        for count in options.trials:
            with workplace() as folder, fresh_database(kind, folder, options.postgres) as url:
                say(f"{kind}: adding {count:,} trials ...")
                for system, runs in _measure(url, count, options.repeats).items():
                    report.add(
                        database=kind,
                        trials=count,
                        system=system,
                        ask_ms=1000 * statistics.median(each.ask for each in runs),
                        epoch_ms=1000 * statistics.median(each.epochs for each in runs) / _EPOCHS,
                    )
    report.publish(options.json)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, nargs="+", default=[1_000, 10_000])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--storage", choices=KINDS, action="append", help="only this kind; may be given twice")
    parser.add_argument("--postgres", default=os.environ.get("TUNER_TEST_POSTGRES_URL"), help="a server's URL")
    parser.add_argument("--json", type=Path, help="write the JSON to this file too")
    return parser.parse_args()


def _measure(url: str, count: int, repeats: int) -> dict[str, list[Measured]]:
    database = connect(url, create=True)
    try:
        opened = _study(database, count, repeats + 1)
        systems: dict[str, Callable[[], Measured]] = {"service": _service(opened)}
        for multivariate in (False, True):
            name = f"optuna, {'multivariate' if multivariate else 'univariate'}"
            systems[name] = _optuna(database, optuna.samplers.TPESampler(multivariate=multivariate))
        runs: dict[str, list[Measured]] = {name: [] for name in systems}
        for repeat in range(repeats + 1):
            for name, run in systems.items():
                measured = run()
                if repeat:
                    runs[name].append(measured)
        return runs
    finally:
        database.close()


def _study(database: Database, count: int, trials: int) -> OpenStudy:
    """A study of the service's with so many complete trials, and so many more to do."""
    objective = {"metric": "score", "direction": "maximize"}
    written = {"study": STUDY, "data": {"kind": "npz", "path": "."}, "space": "module:Space", "objective": objective}
    training = {"epochs": _EPOCHS}
    spec = validate_spec({**written, "trials": trials, "training": training}, source="ask", base=Path())
    record = studies.create_study(
        database,
        STUDY,
        objectives=[objective],
        spec=spec.stored(),
        summary={},
        fingerprint="",
        artifacts="",
        budget=trials,
        versions={},
        space={},
    )
    optuna.load_study(study_name=STUDY, storage=database.optuna).add_trials(random_trials(count, _EPOCHS))
    return OpenStudy(database, record, Path())


def _service(study: OpenStudy) -> Callable[[], Measured]:
    trials = OptunaTrials(study)

    def run() -> Measured:
        lease = leases.acquire(study.database, study.id, "bench", 600.0)
        assert lease is not None
        lease = leases.start_trial(study.database, lease)
        started = time.process_time()
        live = trials.open(lease)
        for name, distribution in DISTRIBUTIONS.items():
            live.suggest(name, distribution_to_json(distribution))
        asked = time.process_time()
        for epoch in range(1, _EPOCHS + 1):
            live.report(epoch, _SCORE)
        return Measured(asked - started, time.process_time() - asked)

    return run


def _optuna(database: Database, sampler: optuna.samplers.BaseSampler) -> Callable[[], Measured]:
    pruner = optuna.pruners.SuccessiveHalvingPruner()
    study = optuna.load_study(study_name=STUDY, storage=database.optuna, sampler=sampler, pruner=pruner)

    def run() -> Measured:
        started = time.process_time()
        trial = study.ask()
        for name, distribution in DISTRIBUTIONS.items():
            trial._suggest(name, distribution)
        asked = time.process_time()
        for epoch in range(1, _EPOCHS + 1):
            trial.report(_SCORE, epoch)
            trial.should_prune()
        return Measured(asked - started, time.process_time() - asked)

    return run


if __name__ == "__main__":
    main()
