"""An Optuna study as a sampler or a pruner is to see it."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from typing import Any, cast

from optuna import Study
from optuna.trial import FrozenTrial, TrialState

See = Callable[[Sequence[FrozenTrial]], list[FrozenTrial]]


def seen_as(study: Study, see: See) -> Study:
    """The study with the trials that ``see`` makes of its own; everything else is the study's.

    Who makes another study of its storage sees that one's: Optuna's Hyperband does, for its brackets.
    """
    return cast(Study, _SeenStudy(study, see))


class _SeenStudy:
    def __init__(self, study: Study, see: See) -> None:
        self._seen, self._see = study, see

    def __getattr__(self, name: str) -> Any:
        return getattr(self._seen, name)

    def get_trials(self, deepcopy: bool = True, states: Container[TrialState] | None = None) -> list[FrozenTrial]:
        return self._get_trials(deepcopy, states)

    def _get_trials(
        self, deepcopy: bool = True, states: Container[TrialState] | None = None, use_cache: bool = False
    ) -> list[FrozenTrial]:
        seen = self._see(self._seen._get_trials(deepcopy=deepcopy, use_cache=use_cache))
        return [each for each in seen if states is None or each.state in states]
