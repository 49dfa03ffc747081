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
from tuner.launch import questions
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
    """List all studies with state, progress and best value."""
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
    """Show a study's progress, workers, running trials and outcomes."""
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
        return questions.list_launches(study, storage=storage)
    except UnknownStudy:
        return []


@app.command()
def best(
    study: Study,
    k: Annotated[
        int | None,
        typer.Option(
            "-k",
            metavar="N",
            min=1,
            help="Number of trials to show. If omitted: 5, or the whole Pareto front if there are several objectives.",
        ),
    ] = None,
    storage: Storage = None,
    style: Style = Format.TABLE,
) -> None:
    """Show the best trials.

    A pruned trial is among them if the model of its best epoch is kept. A study with several objectives shows its
    Pareto front.
    """
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
        str | None,
        typer.Option(
            "--state",
            metavar="STATE",
            help=f"List only trials in this state or with this outcome: {', '.join(queries.TRIAL_STATES)}.",
        ),
    ] = None,
    sort: Annotated[
        str,
        typer.Option(
            "--sort",
            metavar="KEY",
            help="Sort by trial, value, epochs, seconds, state, outcome, a metric or a hyperparameter. "
            "-KEY sorts in descending order.",
        ),
    ] = "trial",
    limit: Annotated[int | None, typer.Option("--limit", metavar="N", min=1, help="List at most N trials.")] = None,
    cursor: Annotated[
        str | None,
        typer.Option("--cursor", metavar="CURSOR", help="Continue a list where its last line says that there is more."),
    ] = None,
    storage: Storage = None,
    style: Style = Format.TABLE,
) -> None:
    """List the trials of a study."""
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
        print_records(records, columns, style, empty="no trial matches")
    if found.cursor is not None:
        say(f"more trials follow: --cursor {found.cursor}")


@app.command("show")
def show_command(
    study: Study,
    trial: Trial,
    storage: Storage = None,
    style: Style = Format.TABLE,
) -> None:
    """Show one trial in detail.

    The output has the trial's hyperparameters, the metrics of every epoch, its timing, outcome and checkpoint, and the
    traceback if it failed.
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
    trial: Annotated[
        int | None, typer.Argument(metavar="TRIAL", min=0, help="Number of the trial. Omit it with --worker.")
    ] = None,
    worker: Annotated[
        str | None,
        typer.Option(
            "--worker", metavar="NAME", help="Show this worker's log instead: its id, or its name in a launch."
        ),
    ] = None,
    storage: Storage = None,
) -> None:
    """Print the log of a trial or of a worker."""
    if (trial is None) == (worker is None):
        raise typer.BadParameter("give either a trial or --worker NAME")
    if worker is not None:
        pieces = questions.worker_log(study, worker, storage=storage)
    else:
        assert trial is not None
        pieces = queries.trial_log(study, trial, storage=storage)
    for piece in pieces:
        sys.stdout.buffer.write(piece)
    sys.stdout.flush()


@app.command()
def split(
    study: Study,
    name: Annotated[str, typer.Option("--split", metavar="SPLIT", help="Split to list: train, validation or test.")],
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
    """List all workers of a study.

    The list has each worker's host, process, GPUs, slots, trials and version, and when it was last seen.
    """
    records = [asdict(item) for item in queries.list_workers(study, storage=storage)]
    if style is Format.TABLE and records:
        print_workers(records)
    else:
        missing = f"no worker yet; {who_would_take(study, queries.list_pools(storage=storage))}" if not records else ""
        print_records(records, (), style, empty=missing)


@app.command()
def pools(storage: Storage = None, style: Style = Format.TABLE) -> None:
    """List the standing workers, which serve many studies.

    The list has each standing worker's host and process, the studies that it serves and the one it is working on.
    """
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
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="File to write. If omitted: STUDY.html.")
    ] = None,
    storage: Storage = None,
) -> None:
    """Write a self-contained HTML report about a study.

    The page has the study's charts, its failures and the card of its champion.
    """
    from tuner import api

    with busy("drawing the report"):
        file = api.write_report(study, html, storage=storage)
    say(f"wrote {file}")
