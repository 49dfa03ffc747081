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
    trials: Annotated[int | None, typer.Option("--trials", min=1, help="The study's budget.")] = None,
    slots: Slots = None,
    overrides: Overrides = [],  # noqa: B006
    drift: Drift = False,
    no_work: Annotated[
        bool, typer.Option("--no-work", help="Create or resume the study, and leave the work to others.")
    ] = False,
    metrics_port: MetricsPort = None,
    metrics_host: MetricsHost = "127.0.0.1",
    metrics_file: MetricsFile = None,
    on: Annotated[
        str | None, typer.Option("--on", metavar="ENGINE", help="What runs the workers: local, ray or slurm.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="How many it runs; resources.workers unless given.")
    ] = None,
    gpus: Annotated[float | None, typer.Option("--gpus", min=0, help="GPUs of each, or a part of one.")] = None,
    cpus: Annotated[int | None, typer.Option("--cpus", min=1, help="CPU cores of each.")] = None,
    memory: Annotated[str | None, typer.Option("--memory", metavar="SIZE", help="Of each, such as 16G.")] = None,
    options: Annotated[
        list[str],
        typer.Option("--launch", metavar="KEY=VALUE", help="Of the engine: partition=gpu, address=ray://head:10001."),
    ] = [],  # noqa: B006
    detach: Annotated[bool, typer.Option("--detach", help="Start the workers, and leave them.")] = False,
) -> None:
    """Run a study, or resume it. Ctrl-C stops it in order, a second one at once; launch again to go on.

    With --on, --workers or --detach an engine runs the workers. They go on without this command: Ctrl-C only ends the
    watching.
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
                say(f"study {status.study} {status.state}; `tuner work {status.study}` works on it")
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
        say(f"study {status.study} runs: {_come_back(status.study)}")
        return
    _print_end(status)


def _come_back(study: str) -> str:
    return f"its workers go on. `tuner status {study} --watch` follows them, `tuner stop {study}` stops them"


@app.command()
def scale(
    study: Study,
    workers: Annotated[int, typer.Option("--workers", min=1, help="How many there shall be.")],
    storage: Storage = None,
) -> None:
    """Change how many workers an engine runs. Those too many leave in order."""
    from tuner import api

    view = api.scale(study, workers, storage=storage)
    say(f"study {study}, {launch_line(view)}")


@app.command()
def work(
    study: Annotated[str | None, typer.Argument(metavar="STUDY", help="The study's name; or --any.")] = None,
    any_study: Annotated[
        bool, typer.Option("--any", help="Serve every study that waits for workers, until SIGTERM.")
    ] = False,
    studies: Annotated[
        str, typer.Option("--studies", metavar="GLOB", help="Of --any: only those whose names match.")
    ] = "*",
    turn: Annotated[
        float,
        typer.Option("--turn", min=1, metavar="SECONDS", help="Of --any: for a study while others have no worker."),
    ] = 120.0,
    slots: Slots = None,
    storage: Storage = None,
    drift: Drift = False,
    create_from: Annotated[
        Path | None,
        typer.Option("--create-from", metavar="SPEC.yaml", help="Create the study from this spec if there is none."),
    ] = None,
    grace: Annotated[
        float | None,
        typer.Option("--grace", min=1, metavar="SECONDS", help="For checkpoints when the worker must leave."),
    ] = None,
    leave_code: Annotated[
        int,
        typer.Option("--leave-code", min=0, max=255, help="Exit code when SIGTERM came before the study's end."),
    ] = 0,
    metrics_port: MetricsPort = None,
    metrics_host: MetricsHost = "127.0.0.1",
    metrics_file: MetricsFile = None,
) -> None:
    """Join a running study as one more worker; with --any serve one study after the other.

    Those of the highest priority come first, then those with the fewest slots. For a fairer one a worker leaves when
    its trials have ended, never within one.
    """
    from tuner import api

    settings = _metrics_settings(metrics_port, metrics_host, metrics_file)
    settings |= {} if grace is None else {"grace_seconds": grace}
    if any_study == (study is not None) or (any_study and create_from is not None):
        raise typer.BadParameter("name a study, or --any without a study and --create-from")
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
        say(f"study {study} goes on without this worker")
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
        raise SpecError(str(file), [Problem("study", f"is {spec.study!r}, and the study to work on is {study!r}")])
    return spec


@app.command()
def stop(study: Study, storage: Storage = None) -> None:
    """Stop a study in order.

    Its workers finish their epoch, keep a resume checkpoint and release their leases. Launch it again to go on. Of a
    study that was stopped before, an engine tells workers that are still there to leave at once.
    """
    state = changes.stop(study, storage=storage, on_problem=lambda line: say(f"Warning: {line}"))
    said = "its workers leave after their epoch" if state == "stopping" else f"it is {state}"
    say(f"study {study}: {said}{'' if state == 'finished' else '; `tuner launch` goes on with it'}")


@app.command()
def delete(
    study: Study,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for the study's name again.")] = False,
    artifacts: Annotated[
        bool, typer.Option("--artifacts", help="Its files too: models, logs, the champions' files.")
    ] = False,
    storage: Storage = None,
) -> None:
    """Delete a study with its trials and champions. It cannot be undone.

    Not while workers work on it.
    """
    confirm = (
        study if yes else typer.prompt(f"This cannot be undone. The name of the study to delete ({study})", err=True)
    )
    changes.delete_study(study, confirm=confirm, artifacts=artifacts, storage=storage)
    say(f"study {study} is deleted" + ("" if artifacts else "; its files are left"))


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
    from tuner.spec.reading import read_values

    given = read_values(values)
    with busy("looking at the search space"):
        enqueued = api.enqueue(study, given, storage=storage)
    others = f"{enqueued.before} other{'' if enqueued.before == 1 else 's'}"
    after = f" after {others}" if enqueued.before else ""
    say(f"study {study}: {show(enqueued.values)} will be tried next{after}")


@app.command()
def space(spec: SpecFile, overrides: Overrides = [], style: Style = Format.TABLE) -> None:  # noqa: B006
    """List the search space.

    Every hyperparameter with range, scale, default and condition.
    """
    from tuner import api

    with busy("listing the search space"):
        records = api.search_space(spec, overrides)
    if style is Format.TABLE:
        print_space(records)
    else:
        print_records(records, (), style)


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
    say(f"wrote {path}; edit it, then: tuner launch {path}")


def _print_end(status: Any) -> None:
    reason = f": {status.reason}" if status.reason else ""
    say(
        f"study {status.study} {status.state}{reason}. {status.complete} complete, {status.pruned} pruned, "
        f"{status.failed} failed, {status.open} open of {status.budget} trials"
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
    elif status.open == 0 or status.state in ("finished", "failed"):
        say("no trial is complete; `tuner trials` lists why")
        raise typer.Exit(NO_COMPLETE_TRIAL)
