"""Optuna's samplers and pruners, by the names that a spec uses, with defaults that suit trials of neural networks."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from optuna import Study, pruners, samplers
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.trial import FrozenTrial

from tuner.errors import Problem, SpecError
from tuner.spec import PRUNERS, Pruner, Sampler, SearchSpec
from tuner.trial.assignment import trial_seed

Grid = Mapping[str, Sequence[Any]]

# These number their points within the study, so all trials must share one seed; the others draw afresh in every trial,
# which makes a trial's draw independent of who draws it and of what was interrupted.
_ONE_SEED = ("qmc", "grid")
# These visit every point once; a first trial with defaults would be one point too many.
ENUMERATING = ("grid", "brute_force")
# These look at the constraints of the trials before; to the others a violating trial is as good as any.
HEEDS_CONSTRAINTS = ("tpe", "nsga2", "gp")


def make_sampler(spec: SearchSpec, number: int, grid: Grid | None = None) -> samplers.BaseSampler:
    """The sampler for one trial.

    Args:
        number: the trial's number, which its seed comes from.
        grid: the values of each parameter; the grid sampler needs it.

    Raises:
        SpecError: an option is unknown or has an impossible value, or a library is missing.
    """
    name, options = spec.sampler.name, spec.sampler.options
    seed = spec.seed if name in _ONE_SEED else trial_seed(spec.seed, number)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            return _SAMPLERS[name](spec, seed, grid, dict(options))
    except (TypeError, ValueError) as error:
        raise _refused("sampler", spec.sampler, error) from None
    except ImportError:
        extra = "pip install 'keras-champion[gp]'" if name == "gp" else "install it"
        raise SpecError("spec", [Problem("sampler", f"{name} needs a library that is missing: {extra}")]) from None


def make_pruner(spec: SearchSpec) -> pruners.BasePruner:
    """The study's pruner; none where there are several objectives, for Optuna's know one only.

    Raises:
        SpecError: an option is unknown or has an impossible value.
    """
    pruner = _pruner(spec.pruner, spec.training.epochs)
    return pruner if len(spec.objectives) == 1 else pruners.NopPruner()


def _tpe(spec: SearchSpec, seed: int, grid: Grid | None, options: dict[str, Any]) -> samplers.BaseSampler:
    # Conditional parameters are modelled together only in groups. A short search must not be all start-up.
    options = {"multivariate": True, "group": True, "n_startup_trials": _startup(spec)} | options
    return samplers.TPESampler(seed=seed, **options)


def _gp(spec: SearchSpec, seed: int, grid: Grid | None, options: dict[str, Any]) -> samplers.BaseSampler:
    import torch  # noqa: F401  (imported lazily by Optuna, in the middle of a study)

    return samplers.GPSampler(seed=seed, **({"n_startup_trials": _startup(spec)} | options))


def _cmaes(spec: SearchSpec, seed: int, grid: Grid | None, options: dict[str, Any]) -> samplers.BaseSampler:
    options = {"n_startup_trials": _startup(spec), "warn_independent_sampling": False} | options
    return samplers.CmaEsSampler(seed=seed, **options)


def _qmc(spec: SearchSpec, seed: int, grid: Grid | None, options: dict[str, Any]) -> samplers.BaseSampler:
    options = {
        "scramble": True,
        "warn_asynchronous_seeding": False,
        "warn_independent_sampling": False,
    } | options
    return samplers.QMCSampler(seed=seed, **options)


def _nsga2(spec: SearchSpec, seed: int, grid: Grid | None, options: dict[str, Any]) -> samplers.BaseSampler:
    # Optuna's 50 would make most searches a single random generation.
    population = max(4, min(50, spec.trials // 5))
    return samplers.NSGAIISampler(seed=seed, **({"population_size": population} | options))


def _grid(spec: SearchSpec, seed: int, grid: Grid | None, options: dict[str, Any]) -> samplers.BaseSampler:
    space = options.pop("search_space", {})
    if not isinstance(space, Mapping) or not all(isinstance(values, list) for values in space.values()):
        raise ValueError("search_space is a mapping of hyperparameter names to lists of values")
    # What it names has been worked into the grid by the preflight, which knows the space.
    return samplers.GridSampler(grid or {}, seed=seed, **options)


class _RandomByName(samplers.RandomSampler):
    """Draws each parameter from a seed of its own.

    A trial that was interrupted between two draws goes on with the ones that it would have had: one sequence for all
    parameters would begin again.
    """

    def __init__(self, seed: int) -> None:
        super().__init__(seed=seed)
        self._seed = seed

    def sample_independent(self, study: Study, trial: FrozenTrial, name: str, distribution: BaseDistribution) -> Any:
        digest = hashlib.sha256(f"{self._seed}/{name}".encode()).digest()
        drawn = samplers.RandomSampler(seed=int.from_bytes(digest[:4], "big"))
        return drawn.sample_independent(study, trial, name, distribution)


_SAMPLERS: dict[str, Callable[[SearchSpec, int, Grid | None, dict[str, Any]], samplers.BaseSampler]] = {
    "tpe": _tpe,
    "random": lambda spec, seed, grid, options: _RandomByName(seed=seed, **options),
    "gp": _gp,
    "cmaes": _cmaes,
    "qmc": _qmc,
    "nsga2": _nsga2,
    "grid": _grid,
    "brute_force": lambda spec, seed, grid, options: samplers.BruteForceSampler(seed=seed, **options),
}


def _startup(spec: SearchSpec) -> int:
    """Random trials before a model is fitted: Optuna's 10, or a third of a short search."""
    return max(3, min(10, spec.trials // 3))


def _pruner(pruner: Pruner, epochs: int) -> pruners.BasePruner:
    options = dict(pruner.options)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            return _build_pruner(pruner.name, epochs, options)
    except (TypeError, ValueError) as error:
        raise _refused("pruner", pruner, error) from None


def _build_pruner(name: str, epochs: int, options: dict[str, Any]) -> pruners.BasePruner:
    if name == "none":
        return pruners.NopPruner(**options)
    if name == "asha":
        # Rungs at 20, 40 and 80% of the epochs, half of the trials passing each: one epoch says little about a network.
        defaults = {"min_resource": -(-epochs // 5), "reduction_factor": 2}
        return pruners.SuccessiveHalvingPruner(**(defaults | options))
    if name == "hyperband":
        return pruners.HyperbandPruner(**({"min_resource": 1, "max_resource": epochs} | options))
    if name == "median":
        return pruners.MedianPruner(**({"n_warmup_steps": epochs // 10} | options))
    if name == "percentile":
        return pruners.PercentilePruner(**({"percentile": 25.0, "n_warmup_steps": epochs // 10} | options))
    if name == "threshold":
        return pruners.ThresholdPruner(**options)
    wrapped = Pruner.model_validate(options.pop("wrapped", "median"))
    if wrapped.name == "patient":
        raise ValueError(f"wrapped: one of {', '.join(p for p in PRUNERS if p != 'patient')}")
    return pruners.PatientPruner(_pruner(wrapped, epochs), **({"patience": 3} | options))


def _refused(section: str, named: Sampler | Pruner, error: Exception) -> SpecError:
    text = str(error)
    if "unexpected keyword argument" in text:
        text = f"unknown option {text.rpartition(' argument ')[2]}"
    return SpecError("spec", [Problem(section, f"{named.name}: {text}")])
