"""What is learned, from labels as they were given: the one place that infers the task and orders the classes."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow

from tuner.data.cells import bare, is_missing, numbers
from tuner.data.prepared import TargetFacts
from tuner.errors import DataError
from tuner.spec.data import LabelledTask

# Numbers with more different values than this are quantities, not classes.
MOST_NUMBERED_CLASSES = 20
_MOST_CLASSES = 100_000
_INTEGER = re.compile(r"[+-]?\d+")
_WHOLE = re.compile(r"^([+-]?\d+)\.0*$")
_BOOLEANS = frozenset({"true", "false"})
# As of the columns of inputs: with so many numbers all else is a mistake.
_NEARLY_ALL = 0.95

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Target:
    """A target of all rows, compactly.

    Attributes:
        facts: what it is; statistics are still missing.
        codes: shape (rows,), int64: the class of each row, or its place in ``table``; None for regression.
        table: for multi-label, uint8 (different label sets, classes).
        numbers: for regression, float64 (rows,).
        unusable: shape (rows,): rows without a label that can be learned.
        reason: what is wrong with these.
    """

    facts: TargetFacts
    codes: Indices | None
    table: npt.NDArray[np.uint8] | None
    numbers: npt.NDArray[np.float64] | None
    unusable: npt.NDArray[np.bool_]
    reason: str

    @property
    def classes(self) -> Indices | None:
        """The class of each row where it has exactly one."""
        return self.codes if self.facts.task == "classification" else None

    def values(self, rows: Indices) -> npt.NDArray[Any]:
        """The targets of rows, (m, *shape), of the facts' dtype."""
        if self.numbers is not None:
            return self.numbers[rows].astype(self.facts.dtype)
        assert self.codes is not None
        chosen = self.codes[rows]
        return chosen if self.table is None else self.table[chosen].astype(self.facts.dtype)


class LabelColumn:
    """Collects the labels of all rows.

    Args:
        shown: the column, for errors.
        separator: what divides a row's labels; None where it has one.
        task: as the spec gives it.
        commas: whether numbers may have decimal commas.
    """

    def __init__(self, shown: str, separator: str | None, task: LabelledTask, commas: bool = False) -> None:
        self._shown, self._separator, self._task, self._commas = shown, separator, task, commas
        self._commas_met = self._points_met = False
        self._known: dict[str, int] | None = {}
        self._codes: list[Indices] = []
        self._numbers: list[npt.NDArray[np.float64]] | None = None if separator or task == "classification" else []

    def add(self, strings: Any) -> None:
        """Adds labels, Arrow strings (n,); white space around them does not count.

        Raises:
            DataError: there are too many different ones to be classes.
        """
        strings = bare(strings)
        if self._numbers is not None:
            self._add_numbers(strings)
        if self._known is not None:
            self._add_codes(strings)
        if self._known is None and self._numbers is None:
            raise DataError(
                f"{self._shown} has more than {_MOST_CLASSES:,} different labels, and not all of them are numbers: "
                "is it the right column?"
            )

    def _add_numbers(self, strings: Any) -> None:
        assert self._numbers is not None
        read = numbers(strings, self._commas)
        self._commas_met |= bool(read.commas.any())
        self._points_met |= bool(read.points.any())
        if self._task == "auto" and read.other.any():
            self._numbers = None
        else:
            self._numbers.append(np.where(read.infinite, np.nan, read.values))

    def _add_codes(self, strings: Any) -> None:
        known = self._known
        assert known is not None
        encoded = strings.dictionary_encode()
        local = [known.setdefault(label, len(known)) for label in encoded.dictionary.to_pylist()]
        self._codes.append(np.array(local, dtype=np.int64)[encoded.indices.to_numpy(zero_copy_only=False)])
        if len(known) > _MOST_CLASSES:
            self._known = None

    def target(self) -> Target:
        """What all of it is.

        Raises:
            DataError: it cannot be what the spec says, or there is one class only.
        """
        if self._separator is not None:
            return self._multi_label(self._separator)
        labels = list(self._known) if self._known is not None else None
        if self._task == "regression" or (self._task == "auto" and self._are_quantities(labels)):
            return self._regression()
        return self._classification(labels or [])

    def _are_quantities(self, labels: Sequence[str] | None) -> bool:
        if self._numbers is None:
            return False
        if labels is None:
            return True
        values = numbers(pyarrow.array(labels, pyarrow.string()), self._commas).values
        values = np.unique(values[~np.isnan(values)])
        return len(values) > MOST_NUMBERED_CLASSES or not all(map(float.is_integer, values.tolist()))

    def _regression(self) -> Target:
        assert self._numbers is not None
        if self._commas_met and self._points_met:
            raise DataError(f"{self._shown} has decimal commas and points: write all numbers in one way")
        values = np.concatenate(self._numbers) if self._numbers else np.zeros(0)
        finite = np.unique(values[~np.isnan(values)])
        with np.errstate(over="ignore"):
            told_apart = len(np.unique(finite.astype(np.float32)))
        if 2 * told_apart <= len(finite):
            raise DataError(
                f"{self._shown} has numbers so close to each other that float32, in which models compute, has "
                f"{told_apart} for {len(finite)} different ones: subtract a number near to all of them"
            )
        facts = TargetFacts(task="regression", dtype="float32")
        return Target(facts, None, None, values, np.isnan(values), f"{self._shown} holds no finite number")

    def _classification(self, labels: Sequence[str]) -> Target:
        self._check_words(labels)
        # Words like NaN are labels like any other, except among numbers.
        missing = {""} if self._numbers is None else set(compress(labels, is_missing(labels)))
        known_as = one_name_each([label for label in labels if label not in missing])
        names = class_names(sorted(set(known_as.values())))
        order = {label: names.index(name) for label, name in known_as.items()}
        if len(names) < 2:
            held = f"only one class ({names[0]!r})" if names else "no label"
            raise DataError(f"{self._shown} holds {held}: classification needs two classes")
        lookup = np.array([order.get(label, -1) for label in labels], dtype=np.int64)
        codes = lookup[np.concatenate(self._codes)]
        facts = TargetFacts(task="classification", dtype="int64", class_names=names)
        reason = f"{self._shown} is empty"
        if len(missing - {""}):
            words = ", ".join(repr(word) for word in sorted(missing - {""}))
            reason += f" or {words}, which is no number; with data.task: classification, words are classes too"
        return Target(facts, codes, None, None, codes < 0, reason)

    def _check_words(self, labels: Sequence[str]) -> None:
        """Raises DataError: the labels are numbers but for a few, so that they are neither quantities nor classes."""
        if self._task != "auto" or not labels:
            return
        counts = np.bincount(np.concatenate(self._codes), minlength=len(labels))
        read = numbers(pyarrow.array(labels, pyarrow.string()), self._commas)
        present, others = counts[~read.missing].sum(), counts[read.other].sum()
        quantities = len(np.unique(read.values[~np.isnan(read.values)])) > MOST_NUMBERED_CLASSES
        if quantities and 0 < others <= (1 - _NEARLY_ALL) * present:
            word = labels[int(np.argmax(read.other))]
            raise DataError(
                f"{self._shown} holds numbers in {present - others} of {present} rows, but also {word!r}: repair such "
                "rows, or set data.task: classification"
            )

    def _multi_label(self, separator: str) -> Target:
        if self._known is None:
            raise DataError(f"{self._shown} has more than {_MOST_CLASSES:,} different sets of labels")
        sets = [{part.strip() for part in labels.split(separator)} - {""} for labels in self._known]
        names = class_names(sorted(set().union(*sets)))
        if not names:
            raise DataError(f"{self._shown} holds no label in any row")
        table = np.array([[name in labels for name in names] for labels in sets], dtype=np.uint8)
        codes = np.concatenate(self._codes)
        facts = TargetFacts(task="multi_label", shape=(len(names),), dtype="float32", class_names=names)
        return Target(facts, codes, table, None, np.zeros(len(codes), dtype=np.bool_), "")


def one_name_each(labels: Sequence[str]) -> dict[str, str]:
    """The class that each of different labels stands for: 1 and 1.0 are one, and so are true and TRUE among booleans.

    Letters with accents are the same whether they are one character or two.

    Each class has the name by which it goes, the shorter one of ``1`` and ``1.0``.
    """
    if all(label.lower() in _BOOLEANS for label in labels):
        groups = {label: label.lower() for label in labels}
    else:
        groups = {label: unicodedata.normalize("NFC", _WHOLE.sub(r"\1", label)) for label in labels}
    names: dict[str, str] = {}
    for label in sorted(labels, key=lambda label: (label != groups[label], len(label), label)):
        names.setdefault(groups[label], label)
    return {label: names[group] for label, group in groups.items()}


def class_names(labels: Sequence[str]) -> tuple[str, ...]:
    """The classes in their order: integers by their value, everything else as text."""
    if all(_INTEGER.fullmatch(label) for label in labels):
        return tuple(sorted(labels, key=lambda label: (int(label), label)))
    if labels and all(_is_number(label) for label in labels):
        return tuple(sorted(labels, key=lambda label: (float(label), label)))
    return tuple(sorted(labels))


def _is_number(label: str) -> bool:
    try:
        return math.isfinite(float(label))
    except ValueError:
        return False


def example_weights(strings: Any, commas: bool = False) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Weights of strings (n,), and which of them are none: negative, infinite, missing or no number."""
    read = numbers(strings, commas)
    bad = ~(np.isfinite(read.values) & (read.values >= 0)) | read.infinite
    return np.where(bad, 0, read.values).astype(np.float32), bad
