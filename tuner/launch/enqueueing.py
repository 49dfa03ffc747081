"""Lists what can be tuned, and enqueues configurations to be tried next."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from storage import presets, studies
from tuner.errors import PresetError
from tuner.launch.preflight import preflight
from tuner.launch.presets import Enqueued, check_preset
from tuner.spec.bounds import out_of_bounds
from tuner.spec.reading import load_spec, read_configurations
from tuner.spec.search_spec import SearchSpec
from tuner.study.locations import default_cache_root
from tuner.study.open_study import OpenStudy, opened_study

# Of a file of configurations that are wrong.
_MOST_PROBLEMS = 50


def search_space(spec: SearchSpec | Path | str, overrides: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Every hyperparameter of a spec's search space, as JSON: name, kind, range, scale, default, condition.

    Raises:
        SpecError, DataError, SpaceError: it cannot be listed.
    """
    if not isinstance(spec, SearchSpec):
        spec = load_spec(Path(spec), overrides)
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "space.log")
        return preflight(spec, default_cache_root(), log, check=False, explore=True).hyperparameters


def enqueue(study: str, values: Mapping[str, Any], *, storage: str | None = None) -> Enqueued:
    """Has a configuration tried next, within the study's budget: by the next trial that has not begun.

    Hyperparameters without a value are sampled; in trial 0 they take the defaults that were chosen for them. Values for
    hyperparameters that the configuration does not ask for are not used.

    Args:
        values: by hyperparameter, as ``tuner space`` names them.

    Raises:
        PresetError: there is no such hyperparameter, or the value is not allowed.
        UnknownStudy: there is none of this name.
        UnreadableSpec: another version of this software wrote its spec.
        NothingLeft: every trial has begun, or has a configuration already.
    """
    return enqueue_all(study, [values], storage=storage)[0]


def enqueue_all(
    study: str, configurations: Sequence[Mapping[str, Any]] | Path | str, *, storage: str | None = None
) -> list[Enqueued]:
    """Has configurations tried next, in their order: all of them, or none where something is wrong with one.

    Args:
        configurations: values by hyperparameter, as ``enqueue`` takes them; or a YAML or JSON file with a list of them.

    Raises:
        SpecError: the file is no list of mappings, or cannot be read.
        NothingLeft: fewer trials have not begun and have no configuration yet.
        Else as ``enqueue``; with several configurations, a PresetError says which one is wrong.
    """
    if isinstance(configurations, Path | str):
        configurations = read_configurations(Path(configurations))
    with opened_study(study, storage) as found:
        if found.spec.sampler.name == "grid":
            raise PresetError([f"study {study} uses the grid sampler, which tries only its own values"])
        if not configurations or not all(configurations):
            raise PresetError(["name at least one hyperparameter and its value: name=value"])
        if beyond := out_of_bounds(list(configurations)):
            raise PresetError([str(each) for each in beyond])
        space = _space_of(found)
        checked = _checked(space, configurations)
        before = presets.enqueue(found.database, study, *checked)
        return [Enqueued(values, others) for values, others in zip(checked, before, strict=True)]


def _space_of(study: OpenStudy) -> Sequence[Mapping[str, Any]]:
    """Every hyperparameter; a space that only its models can tell is listed once, and was not at launch."""
    known: Sequence[Mapping[str, Any]] = study.record.space["hyperparameters"]
    if known:
        return known
    listed = search_space(study.spec)
    studies.list_space(study.database, study.id, listed)
    return listed


def _checked(space: Sequence[Mapping[str, Any]], configurations: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    checked: list[dict[str, Any]] = []
    problems: list[str] = []
    for number, values in enumerate(configurations, start=1):
        try:
            checked.append(check_preset(space, values))
        except PresetError as error:
            which = f"configuration {number}: " if len(configurations) > 1 else ""
            problems += [f"{which}{each}" for each in error.problems]
    if problems:
        raise PresetError(problems[:_MOST_PROBLEMS])
    return checked
