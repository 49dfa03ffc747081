"""Describes the HTTP API for its OpenAPI document: what the API is for, its groups of routes, answers and schemas."""

from __future__ import annotations

import itertools
import re
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
_WHERE = {
    "key": {"type": "string", "description": "The key that is wrong."},
    "message": {"type": "string", "description": "What is wrong with it."},
}
_FAILURE = {
    "type": "object",
    "description": "Why a request failed.",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "description": "Why the request failed.",
            "required": ["code", "message"],
            "properties": {
                "code": {"type": "string", "description": "The class of the error."},
                "message": {"type": "string", "description": "What is wrong, and what to do."},
                "where": {
                    "type": "array",
                    "description": "The keys that are wrong.",
                    "items": {"type": "object", "properties": _WHERE},
                },
                "details": {"description": "The details of the error, by name."},
            },
        }
    },
}
_FAILED_CONTENT = {"application/json": {"schema": {"$ref": "#/components/schemas/Failure"}}}
_FAILED: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "The request failed. `error` says why, and `where` names the keys that are wrong.",
        "content": _FAILED_CONTENT,
    }
}
_STATUSES = {
    400: "The request is not what it should be; `error` says why.",
    401: "A token is needed, or the one that was sent is unknown, revoked or expired.",
    403: "The token may not do this, or a page of another site asked for it.",
    404: "There is nothing of this name.",
    408: "The request took too long to arrive.",
    409: "The present state does not allow it; `error` says why.",
    413: "The request is too large.",
    421: "The service does not answer to this host name.",
    422: "Something in the request is wrong; `where` names the keys.",
    429: "The client sends too many requests; `Retry-After` says when to come again.",
    503: "The database or the artifacts are unavailable; `Retry-After` says when to come again.",
}
_ALWAYS = (421, 429, 503)
_OF_TOKENS = (401, 403)
_OF_NAMES = (404, 409, 422)
_OF_PARAMETERS = (400, 422)
_OF_CHANGES = (400, 403, 408, 409, 413, 422)
# FastAPI describes every success by the same two words, which it takes per route only.
_UNDESCRIBED = "Successful Response"
# The parts of a docstring, whose first lines say what the class is; and one attribute with its description.
_SECTION = re.compile(r"\n+(Attributes|Raises):\n")
_ATTRIBUTE = re.compile(r"^    (\w+): (.*(?:\n {8}.*)*)", re.MULTILINE)


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
        if self.openapi_schema is not None:
            return self.openapi_schema
        document = super().openapi()
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                for answer in operation["responses"].values():
                    if answer["description"] == _UNDESCRIBED:
                        answer["description"] = "The request succeeded."
                _tell_failures(path, method, operation)
        document["components"]["schemas"]["Failure"] = _FAILURE
        _describe(document["components"]["schemas"])
        return document


def _tell_failures(path: str, method: str, operation: dict[str, Any]) -> None:
    """Lists the statuses with which an operation can fail, before what stands for all others."""
    statuses = {
        *_ALWAYS,
        *(_OF_TOKENS if operation.get("security") else ()),
        *(_OF_NAMES if "{" in path else ()),
        *(_OF_PARAMETERS if operation.get("parameters") else ()),
        *(_OF_CHANGES if method != "get" else ()),
    }
    answers = operation["responses"]
    others = answers.pop("default", None)
    for status in sorted(statuses):
        answers[str(status)] = {"description": _STATUSES[status], "content": _FAILED_CONTENT}
    if others is not None:
        answers["default"] = others


def _describe(schemas: dict[str, Any]) -> None:
    """Gives the properties their descriptions, which pydantic leaves in the docstrings of the classes."""
    for schema in schemas.values():
        about, *sections = _SECTION.split(schema.get("description", ""))
        attributes = dict(zip(sections[::2], sections[1::2], strict=True)).get("Attributes", "")
        described = {name: _plain(text) for name, text in _ATTRIBUTE.findall(attributes)}
        if about:
            schema["description"] = _plain(about)
        for name, property_ in schema.get("properties", {}).items():
            if name in described:
                property_["description"] = described[name]
            elif "$ref" in property_:
                referred = schemas[property_["$ref"].rpartition("/")[2]]
                property_.setdefault("description", referred.get("description", ""))
    # A class has the properties of the one that it extends, whose docstring describes them.
    parts = [schema.get("properties", {}) for schema in schemas.values()]
    for part, base in itertools.permutations(parts, 2):
        if base.keys() <= part.keys():
            for name, property_ in base.items():
                part[name].setdefault("description", property_.get("description", ""))


def _plain(text: str) -> str:
    """A part of a docstring as readers of JSON expect it."""
    said = re.sub(r"\bNone\b", "null", text.replace("``", "`"))
    lines = re.sub(r"\n +", " ", said).strip()
    return lines[:1].upper() + lines[1:]
