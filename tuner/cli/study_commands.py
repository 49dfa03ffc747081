"""Commands that run, stop and feed a study, and those that help to write its spec."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from tuner import queries
from tuner.cli.app import (
    NO_COMPLETE_TRIAL,
    Drift,
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
from tuner.errors import SpecError
from tuner.places import storage_url
from tuner.tables import Format, print_records, show
from tuner.views import print_space


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
    with followed(loaded, loaded.study, storage_url(storage, loaded)) as progress:
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
    with followed(spec, study, storage) as progress:
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
def stop(study: Study, storage: Storage = None) -> None:
    """Stop a study in order.

    Its workers finish their epoch, keep a resume checkpoint and release their leases. Launch it again to go on.
    """
    state = queries.stop(study, storage=storage)
    said = "its workers leave after their epoch" if state == "stopping" else f"it is {state}"
    say(f"study {study}: {said}{'' if state == 'finished' else '; `tuner launch` goes on with it'}")


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
