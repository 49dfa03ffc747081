"""The hyperparameters object that a search space is built with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Literal

import keras_tuner
from keras_tuner.engine.hyperparameters import HyperParameter
from optuna.distributions import BaseDistribution

from tuner.hyperparameters.declared import Declared, declared_from
from tuner.hyperparameters.encoding import Encoding, encoding_of, single
from tuner.hyperparameters.overrides import is_advised, overridden
from tuner.spec.hyperparameters import Hyperparameters

UseDefaults = bool | Literal["advised"]
AS_DECLARED = Hyperparameters()

Suggest = Callable[[str, BaseDistribution, Any], Any]
"""Asks the study for a parameter: name, distribution, and the value to record, or None to sample.

Returns the value that the trial has: on a resumed trial the one stored before, whatever was asked.
"""


def default_of(name: str, distribution: BaseDistribution, value: Any) -> Any:
    """Answers hyperparameters that take their defaults, or presets: a ``Suggest`` without a study."""
    # What follows from a value is asked for without one: its range is that value.
    return distribution.low if value is None else value  # type: ignore[attr-defined]


class TrialHyperParameters(keras_tuner.HyperParameters):
    """KerasTuner's hyperparameters, valued by an Optuna trial.

    Optuna's parameters have KerasTuner's full names, with the conditions appended where there are
    any (``units[model=a]``). ``tuner.hyperparameters.encoding`` tells of those that have a second
    parameter.

    A default that is not among the allowed values (KerasTuner does not check) is replaced by the
    nearest one.

    Args:
        suggest: asks the study.
        preset: values to record instead of sampling, by Optuna's or KerasTuner's name. Names that
            nothing asks for are in ``unused_preset``.
        use_defaults: record the default of every hyperparameter that has no preset; with
            ``"advised"`` only of those whose default the space or the spec chose.
        spec: what it has otherwise than the space declares it.
    """

    def __init__(
        self,
        suggest: Suggest,
        preset: Mapping[str, Any] = MappingProxyType({}),
        use_defaults: UseDefaults = False,
        spec: Hyperparameters = AS_DECLARED,
    ) -> None:
        super().__init__()
        self._spec = spec
        self._suggest = suggest
        self._preset = dict(preset)
        self._use_defaults = use_defaults
        self._preset_used: set[str] = set()
        self._suggested: dict[str, Any] = {}

    @property
    def declared(self) -> tuple[Declared, ...]:
        """Everything registered so far, active or not, in order."""
        found = (declared_from(hyperparameter) for hyperparameter in self.space)
        return tuple({each.optuna_name: each for each in found}.values())

    @property
    def suggested(self) -> Mapping[str, Any]:
        """The value of every parameter asked for, by Optuna's name, as the model saw it."""
        return MappingProxyType(self._suggested)

    @property
    def unused_preset(self) -> tuple[str, ...]:
        return tuple(name for name in self._preset if name not in self._preset_used)

    def copy(self) -> TrialHyperParameters:
        """A copy that the same trial answers: what is asked for in it is suggested too."""
        plain = super().copy()
        duplicate = TrialHyperParameters(self._suggest, self._preset, self._use_defaults, self._spec)
        duplicate._hps, duplicate._space, duplicate.values = plain._hps, plain._space, plain.values
        duplicate._preset_used, duplicate._suggested = self._preset_used, dict(self._suggested)
        return duplicate

    def __deepcopy__(self, memo: dict[int, Any]) -> TrialHyperParameters:
        return self.copy()

    def __reduce__(self) -> tuple[Any, ...]:
        # The trial cannot go along.
        return keras_tuner.HyperParameters.from_config, (self.get_config(),)

    def __copy__(self) -> TrialHyperParameters:
        duplicate = TrialHyperParameters(self._suggest)
        duplicate.__dict__.update(self.__dict__)
        return duplicate

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> keras_tuner.HyperParameters:
        """Plain hyperparameters with these values: a trial is not part of a configuration."""
        return keras_tuner.HyperParameters.from_config(config)

    @classmethod
    def from_proto(cls, proto: Any) -> keras_tuner.HyperParameters:
        """Plain hyperparameters, as ``from_config`` gives them."""
        return keras_tuner.HyperParameters.from_proto(proto)

    def ensure_active_values(self) -> None:
        """Asks for what has become active since it was declared, and forgets what no longer is."""
        for hyperparameter in self.space:
            name = hyperparameter.name
            if not self.is_active(name):
                self.values.pop(name, None)
            elif self.is_active(hyperparameter) and name not in self.values:
                self.values[name] = self._value(hyperparameter)

    def _register(self, hyperparameter: HyperParameter, overwrite: bool = False) -> Any:
        hyperparameter = overridden(hyperparameter, self._spec)
        known = hyperparameter.name in self.values
        value = super()._register(hyperparameter, overwrite)
        if known and not overwrite:
            return value
        if not self.is_active(hyperparameter):
            return None
        self.values[hyperparameter.name] = self._value(hyperparameter)
        return self.values[hyperparameter.name]

    def _value(self, hyperparameter: HyperParameter) -> Any:
        declared = declared_from(hyperparameter)
        return hyperparameter.default if declared.kind == "fixed" else self._ask(declared)

    def _ask(self, declared: Declared) -> Any:
        name, encoding = declared.optuna_name, encoding_of(declared)
        wanted = self._wanted(declared, encoding)
        wanted_code = None if wanted is None else encoding.encode(wanted)
        value = self._suggest(name + encoding.suffix, encoding.distribution, wanted_code)
        if encoding.suffix:
            # Decoding may be one rounding away from the value that was encoded.
            value = wanted if wanted is not None and value == wanted_code else encoding.decode(value)
            value = self._suggest(name, single(value), None)
        self._suggested[name] = value
        return value

    def _wanted(self, declared: Declared, encoding: Encoding) -> Any:
        for name in (declared.optuna_name, declared.name):
            if name in self._preset:
                self._preset_used.add(name)
                return _allowed(name, self._preset[name], encoding)
        if self._use_defaults == "advised" and not is_advised(declared, self._spec):
            return None
        return encoding.nearest(declared.default) if self._use_defaults else None


def _allowed(name: str, value: Any, encoding: Encoding) -> Any:
    try:
        return encoding.coerce(value)
    except ValueError as error:
        raise ValueError(
            f"hyperparameter {name}: the preset value {value!r} is not allowed; it takes {error}"
        ) from None
