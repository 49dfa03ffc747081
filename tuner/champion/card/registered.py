"""The section of the champion: what its export left, read for show and never loaded.

What ``card.md`` beside ``champion.json`` says is shown with its pictures; without it the record's own facts are.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from storage.champions import Champion
from storage.files import sha256_of
from tuner.champion.card.html import shown_card
from tuner.champion.card.markdown import CARD, PICTURES
from tuner.champion.records.champion_json import RECORD

# Letters; what `tuner export` writes is smaller.
_LARGEST = 2_000_000
_UNREADABLE = "{file} cannot be read from here, so only what the database has is shown."
_DAMAGED = f"{RECORD} is damaged, so only what the database has is shown."
_REPLACED = "{folder} now holds another export, so only what the database has is shown."

TextOf = Callable[[str], str | None]


@dataclass(frozen=True)
class Card:
    """One registered export, in words.

    Attributes:
        facts: by their names.
        shown: its model card as HTML; None if there is none.
        missing: why no more is known than the database has.
    """

    title: str
    facts: dict[str, str]
    params: dict[str, str]
    shown: Markup | None
    missing: str | None


def card_of(champion: Champion) -> Card:
    """What can be told of a champion from here; a folder on another machine costs the details only."""
    folder = Path(champion.path)
    if _is_replaced(champion, folder / RECORD):
        return _card(champion, lambda name: None, _REPLACED.format(folder=folder))
    return _card(champion, lambda name: read_text(folder / name), _UNREADABLE.format(file=folder / RECORD))


def kept_card(champion: Champion, text_of: TextOf) -> Card:
    """``card_of`` for an export whose files are kept.

    Args:
        text_of: a file's text by its name; None if it cannot be read.
    """
    return _card(champion, text_of, _UNREADABLE.format(file=f"{RECORD} in the study's artifacts"))


def _card(champion: Champion, text_of: TextOf, unreadable: str) -> Card:
    facts = {"Exported": f"{champion.created_at:%Y-%m-%d %H:%M} UTC"}
    if champion.kept is None:
        # The only place of its files.
        facts["Folder"] = champion.path
    if champion.value is not None:
        facts["Validation value"] = f"{champion.value:.5g}"
    facts |= _verified(champion.verification)
    record, missing = _read(text_of(RECORD), unreadable)
    text = text_of(CARD)
    shown = None if text is None else shown_card(text, _pictures(text_of))
    # The card has them too.
    params = (record.get("params") or {}) if record and shown is None else {}
    if record and isinstance(record.get("task"), str):
        facts["Task"] = record["task"]
    title = f"Version {champion.version}: trial {champion.number}"
    return Card(title, facts, {str(name): str(value) for name, value in params.items()}, shown, missing)


def _is_replaced(champion: Champion, file: Path) -> bool:
    """Whether another export has been written to the champion's folder since."""
    try:
        return champion.kept is not None and sha256_of(file) != champion.kept.files[RECORD]
    except OSError:
        return False


def _pictures(text_of: TextOf) -> dict[str, str]:
    found = {name: text_of(name) for name in PICTURES.values()}
    return {name: text for name, text in found.items() if text is not None}


def _verified(found: Any) -> dict[str, str]:
    if not isinstance(found, dict):
        return {}
    if not found.get("verified"):
        return {"Verified": f"no: {found.get('reason')}"}
    told = f"yes: {found.get('metric')} {_number(found.get('value'))} on {found.get('examples')} {found.get('source')}"
    return {"Verified": told}


def _number(value: Any) -> str:
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def _read(text: str | None, unreadable: str) -> tuple[dict[str, Any] | None, str | None]:
    if text is None:
        return None, unreadable
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    return (found, None) if isinstance(found, dict) else (None, _DAMAGED)


def read_text(file: Path) -> str | None:
    """A file that is shown, not loaded: None if it is not there, is no text, or is too large for what it should be."""
    try:
        with file.open(encoding="utf-8") as opened:
            text = opened.read(_LARGEST + 1)
    except (OSError, UnicodeDecodeError):
        return None
    # A part of it is neither JSON nor a picture.
    return text if len(text) <= _LARGEST else None
