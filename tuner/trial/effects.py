"""Which hyperparameters change nothing, found by building a space with each of them changed."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from tuner.hyperparameters import Declared, Suggest, TrialHyperParameters, default_of
from tuner.hyperparameters.encoding import encoding_of
from tuner.spec.hyperparameters import Hyperparameters

Values = Mapping[str, Any]

# A value that is used may do nothing beside the defaults of the others: the momentum of a model that Adam trains.
_MOST_CHANGED = 24
_AT_RANDOM = 16


class OutOfTime(Exception):
    """There is no time for another build."""


@dataclass(frozen=True)
class Built:
    """What one configuration makes.

    Attributes:
        made: equal for equal models; None where that cannot be told, or where the build failed.
        declared: every hyperparameter by Optuna's name, active or not.
        values: of the active ones, but for fixed ones.
    """

    made: bytes | None
    declared: Mapping[str, Declared]
    values: Values

    def differs(self, other: Built) -> bool:
        return self.made is None or self.made != other.made


Build = Callable[[TrialHyperParameters], bytes | None]


class Attempts:
    """Builds configurations, as long as there is time.

    Args:
        seconds: of processor time, from now on, and again from when it is renewed, that no build begins after: a busy
            machine finds what an idle one does.
        spec: what the study's spec has otherwise than the space declares it.
    """

    def __init__(self, build: Build, seconds: float, spec: Hyperparameters) -> None:
        self._build, self._seconds, self._spec = build, seconds, spec
        self.renew()

    def renew(self) -> None:
        self._deadline = time.process_time() + self._seconds

    def of(self, values: Values) -> Built:
        """With some values, and defaults beside them. Raises OutOfTime."""
        return self._attempt(TrialHyperParameters(default_of, values, use_defaults=True, spec=self._spec))

    def at_random(self, seed: int) -> Built:
        """Raises OutOfTime."""
        return self._attempt(TrialHyperParameters(_drawn_from(random.Random(seed)), spec=self._spec))

    def _attempt(self, hp: TrialHyperParameters) -> Built:
        if time.process_time() >= self._deadline:
            raise OutOfTime
        made = self._build(hp)
        return Built(made, {each.optuna_name: each for each in hp.declared}, dict(hp.suggested))


def _drawn_from(generator: random.Random) -> Suggest:
    def suggest(name: str, distribution: BaseDistribution, value: Any) -> Any:
        if isinstance(distribution, CategoricalDistribution):
            return generator.choice(distribution.choices)
        assert isinstance(distribution, IntDistribution | FloatDistribution)
        low, high, step = distribution.low, distribution.high, distribution.step
        if step is None:
            return generator.uniform(low, high)
        return low + step * generator.randrange(round((high - low) / step) + 1)

    return suggest


def without_effect(attempts: Attempts, exempt: Callable[[Declared], bool]) -> dict[str, tuple[Any, ...]]:
    """The hyperparameters of the default configuration that change nothing, whatever the others are, as far as tried.

    Args:
        exempt: of which nothing can be said.

    Returns:
        By KerasTuner's name, the values that were tried in the default configuration, the default first.

    Raises:
        OutOfTime: by then nothing can be said of any.
    """
    default = attempts.of({})
    if default.made is None:
        return {}
    suspects: dict[str, list[Any]] = {}
    for name, value in default.values.items():
        declared = default.declared[name]
        others = [] if exempt(declared) else other_values(declared, value)
        if others and not any(attempts.of({**default.values, name: other}).differs(default) for other in others):
            suspects[name] = [value, *others]
    attempts.renew()
    for around in _surroundings(default, attempts, tuple(suspects)) if suspects else ():
        for name in _effective(attempts, around, list(suspects)):
            del suspects[name]
        if not suspects:
            break
    return {default.declared[name].name: tuple(tried) for name, tried in suspects.items()}


def other_values(declared: Declared, value: Any) -> list[Any]:
    """A few values beside ``value`` that lie far from each other."""
    encoding = encoding_of(declared)
    if declared.values:
        found: Sequence[Any] = declared.values
    else:
        low, high = declared.bounds
        found = [encoding.nearest(high), low, encoding.nearest((low + high) / 2)]
    others = [each for each in dict.fromkeys(found) if each != value]
    return others if len(others) <= 3 else [others[-1], others[0], others[len(others) // 2]]


def _surroundings(default: Built, attempts: Attempts, suspects: Collection[str]) -> Iterator[Built]:
    """Configurations with one value changed that others may depend on, then some at random."""
    changed = [
        {**default.values, name: other}
        for name, value in default.values.items()
        if default.declared[name].kind != "float" and name not in suspects
        for other in other_values(default.declared[name], value)
    ]
    for values in changed[:_MOST_CHANGED]:
        yield attempts.of(values)
    for seed in range(_AT_RANDOM):
        yield attempts.at_random(seed)


def _effective(attempts: Attempts, around: Built, suspects: Sequence[str]) -> list[str]:
    """Those of the suspects that change something beside these values of the others."""
    if around.made is None:
        return []
    active = [name for name in suspects if name in around.values]
    changed = {name: other_values(around.declared[name], around.values[name])[0] for name in active}
    if not changed or not attempts.of({**around.values, **changed}).differs(around):
        return []
    alone = [name for name in active if attempts.of({**around.values, name: changed[name]}).differs(around)]
    return alone or active
