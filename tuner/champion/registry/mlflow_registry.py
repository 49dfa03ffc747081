"""A champion in an MLflow registry: a run with its files, and a version of a model that leads to them."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tuner.champion.records.champion_json import Champion
from tuner.champion.registry.mlflow_model import DIGEST, EXPORT, metrics, parameters, tags, write_mlmodel
from tuner.champion.registry.mlflow_server import Server
from tuner.errors import RegistryError

if TYPE_CHECKING:
    from mlflow import MlflowClient

_ARTIFACTS = "champion"
# Of these MLflow reads latest and v1 as versions.
_ALIAS = re.compile(r"(?!latest\Z|v\d+\Z)[A-Za-z0-9_-]{1,255}", re.IGNORECASE)


@dataclass(frozen=True)
class MlflowVersion:
    """A champion as MLflow has it.

    Attributes:
        model: the registered model's name.
        version: of the model, counted by MLflow.
        run_id: of the run that has the files.
        uri: of the server, without credentials.
        new: it was not there before.
    """

    model: str
    version: int
    run_id: str
    uri: str
    new: bool


@dataclass(frozen=True)
class Registration:
    """What shall be registered.

    Attributes:
        study, version: of the champion.
        digest: of its files: by it MLflow's version is recognised.
        fetch: writes the export to a folder, every file checked, and gives what is believed of its record.
        model: the registered model's name.
        alias: to point to it; None for none.
    """

    study: str
    version: int
    digest: str
    fetch: Callable[[Path], Champion]
    model: str
    alias: str | None = None


def register_in_mlflow(server: Server, wanted: Registration) -> MlflowVersion:
    """Registers a champion, unless a version of the model has its digest, and points the alias to it.

    Raises:
        RegistryError: MLflow is not installed, cannot be reached or refuses; or the champion cannot be fetched.
    """
    if wanted.alias is not None and not _ALIAS.fullmatch(wanted.alias):
        raise RegistryError(
            f"{wanted.alias!r} cannot be an alias in MLflow: use letters, digits, - and _, but not latest or v1"
        )
    with server.opened() as client:
        _make_model(client, wanted.model)
        version = _registered(client, wanted)
        new = version is None
        if version is None:
            version = _register(client, wanted)
        if wanted.alias is not None:
            client.set_registered_model_alias(wanted.model, wanted.alias, str(version[0]))
    return MlflowVersion(wanted.model, *version, server.uri, new)


def _make_model(client: MlflowClient, name: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code == "INVALID_PARAMETER_VALUE":
            raise RegistryError(f"MLflow refuses the model name {name!r}; choose a --name without / and :") from None
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _registered(client: MlflowClient, wanted: Registration) -> tuple[int, str] | None:
    # A digest has nothing to quote, a name may.
    for found in client.search_model_versions(f"tags.`{DIGEST}` = '{wanted.digest}'"):
        if found.name == wanted.model and found.status != "FAILED_REGISTRATION":
            return int(found.version), found.run_id
    return None


def _register(client: MlflowClient, wanted: Registration) -> tuple[int, str]:
    with tempfile.TemporaryDirectory(prefix="champion-") as temporary:
        folder = Path(temporary, _ARTIFACTS)
        champion = wanted.fetch(folder / EXPORT)
        told = tags(champion, wanted.version, wanted.digest)
        run = client.create_run(
            _experiment(client, wanted.study), run_name=f"{wanted.study}@{wanted.version}", tags=told
        )
        run_id = run.info.run_id
        ended = "FAILED"
        try:
            _tell(client, run_id, champion)
            write_mlmodel(folder, champion, run_id, _ARTIFACTS)
            client.log_artifacts(run_id, str(folder), _ARTIFACTS)
            source = f"{run.info.artifact_uri}/{_ARTIFACTS}"
            made = client.create_model_version(wanted.model, source, run_id, tags=told, await_creation_for=0)
            ended = "FINISHED"
        finally:
            _end(client, run_id, ended)
    return int(made.version), run_id


def _experiment(client: MlflowClient, study: str) -> str:
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(study)
    if found is None:
        try:
            return str(client.create_experiment(study))
        except MlflowException as error:
            # Another registration was first.
            found = client.get_experiment_by_name(study)
            if error.error_code != "RESOURCE_ALREADY_EXISTS" or found is None:
                raise
    if found.lifecycle_stage != "active":
        raise RegistryError(
            f"the experiment {study} was deleted in MLflow: `mlflow experiments restore -x {found.experiment_id}` "
            "brings it back"
        )
    return str(found.experiment_id)


def _tell(client: MlflowClient, run_id: str, champion: Champion) -> None:
    for name, value in parameters(champion).items():
        client.log_param(run_id, name, value)
    for name, number in metrics(champion).items():
        client.log_metric(run_id, name, number)


def _end(client: MlflowClient, run_id: str, status: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.set_terminated(run_id, status)
    except MlflowException:
        # What went wrong before it is what counts.
        if status == "FINISHED":
            raise
