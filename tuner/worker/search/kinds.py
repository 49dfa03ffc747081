"""Pruning among trials of one kind: what an epoch is worth differs between them."""

from __future__ import annotations

from optuna import Study
from optuna.pruners import BasePruner
from optuna.trial import FrozenTrial

from tuner.worker.search.seen_study import seen_as


class WithinKinds(BasePruner):
    """A pruner that is shown the trials of the same kind alone.

    Boosted trees are near their best after an epoch or two, in which a network has hardly begun. Beside them no network
    would see a second epoch, however good it became.

    Args:
        pruner: the one that decides.
        name: the parameter that tells the kinds apart; trials that lack it are of one kind.
    """

    def __init__(self, pruner: BasePruner, name: str) -> None:
        self._pruner, self._name = pruner, name

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        kind = trial.params.get(self._name)
        of_its_kind = seen_as(study, lambda trials: [each for each in trials if each.params.get(self._name) == kind])
        return self._pruner.prune(of_its_kind, trial)
