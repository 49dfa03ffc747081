"""Commands that help to write a spec. What they need is imported in them: queries shall answer at once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tuner.cli.app import app, say, spec_commands


@app.command()
def init(
    kind: Annotated[
        str,
        typer.Argument(metavar="KIND", help="Kind of data: image, text or structured (tables)."),
    ],
    file: Annotated[Path | None, typer.Argument(metavar="FILE", help="File to write. If omitted: KIND.yaml.")] = None,
) -> None:
    """Write a spec with a comment on every key.

    The JSON Schema of specs is written beside it as spec.schema.json, unless there is such a file. Editors with a YAML
    language server use it to complete and check the spec.
    """
    from tuner import api
    from tuner.spec.templates import SCHEMA_FILE

    path = api.write_template(kind, file)
    say(f"wrote {path}, with {SCHEMA_FILE} beside it for editors; edit it, then: tuner launch {path}")


@spec_commands.command()
def schema() -> None:
    """Print the JSON Schema of a spec.

    It describes every key, with its default and what it takes. Editors and other programs can check specs with it.
    """
    from tuner.spec.schema import schema_text

    typer.echo(schema_text(), nl=False)
