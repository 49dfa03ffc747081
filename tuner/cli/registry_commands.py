"""Commands about registered champions: list, name, fetch, register elsewhere."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from tuner.champion.registry import registered
from tuner.cli.app import Storage, Study, Style, app, busy, champions_commands, say
from tuner.presentation.tables import Format, print_records

_COLUMNS = ("study", "version", "trial", "metric", "value", "verified", "aliases", "created_at", "size", "digest")
_DIGITS = 12


@champions_commands.callback(invoke_without_command=True)
def champions(
    context: typer.Context,
    study: Annotated[
        str | None, typer.Option("--study", metavar="STUDY", help="List only the champions of this study.")
    ] = None,
    storage: Storage = None,
    style: Style = Format.TABLE,
) -> None:
    """List, fetch and register champions.

    Without a command, this lists the registered champions, the newest first.
    """
    if context.invoked_subcommand is not None:
        return
    found = [asdict(each) for each in registered.list_champions(study, storage=storage)]
    if style is Format.TABLE:
        found = [each | {"digest": each["digest"][:_DIGITS] if each["digest"] else None} for each in found]
    print_records(found, _COLUMNS, style, empty="no champions yet: `tuner export STUDY --to DIR` exports one")


@champions_commands.command("get")
def get(
    reference: Annotated[
        str, typer.Argument(metavar="REF", help="Champion: an alias, STUDY@VERSION, or STUDY for its newest version.")
    ],
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="Folder to write the champion to.")],
    storage: Storage = None,
) -> None:
    """Fetch a champion's files from the study's artifacts.

    Every file is checked against its hash. Either the whole champion is written or nothing is. An earlier export in the
    folder is replaced.
    """
    with busy("fetching the champion"):
        got = registered.fetch_champion(reference, to, storage=storage)
    say(
        f"wrote {got.study}@{got.version} (trial {got.trial}, digest {(got.digest or '')[:_DIGITS]}) to {to.absolute()}"
    )


@champions_commands.command("add")
def add(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder that `tuner export` has written.")],
    storage: Storage = None,
) -> None:
    """Register an export whose registration failed.

    An export that is already registered stays as it is.
    """
    with busy("registering the export"):
        got = registered.add_export(folder, storage=storage)
    say(f"{folder.absolute()} is registered as {got.study}@{got.version}")


@champions_commands.command("register")
def register(
    reference: Annotated[
        str, typer.Argument(metavar="REF", help="Champion: an alias, STUDY@VERSION, or STUDY for its newest version.")
    ],
    uri: Annotated[
        str | None,
        typer.Option("--mlflow", metavar="URI", help="URI of the MLflow server. If omitted: $MLFLOW_TRACKING_URI."),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option("--name", metavar="MODEL", help="Name of the registered model. If omitted: the study's name."),
    ] = None,
    alias: Annotated[
        str | None,
        typer.Option("--as", metavar="ALIAS", help="MLflow alias to point to this version, for example production."),
    ] = None,
    unverified: Annotated[
        bool,
        typer.Option("--unverified", help="Accept a champion even if its value was not reproduced."),
    ] = False,
    storage: Storage = None,
) -> None:
    """Register a champion and its files in an MLflow registry.

    A champion that is already registered there stays as it is.
    """
    with busy("registering the champion in MLflow"):
        got = registered.register_in_mlflow(
            reference, uri, name=name, alias=alias, unverified=unverified, storage=storage
        )
    verb = "is now" if got.new else "is already"
    named = f"; the alias {alias} now points to it" if alias else ""
    say(f"{reference} {verb} version {got.version} of the model {got.model} at {got.uri}{named}")


@champions_commands.command("history")
def history(
    alias: Annotated[str, typer.Argument(metavar="ALIAS", help="Alias, for example production.")],
    storage: Storage = None,
    style: Style = Format.TABLE,
) -> None:
    """Show how an alias has moved between champions.

    Each line tells when the alias moved, from which champion to which, and who moved it. The newest move comes first.
    """
    changes: list[dict[str, Any]] = [
        {"at": each.at, "from": _called(each.before), "to": _called(each.now), "who": each.who}
        for each in registered.alias_history(alias, storage=storage)
    ]
    print_records(changes, ("at", "from", "to", "who"), style)


@app.command()
def promote(
    study: Study,
    version: Annotated[
        int, typer.Argument(metavar="VERSION", min=1, help="Version of the champion, as listed by `tuner champions`.")
    ],
    alias: Annotated[
        str,
        typer.Option(
            "--as", metavar="ALIAS", help="Alias, for example production. It may contain letters, digits, - and _."
        ),
    ],
    unverified: Annotated[
        bool,
        typer.Option("--unverified", help="Accept a champion even if its value was not reproduced."),
    ] = False,
    storage: Storage = None,
) -> None:
    """Point an alias at a registered champion.

    The alias moves in one step. The champion that had it before no longer has it.
    """
    change = registered.promote(study, version, alias, unverified=unverified, storage=storage)
    if change is None:
        say(f"{alias} already points to {study}@{version}")
    else:
        was = f"; before, it pointed to {_called(change.before)}" if change.before else ""
        say(f"{alias} now points to {study}@{version}{was}")


def _called(champion: tuple[str, int] | None) -> str | None:
    return f"{champion[0]}@{champion[1]}" if champion else None
