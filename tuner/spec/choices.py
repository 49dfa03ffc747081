"""What is chosen by its name, with options: sampler, pruner, search space, and the study to start from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    JsonValue,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from tuner.spec.field_types import CODE, PositiveInt, Section, is_attribute, or_short_form, resolve_code

SAMPLERS = ("tpe", "random", "gp", "cmaes", "qmc", "nsga2", "grid", "brute_force")
PRUNERS = ("asha", "promote", "hyperband", "median", "percentile", "patient", "threshold", "none")
SPACES = ("image", "text", "structured")
# Optuna's CMA-ES knows one objective only.
ONE_OBJECTIVE = ("cmaes",)


class _Named(BaseModel):
    """A name with options. The name alone stands for the mapping: `tpe` is `{name: tpe}`."""

    model_config = ConfigDict(extra="allow", frozen=True)
    names: ClassVar[tuple[str, ...]] = ()
    name: str

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return or_short_form(handler(schema), "name")

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        if cls.names and name not in cls.names:
            raise ValueError(f"there is no {name!r}; choose one of {', '.join(cls.names)}")
        return name

    @property
    def options(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


class Sampler(_Named):
    """How the next configuration is chosen: a name, or a name with options of Optuna's sampler."""

    names = SAMPLERS
    name: str = Field(
        default="tpe", description="The sampler's name.", json_schema_extra={"enum": list[JsonValue](SAMPLERS)}
    )


class Pruner(_Named):
    """How trials are ended early: a name, or a name with options of Optuna's pruner."""

    names = PRUNERS
    name: str = Field(
        default="asha", description="The pruner's name.", json_schema_extra={"enum": list[JsonValue](PRUNERS)}
    )


class Space(_Named):
    """The models that are tried: a name, or a name with options of the search space."""

    name: str = Field(
        description="`image`, `text` or `structured`, or a hypermodel of your own: `package.module:HyperModelClass` or "
        "`path/to/file.py:HyperModelClass`. A function of `hp`, and a method such as `path/to/file.py:maker.build`, "
        "will do as well.",
        json_schema_extra={"pattern": rf"^({'|'.join(SPACES)}|{CODE})$"},
    )

    @property
    def is_built_in(self) -> bool:
        """Whether it is one of this project's."""
        return self.name in SPACES

    @model_validator(mode="before")
    @classmethod
    def _from_json(cls, value: Any) -> Any:
        return {key: _with_tuples(each) for key, each in value.items()} if isinstance(value, Mapping) else value

    @model_serializer(mode="wrap")
    def _as_written(self, handler: SerializerFunctionWrapHandler, info: SerializationInfo) -> dict[str, Any]:
        written: dict[str, Any] = handler(self)
        # JSON has only lists.
        return written | _without_tuples(self.options) if info.mode == "json" else written

    @field_validator("name")
    @classmethod
    def _place(cls, name: str, info: ValidationInfo) -> str:
        _, colon, attribute = name.rpartition(":")
        if not colon:
            if name not in SPACES:
                raise ValueError(
                    f"there is no space {name!r}; choose one of {', '.join(SPACES)}, or name a class of your own as "
                    "package.module:HyperModelClass or path/to/file.py:HyperModelClass"
                )
            return name
        if not is_attribute(attribute):
            raise ValueError(f"{attribute!r} after the colon is not a class name")
        return resolve_code(name, info)


_TUPLE = "tuple"


def _with_tuples(value: Any) -> Any:
    """An option as Python has it, of one as JSON and YAML write it: ``{"tuple": [1, 2]}`` is ``(1, 2)``."""
    if isinstance(value, Mapping):
        only = value.get(_TUPLE) if len(value) == 1 else None
        if isinstance(only, list | tuple):
            return tuple(map(_with_tuples, only))
        return {key: _with_tuples(each) for key, each in value.items()}
    return type(value)(map(_with_tuples, value)) if type(value) in (list, tuple) else value


def _without_tuples(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_tuples(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        listed = list(map(_without_tuples, value))
        return {_TUPLE: listed} if isinstance(value, tuple) else listed
    return value


def _one_alone(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


_Name = Annotated[str, Field(min_length=1)]


class WarmStart(Section):
    """Studies whose best trials are tried first. A name, or a list of names, stands for the mapping."""

    study: Annotated[
        tuple[_Name, ...], BeforeValidator(_one_alone, json_schema_input_type=_Name | tuple[_Name, ...])
    ] = Field(
        min_length=1,
        description="The name of another study in the same database, or a list of names. Trials are taken from them as "
        "far as their values fit this study's search space, and more of them from studies whose space and data are "
        "more like this one's.",
    )
    trials: PositiveInt = Field(
        default=5, description="The number of their best trials that are tried first, within this study's `trials`."
    )

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"study": value} if isinstance(value, str | list | tuple) else value

    @field_validator("study")
    @classmethod
    def _each_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        twice = [name for name in value if value.count(name) > 1]
        if twice:
            raise ValueError(f"{twice[0]} is named twice")
        return value

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return or_short_form(handler(schema), "study")
