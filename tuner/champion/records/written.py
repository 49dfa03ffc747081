"""What the exporting process says about what it wrote and scored."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from tuner.champion.records.champion_json import ChampionInput, OutputTensor


class Written(BaseModel):
    """An export, not yet proven.

    Attributes:
        data: the prepared data's folder.
        input, outputs: of ``serving_default``.
        raw_signature, raw_tensors: where the SavedModel gives the model's own outputs, and what they are called.
        raw_columns: the last dimension of the only one; 0 where there are several.
        unscorable: why no metric can be computed from them; None if one may be.
        drawn: for a model that does not take the data's inputs: a .npy file of examples for each of its inputs.
        versions: of keras and tensorflow.
    """

    model_config = ConfigDict(frozen=True)

    data: Path
    input: ChampionInput
    outputs: tuple[OutputTensor, ...]
    raw_signature: str
    raw_tensors: tuple[str, ...]
    raw_columns: int
    unscorable: str | None
    drawn: tuple[Path, ...]
    versions: dict[str, str]


class Scored(BaseModel):
    """The model's own metrics by name, or why they cannot be computed."""

    metrics: dict[str, float]
    failed: str | None = None
