"""Examples in batches, as they are read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from tuner.champion.prediction.items import FileEnd, Item, Pause

BATCH = 64
# Rows of a table cost less than the call.
TABLE_BATCH = 1024
# Several batches are in memory at a time: one of large examples holds fewer.
_BYTES = 32 * 2**20

Entry = Item | FileEnd


@dataclass(frozen=True, eq=False)
class Batch:
    """Consecutive examples and ends of files.

    Attributes:
        last: no more is there to be read yet, so it has to be answered before one reads on.
    """

    entries: list[Entry]
    last: bool = False


def batches_of(read: Iterable[Entry | Pause], most: int = BATCH) -> Iterator[Batch]:
    """Full batches of ``most`` examples, but for those before a pause and at the end."""
    entries: list[Entry] = []
    count = size = 0
    for each in read:
        if isinstance(each, Pause):
            if entries:
                yield Batch(entries, last=True)
        else:
            entries.append(each)
            if isinstance(each, Item):
                count, size = count + 1, size + _size(each)
            if count < most and size < _BYTES:
                continue
            yield Batch(entries)
        entries, count, size = [], 0, 0
    if entries:
        yield Batch(entries, last=True)


def _size(item: Item) -> int:
    values = (item.tensors or {}).values()
    return sum(len(value) if isinstance(value, bytes) else getattr(value, "nbytes", 8) for value in values)


def by_shape(examples: list[dict[str, Any]]) -> Iterator[list[int]]:
    """The places of examples that can be one tensor each: of equal shapes, in order; most often all of them."""
    groups: dict[tuple[Any, ...], list[int]] = {}
    for place, example in enumerate(examples):
        groups.setdefault(tuple(getattr(value, "shape", ()) for value in example.values()), []).append(place)
    yield from groups.values()
