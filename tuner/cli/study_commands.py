"""Commands that run, stop and feed a study, and those that help to write its spec."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tuner.cli.app import (
    NO_COMPLETE_TRIAL,
    Drift,
    MetricsFile,
    MetricsHost,
    MetricsPort,
    Overrides,
    Slots,
    SpecFile,
    Storage,
    Study,
    Style,
    app,
    busy,
    followed,
    say,
)
from tuner.errors import Problem, SpecError
from tuner.launch import changes
from tuner.presentation.tables import Format, print_records, show
from tuner.presentation.views import launch_line, print_space
from tuner.study.locations import storage_url

if TYPE_CHECKING:
    from tuner.spec.search_spec import SearchSpec


@app.command()
def launch(
    spec: SpecFile,
    storage: Storage = None,
    trials: Annotated[
        int | None, typer.Option("--trials", metavar="N", min=1, help="Budget of the study, in trials.")
    ] = None,
    slots: Slots = None,
    overrides: Overrides = [],  # noqa: B006
    drift: Drift = False,
    no_work: Annotated[
        bool, typer.Option("--no-work", help="Create or resume the study, but leave the work to other workers.")
    ] = False,
    metrics_port: MetricsPort = None,
    metrics_host: MetricsHost = "127.0.0.1",
    metrics_file: MetricsFile = None,
    on: Annotated[
        str | None, typer.Option("--on", metavar="ENGINE", help="Engine that runs the workers: local, ray or slurm.")
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            metavar="N",
            min=1,
            help="Number of workers that the engine runs. If omitted: the spec's `resources.workers`.",
        ),
    ] = None,
    gpus: Annotated[
        float | None,
        typer.Option("--gpus", metavar="N", min=0, help="GPUs per worker; a fraction gives a share of one GPU."),
    ] = None,
    cpus: Annotated[int | None, typer.Option("--cpus", metavar="N", min=1, help="CPU cores per worker.")] = None,
    memory: Annotated[
        str | None, typer.Option("--memory", metavar="SIZE", help="Memory per worker, for example 16G.")
    ] = None,
    options: Annotated[
        list[str],
        typer.Option(
            "--launch",
            metavar="KEY=VALUE",
            help="Setting of the engine, for example partition=gpu or address=ray://head:10001. Repeatable.",
        ),
    ] = [],  # noqa: B006
    detach: Annotated[bool, typer.Option("--detach", help="Start the workers and return at once.")] = False,
) -> None:
    """Run a study, or resume it.

    Ctrl-C stops the study in an orderly way, and a second Ctrl-C stops it at once; run the command again to continue.
    With --on, --workers or --detach an engine runs the workers. They continue without this command, and Ctrl-C only
    ends the display.
    """
    from tuner import api
    from tuner.spec.reading import load_spec

    needs = {"workers": workers, "gpus_per_worker": gpus, "cpus_per_worker": cpus, "memory_per_worker": memory}
    given = [f"resources.{name}={value}" for name, value in needs.items() if value is not None]
    given += [f"launch.{on or 'local'}.{option}" for option in options]
    loaded = load_spec(spec, [*overrides, *given, *([f"trials={trials}"] if trials is not None else [])])
    on_engine = on is not None or workers is not None or detach
    with followed(loaded, loaded.study, storage_url(storage, loaded)) as progress:
        try:
            if no_work:
                status = api.open_study(loaded, storage=storage, on_event=progress.event, allow_version_drift=drift)
                say(f"study {status.study} is {status.state}; `tuner work {status.study}` works on it")
                return
            status = api.launch(
                loaded,
                storage=storage,
                slots=slots,
                on_event=progress.event,
                on_status=progress.status,
                allow_version_drift=drift,
                settings=_metrics_settings(metrics_port, metrics_host, metrics_file),
                on=on,
                workers=workers,
                detach=detach,
            )
        except SpecError as error:
            raise SpecError(str(spec), error.problems) from error
        except KeyboardInterrupt:
            if on_engine:
                progress.event(api.Event(f"Interrupted: {_come_back(loaded.study)}"))
            raise
    if detach and status.state == "running":
        say(f"study {status.study} is running: {_come_back(status.study)}")
        return
    _print_end(status)


def _come_back(study: str) -> str:
    return f"its workers continue. `tuner status {study} --watch` follows them, and `tuner stop {study}` stops them"


@app.command()
def scale(
    study: Study,
    workers: Annotated[int, typer.Option("--workers", metavar="N", min=1, help="New number of workers.")],
    storage: Storage = None,
) -> None:
    """Change how many workers an engine runs.

    Surplus workers leave in an orderly way.
    """
    from tuner import api

    view = api.scale(study, workers, storage=storage)
    say(f"study {study}, {launch_line(view)}")


@app.command()
def work(
    study: Annotated[str | None, typer.Argument(metavar="STUDY", help="Name of the study. Omit it with --any.")] = None,
    any_study: Annotated[
        bool, typer.Option("--any", help="Serve every study that waits for workers, until SIGTERM arrives.")
    ] = False,
    studies: Annotated[
        str,
        typer.Option(
            "--studies", metavar="GLOB", help="With --any, serve only studies whose names match this pattern."
        ),
    ] = "*",
    turn: Annotated[
        float,
        typer.Option(
            "--turn",
            min=1,
            metavar="SECONDS",
            help="With --any, serve a study for this long while other studies have no worker.",
        ),
    ] = 120.0,
    slots: Slots = None,
    storage: Storage = None,
    drift: Drift = False,
    create_from: Annotated[
        Path | None,
        typer.Option(
            "--create-from", metavar="SPEC.yaml", help="Create the study from this spec if it does not exist."
        ),
    ] = None,
    grace: Annotated[
        float | None,
        typer.Option(
            "--grace",
            min=1,
            metavar="SECONDS",
            help="Time that trials get to write checkpoints when the worker must stop.",
        ),
    ] = None,
    leave_code: Annotated[
        int,
        typer.Option(
            "--leave-code", metavar="CODE", min=0, max=255, help="Exit code if SIGTERM arrives before the study ends."
        ),
    ] = 0,
    metrics_port: MetricsPort = None,
    metrics_host: MetricsHost = "127.0.0.1",
    metrics_file: MetricsFile = None,
) -> None:
    """Join a study as one more worker, or serve any study.

    With --any the worker serves one study after another. Studies with the highest priority come first, and among equal
    ones those with the fewest slots. The worker moves to another study only after its trials have ended, never in the
    middle of one.
    """
    from tuner import api

    settings = _metrics_settings(metrics_port, metrics_host, metrics_file)
    settings |= {} if grace is None else {"grace_seconds": grace}
    if any_study == (study is not None) or (any_study and create_from is not None):
        raise typer.BadParameter("give either a study, or --any without a study and without --create-from")
    if study is None:
        api.work_any(
            storage=storage,
            studies=studies,
            slots=slots,
            turn_seconds=turn,
            on_event=lambda event: say(event.message),
            allow_version_drift=drift,
            settings=settings,
        )
        raise typer.Exit(leave_code)
    given = _spec_for(study, create_from)
    spec = given or api.study_spec(study, storage=storage)
    with followed(spec, study, storage_url(storage, given)) as progress:
        status = api.work(
            study,
            storage=storage,
            create_from=given,
            slots=slots,
            on_event=progress.event,
            on_status=progress.status,
            allow_version_drift=drift,
            settings=settings,
        )
    if leave_code and status.state == "running":
        say(f"study {study} continues without this worker")
        raise typer.Exit(leave_code)
    _print_end(status)


def _metrics_settings(port: int | None, host: str, file: Path | None) -> dict[str, Any]:
    # A worker may have another working directory.
    return {"metrics_port": port, "metrics_host": host, "metrics_file": file.absolute() if file else None}


def _spec_for(study: str, file: Path | None) -> SearchSpec | None:
    from tuner.spec.reading import load_spec

    if file is None:
        return None
    spec = load_spec(file)
    if spec.study != study:
        raise SpecError(str(file), [Problem("study", f"is {spec.study!r}, but the study to work on is {study!r}")])
    return spec


@app.command()
def stop(study: Study, storage: Storage = None) -> None:
    """Stop a study in an orderly way.

    The workers finish their current epoch, write a checkpoint to resume from and release their leases. Launch the study
    again to continue it. If an engine runs the workers, stopping the study a second time makes them leave at once.
    """
    state = changes.stop(study, storage=storage, on_problem=lambda line: say(f"Warning: {line}"))
    said = f"study {study}: its workers leave after their epoch" if state == "stopping" else f"study {study} is {state}"
    say(f"{said}{'' if state == 'finished' else '; `tuner launch` continues it'}")


@app.command()
def delete(
    study: Study,
    yes: Annotated[
        bool, typer.Option("--yes", help="Delete without asking for the study's name as confirmation.")
    ] = False,
    artifacts: Annotated[
        bool,
        typer.Option("--artifacts", help="Also delete the study's files: models, logs and the champions' files."),
    ] = False,
    storage: Storage = None,
) -> None:
    """Delete a study with its trials and champions.

    This cannot be undone. A study that workers are working on cannot be deleted.
    """
    confirm = (
        study
        if yes
        else typer.prompt(f"This cannot be undone. Type the name of the study to delete it ({study})", err=True)
    )
    changes.delete_study(study, confirm=confirm, artifacts=artifacts, storage=storage)
    say(f"study {study} is deleted" + ("" if artifacts else "; its files were kept"))


@app.command()
def enqueue(
    study: Study,
    values: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME=VALUE", help="Hyperparameters and their values, named as in `tuner space`."),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("--from", metavar="FILE", help="YAML or JSON file with a list of configurations to enqueue."),
    ] = None,
    storage: Storage = None,
) -> None:
    """Enqueue a configuration to be tried next, or all of a file.

    The next trial that has not begun takes these values and counts against the study's budget. Hyperparameters that you
    do not name are sampled. Values are read as YAML. Of a file, all configurations are enqueued, or none if something
    is wrong with one.
    """
    from tuner import api
    from tuner.spec.reading import read_values

    if bool(values) == (file is not None):
        raise typer.BadParameter("name hyperparameters and their values, or a file with --from")
    with busy("reading the search space"):
        if file is not None:
            all_enqueued = api.enqueue_all(study, file, storage=storage)
        else:
            all_enqueued = [api.enqueue(study, read_values(values or []), storage=storage)]
    for enqueued in all_enqueued:
        others = f"{enqueued.before} other{'' if enqueued.before == 1 else 's'}"
        after = f" after {others}" if enqueued.before else ""
        say(f"study {study}: {show(enqueued.values)} will be tried next{after}")


@app.command()
def space(spec: SpecFile, overrides: Overrides = [], style: Style = Format.TABLE) -> None:  # noqa: B006
    """List the hyperparameters of a search space.

    Each hyperparameter is listed with its range, scale, default and condition.
    """
    from tuner import api

    with busy("listing the search space"):
        records = api.search_space(spec, overrides)
    if style is Format.TABLE:
        print_space(records)
    else:
        print_records(records, (), style)


def _print_end(status: Any) -> None:
    reason = f": {status.reason}" if status.reason else ""
    paused = f"{status.paused} paused, " if status.paused else ""
    say(
        f"study {status.study} {status.state}{reason}. {status.complete} complete, {status.pruned} pruned, "
        f"{status.failed} failed, {paused}{status.open} open of {status.budget} trials"
    )
    if status.best_trial is not None and len(status.objectives) > 1:
        leading = status.objectives[0]["metric"]
        say(f"best {leading}: {show(status.best_value)} (trial {status.best_trial})")
        say(f"`tuner best {status.study}` shows the Pareto front")
    elif status.best_trial is not None:
        say(f"best: {show(status.best_value)} (trial {status.best_trial})")
    elif status.complete:
        say(f"no complete trial keeps the constraints; `tuner best {status.study}` shows the nearest")
        raise typer.Exit(NO_COMPLETE_TRIAL)
    elif status.open == status.paused == 0 or status.state in ("finished", "failed"):
        say("no trial is complete; `tuner trials` shows why")
        raise typer.Exit(NO_COMPLETE_TRIAL)
