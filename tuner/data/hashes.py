"""Hashes of the files of prepared data: a cache that has been damaged is noticed before anything learns from it.

``hashes.json`` has the SHA-256 of each block of each file, and ``meta.json`` the SHA-256 of that. They find what disks,
copies and people change; whoever may write to the cache can write other hashes too.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tuner.data.parallel import map_chunks

HASHES = "hashes.json"
_DIGEST = "sha256"
_BLOCK = 2**20
# A trial that starts reads so much at most, which takes about 0.1 s.
_SAMPLED_BLOCKS = 64

_Block = tuple[str, int, str]


def write_hashes(folder: Path) -> str:
    """Writes the hashes of every file in a folder but hidden ones and those that say of others; gives their SHA-256.

    What is there is kept: the files it was written for do not change.

    Raises:
        OSError: a file cannot be read, or the folder not be written.
    """
    file = folder / HASHES
    if not file.exists():
        names = sorted(each.name for each in folder.iterdir() if each.is_file() and each.suffix != ".json")
        names += sorted(each.name for each in folder.glob("*-vocabulary.json"))
        blocks = [(name, index) for name in names for index in range(_count(folder / name))]
        hashes = _hashed(folder, blocks)
        found: dict[str, list[str]] = {name: [] for name in names}
        for (name, _), digest in zip(blocks, hashes, strict=True):
            found[name].append(digest)
        with file.open("w", encoding="ascii") as written:
            json.dump({"block": _BLOCK, "files": found}, written)
            written.flush()
            os.fsync(written.fileno())
    return hashlib.sha256(file.read_bytes()).hexdigest()


def check_hashes(folder: Path, expected: str, *, whole: bool) -> None:
    """Holds a folder's files to their hashes.

    Args:
        expected: what ``write_hashes`` gave.
        whole: all of it; else at most 64 blocks of 1 MiB, drawn anew each time.

    Raises:
        OSError: a file is missing.
        ValueError: a file is not what was written.
    """
    content = (folder / HASHES).read_bytes()
    if hashlib.sha256(content).hexdigest() != expected:
        raise ValueError(f"{HASHES} is not what was written")
    files: dict[str, list[str]] = json.loads(content)["files"]
    for name, hashes in files.items():
        if _count(folder / name) != len(hashes):
            raise ValueError(f"{name} has another length than was written")
    blocks = [(name, index, digest) for name, hashes in files.items() for index, digest in enumerate(hashes)]
    chosen = blocks if whole else _sample(blocks)
    found = _hashed(folder, [(name, index) for name, index, _ in chosen])
    for (name, index, digest), actual in zip(chosen, found, strict=True):
        if actual != digest:
            raise ValueError(f"{name} is not what was written, from byte {index * _BLOCK} on")


def with_digest(described: Mapping[str, Any]) -> dict[str, Any]:
    """JSON with a SHA-256 of itself, for ``read_checked``."""
    return {**described, _DIGEST: _digest(described)}


def read_checked(file: Path) -> dict[str, Any]:
    """JSON that was written ``with_digest``, without that.

    Raises:
        OSError: it is missing.
        ValueError: it is not what was written.
    """
    described: dict[str, Any] = json.loads(file.read_text(encoding="ascii"))
    if described.pop(_DIGEST, None) != _digest(described):
        raise ValueError(f"{file.name} is not what was written")
    return described


def _digest(described: Mapping[str, Any]) -> str:
    as_read = json.loads(json.dumps(described))
    return hashlib.sha256(json.dumps(as_read, sort_keys=True).encode("ascii")).hexdigest()


def _sample(blocks: list[_Block]) -> list[_Block]:
    return blocks if len(blocks) <= _SAMPLED_BLOCKS else random.SystemRandom().sample(blocks, _SAMPLED_BLOCKS)


def _count(file: Path) -> int:
    return -(-file.stat().st_size // _BLOCK)


def _hashed(folder: Path, blocks: list[tuple[str, int]]) -> Iterator[str]:
    """The hashes of blocks, in order, several at a time."""
    for chunk in map_chunks(lambda rows: [_hash_of(folder, *blocks[i]) for i in rows], len(blocks)):
        yield from chunk


def _hash_of(folder: Path, name: str, index: int) -> str:
    # The page cache, not the mapping, is read: a file that is cut off meanwhile is an error, not a bus error.
    with (folder / name).open("rb", buffering=0) as file:
        file.seek(index * _BLOCK)
        return hashlib.sha256(file.read(_BLOCK)).hexdigest()
