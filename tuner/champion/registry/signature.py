"""The signature of an export's record, by which a study's database knows again what it has proven.

Whoever can write a folder can write a record that says anything, with hashes that fit. The key is in the database
alone. The JSON is signed as it is written, so that a later version, whose records have other keys, knows it too.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

from tuner.champion.records.champion_json import Champion, content_of


def signed(champion: Champion, key: bytes) -> Champion:
    """The record with the signature of all else in it, the hashes of the files among that."""
    written = json.loads(champion.model_dump_json())
    return champion.model_copy(update={"signature": _signature(written, key)})


def is_signed(written: Mapping[str, Any], key: bytes | None) -> bool:
    """Whether a record, as its file has it, is as it was when it was signed with that key."""
    signature = written.get("signature")
    if key is None or not isinstance(signature, str):
        return False
    return hmac.compare_digest(signature.encode(), _signature(written, key).encode())


def _signature(written: Mapping[str, Any], key: bytes) -> str:
    return hmac.new(key, content_of(written), hashlib.sha256).hexdigest()
