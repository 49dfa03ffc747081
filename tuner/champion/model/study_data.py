"""The data that a study was run on, prepared on this node: what every process of an export opens first."""

from __future__ import annotations

from tuner.champion.records.request import ExportRequest
from tuner.data.cache import prepare
from tuner.data.prepared import PreparedData
from tuner.errors import ExportError


def prepared_data(request: ExportRequest) -> PreparedData:
    """The data of the study, prepared on this node. Raises ExportError if it has changed since."""
    data = prepare(request.spec.data, request.cache)
    if data.fingerprint != request.data_fingerprint:
        raise ExportError(
            f"the data has changed since study {request.study} was run (its fingerprint was "
            f"{request.data_fingerprint[:12]}, now it is {data.fingerprint[:12]}), so the score "
            "cannot be verified: restore the data as it was"
        )
    return data
