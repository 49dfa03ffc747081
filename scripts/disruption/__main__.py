"""Runs a study of real images on PostgreSQL while its workers and its database are disrupted, and checks every promise.

Ends with 0 if all were kept. Otherwise with 1, and the folder with logs and a dump of the database is kept.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table
from write_digits import write_digits

from disruption.pausing import run_pausing
from disruption.plan import full_disruptions
from disruption.run import Findings, run_disrupted, run_undisturbed
from disruption.servers import NoServer, PostgresServer
from disruption.study import Scale, make_place


def main() -> int:
    options = _options()
    # A SIGTERM shall leave no server and no worker behind.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    folder = Path(tempfile.mkdtemp(prefix="tuner-chaos-"))
    keep = True
    try:
        findings = _run(folder, options)
        _show(findings, options.seed)
        keep = options.keep or not findings.kept
        return 0 if findings.kept else 1
    except NoServer as error:
        print(f"scripts/chaos: {error}", file=sys.stderr)
        return 1
    finally:
        if keep:
            print(f"logs and databases: {folder}", file=sys.stderr)
        else:
            shutil.rmtree(folder, ignore_errors=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/chaos", description=__doc__)
    scale = Scale()
    parser.add_argument("--seed", type=int, default=0, help="decides what is done when, and the trials (%(default)s)")
    parser.add_argument("--trials", type=int, default=scale.trials, help="(%(default)s)")
    parser.add_argument("--workers", type=int, default=scale.workers, help="at a time (%(default)s)")
    parser.add_argument("--epochs", type=int, default=scale.epochs, help="the most of a trial (%(default)s)")
    parser.add_argument("--keep", action="store_true", help="keep the folder also if every promise was kept")
    return parser.parse_args()


def _run(folder: Path, options: argparse.Namespace) -> Findings:
    scale = Scale(trials=options.trials, workers=options.workers, epochs=options.epochs)
    write_digits(folder / "digits")
    with PostgresServer(folder / "postgres") as server:
        place = make_place(folder, folder / "digits", server.url, scale, options.seed)
        started = time.monotonic()

        def say(line: str) -> None:
            print(f"{time.monotonic() - started:7.1f} s  {line}", file=sys.stderr, flush=True)

        say(f"undisturbed: {scale.trials} trials of at most {scale.epochs} epochs")
        reference = run_undisturbed(place.named("undisturbed", f"sqlite:///{folder / 'undisturbed.db'}"))
        say(f"disrupted: the same with {scale.workers} workers on PostgreSQL, seed {options.seed}")
        findings = run_disrupted(place, server, reference, full_disruptions(), options.seed, say)
        say("disrupted: its first trials again, paused at rungs, while workers pause and promote them")
        paused = run_pausing(place, reference, options.seed, say)
        say("ended")
        return replace(findings, promises=[*findings.promises, *paused])


def _show(findings: Findings, seed: int) -> None:
    console = Console(width=160, highlight=False)
    table = Table("", f"seed {seed}", box=None, header_style="bold", padding=(0, 2, 0, 0))
    for name, count in findings.counts.items():
        table.add_row(name, str(count))
    console.print(table)
    table = Table("promise", "", "found", box=None, header_style="bold", padding=(0, 2, 0, 0))
    for promise in findings.promises:
        table.add_row(promise.name, "PASS" if promise.kept else "FAIL", promise.found)
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
