"""A trial's model as its file has it, with what the user's code knows of it."""

from __future__ import annotations

from dataclasses import dataclass

import keras
import keras_tuner

from search_spaces.base import compile_like
from tuner.champion.model.kept.kept_file import KeptFile, LeftOut
from tuner.champion.model.kept.users_objects import UsersObjects
from tuner.champion.model.known_values import known_value
from tuner.champion.model.subject import load_kept
from tuner.champion.records.request import ExportRequest
from tuner.data.prepared import PreparedData
from tuner.hyperparameters import TrialHyperParameters
from tuner.processes.user_code import users_modules
from tuner.trial.model import build_model, of_any_size


@dataclass(frozen=True, eq=False)
class KeptTrial:
    """A trial's model.

    Attributes:
        users: what the file may name.
        lost: what the model was compiled with and is not any more.
    """

    model: keras.Model
    file: KeptFile
    users: UsersObjects
    lost: tuple[LeftOut, ...]

    @property
    def computes_loss(self) -> bool:
        return all(each.part in ("metric", "optimizer") for each in self.lost)

    def without(self, metric: str) -> str:
        """Why the model does not compute a metric, for people, if it is for what was lost; else empty."""
        if not self.lost:
            return ""
        listed = ", ".join(map(str, self.lost))
        return (
            f"{metric} cannot be computed again, because {listed} cannot be loaded from the kept model and the space "
            "does not build a model that has it with the trial's hyperparameters any more"
        )


def load_kept_trial(request: ExportRequest, space: keras_tuner.HyperModel, data: PreparedData) -> KeptTrial:
    """Loads a trial's model, compiled as it was: what its file cannot tell of that, the space is asked for.

    A loss or a metric within a function, or one whose arguments are not in its ``get_config``, is in no file.

    Args:
        space: loaded, so that the user's modules are there.

    Raises:
        ExportError: the model cannot be loaded; which class or function is missing.
    """
    users = UsersObjects(*users_modules(request.spec.space.name))
    model, file, left_out = load_kept(request.subject, request.checkpoint, users)
    if left_out and _compile_as_built(model, request, space, data):
        left_out = ()
    return KeptTrial(model, file, users, left_out)


def _compile_as_built(
    model: keras.Model, request: ExportRequest, space: keras_tuner.HyperModel, data: PreparedData
) -> bool:
    spec = of_any_size(request.spec)
    try:
        hp = TrialHyperParameters(known_value, request.params, spec=spec.hyperparameters)
        built = build_model(space, hp, spec, data).network
        # Its weights are another model's, and the optimizer's state with them.
        compile_like(model, built, optimizer="sgd")
    except Exception as error:
        print(f"the space does not build the trial's model again: {type(error).__name__}: {error}", flush=True)
        return False
    return True
