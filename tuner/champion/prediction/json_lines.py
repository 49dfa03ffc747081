"""Examples written as JSON, one a line."""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from search_spaces.statistics import INTEGER_MISSING
from tuner.champion.model.tensors import IMAGE_BYTES
from tuner.champion.records.champion_json import ChampionInput, ImageInput, InputTensor, TensorInput
from tuner.data.bad_files import printable, unreadable, unreadable_reason

_FILE, _BASE64, _TEXT = "file", "base64", "text"
_LARGEST = float(np.finfo(np.float32).max)
# As of the cells of a table: more digits are not read as an integer.
_INTEGER_DIGITS = 18
_SHOWN = 80


class BadLine(Exception):
    """A line that is no example; the text says why, in one line."""


@dataclass(frozen=True, eq=False)
class LineExample:
    """What a line says.

    Attributes:
        tensors: the values by tensor.
        file: of a line that names one.
    """

    tensors: dict[str, Any]
    file: str | None = None


def example_of(line: bytes, takes: ChampionInput) -> LineExample:
    """The example on a line.

    Images are ``{"file": path}``, or ``{"base64": content}``; texts a string or ``{"text": string}``; rows of a table
    an object with all of its columns, null where a value is missing; arrays nested lists, by name where there are
    several.

    Raises:
        BadLine: it is not JSON, or not what the model takes.
    """
    given = _parsed(line)
    if isinstance(takes, ImageInput):
        return LineExample({IMAGE_BYTES: _image(given)}, given.get(_FILE))
    if takes.kind == "text":
        (tensor,) = takes.tensors
        return LineExample({tensor.tensor: _text(given, (_TEXT, takes.column or _TEXT))})
    if takes.kind == "arrays" and len(takes.tensors) == 1 and not isinstance(given, dict):
        (tensor,) = takes.tensors
        return LineExample({tensor.tensor: _array(given, tensor)})
    return LineExample(_by_name(given, takes))


def _parsed(line: bytes) -> Any:
    try:
        return json.loads(line.decode("utf-8"), object_pairs_hook=_object)
    except UnicodeDecodeError as error:
        raise BadLine(f"is not UTF-8 text: {error.reason} at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise BadLine(f"is not JSON: {error.msg} at character {error.pos + 1}") from None
    except RecursionError:
        raise BadLine("is not JSON that can be used: it is nested too deeply") from None
    except ValueError as error:
        raise BadLine(f"is not JSON that can be used: {' '.join(str(error).split())}") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise BadLine(f"has the key {next(_shown(name) for name in names if names.count(name) > 1)} twice")
    return found


def _image(given: Any) -> bytes:
    wanted = f'{{"{_FILE}": path}} or {{"{_BASE64}": content}}'
    if not isinstance(given, dict) or len(given) != 1:
        raise BadLine(f"holds {_shown(given)}, not {wanted}")
    ((key, value),) = given.items()
    if key not in (_FILE, _BASE64, IMAGE_BYTES):
        raise BadLine(f"has the unknown key {_shown(key)}: give {wanted}")
    if not isinstance(value, str):
        raise BadLine(f"{key} holds {_shown(value)}, not a string")
    return _content(value) if key == _FILE else _decoded(key, value)


def _content(path: str) -> bytes:
    try:
        if reason := unreadable(Path(path)):
            raise BadLine(f"{printable(path)} {reason}")
        return Path(path).read_bytes()
    except OSError as error:
        raise BadLine(f"{printable(path)} {unreadable_reason(error)}") from None
    except ValueError as error:
        raise BadLine(f"{printable(path)} is not a path: {error}") from None


def _decoded(key: str, value: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadLine(f"{key} is not base64: {error}") from None


def _text(given: Any, keys: Sequence[str]) -> bytes:
    if isinstance(given, dict):
        key = next((key for key in keys if key in given), None)
        _check_keys(given, [key or keys[-1]])
        given = given[key]
    return _utf8(given, "it")


def _utf8(value: Any, called: str) -> bytes:
    if not isinstance(value, str):
        raise BadLine(
            f"{called} holds {_shown(value)}, not a string" if called != "it" else f"is not text: {_shown(value)}"
        )
    try:
        return value.encode("utf-8")
    except UnicodeEncodeError:
        raise BadLine(f"{called} has half a surrogate pair, which is no text") from None


def _by_name(given: Any, takes: TensorInput) -> dict[str, Any]:
    named = {each.name or each.tensor: each for each in takes.tensors}
    if not isinstance(given, dict):
        raise BadLine(f"holds {_shown(given)}, not an object with {', '.join(map(_shown, named))}")
    if takes.kind == "arrays":
        # What TensorFlow calls them does as well.
        by_tensor = {each.tensor: name for name, each in named.items()}
        given = {key if key in named else by_tensor.get(key, key): value for key, value in given.items()}
    _check_keys(given, list(named))
    read = _array if takes.kind == "arrays" else _cell
    return {each.tensor: read(given[name], each) for name, each in named.items()}


def _check_keys(given: Mapping[str, Any], wanted: Sequence[str]) -> None:
    if missing := [name for name in wanted if name not in given]:
        raise BadLine(
            f"has no {', '.join(map(_shown, missing))}; its keys are {', '.join(map(_shown, given)) or 'none'}"
        )
    if unknown := [name for name in given if name not in wanted]:
        raise BadLine(f"has the unknown key {_shown(unknown[0])}: the model takes {', '.join(map(_shown, wanted))}")


def _cell(value: Any, tensor: InputTensor) -> Any:
    if value is None and tensor.missing is not None:
        return {"number": math.nan, "integer": INTEGER_MISSING}.get(tensor.kind, b"")
    return _CELLS.get(tensor.kind, _string)(value, f"column {tensor.name!r}")


def _number(value: Any, called: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > _LARGEST:
        raise BadLine(f"{called} holds {_shown(value)}, not a number; use null for a missing one")
    return float(value)


def _integer(value: Any, called: str) -> int:
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if isinstance(value, bool) or not whole or abs(value) >= 10**_INTEGER_DIGITS:
        raise BadLine(f"{called} holds {_shown(value)}, not an integer; use null for a missing one")
    return int(value)


def _string(value: Any, called: str) -> bytes:
    return _utf8(value, called)


def _category(value: Any, called: str) -> bytes:
    # As of the cells of a file.
    return _utf8(value.strip() if isinstance(value, str) else value, called)


_CELLS: dict[str, Callable[[Any, str], Any]] = {"number": _number, "integer": _integer, "category": _category}


def _array(value: Any, tensor: InputTensor) -> Any:
    called = tensor.name or tensor.tensor
    array = _strings(value, called) if tensor.dtype == "string" else _numbers(value, called, np.dtype(tensor.dtype))
    fits = len(array.shape) == len(tensor.shape)
    if not fits or any(size not in (None, given) for given, size in zip(array.shape, tensor.shape, strict=True)):
        raise BadLine(f"{called} has the shape {array.shape}, not {tensor.shape}")
    return array


def _numbers(value: Any, called: str, dtype: np.dtype[Any]) -> Any:
    try:
        array = np.asarray(value)
    except ValueError:
        raise BadLine(f"{called} holds lists of different lengths") from None
    if array.size == 0:
        return array.astype(dtype)
    if array.dtype.kind not in ("b" if dtype.kind == "b" else "iuf"):
        raise BadLine(f"{called} holds something that is not a {'boolean' if dtype.kind == 'b' else 'number'}")
    with np.errstate(over="ignore", invalid="ignore"):
        found = array.astype(dtype)
    if dtype.kind in "iu" and not np.array_equal(found, array):
        raise BadLine(f"{called} holds numbers that are not {dtype.name}")
    return found


def _strings(value: Any, called: str) -> Any:
    array = np.asarray(value, dtype=object)
    return np.array([_utf8(each, called) for each in array.reshape(-1)], dtype=object).reshape(array.shape)


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return printable(text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}...")
