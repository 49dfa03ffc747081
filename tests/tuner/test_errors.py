"""The errors of the service and the tree in which they are listed."""

from __future__ import annotations

import inspect
import re

from tuner import errors


def test_the_tree_lists_every_error() -> None:
    found = {name for name, each in inspect.getmembers(errors, inspect.isclass) if issubclass(each, errors.TunerError)}
    assert set(re.findall(r"^[│ ├└─]*(\w+)(?: {2,}|$)", errors.__doc__ or "", re.MULTILINE)) == found
