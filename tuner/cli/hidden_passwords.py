"""Keeps passwords out of the list of processes, which everybody on a machine can read."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

from storage.urls import mask_password
from tuner.study.locations import STORAGE_VARIABLE

# By option, the variable that it stands before.
_VARIABLES = {"--storage": STORAGE_VARIABLE, "--mlflow": "MLFLOW_TRACKING_URI"}
_SET = "--set"
_STORAGE_KEY = "storage="
# Values of the spec are YAML.
_QUOTES = " '\""


def hide_passwords() -> None:
    """Begins this command anew, in the same process, with what has passwords in its environment.

    Until then, for as long as Python takes to start, the arguments are there to be seen. A program that gives others in
    place of its own shows them to nobody, and must not be replaced.
    """
    arguments, variables = without_passwords(sys.argv[1:], os.environ)
    place = len(sys.orig_argv) - len(sys.argv) + 1
    program, own = sys.orig_argv[:place], sys.orig_argv[place:]
    if arguments != sys.argv[1:] == own:
        os.execve(sys.executable, [*program, *arguments], os.environ | variables)


def without_passwords(arguments: Sequence[str], environment: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    """The arguments without options whose URL has a password, and the variables that say the same.

    Args:
        environment: its variables come before a spec's keys, which ``--set`` overrides, but behind other options.
    """
    left: list[str] = []
    options: dict[str, str] = {}
    keys: dict[str, str] = {}
    given = iter(arguments)
    for argument in given:
        option, equals, value = argument.partition("=")
        if option not in (*_VARIABLES, _SET):
            left.append(argument)
            continue
        words = [argument] if equals else [argument, *([value] if (value := next(given, "")) else [])]
        url = value.removeprefix(_STORAGE_KEY).strip(_QUOTES) if option == _SET else value
        if mask_password(url) == url or (option == _SET and not value.startswith(_STORAGE_KEY)):
            left += words
        elif option == _SET:
            keys[STORAGE_VARIABLE] = url
        else:
            options[_VARIABLES[option]] = url
    return left, {name: url for name, url in keys.items() if not environment.get(name)} | options
