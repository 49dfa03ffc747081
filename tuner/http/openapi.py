"""Describes the HTTP API for its OpenAPI document: what the API is for, its groups of routes, and its answers."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from tuner.processes.versions import own_version

_ABOUT = (
    "Keras Champion searches for the best Keras model. All errors have the same shape: "
    '`{"error": {"code", "message", "where": [{"key", "message"}], "details"}}`.'
)
# What the names that group the routes of the API stand for.
_TAGS = {
    "studies": "Create, inspect, change and delete studies.",
    "trials": "Inspect the trials of a study.",
    "charts": "Fetch the data of a study's charts.",
    "events": "Follow the progress of a study live.",
    "champions": "Export, list, promote and download champions.",
    "workers": "List workers and the processes of pools.",
    "metrics": "Fetch the service's metrics for Prometheus.",
    "health": "Check whether the service is running and whether it can answer.",
}
_TEXT = {"type": "string"}
_FAILED: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "The request failed. `error` says why, and `where` names the keys that are wrong.",
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["error"],
                    "properties": {
                        "error": {
                            "type": "object",
                            "required": ["code", "message"],
                            "properties": {
                                "code": _TEXT,
                                "message": _TEXT,
                                "where": {
                                    "type": "array",
                                    "items": {"type": "object", "properties": {"key": _TEXT, "message": _TEXT}},
                                },
                                "details": {},
                            },
                        }
                    },
                }
            }
        },
    }
}
# FastAPI describes every success by the same two words, which it takes per route only.
_UNDESCRIBED = "Successful Response"


class DescribedApi(FastAPI):
    """An application whose OpenAPI document describes every answer, and errors as the service sends them."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(
            title="Keras Champion",
            version=own_version(),
            description=_ABOUT,
            openapi_tags=[{"name": name, "description": about} for name, about in _TAGS.items()],
            responses=_FAILED,
            docs_url=None,
            redoc_url=None,
            **settings,
        )

    def openapi(self) -> dict[str, Any]:
        document = super().openapi()
        for operations in document["paths"].values():
            for operation in operations.values():
                for answer in operation["responses"].values():
                    if answer["description"] == _UNDESCRIBED:
                        answer["description"] = "The request succeeded."
        return document
