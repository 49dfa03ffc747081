"""Commands that serve a database over HTTP."""

from __future__ import annotations

import re
from dataclasses import asdict
from enum import StrEnum
from importlib.util import find_spec
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from storage import tokens
from storage.urls import mask_password
from tuner.cli.app import Storage, Style, app, say, token_commands
from tuner.errors import ServiceError
from tuner.presentation.tables import Format, print_records
from tuner.study.locations import storage_url
from tuner.study.storage_access import open_storage


class _Scope(StrEnum):
    read = "read"
    launch = "launch"
    admin = "admin"


@app.command()
def serve(
    storage: Storage = None,
    host: Annotated[str, typer.Option("--host", metavar="ADDRESS", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option("--port", metavar="PORT", min=0, max=65535, help="Port to listen on; 0 picks any free port."),
    ] = 8730,
    allow_space: Annotated[
        list[str],
        typer.Option(
            "--allow-space", metavar="NAME", help="Search space that specs sent over HTTP may use. Repeatable."
        ),
    ] = [],  # noqa: B006
    data_root: Annotated[
        list[Path],
        typer.Option(
            "--data-root", metavar="DIR", help="Folder from which specs sent over HTTP may take data. Repeatable."
        ),
    ] = [],  # noqa: B006
    allow_launcher: Annotated[
        list[str],
        typer.Option(
            "--allow-launcher",
            metavar="ENGINE",
            help="Engine on which launches over HTTP may run workers: local, ray or slurm. Repeatable.",
        ),
    ] = [],  # noqa: B006
    engine_settings: Annotated[
        Path | None,
        typer.Option(
            "--engine-settings",
            metavar="YAML",
            help="File with the engines' settings: the sections of a spec's `launch`.",
        ),
    ] = None,
    max_workers: Annotated[
        int,
        typer.Option("--max-workers", metavar="N", min=1, help="Most workers that one launch over HTTP may request."),
    ] = 16,
    max_trials: Annotated[
        int,
        typer.Option("--max-trials", metavar="N", min=1, help="Most trials that a study launched over HTTP may have."),
    ] = 10_000,
    max_data: Annotated[
        float,
        typer.Option(
            "--max-data",
            metavar="GIB",
            min=0.001,
            help="Most disk space, in GiB, that the prepared data of a study launched over HTTP may take.",
        ),
    ] = 50.0,
    name: Annotated[
        list[str],
        typer.Option(
            "--name", metavar="HOST", help="Further host name under which the service is reached. Repeatable."
        ),
    ] = [],  # noqa: B006
    proxy: Annotated[
        list[str],
        typer.Option(
            "--proxy",
            metavar="ADDRESS",
            help="Address of a proxy whose headers about a request's scheme and client are trusted. Repeatable.",
        ),
    ] = [],  # noqa: B006
    rate: Annotated[
        int,
        typer.Option("--rate", metavar="N", min=0, help="Most requests per minute from one client; 0 sets no limit."),
    ] = 6000,
) -> None:
    """Serve the database over HTTP: the API, its pages and /docs.

    Press Ctrl-C to stop the service. Without a token in the database it listens on this machine only;
    `tuner token create` makes one.
    """
    if find_spec("uvicorn") is None or find_spec("fastapi") is None:
        raise ServiceError("`tuner serve` needs libraries that are missing: pip install 'keras-champion[serve]'")
    from tuner.http.serving import serve as run
    from tuner.http.settings import ServiceSettings
    from tuner.launch.engines import ENGINES
    from tuner.spec.reading import load_launch_settings
    from tuner.spec.sections import LaunchSettings

    if unknown := [each for each in allow_launcher if each not in ENGINES]:
        raise ServiceError(f"--allow-launcher {unknown[0]}: there is no such engine; use one of {', '.join(ENGINES)}")
    spaces = tuple(_space(each) for each in allow_space)
    if missing := [each for each in data_root if not each.is_dir()]:
        raise ServiceError(f"--data-root {missing[0]}: this folder does not exist")
    url = storage_url(storage)
    settings = ServiceSettings(
        storage=url,
        host=host,
        port=port,
        allowed_hosts=tuple(_host(each) for each in name),
        proxies=tuple(_address(each) for each in proxy),
        spaces=spaces,
        data_roots=tuple(each.absolute() for each in data_root),
        launchers=tuple(allow_launcher),
        engines=LaunchSettings() if engine_settings is None else load_launch_settings(engine_settings),
        max_workers=max_workers,
        max_trials=max_trials,
        max_prepared_bytes=int(max_data * 2**30),
        requests_per_minute=rate,
    )
    _check_database(url, settings.on_loopback, host)
    run(settings, on_listening=lambda address: say(f"{mask_password(url)} is served at {address} (API: /docs)"))


def _host(name: str) -> str:
    """As browsers send it."""
    if not re.fullmatch(r"[A-Za-z0-9._:-]+", name):
        raise ServiceError(f"--name {name}: give a host name or address, for example tuner.example.org")
    return name.lower()


def _address(proxy: str) -> str:
    try:
        return str(ip_network(proxy, strict=False)) if "/" in proxy else str(ip_address(proxy))
    except ValueError:
        raise ServiceError(f"--proxy {proxy}: give an address, or a network such as 10.0.0.0/8") from None


def _space(name: str) -> str:
    """A search space as specs name it: a file's path is absolute there."""
    from tuner.processes.versions import code_file
    from tuner.spec.choices import Space
    from tuner.spec.problems import SpecModel, problems_of

    try:
        found = Space(name=name).name
    except ValidationError as error:
        raise ServiceError(f"--allow-space {name}: {problems_of(error, SpecModel(Space))[0].message}") from None
    if ":" in found and code_file(found) is None:
        raise ServiceError(f"--allow-space {name}: {found.rpartition(':')[0]} does not exist")
    return found


def _check_database(url: str, on_loopback: bool, host: str) -> None:
    """A database that cannot be served is told of as by every other command, and not by a server that fails."""
    with open_storage(url, create=True) as database:
        if not on_loopback and not tokens.live_tokens(database):
            raise ServiceError(
                f"at {host} other machines could use this database, which has no token: create one with "
                "`tuner token create NAME --scope admin`, or leave out --host and --proxy"
            )


@token_commands.command("create")
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the person or program that the token is for.")],
    scope: Annotated[
        _Scope,
        typer.Option("--scope", help="What the token allows: read; launch also starts and stops; admin also deletes."),
    ],
    days: Annotated[
        float | None,
        typer.Option(
            "--days", metavar="DAYS", min=0.001, help="Days until the token expires. If omitted, it never expires."
        ),
    ] = None,
    storage: Storage = None,
) -> None:
    """Create a token for the service and print it.

    The token is shown only this once.
    """
    seconds = None if days is None else days * 86400
    with open_storage(storage, create=True) as database:
        print(tokens.create(database, name, scope.value, seconds=seconds))
    say(f"token {name}: send it as Authorization: Bearer TOKEN; `tuner token revoke {name}` revokes it")


@token_commands.command("list")
def list_tokens(storage: Storage = None, style: Style = Format.TABLE) -> None:
    """List all tokens with scope, last use and expiry."""
    with open_storage(storage) as database:
        records = [asdict(each) for each in tokens.list_tokens(database)]
    print_records(
        records, ("name", "scope", "created_at", "expires_at", "used_at", "revoked_at"), style, empty="no tokens yet"
    )


@token_commands.command("revoke")
def revoke(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the token.")], storage: Storage = None
) -> None:
    """Revoke a token, so that it is no longer accepted."""
    with open_storage(storage) as database:
        revoked = tokens.revoke(database, name)
    say(f"token {name} {'is revoked' if revoked else 'was already revoked'}")
