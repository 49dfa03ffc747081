"""``tuner ...``: parses, calls the API, prints.

Exit codes: 0 done; 1 the command failed; 2 usage; 3 the study ended without a complete trial that keeps its
constraints; 130 interrupted.
"""

from __future__ import annotations

import atexit
import gc
import sys
import traceback
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text
from typer.core import TyperGroup

from storage.errors import StorageError, UnknownStudy
from storage.urls import mask_password
from tuner import queries
from tuner.errors import SpecError, TunerError
from tuner.places import storage_url
from tuner.tables import Format, print_json, print_records, printable, show
from tuner.views import print_best, print_space, print_status, print_trial, print_trials, print_workers

if TYPE_CHECKING:
    from tuner.progress import Progress
    from tuner.spec import SearchSpec

# What only launching, exporting and predicting need is imported in their commands: queries shall answer at once.
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
            _say("interrupted")
            raise typer.Exit(INTERRUPTED) from None
        except Exception as error:
            if _is_for_typer(error):
                raise
            _complain(error, f"{type(error).__name__}: {error}; --verbose shows where")
            raise typer.Exit(FAILED) from None


def _is_for_typer(error: Exception) -> bool:
    """Usage errors and exits, and the end of a pipe that nobody reads any more."""
    return isinstance(error, typer.Abort | BrokenPipeError) or hasattr(error, "exit_code")


app = typer.Typer(
    cls=_Commands,
    help="Searches for the best Keras model and exports it as a verified champion. --verbose shows tracebacks.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

storage_commands = typer.Typer(
    cls=_Commands, help="Look after the database.", no_args_is_help=True, pretty_exceptions_enable=False
)
app.add_typer(storage_commands, name="storage")

Storage = Annotated[
    str | None,
    typer.Option("--storage", metavar="URL", help="Database; else $TUNER_STORAGE, the spec's, sqlite:///tuner.db."),
]
Style = Annotated[Format, typer.Option("--format", help="How to print.")]
Study = Annotated[str, typer.Argument(metavar="STUDY", help="The study's name.")]
Trial = Annotated[int, typer.Argument(metavar="TRIAL", min=0, help="The trial's number.")]
Slots = Annotated[int | None, typer.Option("--slots", min=1, help="Trials at a time on this machine.")]
Drift = Annotated[
    bool,
    typer.Option("--allow-version-drift", help="Only warn of versions, code or data that are not the study's."),
]
SpecFile = Annotated[Path, typer.Argument(metavar="SPEC.yaml", help="The search spec, a YAML file.")]
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
    drift: Drift = False,
) -> None:
    """Run a study, or resume it. Ctrl-C stops it in order, a second one at once; launch again to go on."""
    from tuner import api
    from tuner.spec import load_spec

    loaded = load_spec(spec, [*overrides, *([f"trials={trials}"] if trials is not None else [])])
    with _progress(loaded, loaded.study, storage_url(storage, loaded)) as progress:
        try:
            status = api.launch(
                loaded,
                storage=storage,
                slots=slots,
                on_event=progress.event,
                on_status=progress.status,
                allow_version_drift=drift,
            )
        except SpecError as error:
            raise SpecError(str(spec), error.problems) from error
    _print_end(status)


@app.command()
def work(study: Study, slots: Slots = None, storage: Storage = None, drift: Drift = False) -> None:
    """Join a running study as one more worker."""
    from tuner import api

    spec = api.study_spec(study, storage=storage)
    with _progress(spec, study, storage) as progress:
        status = api.work(
            study,
            storage=storage,
            slots=slots,
            on_event=progress.event,
            on_status=progress.status,
            allow_version_drift=drift,
        )
    _print_end(status)


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
        with _progress(api.study_spec(study, storage=storage), study, storage) as progress:
            now = api.watch(study, progress.status, storage=storage)
    else:
        now = queries.study_status(study, storage=storage)
    record = asdict(now)
    if style is Format.JSON:
        print_json(record)
    elif style is Format.CSV:
        print_records([{k: v for k, v in record.items() if not isinstance(v, list)}], (), style)
    else:
        print_status(now, _spec_of(study, storage))


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
    storage: Storage = None,
    style: Style = Format.TABLE,
) -> None:
    """List trials."""
    found = queries.list_trials(
        study,
        state=state,
        sort=sort.removeprefix("-"),
        descending=sort.startswith("-"),
        limit=limit,
        storage=storage,
    )
    records = [asdict(item) for item in found]
    if style is Format.TABLE and records:
        print_trials(records)
    else:
        columns = ("trial", "value", "state", "outcome", "epochs", "seconds", "params")
        print_records(records, columns, style, empty="no such trials")


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
def logs(study: Study, trial: Trial, storage: Storage = None) -> None:
    """Print what a trial's process printed."""
    for piece in queries.trial_log(study, trial, storage=storage):
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
        print_records(records, (), style, empty="no worker yet")


@storage_commands.command("upgrade")
def upgrade(storage: Storage = None) -> None:
    """Bring a database that an older version made to this version.

    Not while workers of the older version use it. Every study is kept.
    """
    found, now = queries.upgrade_storage(storage=storage)
    where = mask_password(storage_url(storage))
    _say(f"{where} has schema {now} already" if found == now else f"{where}: schema {found or 'none'} became {now}")


@app.command()
def space(spec: SpecFile, overrides: Overrides = [], style: Style = Format.TABLE) -> None:  # noqa: B006
    """List the search space.

    Every hyperparameter with range, scale, default and condition.
    """
    from tuner import api

    with _busy("listing the search space"):
        records = api.search_space(spec, overrides)
    if style is Format.TABLE:
        print_space(records)
    else:
        print_records(records, (), style)


@app.command()
def stop(study: Study, storage: Storage = None) -> None:
    """Stop a study in order.

    Its workers finish their epoch, keep a resume checkpoint and release their leases. Launch it again to go on.
    """
    state = queries.stop(study, storage=storage)
    said = "its workers leave after their epoch" if state == "stopping" else f"it is {state}"
    _say(f"study {study}: {said}{'' if state == 'finished' else '; `tuner launch` goes on with it'}")


@app.command()
def enqueue(
    study: Study,
    values: Annotated[list[str], typer.Argument(metavar="NAME=VALUE...", help="Hyperparameters, as in `tuner space`.")],
    storage: Storage = None,
) -> None:
    """Have a configuration tried next.

    The next trial that has not begun takes these values, within the study's budget. Hyperparameters that are not named
    are sampled; values are read as YAML.
    """
    from tuner import api
    from tuner.spec import read_values

    given = read_values(values)
    with _busy("looking at the search space"):
        enqueued = api.enqueue(study, given, storage=storage)
    others = f"{enqueued.before} other{'' if enqueued.before == 1 else 's'}"
    after = f" after {others}" if enqueued.before else ""
    _say(f"study {study}: {show(enqueued.values)} will be tried next{after}")


@app.command()
def export(
    study: Study,
    to: Annotated[Path, typer.Option("--to", help="The folder to write.")],
    trial: Annotated[int | None, typer.Option("--trial", min=0, help="Instead of the best one.")] = None,
    prefer: Annotated[
        str | None,
        typer.Option("--prefer", metavar="METRIC", help="Of several objectives: the best trial by this one."),
    ] = None,
    storage: Storage = None,
) -> None:
    """Export the champion, and prove its score.

    The SavedModel is scored on the raw validation files in a clean process; what differs from the study is refused.
    """
    from tuner import api

    with _busy("exporting the model and scoring it in a clean process"):
        report = api.export_champion(study, to, trial=trial, prefer=prefer, storage=storage)
    checked, champion = report.verification, report.champion
    _say(f"trial {champion.trial} of study {study}: {champion.objective.metric} {show(champion.value)}")
    for broken in report.violated:
        _say(f"this trial breaks a constraint: {broken}")
    if checked.verified:
        _say(f"verified: the SavedModel gives {show(checked.value)} on {checked.examples} {checked.source}")
    else:
        _say(f"NOT verified: {checked.reason}")
    _say(f"wrote {report.folder}")


# The keys of a prediction that a table shows where they say something.
_TOLD = ("file", "row", "label", "probability", "labels", "value")


@app.command()
def predict(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="An exported champion.")],
    inputs: Annotated[
        list[Path], typer.Argument(metavar="INPUT...", help="Files or folders: images, texts, tables or arrays.")
    ],
    style: Style = Format.TABLE,
) -> None:
    """Predict raw files with an exported champion.

    Images; .txt files; CSV or Parquet files with the columns that the model takes, row by row; .npz files. Prints the
    label and its probability, the likely labels, or the number. A file or row that cannot be read does not stop
    the others, but the exit code is 1.
    """
    from tuner import api

    with _busy("predicting"):
        found = [asdict(item) for item in api.predict(folder, inputs)]
    for item in found:
        if item["error"]:
            row = f" row {item['row']}" if item["row"] else ""
            _say(f"error: {printable(str(item['file']))}{row}: {item['error']}")
    readable = [item for item in found if not item["error"]]
    if style is not Format.TABLE or readable:
        told = [key for key in _TOLD if key == "file" or any(item[key] is not None for item in readable)]
        print_records(readable if style is Format.TABLE else found, told, style)
    if len(readable) < len(found):
        raise typer.Exit(FAILED)


@app.command()
def init(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="image.")],
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="Where to write; KIND.yaml unless named.")
    ] = None,
) -> None:
    """Write a spec with a comment on every key."""
    from tuner import api

    path = api.write_template(kind, file)
    _say(f"wrote {path}; edit it, then: tuner launch {path}")


def _progress(spec: SearchSpec, study: str, storage: str | None) -> Progress:
    from tuner.progress import Progress

    return Progress(
        spec.objectives,
        spec.training.epochs * spec.training.executions_per_trial,
        read_trial=lambda number: queries.show_trial(study, number, storage=storage),
        read_newest=lambda count: queries.list_trials(study, descending=True, limit=count, storage=storage),
    )


def _spec_of(study: str, storage: str | None) -> SearchSpec | None:
    """None for a study that Optuna alone made."""
    from tuner import api

    try:
        return api.study_spec(study, storage=storage)
    except UnknownStudy:
        return None


def _busy(doing: str) -> AbstractContextManager[object]:
    """A sign of life on a terminal."""
    return Console(stderr=True).status(f"{doing} ...") if sys.stderr.isatty() else nullcontext()


def _print_end(status: Any) -> None:
    reason = f": {status.reason}" if status.reason else ""
    _say(
        f"study {status.study} {status.state}{reason}. {status.complete} complete, {status.pruned} pruned, "
        f"{status.failed} failed, {status.open} open of {status.budget} trials"
    )
    if status.best_trial is not None and len(status.objectives) > 1:
        leading = status.objectives[0]["metric"]
        _say(f"best {leading}: {show(status.best_value)} (trial {status.best_trial})")
        _say(f"`tuner best {status.study}` shows the Pareto front")
    elif status.best_trial is not None:
        _say(f"best: {show(status.best_value)} (trial {status.best_trial})")
    elif status.complete:
        _say(f"no complete trial keeps the constraints; `tuner best {status.study}` shows the nearest")
        raise typer.Exit(NO_COMPLETE_TRIAL)
    elif status.open == 0 or status.state in ("finished", "failed"):
        _say("no trial is complete; `tuner trials` lists why")
        raise typer.Exit(NO_COMPLETE_TRIAL)


def _say(line: str) -> None:
    Console(stderr=True, highlight=False, soft_wrap=True).print(Text(line))


def _complain(error: Exception, text: str | None = None) -> None:
    if _verbose:
        traceback.print_exception(error)
    if isinstance(error, SpecError):
        for problem in error.problems:
            _say(f"error: {printable(error.source)}: {problem}")
    else:
        _say(f"error: {text or error}")


_verbose = False


def main() -> None:
    """Runs the command line. ``--verbose`` may stand anywhere."""
    global _verbose
    # The interpreter's last collection looks at everything that was imported: a third of the time of a query.
    atexit.register(gc.freeze)
    _verbose = _VERBOSE in sys.argv
    sys.argv = [argument for argument in sys.argv if argument != _VERBOSE]
    app()
