"""Commands that look at studies, and never import TensorFlow."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from storage.errors import UnknownStudy
from tuner import queries
from tuner.cli.app import Storage, Study, Style, Trial, app, busy, followed, say, spec_of
from tuner.presentation.tables import Format, print_json, print_records
from tuner.presentation.views import (
    lacks_workers,
    print_best,
    print_pools,
    print_status,
    print_trial,
    print_trials,
    print_workers,
    who_would_take,
)
from tuner.queries.paging import Page

if TYPE_CHECKING:
    from tuner.launch.launches import LaunchView


@app.command()
def studies(storage: Storage = None, style: Style = Format.TABLE) -> None:
    """List every study: state, trials done, budget, best value."""
    records = [asdict(item) for item in queries.list_studies(storage=storage)]
    columns = ("study", "state", "done", "budget", "best_value", "best_trial", "created_at")
    print_records(records, columns, style, empty="no studies yet")


@app.command()
def status(
    study: Study,
    watch: Annotated[bool, typer.Option("--watch", help="Follow the study until it ends.")] = False,
    storage: Storage = None,
    style: Style = Format.TABLE,
) -> None:
    """Show progress, running trials, workers and counts by outcome."""
    from tuner import api

    if watch:
        with followed(api.study_spec(study, storage=storage), study, storage, joins=True) as progress:
            now = api.watch(study, progress.status, storage=storage, on_away=progress.away)
    else:
        now = queries.study_status(study, storage=storage)
    record = asdict(now)
    launches = _launches(study, storage)
    if style is Format.JSON:
        print_json(record | {"launches": [asdict(each) for each in launches]})
    elif style is Format.CSV:
        print_records([{k: v for k, v in record.items() if not isinstance(v, list)}], (), style)
    else:
        pools = queries.list_pools(storage=storage) if lacks_workers(now) else []
        print_status(now, spec_of(study, storage), launches, pools)


def _launches(study: str, storage: str | None) -> list[LaunchView]:
    """Those of a study that Optuna alone made are none."""
    try:
        return queries.list_launches(study, storage=storage)
    except UnknownStudy:
        return []


@app.command()
def best(
    study: Study,
    k: Annotated[
        int | None, typer.Option("-k", min=1, help="How many; 5, or with several objectives all, unless given.")
    ] = None,
    storage: Storage = None,
    style: Style = Format.TABLE,
) -> None:
    """Show the best complete trials; with several objectives the Pareto front."""
    keys = ("trial", "value", "measures", "violation", "state", "params", "metrics", "epochs", "seconds")
    records = [{key: getattr(item, key) for key in keys} for item in queries.best_trials(study, k, storage=storage)]
    if style is Format.TABLE and records:
        print_best(records)
    else:
        print_records(records, keys, style, empty="no complete trial yet")


@app.command()
def trials(
    study: Study,
    state: Annotated[
        str | None, typer.Option("--state", metavar="STATE", help=f"Only those: {', '.join(queries.TRIAL_STATES)}.")
    ] = None,
    sort: Annotated[
        str,
        typer.Option(
            "--sort",
            metavar="KEY",
            help="trial, value, epochs, seconds, state, outcome, a metric or a hyperparameter; -KEY descends.",
        ),
    ] = "trial",
    limit: Annotated[int | None, typer.Option("--limit", min=1)] = None,
    cursor: Annotated[str | None, typer.Option("--cursor", help="Go on after the list that said so.")] = None,
    storage: Storage = None,
    style: Style = Format.TABLE,
) -> None:
    """List trials."""
    order: dict[str, Any] = {"state": state, "sort": sort.removeprefix("-"), "descending": sort.startswith("-")}
    if limit is None and cursor is None:
        found = Page(queries.list_trials(study, **order, storage=storage), None)
    else:
        limit = queries.USUAL_PAGE if limit is None else limit
        found = queries.trial_page(study, **order, limit=limit, cursor=cursor, storage=storage)
    records = [asdict(item) for item in found.items]
    if style is Format.TABLE and records:
        print_trials(records)
    else:
        columns = ("trial", "value", "state", "outcome", "epochs", "seconds", "params")
        print_records(records, columns, style, empty="no such trials")
    if found.cursor is not None:
        say(f"more: --cursor {found.cursor}")


@app.command("show")
def show_command(
    study: Study,
    trial: Trial,
    storage: Storage = None,
    style: Style = Format.TABLE,
) -> None:
    """Show one trial.

    Its hyperparameters, metrics of every epoch, timing, outcome, checkpoint, and the traceback if it failed.
    """
    found = queries.show_trial(study, trial, storage=storage)
    detail = asdict(found)
    record = detail.pop("summary") | detail
    if style is Format.JSON:
        print_json(record)
    elif style is Format.CSV:
        rows = [{"epoch": row["epoch"], "seconds": row["seconds"]} | row["metrics"] for row in record["curve"]]
        print_records(rows, ("epoch", "seconds"), style)
    else:
        print_trial(study, found)


@app.command()
def logs(
    study: Study,
    trial: Annotated[int | None, typer.Argument(metavar="[TRIAL]", min=0, help="The trial's number.")] = None,
    worker: Annotated[
        str | None, typer.Option("--worker", metavar="NAME", help="A worker: its id, or its name in a launch.")
    ] = None,
    storage: Storage = None,
) -> None:
    """Print what a trial's process printed, or a worker."""
    if (trial is None) == (worker is None):
        raise typer.BadParameter("name a trial, or --worker NAME")
    if worker is not None:
        pieces = queries.worker_log(study, worker, storage=storage)
    else:
        assert trial is not None
        pieces = queries.trial_log(study, trial, storage=storage)
    for piece in pieces:
        sys.stdout.buffer.write(piece)
    sys.stdout.flush()


@app.command()
def split(
    study: Study,
    name: Annotated[str, typer.Option("--split", help="train, validation or test.")],
    storage: Storage = None,
    style: Style = Format.TABLE,
) -> None:
    """List the files or rows of a split with their labels."""
    records = [asdict(item) for item in queries.split_records(study, name, storage=storage)]
    if all(record["row"] is None for record in records):
        records = [{"file": record["file"], "label": record["label"]} for record in records]
    columns = ("file", "row", "label") if "row" in records[0] else ("file", "label")
    print_records(records, columns, style)


@app.command()
def workers(study: Study, storage: Storage = None, style: Style = Format.TABLE) -> None:
    """List every worker: host, process, GPUs, slots, trials, when it was last seen, version."""
    records = [asdict(item) for item in queries.list_workers(study, storage=storage)]
    if style is Format.TABLE and records:
        print_workers(records)
    else:
        missing = f"no worker yet; {who_would_take(study, queries.list_pools(storage=storage))}" if not records else ""
        print_records(records, (), style, empty=missing)


@app.command()
def pools(storage: Storage = None, style: Style = Format.TABLE) -> None:
    """List the standing workers: host, process, the studies that each serves, the one that it works on now."""
    found = queries.list_pools(storage=storage)
    if style is Format.TABLE and found:
        print_pools(found)
    else:
        print_records(
            [asdict(each) for each in found], (), style, empty="no standing worker; `tuner work --any` starts one"
        )


@app.command()
def report(
    study: Study,
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="The file; else STUDY.html.")] = None,
    storage: Storage = None,
) -> None:
    """Write one self-contained HTML page about a study: charts, failures, the champion's card."""
    from tuner import api

    with busy("drawing the report"):
        file = api.write_report(study, html, storage=storage)
    say(f"wrote {file}")
