"""Commands that export a champion and use one."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from tuner.champion_view import print_export
from tuner.cli.app import FAILED, Storage, Study, Style, app, busy, say
from tuner.tables import Format, print_records, printable


@app.command()
def export(
    study: Study,
    to: Annotated[Path, typer.Option("--to", help="The folder to write.")],
    trial: Annotated[int | None, typer.Option("--trial", min=0, help="Instead of the best one.")] = None,
    prefer: Annotated[
        str | None,
        typer.Option("--prefer", metavar="METRIC", help="Of several objectives: the best trial by this one."),
    ] = None,
    top: Annotated[int, typer.Option("--top", min=1, help="How many of the best trials to score again.")] = 5,
    ensemble: Annotated[
        int | None,
        typer.Option("--ensemble", metavar="K", min=2, help="Export one model that averages K of the best at most."),
    ] = None,
    refit: Annotated[
        bool, typer.Option("--refit", help="Train it again on train and validation; scored on the test split.")
    ] = False,
    seeds: Annotated[
        int | None, typer.Option("--seeds", metavar="N", min=1, help="Train it N times, to see how scores spread.")
    ] = None,
    storage: Storage = None,
) -> None:
    """Export the champion, and prove its score.

    The best trials are scored again, on the test split too if there is one. The champion is the smallest of those that
    the validation split cannot tell from the best. Its SavedModel is scored on raw files in a clean process; what
    differs from the study is refused.
    """
    from tuner import api

    with busy("exporting the model and scoring it in a clean process"):
        report = api.export_champion(
            study,
            to,
            trial=trial,
            prefer=prefer,
            top=top,
            ensemble=ensemble,
            refit=refit,
            seeds=seeds,
            storage=storage,
        )
    print_export(report)


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

    with busy("predicting"):
        found = [asdict(item) for item in api.predict(folder, inputs)]
    for item in found:
        if item["error"]:
            row = f" row {item['row']}" if item["row"] else ""
            say(f"error: {printable(str(item['file']))}{row}: {item['error']}")
    readable = [item for item in found if not item["error"]]
    if style is not Format.TABLE or readable:
        told = [key for key in _TOLD if key == "file" or any(item[key] is not None for item in readable)]
        print_records(readable if style is Format.TABLE else found, told, style)
    if len(readable) < len(found):
        raise typer.Exit(FAILED)
