"""What a converting process says about what it wrote."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class ConvertedFile(BaseModel):
    """A file, relative to the export, or why there is none. ``quantised``: its numbers are not float32."""

    model_config = ConfigDict(frozen=True)

    name: str
    file: str | None = None
    quantised: bool = False
    refused: str | None = None
    alternative: str | None = None


class Converted(BaseModel):
    """Attributes: ``takes``, ``gives``: the tensors of all of the files, in words."""

    model_config = ConfigDict(frozen=True)

    files: tuple[ConvertedFile, ...]
    takes: dict[str, str] = {}
    gives: str = ""
