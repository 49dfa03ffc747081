"""What the OpenAPI document tells its readers, who do not know Python."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tuner.http.app import create_app
from tuner.http.settings import ServiceSettings


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return create_app(ServiceSettings(storage="sqlite:///absent.db")).openapi()


def _properties(node: Any, place: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(node, dict):
        for name, found in node.get("properties", {}).items():
            yield f"{place}.{name}", found
    if isinstance(node, dict | list):
        for key, inner in node.items() if isinstance(node, dict) else enumerate(node):
            yield from _properties(inner, f"{place}/{key}")


def test_every_property_has_a_description_of_its_own(document: dict[str, Any]) -> None:
    found = list(_properties(document, ""))
    assert len(found) > 300
    assert not [place for place, each in found if not each.get("description")]


def test_descriptions_are_not_docstrings(document: dict[str, Any]) -> None:
    text = json.dumps(document)
    assert not [each for each in ("Attributes:", "Raises:", "Args:", "``") if each in text]
    descriptions = [each["description"] for _, each in _properties(document["components"], "")]
    descriptions += [each["description"] for each in document["components"]["schemas"].values()]
    assert not [each for each in descriptions if "None" in each or each[0].islower() or not each.endswith(".")]


def test_docstrings_describe_what_is_inherited_or_spans_lines(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert schemas["LiveWorker"]["properties"]["host"]["description"] == "Name of the machine that the worker runs on."
    assert schemas["TrialSummary"]["description"] == "One trial."
    assert schemas["TrialSummary"]["properties"]["violation"]["description"] == (
        "How far the trial is beyond the constraints, in shares of their bounds; 0 if it keeps them, null if there are "
        "none."
    )


def test_titles_say_what_a_route_does(document: dict[str, Any]) -> None:
    paths = document["paths"]
    assert paths["/api/v1/studies/{study}/stop"]["post"]["summary"] == "Stop a study"
    titles = [operation["summary"] for operations in paths.values() for operation in operations.values()]
    assert len(titles) == len(set(titles))
    # FastAPI makes titles of the names of functions, each word of which begins with a capital letter.
    assert not [each for each in titles if " " not in each or each == each.title()]


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("/metrics", "text/plain"),
        ("/api/v1/studies/{study}/trials/{number}/log", "text/plain"),
        ("/api/v1/studies/{study}/workers/{worker}/log", "text/plain"),
        ("/api/v1/studies/{study}/events", "text/event-stream"),
        ("/api/v1/champions/{reference}/download", "application/x-tar"),
    ],
)
def test_answers_that_are_no_json_name_their_type(document: dict[str, Any], path: str, media_type: str) -> None:
    assert list(document["paths"][path]["get"]["responses"]["200"]["content"]) == [media_type]
