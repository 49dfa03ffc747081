"""A spec from a file or from data, checked, with everything that is wrong with it at once."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tuner.errors import Problem, SpecError
from tuner.spec.bounds import MOST_BYTES, TooMuch, check_size, out_of_bounds
from tuner.spec.data import DATA_KINDS
from tuner.spec.problems import SpecModel, leave_out, problems_of
from tuner.spec.search_spec import SearchSpec
from tuner.spec.sections import LaunchSettings
from tuner.spec.yaml_text import parse_yaml

_NAME_AND_VALUE = re.compile(r"([^=\[]+(?:\[[^\]]*\])?)=(.*)", re.DOTALL)


def validate_spec(raw: Any, *, source: str, base: Path) -> SearchSpec:
    """Checks a spec that came as data.

    Args:
        raw: what YAML or JSON gave.
        source: named in errors.
        base: the folder that relative paths are relative to.

    Raises:
        SpecError: with every problem and its key's path.
    """
    if not isinstance(raw, Mapping):
        raise SpecError(
            source,
            [
                Problem(
                    "", "a search spec must be a mapping of keys to values, like the one that `tuner init image` writes"
                )
            ],
        )
    spec, problems = examine_spec(raw, base=base)
    if spec is None or problems:
        raise SpecError(source, problems)
    return spec


# What stands for a section that is missing or wrong while the others are looked at; the data is where it may be.
_STAND_INS = {
    "study": "study",
    "data": {"kind": "npz", "path": "."},
    "space": "image",
    "objective": "val_loss",
}
# Of looking again without what is wrong; the last ones find a stand-in for every section.
_ROUNDS = 8


def examine_spec(
    raw: Mapping[str, Any], *, base: Path, not_offered: Collection[str] = ()
) -> tuple[SearchSpec | None, list[Problem]]:
    """Everything that is wrong with a spec, and the spec without that, for others to look at.

    pydantic looks at what keys say together once each of them is right, so what is wrong is taken out, and the rest
    looked at again.

    Args:
        base: the folder that relative paths are relative to.
        not_offered: keys, with dots, and kinds of data that are not named where it is said what is allowed.
    """
    if beyond := out_of_bounds(raw):
        return None, beyond
    described = SpecModel(SearchSpec, DATA_KINDS, _STAND_INS, not_offered)
    problems: list[Problem] = []
    left = dict(raw)
    for _ in range(_ROUNDS):
        try:
            return SearchSpec.model_validate(left, context={"base": base}), problems
        except ValidationError as error:
            problems += problems_of(error, described, known=problems)
            left = deepcopy(left)
            leave_out(left, error, described)
    return None, problems


def load_spec(path: Path, overrides: Sequence[str] = ()) -> SearchSpec:
    """Reads a YAML spec.

    Args:
        path: the file.
        overrides: ``dotted.key=value`` each, the value read as YAML.

    Raises:
        SpecError: the file cannot be read, is not YAML, or does not describe a search.
    """
    raw = _read_yaml(path)
    for override in overrides:
        raw = _override(raw, override, str(path))
    return validate_spec(raw, source=str(path), base=path.absolute().parent)


def load_launch_settings(path: Path) -> LaunchSettings:
    """Reads a YAML file with the sections that a spec has under ``launch``. Raises SpecError."""
    raw = _read_yaml(path)
    try:
        return LaunchSettings.model_validate({} if raw is None else raw)
    except ValidationError as error:
        raise SpecError(str(path), problems_of(error, SpecModel(LaunchSettings))) from None


def _read_yaml(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            # One byte more than is read: of a device there may be no end.
            found = file.read(MOST_BYTES + 1)
        check_size(found)
        text = found.decode("utf-8")
    except OSError as error:
        raise SpecError(str(path), [Problem("", f"the file cannot be read: {error.strerror}")]) from None
    except TooMuch as error:
        raise SpecError(str(path), [Problem("", str(error))]) from None
    except UnicodeDecodeError as error:
        raise SpecError(
            str(path), [Problem("", f"the file is not UTF-8 text: {error.reason} at byte {error.start}")]
        ) from None
    return parse_yaml(text, str(path))


def _override(raw: Any, override: str, source: str) -> dict[str, Any]:
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise SpecError("--set", [Problem("", f"{override!r} does not have the form dotted.key=value")])
    value = parse_yaml(text, "--set", key)
    top = dict(raw) if isinstance(raw, Mapping) else {}
    node = top
    *parents, last = key.split(".")
    for parent in parents:
        if isinstance(node.get(parent), list):
            raise SpecError(
                "--set", [Problem(parent, f"this is a list, which can only be set as a whole: --set {parent}=[...]")]
            )
        node[parent] = _expanded(parent, node.get(parent))
        node = node[parent]
    node[last] = value
    return top


def read_values(given: Sequence[str]) -> dict[str, Any]:
    """Hyperparameter values of ``name=value`` each, the value read as YAML.

    Raises:
        SpecError: one is not ``name=value``, or a name is given twice.
    """
    found: dict[str, Any] = {}
    for item in given:
        # Optuna's names may have conditions appended: units[model=a].
        match = _NAME_AND_VALUE.fullmatch(item)
        if match is None:
            raise SpecError("enqueue", [Problem("", f"{item!r} does not have the form name=value")])
        name = match[1]
        if name in found:
            raise SpecError("enqueue", [Problem(name, "the hyperparameter is given twice")])
        found[name] = parse_yaml(match[2], "enqueue", name)
    return found


def read_configurations(path: Path) -> list[dict[str, Any]]:
    """A YAML or JSON file with a list of configurations, mappings of hyperparameters to values.

    Raises:
        SpecError: it cannot be read, or is something else.
    """
    found = _read_yaml(path)
    if not isinstance(found, list) or not found:
        raise SpecError(str(path), [Problem("", "must be a list of configurations, such as - {units: 64, rate: 1e-3}")])
    wrong = [number for number, each in enumerate(found, start=1) if not isinstance(each, Mapping) or not each]
    if wrong:
        message = f"configuration {wrong[0]} is no mapping of hyperparameters to values"
        raise SpecError(str(path), [Problem("", message)])
    return [{str(name): value for name, value in each.items()} for each in found]


def _expanded(key: str, value: Any) -> dict[str, Any]:
    """The mapping that a section's short form stands for, so that a key can be set in it."""
    if isinstance(value, str):
        return {"metric" if key == "objective" else "name": value}
    return dict(value) if isinstance(value, Mapping) else {}
