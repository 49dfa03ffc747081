"""--help of every command: whole sentences that fit where they are listed, and usage lines as man pages have them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from tuner.cli import app


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in group.commands.items():
        yield (*path, name), command
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))


COMMANDS = dict(commands(typer.main.get_command(app)))


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_and_parameter_is_described_in_sentences(path: tuple[str, ...]) -> None:
    command = COMMANDS[path]
    texts = {parameter.name: parameter.help or "" for parameter in command.params if parameter.name != "help"}
    texts[" ".join(path)] = " ".join((command.help or "").split())
    assert {name: text for name, text in texts.items() if not text[:1].isupper() or text[-1:] != "."} == {}


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_a_list_of_commands_cuts_no_description(path: tuple[str, ...]) -> None:
    listed = CliRunner().invoke(app, [*path[:-1], "--help"]).output.partition("Commands:")[2]
    assert f"  {path[-1]} " in listed
    assert "..." not in listed


def test_usage_lines_have_required_arguments_plain_and_optional_ones_in_brackets() -> None:
    usage = {
        path: CliRunner().invoke(app, [path, "--help"], prog_name="tuner").output.splitlines()[0]
        for path in ("launch", "logs", "predict", "enqueue")
    }
    assert usage == {
        "launch": "Usage: tuner launch [OPTIONS] SPEC.yaml",
        "logs": "Usage: tuner logs [OPTIONS] STUDY [TRIAL]",
        "predict": "Usage: tuner predict [OPTIONS] DIR INPUT...",
        "enqueue": "Usage: tuner enqueue [OPTIONS] STUDY [NAME=VALUE]...",
    }
