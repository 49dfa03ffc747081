"""champion.json: what an exported folder holds, where it came from and how it was proven."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from tuner.errors import PredictError
from tuner.objective import Objective

RECORD = "champion.json"
KERAS_MODEL = "model.keras"
SAVED_MODEL = "saved_model"


class _Record(BaseModel):
    # JSON has no NaN: a metric that is one is written as a string, and read back as a number.
    model_config = ConfigDict(frozen=True, ser_json_inf_nan="strings")


class ImageInput(_Record):
    """What the model takes.

    Attributes:
        image_size: (height, width) that both signatures resize to.
        model_dtype, model_range: of the pixels that ``model.keras`` takes after that resizing.
        signatures: for each signature of the SavedModel, its inputs and outputs in words.
    """

    kind: Literal["image"] = "image"
    image_size: tuple[int, int]
    color_mode: Literal["rgb", "grayscale"]
    model_dtype: str = "float32"
    model_range: tuple[float, float] = (0.0, 255.0)
    signatures: dict[str, dict[str, str]]


class Verification(_Record):
    """How the exported files did on the raw validation files, in a process without this project.

    Attributes:
        verified: the study's value was reproduced within ``tolerance``.
        reason: why the value could not be computed again, if it could not; None if it was.
        metric: the objective.
        value: the objective from the exported SavedModel's outputs.
        recorded: the objective as the study recorded it.
        tolerance: how much ``value`` may differ from ``recorded``, absolute.
        accuracy: share of the examples whose most probable class is their label.
        examples: number of validation files.
        max_difference: the largest absolute difference between the outputs of the SavedModel for
            raw files and those of ``model.keras`` for the pixels that training saw; None if
            ``model.keras`` needs classes that only the search space's module defines.
        seconds: time that it took.
    """

    verified: bool
    reason: str | None = None
    metric: str
    value: float | None
    recorded: float
    tolerance: float
    accuracy: float
    examples: int
    max_difference: float | None
    seconds: float


class Champion(_Record):
    """An exported model and its provenance.

    Attributes:
        format: the version of this record.
        value: the objective that the study recorded.
        metrics: all metrics of the epoch that the model comes from.
        class_names: column ``i`` of the probabilities belongs to ``class_names[i]``.
        versions: of keras, tensorflow, keras-champion and python.
        exported_at: UTC, ISO 8601.
        files: SHA-256, in hexadecimal, of every other file in the folder, by relative path.
    """

    format: Literal[1] = 1
    study: str
    trial: int
    objective: Objective
    value: float
    params: dict[str, Any]
    metrics: dict[str, float]
    class_names: tuple[str, ...]
    input: ImageInput
    data_fingerprint: str
    versions: dict[str, str]
    exported_at: str
    files: dict[str, str]
    verification: Verification


def hash_files(folder: Path) -> dict[str, str]:
    """SHA-256 of every file under a folder but the record itself, by relative POSIX path.

    Raises:
        OSError: a file cannot be read.
    """
    hashes = {}
    for file in files_under(folder):
        name = file.relative_to(folder).as_posix()
        if name != RECORD:
            with file.open("rb") as content:
                hashes[name] = hashlib.file_digest(content, "sha256").hexdigest()
    return hashes


def files_under(folder: Path) -> Iterator[Path]:
    """Every file under a folder, in the order of their paths."""
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def write_record(champion: Champion, folder: Path) -> None:
    """Writes champion.json under a temporary name and renames it.

    Raises:
        OSError: the disk is full, for example.
    """
    temporary = folder / f".{RECORD}.writing"
    with temporary.open("w", encoding="utf-8") as file:
        file.write(champion.model_dump_json(indent=2) + "\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, folder / RECORD)


def read_champion(folder: Path) -> Champion:
    """Reads an export and checks that its files are those that were exported.

    Raises:
        PredictError: it is not an export, or it is damaged: which file, and what to do.
    """
    try:
        text = (folder / RECORD).read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        what = "has no champion.json" if folder.is_dir() else "is not a folder"
        raise PredictError(f"{folder} {what}: give a folder that `tuner export` wrote") from None
    except (OSError, UnicodeDecodeError) as error:
        raise PredictError(f"{folder / RECORD} cannot be read: {error}") from None
    try:
        champion = Champion.model_validate_json(text)
    except ValidationError as error:
        raise PredictError(f"{folder / RECORD} is damaged: {_first(error)}; export again") from None
    _check_files(champion, folder)
    return champion


def _first(error: ValidationError) -> str:
    item = error.errors()[0]
    place = ".".join(str(part) for part in item["loc"])
    return f"{place}: {item['msg']}" if place else item["msg"]


def _check_files(champion: Champion, folder: Path) -> None:
    try:
        found = hash_files(folder)
    except OSError as error:
        raise PredictError(f"{error.filename} cannot be read: {error.strerror}") from None
    for name, expected in champion.files.items():
        if found.get(name) != expected:
            what = "is missing" if name not in found else "is not the file that was exported"
            raise PredictError(f"{folder / name} {what}: export again")
