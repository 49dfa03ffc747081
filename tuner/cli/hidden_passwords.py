"""Keeps passwords out of the list of processes, which everybody on a machine can read."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from storage.urls import mask_password
from tuner.study.locations import STORAGE_VARIABLE

# By option, the variable that it stands before.
_VARIABLES = {"--storage": STORAGE_VARIABLE, "--mlflow": "MLFLOW_TRACKING_URI"}


def hide_passwords() -> None:
    """Begins this command anew, in the same process, with what has passwords in its environment.

    Until then, for as long as Python takes to start, the arguments are there to be seen.
    """
    arguments, variables = without_passwords(sys.argv[1:])
    if variables:
        program = sys.orig_argv[: len(sys.orig_argv) - len(sys.argv) + 1]
        os.execve(sys.executable, [*program, *arguments], os.environ | variables)


def without_passwords(arguments: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """The arguments without options whose URL has a password, and the variables that say the same."""
    left: list[str] = []
    variables: dict[str, str] = {}
    given = iter(arguments)
    for argument in given:
        option, equals, url = argument.partition("=")
        if option not in _VARIABLES:
            left.append(argument)
            continue
        words = [argument] if equals else [argument, *([url] if (url := next(given, "")) else [])]
        if mask_password(url) == url:
            left += words
        else:
            variables[_VARIABLES[option]] = url
    return left, variables
