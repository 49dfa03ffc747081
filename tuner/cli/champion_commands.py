"""Commands that export a champion and use one."""

from __future__ import annotations

import re
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tuner.champion.export.options import ExportOptions
from tuner.cli.app import FAILED, Storage, Study, app, busy
from tuner.cli.prediction_writers import PredictionFormat, format_of, writer_of
from tuner.presentation.champion_view import print_export
from tuner.presentation.tables import printable, wide_console
from tuner.processes.termination import interrupted_by_sigterm

if TYPE_CHECKING:
    from tuner.champion.prediction.predict import Prediction


_USUAL = ExportOptions()


def _help(name: str) -> str:
    """The description of an option, in which other options are called as the command line has them."""
    said = ExportOptions.model_fields[name].description or ""
    return re.sub(r"`(\w+)`", lambda found: _flag(found[1]), said)


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _option(name: str, **more: Any) -> Any:
    """The option of ``ExportOptions`` with its description and its limits."""
    limits = ExportOptions.model_fields[name].metadata
    least = next((limit.ge for limit in limits if hasattr(limit, "ge")), None)
    if any(hasattr(limit, "gt") for limit in limits):
        # Click's ranges have their ends, and a latency of 0 is none.
        least = 1e-9
    most = next((limit.le for limit in limits if hasattr(limit, "le")), None)
    return typer.Option(_flag(name), help=_help(name), min=least, max=most, **more)


@app.command()
def export(
    study: Study,
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="Folder to write the export to.")],
    trial: Annotated[int | None, _option("trial", metavar="N")] = None,
    prefer: Annotated[str | None, _option("prefer", metavar="METRIC")] = None,
    top: Annotated[int, _option("top", metavar="K")] = _USUAL.top,
    single: Annotated[bool, typer.Option("--single", help=_help("single"))] = _USUAL.single,
    smallest: Annotated[bool, typer.Option("--smallest", help=_help("smallest"))] = _USUAL.smallest,
    max_bytes: Annotated[int, _option("max_bytes", metavar="N")] = _USUAL.max_bytes,
    max_latency_ms: Annotated[float, _option("max_latency_ms", metavar="MS")] = _USUAL.max_latency_ms,
    refit: Annotated[bool, typer.Option("--refit", help=_help("refit"))] = _USUAL.refit,
    seeds: Annotated[int | None, _option("seeds", metavar="N")] = None,
    formats: Annotated[
        str, typer.Option("--formats", metavar="LIST", help=f"{_help('formats')} Separate them by commas.")
    ] = ",".join(_USUAL.formats),
    storage: Storage = None,
) -> None:
    """Export the champion and prove its score.

    The best trials are scored again on the validation split and, if there is one, on the test split. The champion is
    one model that averages those which do best together on the validation split, or the best trial's model if no
    average does better. Its SavedModel is then
    scored on the raw files in a clean process, and the export is refused if that score differs from the one the study
    recorded. Every other format is run in a clean process of its own and compared with the SavedModel. If a format
    cannot represent the model, the command says why, writes the other formats and exits with code 1.
    """
    from tuner import api

    listed = [name.strip() for name in formats.split(",") if name.strip()]
    with interrupted_by_sigterm(), busy("exporting the model and scoring it in a clean process"):
        report = api.export_champion(
            study,
            to,
            trial=trial,
            prefer=prefer,
            top=top,
            single=single,
            smallest=smallest,
            max_bytes=max_bytes,
            max_latency_ms=max_latency_ms,
            refit=refit,
            seeds=seeds,
            formats=listed,
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
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of an exported champion.")],
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT",
            help="Files or folders with images, texts, tables or arrays; - reads JSON lines from standard input.",
        ),
    ],
    style: Annotated[
        PredictionFormat | None,
        typer.Option(
            "--format",
            help="Output format. If omitted: that of the suffix of --output, jsonl for the input -, otherwise table.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="FILE", help="File to write to. It appears only once it is complete."),
    ] = None,
) -> None:
    """Predict raw examples with an exported champion.

    The command reads images, .txt files, the rows of CSV or Parquet files that have the columns the model expects, and
    .npz files. From standard input (-) it reads one JSON example per line. For each example it writes, as soon as it is
    known, the label and its probability, the likely labels, or the predicted number. A file, row or line that cannot be
    read does not stop the others, but the exit code is then 1.
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
