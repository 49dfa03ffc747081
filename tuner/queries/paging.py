"""Pages of long lists, and the cursors that lead from one to the next.

A cursor says after what the next page begins, and of which list it is: of another study, filter or order it is refused.
It stays right while the list grows.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from tuner.errors import CursorError

_Item = TypeVar("_Item")
USUAL_PAGE = 50
_LONGEST = 2000
_MOST = 2**31


@dataclass(frozen=True)
class Page(Generic[_Item]):
    """A page of a list.

    Attributes:
        items: items of the page, in order.
        cursor: ``cursor`` of the request that fetches the next page; None on the last page.
    """

    items: list[_Item]
    cursor: str | None


def paged(found: Sequence[_Item], limit: int | None) -> tuple[list[_Item], bool]:
    """What of a list is on the page, and whether more comes, when one item more than ``limit`` was asked for."""
    return list(found[:limit]), limit is not None and len(found) > limit


def cursor_after(listing: Mapping[str, Any], position: Any) -> str:
    """The cursor to what comes after ``position``, which is JSON, in a list of that study, filter and order."""
    text = json.dumps([_mark(listing), position], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def position_in(listing: Mapping[str, Any], cursor: str | None) -> Any:
    """The position of a cursor; None without one.

    Raises:
        CursorError: it is none, or is of another list.
    """
    if cursor is None:
        return None
    try:
        if len(cursor) > _LONGEST:
            raise ValueError
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        mark, position = json.loads(text)
    except (ValueError, TypeError, binascii.Error, RecursionError):
        raise CursorError("this is not the cursor of a page: use that of the previous page, or none to start") from None
    if mark != _mark(listing):
        raise CursorError("the cursor belongs to another study, filter or order: start without one")
    return position


def whole_number(position: Any) -> int | None:
    """A position that is a count or an id; None for None. Raises CursorError for what anybody else wrote."""
    if position is None or (isinstance(position, int) and 0 <= position < _MOST):
        return position
    raise CursorError("the cursor does not fit this list: start without one")


def _mark(listing: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(sorted(listing.items())).encode()).hexdigest()[:16]
