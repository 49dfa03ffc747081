"""What every command shares: the application, its options and how it speaks."""

from __future__ import annotations

import atexit
import gc
import re
import sys
import traceback
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text
from typer.core import TyperCommand, TyperGroup

from storage.errors import StorageError, UnknownStudy
from tuner import queries
from tuner.cli.hidden_passwords import hide_passwords
from tuner.errors import SpecError, TunerError, UnreadableSpec
from tuner.presentation.tables import Format, printable

if TYPE_CHECKING:
    from tuner.presentation.progress import Progress
    from tuner.spec.search_spec import SearchSpec

# What only launching, exporting and predicting need is imported in their commands: queries shall answer at once.
FAILED, NO_COMPLETE_TRIAL, INTERRUPTED = 1, 3, 130
_VERBOSE = "--verbose"


class _Commands(TyperGroup):
    """Turns the errors that a user can cause into one clear line."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except (TunerError, StorageError) as error:
            complain(error)
            raise typer.Exit(FAILED) from None
        except KeyboardInterrupt:
            say("interrupted")
            raise typer.Exit(INTERRUPTED) from None
        except typer.BadParameter as error:
            error.message = _without_pydantic(error.message)
            raise
        except Exception as error:
            if _is_for_typer(error):
                raise
            complain(error, f"{type(error).__name__}: {error}; add --verbose to see the traceback")
            raise typer.Exit(FAILED) from None


def _is_for_typer(error: Exception) -> bool:
    """Usage errors and exits, and the end of a pipe that nobody reads any more."""
    return isinstance(error, typer.Abort | BrokenPipeError) or hasattr(error, "exit_code")


def _without_pydantic(message: str) -> str:
    """What is wrong with an argument, without the words with which pydantic begins, whose messages Typer passes on."""
    return message.removeprefix("Value error, ").replace("Input should be ", "must be ", 1)


class _Command(TyperCommand):
    """Writes required arguments in the usage line as man pages do: ``STUDY``, and not Typer's ``{STUDY}``."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        return [re.sub(r"^\{(.+)\}", r"\1", piece) for piece in super().collect_usage_pieces(ctx)]


class _Application(typer.Typer):
    def command(self, name: str | None = None, *, cls: Any = _Command, **settings: Any) -> Any:
        return super().command(name, cls=cls, **settings)


app = _Application(
    cls=_Commands,
    help="Search for the best Keras model and export it as a verified champion. "
    "Add --verbose to any command to see the traceback of an error.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _print_version(asked: bool) -> None:
    if asked:
        from tuner.processes.versions import own_version

        typer.echo(f"tuner {own_version()}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    pass


cache_commands = _Application(
    cls=_Commands,
    help="List and clear the prepared data on this machine.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(cache_commands, name="cache")

storage_commands = _Application(
    cls=_Commands, help="Maintain the database.", no_args_is_help=True, pretty_exceptions_enable=False
)
app.add_typer(storage_commands, name="storage")

spec_commands = _Application(
    cls=_Commands,
    help="Describe the format of search specs.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(spec_commands, name="spec")

token_commands = _Application(
    cls=_Commands,
    help="Manage the tokens that give access to the service.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(token_commands, name="token")

champions_commands = _Application(
    cls=_Commands, help="List, fetch and register champions.", pretty_exceptions_enable=False
)
app.add_typer(champions_commands, name="champions")

Storage = Annotated[
    str | None,
    typer.Option(
        "--storage",
        metavar="URL",
        help="URL of the database. If omitted: $TUNER_STORAGE, then the spec's `storage`, then sqlite:///tuner.db.",
    ),
]
Style = Annotated[Format, typer.Option("--format", help="Output format.")]
Study = Annotated[str, typer.Argument(metavar="STUDY", help="Name of the study.")]
Trial = Annotated[int, typer.Argument(metavar="TRIAL", min=0, help="Number of the trial.")]
Slots = Annotated[
    int | None,
    typer.Option("--slots", metavar="N", min=1, help="Number of trials to run at the same time on this machine."),
]
Drift = Annotated[
    bool,
    typer.Option(
        "--allow-version-drift",
        help="Warn, instead of refusing, when versions, code or data differ from those the study was launched with.",
    ),
]
MetricsPort = Annotated[
    int | None,
    typer.Option(
        "--metrics-port",
        metavar="PORT",
        min=0,
        max=65535,
        help="Port on which the worker serves its metrics to Prometheus; 0 picks any free port.",
    ),
]
MetricsHost = Annotated[
    str, typer.Option("--metrics-host", metavar="ADDRESS", help="Address on which the metrics are served.")
]
MetricsFile = Annotated[
    Path | None,
    typer.Option("--metrics-file", metavar="FILE", help="File to write the metrics to, for node_exporter to read."),
]
SpecFile = Annotated[Path, typer.Argument(metavar="SPEC.yaml", help="The search spec: a YAML file.")]
Overrides = Annotated[
    list[str],
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Override a key of the spec, for example training.epochs=3. Repeatable."
    ),
]


def followed(spec: SearchSpec, study: str, storage: str | None, *, joins: bool = False) -> Progress:
    from tuner.presentation.progress import Progress

    return Progress(
        spec.objectives,
        spec.training.epochs * spec.training.executions_per_trial,
        read_trial=lambda number: queries.show_trial(study, number, storage=storage),
        read_newest=lambda count: queries.list_trials(study, descending=True, limit=count, storage=storage),
        joins=joins,
    )


def spec_of(study: str, storage: str | None) -> SearchSpec | None:
    """None for a study that Optuna alone made, and for a spec that another version of this software wrote."""
    from tuner import api

    try:
        return api.study_spec(study, storage=storage)
    except (UnknownStudy, UnreadableSpec):
        return None


def busy(doing: str) -> AbstractContextManager[object]:
    """A sign of life on a terminal."""
    return Console(stderr=True).status(f"{doing} ...") if sys.stderr.isatty() else nullcontext()


def say(line: str) -> None:
    Console(stderr=True, highlight=False, soft_wrap=True).print(Text(line))


def complain(error: Exception, text: str | None = None) -> None:
    if _verbose:
        traceback.print_exception(error)
    if isinstance(error, SpecError):
        for problem in error.problems:
            say(f"error: {printable(error.source)}: {problem}")
    else:
        say(f"error: {text or error}")


_verbose = False


def main() -> None:
    """Runs the command line. ``--verbose`` may stand anywhere."""
    global _verbose
    # The interpreter's last collection looks at everything that was imported: a third of the time of a query.
    atexit.register(gc.freeze)
    hide_passwords()
    _verbose = _VERBOSE in sys.argv
    sys.argv = [argument for argument in sys.argv if argument != _VERBOSE]
    app()
