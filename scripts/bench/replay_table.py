"""Configurations of a search space with the score of every epoch of theirs: trained once, replayed often."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from optuna.distributions import BaseDistribution, distribution_to_json, json_to_distribution
from optuna.trial import FrozenTrial, TrialState

from tuner.api import launch, search_space
from tuner.spec.reading import load_spec
from tuner.study.open_study import opened_study


@dataclass(frozen=True)
class Parameter:
    """One of a space's parameters, as a sampler is asked for it.

    Attributes:
        name: in Optuna.
        written: its distribution, as Optuna writes it as JSON.
        default: the search space's, as the sampler would give it; None where that is not known.
        needs: the parameter is asked for only while each of these others has one of the values.
    """

    name: str
    written: str
    default: Any
    needs: tuple[tuple[str, tuple[Any, ...]], ...]

    @property
    def distribution(self) -> BaseDistribution:
        return json_to_distribution(self.written)

    def is_active(self, values: Mapping[str, Any]) -> bool:
        return all(values.get(parent) in among for parent, among in self.needs)


@dataclass(frozen=True)
class Configuration:
    """What was trained once.

    Attributes:
        values: by Optuna's names.
        scores: the objective after every epoch.
        seconds: of an epoch, on average.
    """

    values: Mapping[str, Any]
    scores: tuple[float, ...]
    seconds: float


@dataclass(frozen=True)
class Table:
    """A space, and what was trained of it. ``parameters`` have their parents before them."""

    study: str
    maximize: bool
    epochs: int
    parameters: tuple[Parameter, ...]
    configurations: tuple[Configuration, ...]

    def write(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(asdict(self)) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, file: Path) -> Table:
        found = json.loads(file.read_text(encoding="utf-8"))
        parameters = tuple(
            Parameter(**(each | {"needs": tuple((parent, tuple(among)) for parent, among in each["needs"])}))
            for each in found["parameters"]
        )
        configurations = tuple(
            Configuration(**(each | {"scores": tuple(each["scores"])})) for each in found["configurations"]
        )
        return cls(**(found | {"parameters": parameters, "configurations": configurations}))


def train(spec_file: Path, configurations: int, folder: Path) -> Table:
    """Trains random configurations to their last epoch, and goes on with a table that was begun in the folder.

    Args:
        spec_file: whose search it is; sampler, pruner and early stopping are others.
    """
    folder.mkdir(parents=True, exist_ok=True)
    storage = f"sqlite:///{folder / 'table.db'}"
    otherwise = [
        "sampler=random",
        "pruner=none",
        "training.early_stopping=null",
        "keep_checkpoints=1",
        "resources.slots=1",
        f"artifacts={folder / 'artifacts'}",
        f"trials={configurations}",
    ]
    spec = load_spec(spec_file, otherwise)
    launch(spec, storage=storage)
    return table_of(spec.study, search_space(spec), storage)


def table_of(study: str, space: Sequence[Mapping[str, Any]], storage: str) -> Table:
    """The table of a study whose trials were trained to the last epoch; of those that have more than the others did.

    Args:
        space: every hyperparameter, as ``tuner space`` lists it.
    """
    with opened_study(study, storage) as found:
        epochs, maximize = found.spec.training.epochs, found.spec.objective.direction == "maximize"
        trials = found.database.optuna.get_all_trials(found.id, deepcopy=False, states=(TrialState.COMPLETE,))
    whole = [each for each in trials if set(each.intermediate_values) >= set(range(1, epochs + 1))]
    asked = {
        name: distribution
        for trial in whole
        for name, distribution in trial.distributions.items()
        if not distribution.single()
    }
    parameters = tuple(parameter for each in space for parameter in _parameters(each, asked, whole))
    names = {each.name for each in parameters}
    return Table(study, maximize, epochs, parameters, tuple(_configuration(each, names, epochs) for each in whole))


def _parameters(
    listed: Mapping[str, Any], asked: Mapping[str, BaseDistribution], trials: Sequence[FrozenTrial]
) -> list[Parameter]:
    needs = tuple((each["parent"], tuple(each["values"])) for each in listed["conditions"])
    names = [name for name in asked if name == listed["optuna_name"] or name.startswith(listed["optuna_name"] + "@")]
    # The first trial of a study takes the defaults, and is the only one to know what stands for them.
    first = next((each.params for each in trials if each.number == 0), {})
    return [
        Parameter(name, distribution_to_json(asked[name]), first.get(name, _plain(listed, name)), needs)
        for name in names
    ]


def _plain(listed: Mapping[str, Any], name: str) -> Any:
    return listed["default"] if name == listed["optuna_name"] else None


def _configuration(trial: FrozenTrial, names: set[str], epochs: int) -> Configuration:
    seconds = trial.duration.total_seconds() if trial.duration else 0.0
    return Configuration(
        {name: value for name, value in trial.params.items() if name in names},
        tuple(trial.intermediate_values[epoch] for epoch in range(1, epochs + 1)),
        seconds / epochs,
    )
