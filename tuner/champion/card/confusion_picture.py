"""The confusion matrix as a picture: a row for each class, coloured by the row's shares."""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement

from tuner.champion.card.svg import cut, hint, line, picture, rect, text, width_of, written
from tuner.champion.records.confusion import Confusion

MOST_CLASSES = 50
_LONGEST_NAME = 22
_FEW = 12
_WORDS = "The numbers count examples. The stronger the colour, the larger the share of the row."
_MARGIN, _TITLE = 14, 22


def confusion_picture(found: Confusion) -> str | None:
    """The picture's SVG; None with more classes than it can show."""
    count = len(found.class_names)
    if count > MOST_CLASSES:
        return None
    names = [cut(name, _LONGEST_NAME) for name in found.class_names]
    cell = max(22.0, min(64.0, 720 / count))
    size = min(12.0, 0.58 * cell)
    longest = max(width_of(name, size) for name in names)
    flat = longest <= cell - 6
    left = _MARGIN + _TITLE + longest + 8
    top = _MARGIN + _TITLE + (size + 8 if flat else 0.72 * longest + size)
    # What is below the matrix may be wider than it.
    least = width_of(_WORDS, 11) + 2 * _MARGIN
    width = max(left + count * cell + _MARGIN + (0 if flat else 0.72 * longest), least)
    height = top + count * cell + 2 * _MARGIN + 12
    made = picture(width, height, "Confusion matrix: the true classes of the examples against the predicted classes")
    middle = left + count * cell / 2
    text(made, middle, _MARGIN + 10, "taken for", kind="soft", anchor="middle")
    x, y = _MARGIN + 10.0, top + count * cell / 2
    text(made, x, y, "class", kind="soft", anchor="middle", transform=f"rotate(-90 {x:.1f} {y:.1f})")
    text(made, _MARGIN, height - _MARGIN, _WORDS, 11, "soft")
    for index, name in enumerate(names):
        at = (index + 0.5) * cell
        hint(text(made, left - 8, top + at + 0.35 * size, name, size, anchor="end"), found.class_names[index])
        x, y = left + at, top - 8.0
        turned = {"anchor": "middle"} if flat else {"transform": f"rotate(-45 {x:.1f} {y:.1f})"}
        hint(text(made, x, y, name, size, **turned), found.class_names[index])
    _grid(made, left, top, cell, count)
    _cells(made, found, names, left, top, cell)
    return written(made)


def _grid(made: Element, left: float, top: float, cell: float, count: int) -> None:
    end = count * cell
    for index in range(count + 1):
        line(made, left, top + index * cell, left + end, top + index * cell)
        line(made, left + index * cell, top, left + index * cell, top + end)


def _cells(made: Element, found: Confusion, names: list[str], left: float, top: float, cell: float) -> None:
    longest = max(len(_short(count)) for row in found.counts for count in row)
    size = max(6.0, min(13.0, 0.45 * cell, (cell - 3) / (0.6 * longest)))
    for i, row in enumerate(found.counts):
        for j, count in enumerate(row):
            x, y = left + j * cell, top + i * cell
            share = count / sum(row) if count else 0.0
            group = SubElement(made, "g")
            if count:
                hint(group, f"{names[i]} predicted as {names[j]}: {count:,} ({share:.1%})")
                rect(group, x, y, cell, cell, "share", fill_opacity=f"{share:.3f}")
            if i == j:
                rect(group, x + 0.75, y + 0.75, cell - 1.5, cell - 1.5, "strong", fill="none", stroke_width="1")
            # In a large matrix the empty cells say nothing.
            if count or len(names) <= _FEW:
                kind = "full" if share > 0.7 else "" if count else "soft"
                text(group, x + cell / 2, y + cell / 2 + 0.35 * size, _short(count), size, kind, anchor="middle")


def _short(count: int) -> str:
    return str(count) if count < 10_000 else f"{count / 1000:.0f}k" if count < 1_000_000 else f"{count / 1e6:.3g}M"
