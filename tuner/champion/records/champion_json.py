"""champion.json: what an exported folder holds, where it came from and how it was proven."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from storage.files import sha256_of
from tuner.champion.records.assessment import Assessment
from tuner.champion.records.confusion import Confusion
from tuner.champion.records.ensemble import Ensemble
from tuner.champion.records.format_report import FormatReport
from tuner.champion.records.retraining import Retraining
from tuner.data.bad_files import printable
from tuner.errors import PredictError
from tuner.spec.objective import Objective

RECORD = "champion.json"
KERAS_MODEL = "model.keras"
SAVED_MODEL = "saved_model"
_FORMAT = 2
NEEDED = (KERAS_MODEL, f"{SAVED_MODEL}/saved_model.pb")
# Of the rest of the record.
_COMPUTED = ("checksum", "signature")
_DISTRUST = (
    "it is not as `tuner export` wrote it; export the model again, or fetch it again from where it is registered"
)


class _Record(BaseModel):
    # JSON has no NaN: a metric that is one is written as a string, and read back as a number.
    model_config = ConfigDict(frozen=True, ser_json_inf_nan="strings")


class ImageInput(_Record):
    """Image files.

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

    @property
    def channels(self) -> int:
        """Of the pixels that ``model.keras`` takes."""
        return 3 if self.color_mode == "rgb" else 1


class InputTensor(_Record):
    """One tensor that ``serving_default`` takes.

    Attributes:
        tensor: its name in the signature.
        name: what the data and ``model.keras`` call it: a column, a key, a position; empty for a single input.
        kind: ``array``, ``image``, ``text``, ``number``, ``integer`` or ``category``.
        dtype: as TensorFlow names it.
        shape: of one example; None where any length will do.
        missing: the value that stands for a missing one; None where every value is needed.
    """

    tensor: str
    name: str
    kind: str
    dtype: str
    shape: tuple[int | None, ...]
    missing: str | int | None = None


class TensorInput(_Record):
    """Named tensors.

    Attributes:
        kind: ``text``: one string per example; ``table``: a tensor per column; ``arrays``; ``model``: what an exported
            model takes that takes other inputs than the data, such as a generator.
        structure: how ``model.keras`` takes them: ``single``, ``tuple`` or ``dict``, by name; where those are nested,
            JSON in which a number stands for the tensor of that place.
        column: of a CSV or Parquet file that holds the texts; tables' columns are the tensors' names.
        delimiter: of such a CSV file.
        signatures: as of an ``ImageInput``.
    """

    kind: Literal["text", "table", "arrays", "model"]
    structure: str
    tensors: tuple[InputTensor, ...]
    column: str | None = None
    delimiter: str = ","
    signatures: dict[str, dict[str, str]]


ChampionInput = Annotated[ImageInput | TensorInput, Field(discriminator="kind")]


class OutputTensor(_Record):
    """One tensor that ``serving_default`` gives; ``shape`` is of one example."""

    tensor: str
    dtype: str
    shape: tuple[int | None, ...]


class LearnedTarget(_Record):
    """What the model learned to predict; label ``i`` is ``class_names[i]``."""

    name: str
    task: str
    class_names: tuple[str, ...] = ()


class Verification(_Record):
    """How the exported files did on the raw validation files, in a process without this project.

    Attributes:
        verified: the study's value was reproduced within ``tolerance``.
        reason: why the value could not be computed again, if it could not; None if it was.
        metric: the objective.
        value: the objective from the exported SavedModel's outputs.
        recorded: the objective as the study recorded it.
        tolerance: how much ``value`` may differ from ``recorded``, absolute.
        accuracy: share of the examples whose most probable class is their label; None for other tasks.
        confusion: which classes were taken for which; None for other tasks.
        examples: their number.
        source: what the SavedModel was given: the raw files, or rows of which file.
        max_difference: the largest absolute difference between the outputs of the SavedModel for
            raw examples and those of ``model.keras`` for what training saw.
        seconds: time that it took.
    """

    verified: bool
    reason: str | None = None
    metric: str
    value: float | None
    recorded: float
    tolerance: float
    accuracy: float | None
    confusion: Confusion | None = None
    examples: int
    source: str = "raw validation files"
    max_difference: float | None
    seconds: float


class Champion(_Record):
    """An exported model and its provenance.

    Attributes:
        format: the version of this record. 1 had image classifiers only.
        value: the objective that the study recorded, or that a retrained model or an ensemble scored on the split that
            ``verification`` names.
        metrics: all metrics of the epoch that the model comes from.
        task: ``classification``, ``multi_label``, ``regression``, ``none`` without labels, or ``several`` targets.
        class_names: column ``i`` of the probabilities belongs to ``class_names[i]``.
        targets: what was learned; each target has class names of its own.
        outputs: what ``serving_default`` gives.
        versions: of keras, tensorflow, keras-champion and python.
        exported_at: UTC, ISO 8601.
        formats: how each exported file did, and which could not be written; empty in exports of an earlier version.
        files: SHA-256, in hexadecimal, of every other file in the folder, by relative path.
        spec: the study's, passwords hidden.
        splits: number of examples by split.
        hardware: where it was exported.
        assessment: how the trial was chosen among the best; None where its score cannot be computed again.
        ensemble: of which trials it is an average; None for a single one. ``params`` are then the heaviest one's.
        single_because: why it is no average; None where none was asked for, or it is one.
        retraining: how the trial did when it was trained again.
        checksum: SHA-256 of what else is in the record, by which a change of it is noticed before another export takes
            its place; None in exports of an earlier version.
        signature: by which the study's database knows that it has proven this export; None without one.
    """

    format: Literal[2] = 2
    study: str
    trial: int
    objective: Objective
    value: float
    params: dict[str, Any]
    metrics: dict[str, float]
    task: str
    class_names: tuple[str, ...]
    targets: tuple[LearnedTarget, ...]
    input: ChampionInput
    outputs: tuple[OutputTensor, ...]
    data_fingerprint: str
    versions: dict[str, str]
    exported_at: str
    files: dict[str, str]
    formats: tuple[FormatReport, ...] = ()
    verification: Verification
    spec: dict[str, Any] = {}
    splits: dict[str, int] = {}
    hardware: str = ""
    assessment: Assessment | None = None
    ensemble: Ensemble | None = None
    single_because: str | None = None
    retraining: Retraining | None = None
    checksum: str | None = None
    signature: str | None = None


def hash_files(folder: Path) -> dict[str, str]:
    """SHA-256 of every file under a folder but the record itself, by relative POSIX path.

    Raises:
        OSError: a file cannot be read.
    """
    names = (file.relative_to(folder).as_posix() for file in files_under(folder))
    return {name: sha256_of(folder / name) for name in names if name != RECORD}


def files_under(folder: Path) -> Iterator[Path]:
    """Every file under a folder, in the order of their paths."""
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def is_inside(name: str) -> bool:
    """Whether a relative POSIX path names something in the folder that it is relative to."""
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts and "\0" not in name


def write_record(champion: Champion, folder: Path) -> Champion:
    """Writes champion.json, with its checksum, under a temporary name and renames it. Gives what it says.

    Raises:
        OSError: the disk is full, for example.
    """
    content = content_of(json.loads(champion.model_dump_json()))
    champion = champion.model_copy(update={"checksum": hashlib.sha256(content).hexdigest()})
    temporary = folder / f".{RECORD}.writing"
    with temporary.open("w", encoding="utf-8") as file:
        file.write(champion.model_dump_json(indent=2) + "\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, folder / RECORD)
    return champion


def content_of(written: Mapping[str, Any]) -> bytes:
    """What a record says, as its file has it, but for what is computed from that: to be signed, or hashed."""
    said = {name: value for name, value in written.items() if name not in _COMPUTED}
    return json.dumps(said, sort_keys=True).encode()


def is_unchanged(written: Mapping[str, Any]) -> bool:
    """Whether a record says what it said when it was written. Those of earlier versions cannot tell."""
    checksum = written.get("checksum")
    return checksum is None or checksum == hashlib.sha256(content_of(written)).hexdigest()


def read_champion(folder: Path) -> Champion:
    """``read_as_written``, for the record alone."""
    return read_as_written(folder)[0]


def read_as_written(folder: Path) -> tuple[Champion, Mapping[str, Any]]:
    """Reads an export and checks that its files are those that were exported: all of them and no others.

    Returns:
        Its record, and the record's JSON as its file has it, whichever version wrote it.

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
        written = json.loads(text)
        champion = Champion.model_validate(_current(written, folder / RECORD))
    except ValidationError as error:
        raise PredictError(f"{folder / RECORD} is damaged: {_first(error)}; export again") from None
    except ValueError as error:
        raise PredictError(f"{folder / RECORD} is damaged: {error}; export again") from None
    _check_files(champion, folder)
    return champion, written


def _current(record: Any, file: Path) -> Any:
    """A record as this version writes it."""
    if not isinstance(record, dict):
        return record
    if isinstance(record.get("format"), int) and record["format"] > _FORMAT:
        raise PredictError(
            f"{file} was written by a later version of keras-champion; upgrade keras-champion on this machine"
        )
    if record.get("format") != 1:
        return record
    names = record.get("class_names", ())
    return record | {
        "format": _FORMAT,
        "task": "classification",
        "targets": [{"name": "", "task": "classification", "class_names": names}],
        "outputs": [{"tensor": "probabilities", "dtype": "float32", "shape": [len(names)]}],
    }


def _first(error: ValidationError) -> str:
    item = error.errors()[0]
    place = ".".join(str(part) for part in item["loc"])
    return f"{place}: {item['msg']}" if place else item["msg"]


def _check_files(champion: Champion, folder: Path) -> None:
    listed = champion.files
    if outside := [name for name in listed if not is_inside(name)]:
        raise PredictError(f"{folder / RECORD} lists {outside[0]!r}, which is outside of the folder: {_DISTRUST}")
    if unlisted := [name for name in NEEDED if name not in listed]:
        raise PredictError(f"{folder / RECORD} does not list {unlisted[0]}, which every export has: {_DISTRUST}")
    try:
        _refuse_links(folder)
        found = hash_files(folder)
    except OSError as error:
        raise PredictError(f"{error.filename} cannot be read: {error.strerror}") from None
    if added := sorted(found.keys() - listed.keys()):
        more = f" ({len(added) - 1} more like it)" if len(added) > 1 else ""
        raise PredictError(
            f"{_shown(folder / added[0])} is not one of the exported files{more}: remove it, or export again"
        )
    for name, expected in listed.items():
        if found.get(name) != expected:
            what = "is missing" if name not in found else "is not the file that was exported"
            raise PredictError(f"{_shown(folder / name)} {what}: export again")


def _refuse_links(folder: Path) -> None:
    """What a link leads to can change at any time; what is no regular file, such as a pipe, has no content to hash."""
    for parent, folders, files in os.walk(folder, onerror=raised):
        for path in (Path(parent, name) for name in (*folders, *files)):
            if path.is_symlink():
                raise PredictError(
                    f"{_shown(path)} is a symbolic link, and an export has only files of its own: copy it with what "
                    "the links lead to, for example by cp -rL"
                )
            if not (path.is_dir() or path.is_file()):
                raise PredictError(f"{_shown(path)} is neither a file nor a folder; remove it")


def raised(error: OSError) -> None:
    """For ``os.walk``, which else passes over what it cannot read."""
    raise error


def _shown(path: Path) -> str:
    return printable(str(path))
