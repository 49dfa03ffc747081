"""One hyperparameter with several distributions: choices that depend on another one, or that were added later on.

Optuna has one distribution under each name, but for the bounds of numbers. The first that a study meets has the name,
and the others are told apart by what they take: ``activation[of relu, tanh, gelu]``. People see ``activation``.
"""

from __future__ import annotations

from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    IntDistribution,
    check_distribution_compatibility,
)

from storage.parameter_names import SAMPLERS_VIEW, scope_of, scoped, without_scope


def variant(name: str, distribution: BaseDistribution) -> str:
    """The name of a parameter with this distribution, where the study has another one under ``name``."""
    view = next((suffix for suffix in SAMPLERS_VIEW if name.endswith(suffix)), "")
    stem = name.removesuffix(view)
    scopes = [scope_of(stem), _taken(distribution)]
    return scoped(without_scope(stem), ",".join(filter(None, scopes))) + view


def is_variant(name: str, distribution: BaseDistribution) -> bool:
    """Whether a parameter is told apart from another one of its name by what it takes."""
    view = next((suffix for suffix in SAMPLERS_VIEW if name.endswith(suffix)), "")
    return scope_of(name.removesuffix(view)).endswith(_taken(distribution))


def _taken(distribution: BaseDistribution) -> str:
    if isinstance(distribution, CategoricalDistribution):
        return f"of {', '.join(map(_shown, distribution.choices))}"
    kind = "integer" if isinstance(distribution, IntDistribution) else "number"
    return f"as log {kind}" if getattr(distribution, "log", False) else f"as {kind}"


def _shown(choice: Any) -> str:
    return choice if isinstance(choice, str) else repr(choice)


def is_compatible(known: BaseDistribution, other: BaseDistribution) -> bool:
    """Whether Optuna takes both under one name."""
    try:
        check_distribution_compatibility(known, other)
    except ValueError:
        return False
    return True


def takes(distribution: BaseDistribution, value: Any) -> bool:
    """Whether a value is one of the distribution's."""
    try:
        return distribution._contains(distribution.to_internal_repr(value))
    except (ValueError, TypeError):
        return False
