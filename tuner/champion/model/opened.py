"""What every process of an export opens first, the data of the study; and what it says of an error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tuner.champion.records.request import ExportRequest
from tuner.errors import ExportError, TunerError

if TYPE_CHECKING:
    from tuner.data.prepared import PreparedData


def reason_of(error: Exception) -> str:
    """Why an export cannot go on, for people."""
    if isinstance(error, TunerError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'the model cannot be written'}: {error.strerror}"
    return named_reason(error)


def named_reason(error: Exception) -> str:
    """An error with the name of its class, on one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:1000]}"


def prepared_data(request: ExportRequest) -> PreparedData:
    """The data of the study, prepared on this node. Raises ExportError if it has changed since."""
    from tuner.data.cache import prepare

    data = prepare(request.spec.data, request.cache)
    if data.fingerprint != request.data_fingerprint:
        raise ExportError(
            f"the data has changed since study {request.study} was run (its fingerprint was "
            f"{request.data_fingerprint[:12]}, now it is {data.fingerprint[:12]}), so the score "
            "cannot be verified: restore the data as it was"
        )
    return data
