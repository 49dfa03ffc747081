"""The identity of a data set: what is in its files and how the spec prepares them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tuner.data.bad_files import unreadable_reason
from tuner.data.class_folders import LabelledFile, Scan
from tuner.data.parallel import map_chunks

# Of the identity; the cache's own layout has its number in the folder's name.
IDENTITY_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Content:
    """The SHA-256 of a file's content, and why it cannot be used; what cannot be read has no digest."""

    sha256: bytes
    problem: str | None = None


def contents(files: Sequence[LabelledFile], problem_of: Callable[[bytes], str | None] | None = None) -> list[Content]:
    """Reads and hashes files, several at a time; the result has their order.

    Args:
        problem_of: says of a whole content why it cannot be used.
    """
    hashed = map_chunks(lambda rows: [_content(files[i].absolute, problem_of) for i in rows], len(files))
    return [content for chunk in hashed for content in chunk]


def fingerprint(settings: Mapping[str, Any], found: Scan, by_source: Mapping[str, Sequence[Content]]) -> str:
    """SHA-256 (64 hexadecimal digits) of everything that the prepared columns depend on.

    The same files in another place, or on another machine, have the same fingerprint.
    """
    return _digest(_parts(settings, found, by_source))


def digest_of(settings: Mapping[str, Any], contents: Iterable[tuple[str, bytes]]) -> str:
    """SHA-256 (64 hexadecimal digits) of settings, JSON, and of named contents in their order."""
    parts = [json.dumps({"cache_format": IDENTITY_FORMAT, **settings}, sort_keys=True).encode("ascii")]
    for name, content in contents:
        parts += [os.fsencode(name), content]
    return _digest(parts)


def file_sha256(path: Path) -> str:
    """Of a file's content, 64 hexadecimal digits. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest(parts: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()


def _parts(settings: Mapping[str, Any], found: Scan, by_source: Mapping[str, Sequence[Content]]) -> Iterator[bytes]:
    yield json.dumps({"cache_format": IDENTITY_FORMAT, **settings}, sort_keys=True).encode("ascii")
    for source, files in found.sources.items():
        for file, content in zip(files, by_source[source], strict=True):
            yield source.encode("ascii")
            yield os.fsencode(file.path)
            yield os.fsencode(found.class_names[file.label] if found.class_names else "")
            yield content.sha256


def _content(path: str, problem_of: Callable[[bytes], str | None] | None) -> Content:
    try:
        with open(path, "rb") as file:
            if problem_of is None:
                return Content(hashlib.file_digest(file, "sha256").digest())
            content = file.read()
    except OSError as error:
        return Content(b"", unreadable_reason(error))
    return Content(hashlib.sha256(content).digest(), problem_of(content))
