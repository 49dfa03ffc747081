"""Optuna's samplers and pruners, by the names that a spec uses, with defaults that suit trials of neural networks."""

from __future__ import annotations

import hashlib
import inspect
import warnings
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from functools import reduce
from operator import or_
from typing import Any, TypeVar

from optuna import Study, pruners, samplers
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial
from pydantic import BaseModel, TypeAdapter, ValidationError

from tuner.errors import Problem, SpecError
from tuner.spec.choices import PRUNERS, Pruner, Sampler
from tuner.spec.problems import SpecModel, problems_of
from tuner.spec.search_spec import SearchSpec
from tuner.trial.assignment import trial_seed
from tuner.worker.search.comparing import ComparingSampler, Comparison
from tuner.worker.search.rungs import Promote
from tuner.worker.search.untried import UntriedSampler

Grid = Mapping[str, Sequence[Any]]
_Made = TypeVar("_Made")
# What YAML gives, by the names that annotations have for it.
_YAML_TYPES: Mapping[str, Any] = {
    "int": int,
    "float": float,
    "bool": bool,
    "str": str,
    "dict[str, Any]": dict[str, Any],
    "None": None,
}

# These number their points within the study, so all trials must share one seed; the others draw afresh in every trial,
# which makes a trial's draw independent of who draws it and of what was interrupted.
_ONE_SEED = ("qmc", "grid")
# These visit every point once; a first trial with defaults would be one point too many.
ENUMERATING = ("grid", "brute_force")
# A trial is neither patient twice, nor paused out of patience.
_NOT_WRAPPED = ("patient", "promote")
# These choose by what trials came to.
_LEARNING = ("tpe", "gp", "cmaes", "nsga2")
# Of these, the ones that model all trials anew for each one. TPE takes the best 25 of 250 trials and of 10,000.
_MODELLING = ("tpe", "gp")
_MOST_MODELLED = 500
# These look at the constraints of the trials before; to the others a violating trial is as good as any.
HEEDS_CONSTRAINTS = ("tpe", "nsga2", "gp")


def make_sampler(
    spec: SearchSpec, number: int, grid: Grid | None = None, comparison: Comparison | None = None
) -> samplers.BaseSampler:
    """The sampler for one trial.

    Args:
        number: the trial's number, which its seed comes from.
        grid: the values of each parameter; the grid sampler needs it.
        comparison: of the study's trials, for samplers that learn from what trials came to.

    Raises:
        SpecError: an option is unknown or has an impossible value, or a library is missing.
    """
    name, options = spec.sampler.name, spec.sampler.options
    seed = spec.seed if name in _ONE_SEED else trial_seed(spec.seed, number)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            sampler = _SAMPLERS[name](spec, seed, grid, dict(options))
    except _WrongOptions as error:
        raise error.under("sampler") from None
    except (TypeError, ValueError) as error:
        raise _refused("sampler", spec.sampler, error) from None
    except ImportError:
        extra = "pip install 'keras-champion[gp]'" if name == "gp" else "install it"
        raise SpecError("spec", [Problem("sampler", f"{name} needs a library that is missing: {extra}")]) from None
    if name in ENUMERATING:
        return sampler
    if comparison is not None and name in _LEARNING:
        sampler = ComparingSampler(sampler, comparison)
    return UntriedSampler(sampler)


def comparison_for(spec: SearchSpec) -> Comparison:
    """What a study's samplers are shown: all of it where a sampler counts generations or looks at constraints."""
    is_modelled = spec.sampler.name in _MODELLING and not spec.constraints and len(spec.objectives) == 1
    return Comparison(_MOST_MODELLED if is_modelled else None)


def make_pruner(spec: SearchSpec) -> pruners.BasePruner:
    """The study's pruner; where there are several objectives none but ``promote``, for Optuna's know one only.

    Raises:
        SpecError: an option is unknown or has an impossible value.
    """
    pruner = _pruner("pruner", spec.pruner, spec.training.epochs)
    knows_all = len(spec.objectives) == 1 or isinstance(pruner, Promote)
    return pruner if knows_all else pruners.NopPruner()


def _tpe(spec: SearchSpec, seed: int, grid: Grid | None, options: dict[str, Any]) -> samplers.BaseSampler:
    # Each group of parameters with the same conditions is modelled by itself. Where halving ends most of the random
    # trials early, twice as many cost little; a built-in space begins with configurations that are better than those.
    halved = spec.pruner.name == "promote" or (spec.pruner.name == "asha" and len(spec.objectives) == 1)
    twice = halved and not spec.space.is_built_in
    options = {"multivariate": True, "group": True, "n_startup_trials": _startup(spec) * (2 if twice else 1)} | options
    return _made(samplers.TPESampler, options, seed=seed)


def _gp(spec: SearchSpec, seed: int, grid: Grid | None, options: dict[str, Any]) -> samplers.BaseSampler:
    import torch  # noqa: F401  (imported lazily by Optuna, in the middle of a study)

    return _made(samplers.GPSampler, {"n_startup_trials": _startup(spec)} | options, seed=seed)


def _cmaes(spec: SearchSpec, seed: int, grid: Grid | None, options: dict[str, Any]) -> samplers.BaseSampler:
    options = {"n_startup_trials": _startup(spec), "warn_independent_sampling": False} | options
    return _made(samplers.CmaEsSampler, options, seed=seed)


def _qmc(spec: SearchSpec, seed: int, grid: Grid | None, options: dict[str, Any]) -> samplers.BaseSampler:
    options = {
        "scramble": True,
        "warn_asynchronous_seeding": False,
        "warn_independent_sampling": False,
    } | options
    return _made(samplers.QMCSampler, options, seed=seed)


def _nsga2(spec: SearchSpec, seed: int, grid: Grid | None, options: dict[str, Any]) -> samplers.BaseSampler:
    # Optuna's 50 would make most searches a single random generation.
    population = max(4, min(50, spec.trials // 5))
    return _made(samplers.NSGAIISampler, {"population_size": population} | options, seed=seed)


def _grid(spec: SearchSpec, seed: int, grid: Grid | None, options: dict[str, Any]) -> samplers.BaseSampler:
    space = options.pop("search_space", {})
    if not isinstance(space, Mapping) or not all(isinstance(values, list) for values in space.values()):
        message = "must be a mapping of hyperparameter names to lists of values"
        raise _WrongOptions([Problem("search_space", message)])
    # What it names has been worked into the grid by the preflight, which knows the space.
    return _made(samplers.GridSampler, options, search_space=grid or {}, seed=seed)


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
    "random": lambda spec, seed, grid, options: _made(_RandomByName, options, seed=seed),
    "gp": _gp,
    "cmaes": _cmaes,
    "qmc": _qmc,
    "nsga2": _nsga2,
    "grid": _grid,
    "brute_force": lambda spec, seed, grid, options: _made(samplers.BruteForceSampler, options, seed=seed),
}


def _startup(spec: SearchSpec) -> int:
    """Random trials before a model is fitted: Optuna's 10, or a third of a short search."""
    return max(3, min(10, spec.trials // 3))


def _pruner(key: str, pruner: Pruner, epochs: int) -> pruners.BasePruner:
    options = dict(pruner.options)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            return _build_pruner(key, pruner.name, epochs, options)
    except _WrongOptions as error:
        raise error.under(key) from None
    except (TypeError, ValueError) as error:
        raise _refused(key, pruner, error) from None


def _build_pruner(key: str, name: str, epochs: int, options: dict[str, Any]) -> pruners.BasePruner:
    if name == "none":
        return _made(pruners.NopPruner, options)
    # A quarter passes a sixteenth of the epochs, and a quarter of those a quarter: docs/decisions/0014.
    halving = {"min_resource": max(1, epochs // 16), "reduction_factor": 4}
    if name == "asha":
        return _made(pruners.SuccessiveHalvingPruner, halving | options)
    if name == "promote":
        return _made(Promote, halving | options, epochs=epochs)
    if name == "hyperband":
        return _made(pruners.HyperbandPruner, {"min_resource": 1, "max_resource": epochs} | options)
    if name == "median":
        return _made(pruners.MedianPruner, {"n_warmup_steps": epochs // 10} | options)
    if name == "percentile":
        return _made(pruners.PercentilePruner, {"percentile": 25.0, "n_warmup_steps": epochs // 10} | options)
    if name == "threshold":
        return _made(pruners.ThresholdPruner, options)
    try:
        wrapped = Pruner.model_validate(options.pop("wrapped", "median"))
    except ValidationError as error:
        raise _WrongOptions([Problem("wrapped", problems_of(error, SpecModel(Pruner))[0].message)]) from None
    if wrapped.name in _NOT_WRAPPED:
        raise _WrongOptions([Problem("wrapped", f"one of {', '.join(p for p in PRUNERS if p not in _NOT_WRAPPED)}")])
    inner = _pruner(f"{key}.wrapped", wrapped, epochs)
    return _made(_Patient, {"patience": 3} | options, wrapped_pruner=inner)


class _Patient(pruners.PatientPruner):
    """Lets the wrapped pruner decide once the best so far, which is what it is told, has stood still for long enough.

    Optuna's own asks whether later values are worse than earlier ones, which the best so far never is.
    """

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        best = [value for _, value in sorted(trial.intermediate_values.items())]
        if len(best) <= self._patience + 1:
            return False
        # It may fall once, from the first epoch's own value to a mean.
        risen = best[-1] - best[-self._patience - 2]
        if (risen if study.direction is StudyDirection.MAXIMIZE else -risen) > self._min_delta:
            return False
        return self._wrapped_pruner is None or self._wrapped_pruner.prune(study, trial)


class _WrongOptions(ValueError):
    """Options that a sampler or pruner does not take; problems by the options' names."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self._problems = problems
        super().__init__()

    def under(self, key: str) -> SpecError:
        return SpecError("spec", [Problem(f"{key}.{each.key}", each.message) for each in self._problems])


def _made(kind: type[_Made], options: Mapping[str, Any], **ours: Any) -> _Made:
    """An instance with a spec's options, held to the names and types of Optuna's own signature: it checks few itself.

    Raises:
        _WrongOptions: of those.
        TypeError, ValueError: as the class has it.
    """
    taken = {name: each.annotation for name, each in inspect.signature(kind).parameters.items() if name not in ours}
    types = {name: found for name, said in taken.items() if (found := _yaml_type(said)) is not None}
    wrong = {name: _wrong(name, value, types) for name, value in options.items()}
    if problems := [Problem(name, message) for name, message in wrong.items() if message is not None]:
        raise _WrongOptions(problems)
    return kind(**ours, **options)


def _yaml_type(annotation: Any) -> Any:
    """The type of a parameter, as far as YAML can give it; None where it cannot."""
    written = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    names = written.split(" | ")
    return reduce(or_, (_YAML_TYPES[name] for name in names)) if _YAML_TYPES.keys() >= set(names) else None


def _wrong(name: str, value: Any, types: Mapping[str, Any]) -> str | None:
    if name not in types:
        near = get_close_matches(name, types, n=1)
        meant = f"did you mean {near[0]}? " if near else ""
        return f"unknown option; {meant}allowed are {', '.join(sorted(types)) or 'none'}"
    try:
        TypeAdapter(types[name]).validate_python(value, strict=True)
    except ValidationError as error:
        return problems_of(error, SpecModel(BaseModel))[0].message
    return None


def _refused(key: str, named: Sampler | Pruner, error: Exception) -> SpecError:
    return SpecError("spec", [Problem(key, f"{named.name}: {error}")])
