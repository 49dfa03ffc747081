"""KerasTuner's define-by-run calls answered by an Optuna trial: the only bridge between the two."""

from tuner.hyperparameters.bridge import Suggest, TrialHyperParameters, default_of
from tuner.hyperparameters.declared import Condition, Declared
from tuner.hyperparameters.explore import explore
from tuner.hyperparameters.grid import grid
from tuner.hyperparameters.overrides import RefusedEntry, check_entries, reachable, unknown_entries

__all__ = [
    "Condition",
    "Declared",
    "RefusedEntry",
    "Suggest",
    "TrialHyperParameters",
    "check_entries",
    "default_of",
    "explore",
    "grid",
    "reachable",
    "unknown_entries",
]
