"""What a new study takes from the best trials of another one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from storage import leaderboard
from storage.database import Database
from storage.errors import UnknownStudy
from storage.leaderboard import TrialSummary
from tuner.errors import Problem, SpecError
from tuner.launch.presets import fitting
from tuner.spec.search_spec import SearchSpec


@dataclass(frozen=True)
class WarmStarted:
    """Presets for the first trials, the best first, and a line that says where they are from."""

    presets: list[dict[str, Any]]
    said: str


def best_of_other(database: Database, spec: SearchSpec) -> list[TrialSummary]:
    """The trials that ``warm_start`` names: complete and within the other study's constraints, the best first.

    Raises:
        SpecError: there is no such study.
    """
    if spec.warm_start is None:
        return []
    try:
        best = leaderboard.best(database, spec.warm_start.study, min(spec.warm_start.trials, spec.trials))
    except UnknownStudy as error:
        raise SpecError("spec", [Problem("warm_start", f"{error}, in the same database")]) from None
    return [each for each in best if not each.violation]


def warm_started(spec: SearchSpec, best: Sequence[TrialSummary], space: Sequence[Mapping[str, Any]]) -> WarmStarted:
    """The trials' values that the new space allows.

    Args:
        space: every hyperparameter, as the preflight listed it.
    """
    assert spec.warm_start is not None
    study = spec.warm_start.study
    if not best:
        return WarmStarted([], f"Warm start: study {study} has no complete trial to start from")
    chosen = [(each, fitting(space, each.params)) for each in best]
    presets = [values for _, values in chosen if values]
    numbers = [str(each.trial) for each, values in chosen if values]
    used, known = sum(map(len, presets)), sum(len(each.params) for each in best)
    left_out = sorted({name for each, values in chosen for name in each.params if name not in values})
    if not presets:
        return WarmStarted([], f"Warm start: no hyperparameter value of study {study} fits this search space")
    which = f"trials {', '.join(numbers)}" if len(numbers) > 1 else f"trial {numbers[0]}"
    said = f"Warm start: the configurations of {which} of study {study} are tried first"
    without = f"; not {', '.join(left_out)}" if left_out else ""
    return WarmStarted(presets, f"{said}; {used} of {known} values fit{without}")
