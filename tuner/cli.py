"""``tuner ...``: parses, calls the API, prints.

Exit codes: 0 done; 1 the command failed; 2 usage; 3 the study ended without a complete trial; 130 interrupted.
"""

from __future__ import annotations

import sys
import traceback
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text
from typer.core import TyperGroup

from storage.errors import StorageError
from tuner import api
from tuner.errors import SpecError, TunerError
from tuner.progress import Progress
from tuner.spec import load_spec
from tuner.tables import Format, print_json, print_records, printable, show, wide_console

FAILED, NO_COMPLETE_TRIAL, INTERRUPTED = 1, 3, 130
_VERBOSE = "--verbose"


class _Commands(TyperGroup):
    """Turns the errors that a user can cause into one clear line."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except (TunerError, StorageError) as error:
            _complain(error)
            raise typer.Exit(FAILED) from None
        except KeyboardInterrupt:
            Console(stderr=True).print("interrupted", highlight=False)
            raise typer.Exit(INTERRUPTED) from None


app = typer.Typer(
    cls=_Commands,
    help="Searches for the best Keras model and exports it as a verified champion. --verbose shows tracebacks.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Storage = Annotated[
    str | None,
    typer.Option("--storage", help="Database URL; else $TUNER_STORAGE, the spec's, sqlite:///tuner.db."),
]
Style = Annotated[Format, typer.Option("--format", help="How to print.")]
Study = Annotated[str, typer.Argument(help="The study's name.")]
Slots = Annotated[int | None, typer.Option("--slots", min=1, help="Trials at a time on this machine.")]
SpecFile = Annotated[Path, typer.Argument(help="The search spec, a YAML file.")]
Overrides = Annotated[
    list[str],
    typer.Option("--set", metavar="KEY=VALUE", help="Overrides a dotted key of the spec."),
]


@app.command()
def launch(
    spec: SpecFile,
    storage: Storage = None,
    trials: Annotated[int | None, typer.Option("--trials", min=1, help="The study's budget.")] = None,
    slots: Slots = None,
    overrides: Overrides = [],  # noqa: B006
) -> None:
    """Run a study, or resume it. Ctrl-C stops it in order, a second one at once; launch again to go on."""
    loaded = load_spec(spec, [*overrides, *([f"trials={trials}"] if trials is not None else [])])
    read = _reader(loaded.study, storage, loaded.storage)
    with Progress(loaded.objective, loaded.training.epochs, read) as progress:
        status = api.launch(loaded, storage=storage, slots=slots, on_event=progress.event, on_status=progress.status)
    _print_end(status)


@app.command()
def work(study: Study, slots: Slots = None, storage: Storage = None) -> None:
    """Join a running study as one more worker."""
    spec = api.study_spec(study, storage=storage)
    with Progress(spec.objective, spec.training.epochs, _reader(study, storage, None)) as progress:
        status = api.work(study, storage=storage, slots=slots, on_status=progress.status)
    _print_end(status)


@app.command()
def studies(storage: Storage = None, style: Style = Format.TABLE) -> None:
    """List every study: state, trials done, budget, best value."""
    records = [asdict(item) for item in api.list_studies(storage=storage)]
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
    if watch:
        spec = api.study_spec(study, storage=storage)
        with Progress(spec.objective, spec.training.epochs, _reader(study, storage, None)) as progress:
            now = api.watch(study, progress.status, storage=storage)
    else:
        now = api.study_status(study, storage=storage)
    record = asdict(now)
    if style is Format.JSON:
        print_json(record)
    elif style is Format.CSV:
        print_records([{k: v for k, v in record.items() if not isinstance(v, list)}], (), style)
    else:
        _print_status(record)


@app.command()
def best(
    study: Study,
    k: Annotated[int, typer.Option("-k", min=1, help="How many.")] = 5,
    storage: Storage = None,
    style: Style = Format.TABLE,
) -> None:
    """Show the best complete trials."""
    keys = ("trial", "value", "state", "params", "metrics", "epochs", "seconds")
    records = [{key: getattr(item, key) for key in keys} for item in api.best_trials(study, k, storage=storage)]
    print_records(
        records,
        ("trial", "value", "epochs", "seconds", "params"),
        style,
        empty="no complete trial yet",
    )


@app.command()
def trials(
    study: Study,
    state: Annotated[
        str | None, typer.Option("--state", help="running, complete, pruned, failed or an outcome.")
    ] = None,
    sort: Annotated[
        str,
        typer.Option(
            "--sort",
            help="trial, value, epochs, seconds, state, a metric or a hyperparameter; -KEY descends.",
        ),
    ] = "trial",
    limit: Annotated[int | None, typer.Option("--limit", min=1)] = None,
    storage: Storage = None,
    style: Style = Format.TABLE,
) -> None:
    """List trials."""
    found = api.list_trials(
        study,
        state=state,
        sort=sort.removeprefix("-"),
        descending=sort.startswith("-"),
        limit=limit,
        storage=storage,
    )
    columns = ("trial", "value", "state", "outcome", "epochs", "seconds", "params")
    print_records([asdict(item) for item in found], columns, style, empty="no such trials")


@app.command("show")
def show_command(
    study: Study,
    trial: Annotated[int, typer.Argument(min=0, help="The trial's number.")],
    storage: Storage = None,
    style: Style = Format.TABLE,
) -> None:
    """Show one trial: hyperparameters, metrics of every epoch, timing, outcome, checkpoint, traceback."""
    detail = asdict(api.show_trial(study, trial, storage=storage))
    record = detail.pop("summary") | detail
    if style is Format.JSON:
        print_json(record)
    elif style is Format.CSV:
        print_records(
            [{"epoch": row["epoch"], "seconds": row["seconds"]} | row["metrics"] for row in record["curve"]],
            (),
            style,
        )
    else:
        _print_trial(record)


@app.command()
def logs(study: Study, trial: Annotated[int, typer.Argument(min=0)], storage: Storage = None) -> None:
    """Print what a trial's process printed."""
    path = api.trial_log(study, trial, storage=storage)
    with path.open("rb") as file:
        for chunk in iter(lambda: file.read(65536), b""):
            sys.stdout.buffer.write(chunk)
    sys.stdout.flush()


@app.command()
def split(
    study: Study,
    name: Annotated[str, typer.Option("--split", help="train, validation or test.")],
    storage: Storage = None,
    style: Style = Format.TABLE,
) -> None:
    """List the files of a split with their labels."""
    records = [asdict(item) for item in api.split_records(study, name, storage=storage)]
    print_records(records, ("file", "label"), style)


@app.command()
def space(spec: SpecFile, overrides: Overrides = [], style: Style = Format.TABLE) -> None:  # noqa: B006
    """List the search space: every hyperparameter with range, scale, default and condition."""
    records = api.search_space(spec, overrides)
    print_records(records, ("name", "kind", "range", "scale", "default", "condition"), style)


@app.command()
def stop(study: Study, storage: Storage = None) -> None:
    """Ask the workers to finish their epoch, keep a checkpoint and release their leases."""
    state = api.stop(study, storage=storage)
    said = "its workers leave after their epoch" if state == "stopping" else f"it is {state}"
    _say(f"study {study}: {said}; `tuner launch` goes on with it")


@app.command()
def export(
    study: Study,
    to: Annotated[Path, typer.Option("--to", help="The folder to write.")],
    trial: Annotated[int | None, typer.Option("--trial", min=0, help="Instead of the best one.")] = None,
    storage: Storage = None,
) -> None:
    """Export the champion, or a chosen trial, and prove that it scores what the study says."""
    report = api.export_champion(study, to, trial=trial, storage=storage)
    checked, champion = report.verification, report.champion
    _say(f"trial {champion.trial} of study {study}: {champion.objective.metric} {show(champion.value)}")
    if checked.verified:
        _say(f"verified: the SavedModel gives {show(checked.value)} on {checked.examples} raw validation files")
    else:
        _say(f"NOT verified: {checked.reason}")
    _say(f"wrote {report.folder}")


@app.command()
def predict(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="An exported champion.")],
    inputs: Annotated[list[Path], typer.Argument(help="Image files or folders.")],
    style: Style = Format.TABLE,
) -> None:
    """Predict raw files: label and probability of each."""
    found = [asdict(item) for item in api.predict(folder, inputs)]
    for item in found:
        if item["error"]:
            _complain(TunerError(f"{printable(item['file'])}: {item['error']}"))
    readable = [item for item in found if not item["error"]]
    print_records(found if style is not Format.TABLE else readable, ("file", "label", "probability"), style)
    if not readable:
        raise typer.Exit(FAILED)


@app.command()
def init(
    kind: Annotated[str, typer.Argument(help="image")],
    file: Annotated[Path | None, typer.Argument(help="Where to write; KIND.yaml unless named.")] = None,
) -> None:
    """Write a spec with a comment on every key."""
    path = api.write_template(kind, file)
    _say(f"wrote {path}; edit it, then: tuner launch {path}")


def _reader(study: str, storage: str | None, of_spec: str | None) -> Any:
    return lambda number: api.show_trial(study, number, storage=storage or of_spec)


def _print_end(status: Any) -> None:
    reason = f": {status.reason}" if status.reason else ""
    _say(
        f"study {status.study} {status.state}{reason}. {status.complete} complete, {status.pruned} pruned, "
        f"{status.failed} failed, {status.open} open of {status.budget} trials"
    )
    if status.best_trial is not None:
        _say(f"best: {show(status.best_value)} (trial {status.best_trial})")
    elif status.open == 0 or status.state in ("finished", "failed"):
        _say("no trial is complete; `tuner trials` lists why")
        raise typer.Exit(NO_COMPLETE_TRIAL)


def _print_status(record: dict[str, Any]) -> None:
    console = wide_console()
    done = record["complete"] + record["pruned"] + record["failed"]
    reason = f": {record['reason']}" if record["reason"] else ""
    console.print(Text(f"{record['study']}  {record['state']}{reason}  {done}/{record['budget']} trials"))
    console.print(Text(show({key: record[key] for key in ("complete", "pruned", "failed", "running", "open")})))
    if record["outcomes"]:
        console.print(Text("outcomes  " + show(record["outcomes"])))
    if record["best_trial"] is not None:
        console.print(Text(f"best  {show(record['best_value'])} (trial {record['best_trial']})"))
    if record["running_trials"]:
        print_records(
            record["running_trials"],
            ("trial", "epoch", "metrics", "seconds", "worker"),
            Format.TABLE,
        )
    if record["workers"]:
        print_records(record["workers"], ("id", "host", "pid", "slots", "gpus", "seen_at"), Format.TABLE)


def _print_trial(record: dict[str, Any]) -> None:
    console = wide_console()
    lists = ("curve", "params", "metrics", "traceback")
    for key, value in record.items():
        if key not in lists and value is not None:
            console.print(Text(f"{key:<14}{show(value)}"))
    for key in ("metrics", "params"):
        for name, value in record[key].items():
            console.print(Text(f"{key[:-1]:<14}{name} = {show(value)}"))
    rows = [{"epoch": row["epoch"], **row["metrics"], "seconds": row["seconds"]} for row in record["curve"]]
    if rows:
        print_records(rows, list(dict.fromkeys(name for row in rows for name in row)), Format.TABLE)
    if record.get("traceback"):
        console.print(Text(record["traceback"]))


def _say(line: str) -> None:
    Console(stderr=True, highlight=False, soft_wrap=True).print(Text(line))


def _complain(error: Exception) -> None:
    if _verbose:
        traceback.print_exception(error)
    if isinstance(error, SpecError):
        for problem in error.problems:
            _say(f"error: {error.source}: {problem}")
    else:
        _say(f"error: {error}")


_verbose = False


def main() -> None:
    """Runs the command line. ``--verbose`` may stand anywhere."""
    global _verbose
    if _VERBOSE in sys.argv:
        sys.argv.remove(_VERBOSE)
        _verbose = True
    app()
