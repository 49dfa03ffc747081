"""Errors over HTTP: one table from classes to statuses, one shape for all of them.

As JSON ``{"error": {"code", "message", "where": [{"key", "message"}], "details": {}}}``; ``tuner.client`` makes the
same error of it. Browsers get a page that says the same.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import JSONResponse, Response

from storage import errors as storage_errors
from tuner import errors

RETRY_SECONDS = 5
_STORE = "the study's artifacts"
# Of a list in an error's details.
_MOST_NAMES = 100

# The nearest class counts: what is not here has its base's status.
STATUSES: Mapping[type[Exception], int] = {
    errors.TunerError: 400,
    errors.SpecError: 422,
    errors.DataError: 422,
    errors.SpaceError: 422,
    errors.PreflightError: 422,
    errors.PresetError: 422,
    errors.SpecMismatch: 409,
    errors.UnreadableSpec: 409,
    errors.VersionDrift: 409,
    errors.ExportError: 409,
    errors.RegistryError: 409,
    errors.LaunchError: 409,
    errors.ConfirmationError: 409,
    errors.CursorError: 400,
    errors.UnknownExport: 404,
    errors.NoAccess: 401,
    errors.ScopeTooSmall: 403,
    errors.TooSlow: 408,
    errors.TooLarge: 413,
    errors.OtherName: 421,
    errors.TooOften: 429,
    storage_errors.StorageError: 400,
    storage_errors.DatabaseUnavailable: 503,
    storage_errors.ArtifactsUnavailable: 503,
    storage_errors.SchemaTooNew: 503,
    storage_errors.SchemaTooOld: 503,
    storage_errors.NoDatabase: 404,
    storage_errors.UnknownStudy: 404,
    storage_errors.UnknownTrial: 404,
    storage_errors.UnknownChampion: 404,
    storage_errors.UnknownAlias: 404,
    storage_errors.UnknownToken: 404,
    storage_errors.MissingArtifact: 404,
    storage_errors.UnknownColumn: 400,
    storage_errors.StudyExists: 409,
    storage_errors.StudyInUse: 409,
    storage_errors.NothingLeft: 409,
    storage_errors.DamagedArtifact: 409,
}


def status_of(error: Exception) -> int:
    """The status of an error; 500 for one that is nobody's fault but ours."""
    return next((STATUSES[each] for each in type(error).__mro__ if each in STATUSES), 500)


@dataclass(frozen=True)
class Fault:
    """What went wrong with a request, as it is told.

    Attributes:
        code: a word for programs.
        message: one line for people.
        where: the keys of a spec or a request that are wrong, ``{"key", "message"}`` each.
        details: what the error knows besides.
        headers: of the answer.
    """

    status: int
    code: str
    message: str
    where: tuple[Mapping[str, str], ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def as_json(self, **beside: str) -> Response:
        """The answer; ``beside`` is what stands beside the error, for programs that look for it there."""
        said = {"code": self.code, "message": self.message, "where": list(self.where), "details": dict(self.details)}
        return JSONResponse({"error": said, **beside}, self.status, dict(self.headers))


def fault_of(error: Exception) -> Fault:
    """An error of this project as it is told; of any other only that the service failed."""
    status = status_of(error)
    if status == 500:
        return Fault(500, "InternalError", "the service failed; its log says why")
    error = _without_places(error)
    where = tuple({"key": each.key, "message": each.message} for each in problems_of(error))
    headers = {}
    if status == 503:
        headers["Retry-After"] = str(RETRY_SECONDS)
    if isinstance(error, errors.TooOften):
        headers["Retry-After"] = str(error.seconds)
    if isinstance(error, errors.NoAccess):
        headers["WWW-Authenticate"] = "Bearer"
    return Fault(status, type(error).__name__, str(error), where, _details(error), headers)


def _without_places(error: Exception) -> Exception:
    """The same error, if it says where the operator keeps things, without that; the log has it."""
    match error:
        case storage_errors.DatabaseUnavailable():
            return type(error)("of the service", "it is unavailable; the service recovers by itself once it is back")
        case storage_errors.SchemaTooNew() | storage_errors.SchemaTooOld():
            return type(error)("of the service", error.found, error.known)
        case storage_errors.ArtifactsUnavailable():
            return type(error)("the service's store", "it is unavailable or refused; the service's log says why")
        case storage_errors.MissingArtifact():
            return type(error)(_STORE, error.key)
        case storage_errors.DamagedArtifact():
            return type(error)(_STORE, error.key, error.reason)
    return error


def problems_of(error: Exception) -> tuple[errors.Problem, ...]:
    """What is wrong with a spec or a request, each with its key; empty for any other error."""
    if isinstance(error, errors.SpecError):
        return error.problems
    if isinstance(error, errors.SpecMismatch | errors.UnreadableSpec):
        return tuple(errors.Problem(key, str(error)) for key in error.keys)
    if isinstance(error, errors.RefusedKey):
        return (errors.Problem(error.key, str(error).removeprefix(f"{error.key}: ")),)
    return ()


def _details(error: Exception) -> dict[str, Any]:
    """The error's attributes, as far as they are JSON."""
    found = {}
    for name, value in vars(error).items():
        if name == "problems":
            continue
        if isinstance(value, list | tuple):
            value = value[:_MOST_NAMES]
        try:
            found[name] = json.loads(json.dumps(value))
        except (TypeError, ValueError):
            continue
    return found
