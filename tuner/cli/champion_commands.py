"""Commands that export a champion and use one."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tuner.champion.formats.offered import ALWAYS
from tuner.cli.app import FAILED, Storage, Study, app, busy
from tuner.cli.prediction_writers import PredictionFormat, format_of, writer_of
from tuner.presentation.champion_view import print_export
from tuner.presentation.tables import printable, wide_console
from tuner.processes.termination import interrupted_by_sigterm

if TYPE_CHECKING:
    from tuner.champion.prediction.predict import Prediction


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
    formats: Annotated[
        str,
        typer.Option("--formats", metavar="LIST", help="Of keras, saved_model (always written), onnx and litert."),
    ] = ",".join(ALWAYS),
    storage: Storage = None,
) -> None:
    """Export the champion, and prove its score.

    The best trials are scored again, on the test split too if there is one. The champion is the smallest of those that
    the validation split cannot tell from the best. Its SavedModel is scored on raw files in a clean process; what
    differs from the study is refused. Every other format is run in a clean process likewise, beside the SavedModel;
    if one cannot carry the model it says why, writes the others and ends with exit code 1.
    """
    from tuner import api

    with interrupted_by_sigterm(), busy("exporting the model and scoring it in a clean process"):
        report = api.export_champion(
            study,
            to,
            trial=trial,
            prefer=prefer,
            top=top,
            ensemble=ensemble,
            refit=refit,
            seeds=seeds,
            formats=[name.strip() for name in formats.split(",") if name.strip()],
            storage=storage,
        )
    print_export(report)
    if any(each.refused for each in report.champion.formats):
        raise typer.Exit(FAILED)


_STANDARD_INPUT = "-"
# Of the errors that the output has too, so many are said.
_SAID_ERRORS = 20


@app.command()
def predict(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="An exported champion.")],
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="INPUT...", help="Files or folders: images, texts, tables or arrays; - for JSON lines."),
    ],
    style: Annotated[
        PredictionFormat | None,
        typer.Option("--format", help="How to write; else by the suffix of --output, jsonl for -, or table."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="FILE", help="Write to this file, which is there when it is whole."),
    ] = None,
) -> None:
    """Predict raw examples with an exported champion.

    Images; .txt files; CSV or Parquet files with the columns that the model takes, row by row; .npz files; and from
    standard input (-), an example in JSON on each line. Writes the label and its probability, the likely labels, or the
    number, as they come. A file, row or line that cannot be read does not stop the others, but the exit code is 1.
    """
    # The rest of the API would take half a second to import.
    from tuner.champion.prediction.predict import predict as predicted
    from tuner.cli.prediction_output import opened
    from tuner.cli.prediction_progress import PredictionProgress

    lines = _STANDARD_INPUT in inputs
    style = style or format_of(output, lines)
    width = wide_console().width if output is None and sys.stdout.isatty() else None
    # Where predictions scroll by, or a person types examples, a bar would be in the way.
    shown = (width is None or style is PredictionFormat.TABLE) and not (lines and sys.stdin.isatty())
    with ExitStack() as stack:
        stack.enter_context(interrupted_by_sigterm())
        found = stack.enter_context(predicted(folder, inputs, lambda done, files: progress.files_done(done, files)))
        written = stack.enter_context(opened(output))
        progress = stack.enter_context(PredictionProgress(found.files, shown=shown))
        writer = writer_of(style, found.said, width, one_by_one=lines)
        for item in found:
            progress.count(error=bool(item.error))
            if item.error and (style is PredictionFormat.TABLE or progress.errors <= _SAID_ERRORS):
                progress.say(_complaint(item))
            if text := writer.add(item):
                with progress.aside():
                    written.write(text, now=lines)
        with progress.aside():
            written.write(writer.end(), now=True)
    progress.say(progress.summary())
    if progress.errors:
        raise typer.Exit(FAILED)


def _complaint(item: Prediction) -> str:
    row = f" row {item.row}" if item.row else ""
    return f"error: {printable(str(item.file))}{row}: {item.error}"
