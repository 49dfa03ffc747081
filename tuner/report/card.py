"""The section of the champion: what its export left, read for show and never loaded.

The seam: what ``card.md`` beside ``champion.json`` says is shown as text; without it the record's own facts are.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from storage.champions import Champion
from tuner.champion.card import CARD
from tuner.champion.record import RECORD

_LARGEST = 1_000_000


@dataclass(frozen=True)
class Card:
    """One registered export, in words.

    Attributes:
        facts: by their names.
        text: of its model card; None if there is none.
        missing: why no more is known than the database has.
    """

    title: str
    facts: dict[str, str]
    params: dict[str, str]
    text: str | None
    missing: str | None


def card_of(champion: Champion) -> Card:
    """What can be told of a champion from here; a folder on another machine costs the details only."""
    folder = Path(champion.path)
    facts = {"Exported": f"{champion.created_at:%Y-%m-%d %H:%M} UTC", "Folder": champion.path}
    if champion.value is not None:
        facts["Validation value"] = f"{champion.value:.5g}"
    facts |= _verified(champion.verification)
    record, missing = _read(folder / RECORD)
    params = {str(name): str(value) for name, value in (record.get("params") or {}).items()} if record else {}
    for name in ("task", "exported_at"):
        if record and isinstance(record.get(name), str):
            facts[name.replace("_", " ").capitalize()] = record[name]
    title = f"Version {champion.version}: trial {champion.number}"
    return Card(title, facts, params, _text(folder / CARD), missing)


def _verified(found: Any) -> dict[str, str]:
    if not isinstance(found, dict):
        return {}
    if not found.get("verified"):
        return {"Verified": f"no: {found.get('reason')}"}
    told = f"yes: {found.get('metric')} {found.get('value')} on {found.get('examples')} {found.get('source')}"
    return {"Verified": told}


def _read(file: Path) -> tuple[dict[str, Any] | None, str | None]:
    text = _text(file)
    if text is None:
        return None, f"{file} cannot be read from here: only what the database has is shown."
    try:
        found = json.loads(text)
    except ValueError:
        return None, f"{file} is damaged: only what the database has is shown."
    return (found, None) if isinstance(found, dict) else (None, f"{file} is damaged.")


def _text(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8")[:_LARGEST]
    except (OSError, UnicodeDecodeError):
        return None
