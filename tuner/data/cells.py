"""What cells of a table mean: text, a number, a missing value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow
import pyarrow.compute as compute

from search_spaces.statistics import INTEGER_MISSING

# Beside empty cells, what stands for a missing number; case does not matter.
MISSING_NUMBERS = ("", "na", "n/a", "#n/a", "<na>", "nan", "-nan", "null", "none", "?")

_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_INFINITE = r"^[+-]?(?i:inf|infinity)$"
_INTEGER = r"^[+-]?\d{1,18}$"
_WHOLE = r"^[+-]?\d{1,18}(\.0*)?$"
_LARGEST = float(np.finfo(np.float32).max)

Mask = npt.NDArray[np.bool_]


def decoded(cells: Any) -> tuple[Any, Mask | None]:
    """Strings (n,) of binary (n,), and which of them are not UTF-8 and came out empty; None for none of them."""
    try:
        return cells.cast(pyarrow.string()), None
    except pyarrow.ArrowInvalid:
        texts = [_decoded(cell) for cell in cells.to_pylist()]
        undecodable = np.array([text is None for text in texts])
        return pyarrow.array([text or "" for text in texts], pyarrow.string()), undecodable


def _decoded(cell: bytes) -> str | None:
    try:
        return cell.decode("utf-8")
    except UnicodeDecodeError:
        return None


@dataclass(frozen=True, eq=False)
class Numbers:
    """Strings read as numbers.

    Attributes:
        values: shape (n,), float64: NaN for what is missing or no number.
        missing: shape (n,).
        other: shape (n,): neither missing nor a number.
        infinite: shape (n,): infinite, or beyond what float32 can hold.
        whole: whether all that are there are written as integers.
    """

    values: npt.NDArray[np.float64]
    missing: Mask
    other: Mask
    infinite: Mask
    whole: bool


def numbers(strings: Any) -> Numbers:
    """Reads strings (n,); white space around them does not count."""
    bare = compute.utf8_trim_whitespace(strings)
    finite = compute.match_substring_regex(bare, _NUMBER)
    is_number = compute.or_(finite, compute.match_substring_regex(bare, _INFINITE))
    missing = compute.is_in(compute.utf8_lower(bare), value_set=pyarrow.array(MISSING_NUMBERS))
    readable = compute.if_else(is_number, bare, pyarrow.scalar(None, pyarrow.string()))
    values = compute.cast(readable, pyarrow.float64()).to_numpy(zero_copy_only=False)
    whole = compute.all(compute.or_(missing, compute.match_substring_regex(bare, _INTEGER)))
    return Numbers(
        values=values,
        missing=_mask(missing),
        other=_mask(compute.invert(compute.or_(is_number, missing))),
        infinite=np.abs(values) > _LARGEST,
        whole=bool(whole.as_py()) if len(strings) else True,
    )


def integers(strings: Any) -> tuple[npt.NDArray[np.int64], Mask]:
    """Strings (n,) as int64, ``INTEGER_MISSING`` where they are missing, and which are neither; 3.0 is 3."""
    bare = compute.utf8_trim_whitespace(strings)
    whole = compute.match_substring_regex(bare, _WHOLE)
    missing = compute.is_in(compute.utf8_lower(bare), value_set=pyarrow.array(MISSING_NUMBERS))
    digits = compute.replace_substring_regex(bare, r"^\+|\.0*$", "")
    readable = compute.if_else(whole, digits, pyarrow.scalar(None, pyarrow.string()))
    values = compute.cast(readable, pyarrow.int64()).fill_null(INTEGER_MISSING).to_numpy(zero_copy_only=False)
    return values, _mask(compute.invert(compute.or_(whole, missing)))


def blank(strings: Any) -> Mask:
    """Which strings hold nothing but white space."""
    return _mask(compute.equal(compute.utf8_trim_whitespace(strings), ""))


def _mask(values: Any) -> Mask:
    return np.asarray(values.to_numpy(zero_copy_only=False), dtype=np.bool_)
