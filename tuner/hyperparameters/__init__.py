"""KerasTuner's define-by-run calls answered by an Optuna trial: the only bridge between the two."""

from tuner.hyperparameters.bridge import Suggest, TrialHyperParameters
from tuner.hyperparameters.declared import Condition, Declared
from tuner.hyperparameters.explore import explore
from tuner.hyperparameters.grid import grid

__all__ = ["Condition", "Declared", "Suggest", "TrialHyperParameters", "explore", "grid"]
