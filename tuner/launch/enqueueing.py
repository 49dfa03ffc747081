"""Lists what can be tuned, and enqueues configurations to be tried next."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from storage import presets
from tuner.errors import PresetError
from tuner.launch.preflight import preflight
from tuner.launch.presets import Enqueued, check_preset
from tuner.spec.reading import load_spec
from tuner.spec.search_spec import SearchSpec
from tuner.study.locations import default_cache_root
from tuner.study.open_study import opened_study


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
    with opened_study(study, storage) as found:
        if found.spec.sampler.name == "grid":
            raise PresetError([f"study {study} uses the grid sampler, which tries only its own values"])
        if not values:
            raise PresetError(["name at least one hyperparameter and its value: name=value"])
        # A space that only its models can tell is listed now, and was not at launch.
        space = found.record.space["hyperparameters"] or search_space(found.spec)
        checked = check_preset(space, values)
        return Enqueued(checked, presets.enqueue(found.database, study, checked))
