"""The JSON Schema of a spec: what editors complete and check, and what the service's OpenAPI document says of it."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import GetJsonSchemaHandler
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import CoreSchema

from tuner.spec.search_spec import SearchSpec


class _WithoutTitles(GenerateJsonSchema):
    """Leaves out the titles of keys, which only repeat their names."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def spec_schema() -> dict[str, Any]:
    """The JSON Schema, of draft 2020-12, that every spec satisfies, short forms included.

    It says what each key takes. What keys say together, such as that ``path`` and ``train`` exclude each other, is
    found when a spec is read.
    """
    described = SearchSpec.model_json_schema(schema_generator=_WithoutTitles)
    return {"$schema": GenerateJsonSchema.schema_dialect, **described, "title": "Search spec"}


def schema_text() -> str:
    """``spec_schema`` as the text of a file."""
    return json.dumps(spec_schema(), indent=2) + "\n"


class _AsASpec:
    """Has an OpenAPI document describe a mapping, which is not checked yet, as a spec."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(SearchSpec.__pydantic_core_schema__)


# A spec as it came: whoever takes it checks it, with errors that name its keys.
UncheckedSpec = Annotated[dict[str, Any], _AsASpec()]
