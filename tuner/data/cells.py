"""What cells of a table mean: text, a category, a number, a missing value. White space around them does not count,
except around texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow
import pyarrow.compute as compute

from search_spaces.statistics import INTEGER_MISSING

# What stands for a missing number; case does not matter. The clean process of a proof has a copy of its own.
MISSING_NUMBERS = (
    *("", "na", "n/a", "n.a.", "#n/a", "<na>", "#na", "nan", "-nan", "null", "nil", "none", "?", "\\n", "-", "--", "."),
    *("unknown", "missing", "#value!", "#div/0!", "#ref!", "#num!", "#null!", "#name?", "(null)", "#n/a n/a"),
    *("1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan", "..", "...", "\u2013", "\u2014", "\u2026"),
)

_POINT = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
# Points between thousands only where a comma says what they are.
_COMMA = r"^[+-]?(\d*|\d{1,3}(\.\d{3})+),\d+([eE][+-]?\d+)?$"
# With signs that say that it is meant as a number, though not how it is to be read: in brackets, it is below zero; with
# marks such as < and +, it is a bound. The last is what C wrote on Windows for infinity.
_BLANK = r"[\s\x{a0}\x{2009}\x{202f}]"
_SIGN = r"[+\x{2212}\x{2013}-]"
_MARK = rf"([.,'\x{{2019}}\x{{66b}}\x{{66c}}]|{_BLANK})"
_BOUND = r"[<>~\x{2264}\x{2265}\x{2248}\x{b1}]"
_LIKE_A_NUMBER = (
    rf"^{_BOUND}?=?{_BLANK}?\(?{_SIGN}?[$€£¥]?{_BLANK}?{_SIGN}?(\p{{Nd}}+|\p{{Nd}}{{1,3}}({_MARK}\p{{Nd}}{{3}})+)"
    rf"([.,\x{{66b}}]\p{{Nd}}+)?{_BLANK}?[%$€£¥\x{{66a}}+*]?\)?$|^[+-]?1\.#(?i:inf)$"
)
# With three digits behind the comma, which could be thousands as well.
_MAYBE_THOUSANDS = r"^[+-]?[1-9]\d{0,2},\d{3}$"
_MAYBE_GROUPED = r"^[+-]?[1-9]\d{0,2}\.\d{3}$"
_INFINITE = r"^[+-]?(?i:inf|infinity)$"
_INTEGER = r"^[+-]?\d{1,18}$"
_WHOLE = r"^[+-]?\d{1,18}(\.0*)?$"
_LARGEST = float(np.finfo(np.float32).max)

Mask = npt.NDArray[np.bool_]


def decimal_comma(delimiter: str) -> bool:
    """Whether ``1,5`` is a number in a file whose values are divided like this: where a comma does not divide them."""
    return delimiter != ","


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
        commas: shape (n,): numbers with a decimal comma; of these ``thousands`` could be whole numbers as well.
        points: shape (n,): numbers with a decimal point; of these ``grouped`` could be whole numbers as well.
        whole: whether all that are there are written as integers.
    """

    values: npt.NDArray[np.float64]
    missing: Mask
    other: Mask
    infinite: Mask
    commas: Mask
    thousands: Mask
    points: Mask
    grouped: Mask
    whole: bool


def bare(strings: Any) -> Any:
    """Strings (n,) without the white space around them."""
    return compute.utf8_trim_whitespace(strings)


def numbers(strings: Any, commas: bool = False) -> Numbers:
    """Reads strings (n,); with ``commas``, ``1,5`` and ``1.234,5`` are numbers too."""
    trimmed = bare(strings)
    finite = compute.match_substring_regex(trimmed, _POINT)
    points = compute.and_(finite, compute.match_substring(trimmed, "."))
    with_comma = compute.and_(compute.match_substring_regex(trimmed, _COMMA), commas)
    readable = trimmed
    if compute.any(with_comma).as_py():
        plain = compute.replace_substring(compute.replace_substring(trimmed, ".", ""), ",", ".")
        readable = compute.if_else(with_comma, plain, trimmed)
    is_number = compute.or_(compute.or_(finite, with_comma), compute.match_substring_regex(trimmed, _INFINITE))
    missing = _missing(trimmed)
    readable = compute.if_else(is_number, readable, pyarrow.scalar(None, pyarrow.string()))
    values = compute.cast(readable, pyarrow.float64()).to_numpy(zero_copy_only=False)
    whole = compute.all(compute.or_(missing, compute.match_substring_regex(trimmed, _INTEGER)))
    return Numbers(
        values=values,
        missing=_mask(missing),
        other=_mask(compute.invert(compute.or_(is_number, missing))),
        infinite=np.abs(values) > _LARGEST,
        commas=_mask(with_comma),
        thousands=_mask(compute.and_(with_comma, compute.match_substring_regex(trimmed, _MAYBE_THOUSANDS))),
        points=_mask(points),
        grouped=_mask(compute.match_substring_regex(trimmed, _MAYBE_GROUPED)),
        whole=bool(whole.as_py()) if len(strings) else True,
    )


def integers(strings: Any) -> tuple[npt.NDArray[np.int64], Mask]:
    """Strings (n,) as int64, ``INTEGER_MISSING`` where they are missing, and which are neither; 3.0 is 3."""
    trimmed = bare(strings)
    whole = compute.match_substring_regex(trimmed, _WHOLE)
    missing = _missing(trimmed)
    digits = compute.replace_substring_regex(trimmed, r"^\+|\.0*$", "")
    readable = compute.if_else(whole, digits, pyarrow.scalar(None, pyarrow.string()))
    values = compute.cast(readable, pyarrow.int64()).fill_null(INTEGER_MISSING).to_numpy(zero_copy_only=False)
    return values, _mask(compute.invert(compute.or_(whole, missing)))


def like_numbers(strings: Any) -> Mask:
    """Which strings (n,) are meant as numbers, such as ``1,234.5``, ``1 234``, ``$ 12`` and ``12 %``, or are some."""
    return _mask(compute.match_substring_regex(bare(strings), _LIKE_A_NUMBER))


def is_missing(strings: Sequence[str]) -> list[bool]:
    """Which strings stand for a missing number."""
    return [string.strip().lower() in MISSING_NUMBERS for string in strings]


def blank(strings: Any) -> Mask:
    """Which strings hold nothing but white space."""
    return _mask(compute.equal(bare(strings), ""))


def _missing(trimmed: Any) -> Any:
    return compute.is_in(compute.utf8_lower(trimmed), value_set=pyarrow.array(MISSING_NUMBERS))


def _mask(values: Any) -> Mask:
    return np.asarray(values.to_numpy(zero_copy_only=False), dtype=np.bool_)
