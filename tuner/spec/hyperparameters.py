"""The section ``hyperparameters``: what a spec has otherwise than its search space declares it."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    GetJsonSchemaHandler,
    SerializerFunctionWrapHandler,
    Strict,
    model_serializer,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from tuner.spec.field_types import Section
from tuner.spec.problems import contradiction

Number = Annotated[int, Strict()] | Annotated[float, Strict(), Field(allow_inf_nan=False)]
Value = Annotated[bool, Strict()] | Number | Annotated[str, Strict()]
_SHORT_FORM = {"type": ["boolean", "number", "string"]}
_BOUNDS = ("min_value", "max_value", "step", "sampling")


class Entry(Section):
    """What one hyperparameter takes. A value alone fixes it, and `{}` leaves it as the search space declares it."""

    value: Value | None = Field(
        default=None,
        description="The value that the hyperparameter is fixed at. The value alone stands for the mapping.",
        examples=[64],
    )
    values: Annotated[tuple[Value, ...], Field(min_length=1)] | None = Field(
        default=None,
        description="The values that are tried.",
        examples=[[32, 64], ["relu", "gelu"]],
    )
    min_value: Number | None = Field(
        default=None,
        description="The least number that is tried. By default it is the search space's.",
        examples=[0.1],
    )
    max_value: Number | None = Field(
        default=None,
        description="The greatest number that is tried. By default it is the search space's.",
        examples=[0.3],
    )
    step: Annotated[Number, Field(gt=0)] | None = Field(
        default=None,
        description="The distance between the numbers that are tried, or the factor between them if `sampling` is not "
        "`linear`. By default it is the search space's.",
        examples=[0.1],
    )
    sampling: Literal["linear", "log", "reverse_log"] | None = Field(
        default=None,
        description="The scale on which numbers are drawn: `linear`, `log` or `reverse_log`. By default it is the "
        "search space's.",
        examples=["log"],
    )
    default: Value | None = Field(
        default=None,
        description="The value of the first trial. By default it is the one that the search space gives, or the "
        "nearest one that is tried. If the search space gives none, the first trial draws a value as any other does.",
        examples=[0.2],
    )

    @model_validator(mode="before")
    @classmethod
    def _from_value(cls, written: Any) -> Any:
        return {"value": written} if isinstance(written, bool | int | float | str) else written

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        mapping = handler(schema)
        described: JsonSchemaValue = {name: mapping.pop(name) for name in ("title", "description") if name in mapping}
        return {**described, "anyOf": [_SHORT_FORM, mapping]}

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        given = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if self.value is not None and len(given) > 1:
            raise contradiction("a fixed value leaves nothing to try; give it alone", "value", *given[1:])
        bounds = [name for name in _BOUNDS if name in given]
        if self.values is not None and bounds:
            raise contradiction("give either the values or a range of numbers, not both", "values", *bounds)
        if self.values is not None and self.default is not None and self.default not in self.values:
            raise contradiction("must be one of the values", "default", "values")
        if self.min_value is not None and self.max_value is not None and self.min_value > self.max_value:
            raise contradiction("must not be greater than max_value", "min_value", "max_value")
        return self

    @model_serializer(mode="wrap")
    def _as_written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in handler(self).items() if value is not None}

    @property
    def is_range(self) -> bool:
        return any(getattr(self, name) is not None for name in _BOUNDS)


class Hyperparameters(Section):
    """What is otherwise than the search space declares it. By default everything is as it declares it."""

    entries: dict[str, Entry] = Field(
        default={},
        description="The hyperparameters that are fixed, narrowed or overridden, each by its name. A value fixes one; "
        "`values`, or `min_value` and `max_value`, say what is tried; `{}` leaves it as the search space declares it.",
        examples=[{"learning_rate": 0.001, "units": {"values": [32, 64]}, "dropout": {"max_value": 0.3}}],
    )
    tune_new_entries: bool = Field(
        default=True,
        description="Whether the hyperparameters that `entries` does not name are tuned. If not, each of them has its "
        "default.",
    )
    allow_new_entries: bool = Field(
        default=True,
        description="Whether the search space may declare hyperparameters that `entries` does not name. If not, such "
        "a search space is refused.",
    )

    @model_validator(mode="after")
    def _something_to_tune(self) -> Self:
        for key in ("tune_new_entries", "allow_new_entries"):
            if not self.entries and not getattr(self, key):
                raise contradiction(f"without entries {key} cannot be false; name those that are tuned", key)
        return self

    @property
    def changes_something(self) -> bool:
        return bool(self.entries)
