"""The signature of an export's record, by which a study's database knows again what it has proven.

Whoever can write a folder can write a record that says anything, with hashes that fit. The key is in the database
alone.
"""

from __future__ import annotations

import hashlib
import hmac
import json

from tuner.champion.records.champion_json import Champion


def signed(champion: Champion, key: bytes) -> Champion:
    """The record with the signature of all else in it, the hashes of the files among that."""
    return champion.model_copy(update={"signature": _signature(champion, key)})


def is_signed(champion: Champion, key: bytes | None) -> bool:
    """Whether the record is as it was when it was signed with that key."""
    if key is None or champion.signature is None:
        return False
    return hmac.compare_digest(champion.signature.encode(), _signature(champion, key).encode())


def _signature(champion: Champion, key: bytes) -> str:
    said = json.loads(champion.model_dump_json(exclude={"signature"}))
    return hmac.new(key, json.dumps(said, sort_keys=True).encode(), hashlib.sha256).hexdigest()
